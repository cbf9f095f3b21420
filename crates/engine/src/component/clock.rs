//! Event time: how far it has come, by what has arrived.
//!
//! A partition is a topic of an input. Its watermark follows the latest event it had; that of an input is the
//! lowest of its partitions', that of the component the lowest of its inputs'. What has been silent for as long as
//! the input's idle timeout holds nothing back. Watermarks never go back (Akidau et al.: "Watermarks in Stream
//! Processing Systems", 2021; Flink's rules but for a millisecond).

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::time::Time;

/// Before any event.
pub(super) const START: Time = Time(i64::MIN);

/// Topics of one input that are told apart; those beyond count as one. A subscription with wildcards may have any
/// number.
const MAX_PARTITIONS: usize = 10_000;

/// Event time as one component sees it.
pub(super) struct Clock {
    inputs: Vec<InputClock>,
    watermark: Time,
    /// No partition falls idle before this.
    earliest: Time,
}

struct InputClock {
    /// How much later than it happened an event may come.
    bound: i64,
    idle_timeout: Option<i64>,
    /// Whether it says anything about event time: tables don't.
    counts: bool,
    /// Nobody reads it: there is no room for more.
    paused: bool,
    /// Nobody can read it: its broker is gone.
    away: bool,
    /// Until it had a message, what it is waited for with.
    silence: Partition,
    partitions: FxHashMap<Box<str>, Partition>,
    /// How many of the partitions that are not idle have which watermark.
    levels: BTreeMap<Time, usize>,
    /// How many are not idle.
    active: usize,
    /// The lowest of the partitions' watermarks that are not idle; `None` if all are.
    watermark: Option<Time>,
}

#[derive(Clone, Copy)]
struct Partition {
    watermark: Time,
    /// When it last had a message, in processing time.
    last: Time,
    idle: bool,
}

/// How long one input is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Microseconds that an event may come after one that happened later.
    pub(crate) out_of_orderness: i64,
    /// Microseconds without a message after which nothing is held back.
    pub(crate) idle_timeout: Option<i64>,
}

impl Clock {
    /// Of inputs; `None` for one whose messages have no time.
    pub(super) fn new(inputs: impl Iterator<Item = Option<Patience>>) -> Clock {
        let input = |patience: Option<Patience>| InputClock {
            bound: patience.map_or(0, |patience| patience.out_of_orderness.max(0)),
            idle_timeout: patience.and_then(|patience| patience.idle_timeout),
            counts: patience.is_some(),
            paused: false,
            away: false,
            silence: Partition {
                watermark: START,
                last: START,
                idle: false,
            },
            partitions: FxHashMap::default(),
            levels: BTreeMap::new(),
            active: 0,
            watermark: Some(START),
        };
        Clock {
            inputs: inputs.map(input).collect(),
            watermark: START,
            earliest: Time::MAX,
        }
    }

    /// How far event time has come.
    pub(super) fn watermark(&self) -> Time {
        self.watermark
    }

    /// How far one input has: the latest that any of its partitions says.
    pub(super) fn furthest(&self, input: usize) -> Time {
        let of = |input: &InputClock| input.partitions.values().map(|p| p.watermark).max();
        self.inputs.get(input).and_then(of).unwrap_or(START)
    }

    /// The input that all others wait for, if any is waited for.
    pub(super) fn laggard(&self) -> Option<usize> {
        let inputs = self.inputs.iter().enumerate().filter(|(_, input)| input.counts);
        let waiting = inputs.filter_map(|(at, input)| Some((input.watermark?, at)));
        waiting.min().map(|(_, at)| at)
    }

    /// When some partition may fall idle next.
    pub(super) fn deadline(&self) -> Option<Time> {
        (self.earliest < Time::MAX).then_some(self.earliest)
    }

    /// All inputs have been given again what they had before: from now on silence counts.
    pub(super) fn start(&mut self, now: Time) {
        for input in &mut self.inputs {
            input.silence.last = now;
            input.partitions.values_mut().for_each(|p| p.last = now);
        }
        self.earliest = now;
        self.advance();
    }

    /// An input is paused, or goes on. One that is paused can't be idle: nobody listens to it.
    pub(super) fn pause(&mut self, input: usize, paused: bool, now: Time) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.paused = paused;
            input.listen(now);
            self.earliest = self.earliest.min(now);
        }
    }

    /// An input's broker is gone, or there again. Meanwhile it can't be idle either.
    pub(super) fn lose(&mut self, input: usize, away: bool, now: Time) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.away = away;
            input.listen(now);
            self.earliest = self.earliest.min(now);
        }
    }

    /// An event has come. `carried` is the watermark that came with it.
    pub(super) fn observe(&mut self, input: usize, topic: &str, at: Time, carried: Option<Time>, now: Time) {
        let Some(input) = self.inputs.get_mut(input) else {
            return;
        };
        let says = carried.unwrap_or(Time(at.0.saturating_sub(input.bound)));
        let fresh = Partition {
            watermark: START,
            last: now,
            idle: true,
        };
        if !input.partitions.contains_key(topic) {
            input.add(topic, fresh);
        }
        let name = if input.partitions.contains_key(topic) {
            topic
        } else {
            ""
        };
        let Some(partition) = input.partitions.get_mut(name) else {
            return;
        };
        let before = *partition;
        partition.watermark = before.watermark.max(says);
        partition.last = before.last.max(now);
        partition.idle = false;
        let after = partition.watermark;
        if before.idle
            && let Some(timeout) = input.idle_timeout
        {
            self.earliest = self.earliest.min(now.plus(timeout));
        }
        if before.idle || after > before.watermark {
            if !before.idle {
                input.leave(before.watermark);
            }
            input.active += 1;
            *input.levels.entry(after).or_default() += 1;
            input.settle();
            self.advance();
        }
    }

    /// Time has passed. Whether every input has fallen idle by now, and had not before.
    pub(super) fn elapse(&mut self, now: Time) -> bool {
        let mut all_idle = false;
        while self.earliest <= now {
            // One deadline after the other, so that it makes no difference how often this is called.
            let due = |input: &InputClock| input.deadline();
            let next = self.inputs.iter().filter_map(due).min().unwrap_or(Time::MAX);
            self.earliest = next;
            if next > now {
                break;
            }
            for input in &mut self.inputs {
                input.fall_idle(next);
            }
            self.advance();
            all_idle = self
                .inputs
                .iter()
                .all(|input| !input.counts || input.watermark.is_none());
        }
        all_idle
    }

    /// Event time is at least here.
    pub(super) fn raise(&mut self, to: Time) {
        self.watermark = self.watermark.max(to);
    }

    fn advance(&mut self) {
        let inputs = self.inputs.iter().filter(|input| input.counts);
        if let Some(lowest) = inputs.filter_map(|input| input.watermark).min() {
            self.raise(lowest);
        }
    }
}

impl InputClock {
    /// Whether its silence says anything.
    fn is_heard(&self) -> bool {
        self.counts && !self.paused && !self.away
    }

    /// From now on, if anybody listens at all.
    fn listen(&mut self, now: Time) {
        if self.is_heard() {
            let silence = std::iter::once(&mut self.silence);
            for partition in silence.chain(self.partitions.values_mut()) {
                partition.last = partition.last.max(now);
            }
        }
    }

    /// Tells a topic apart from now on, as far as there is room.
    fn add(&mut self, topic: &str, fresh: Partition) {
        if self.partitions.len() >= MAX_PARTITIONS && self.active < self.partitions.len() {
            // Topics come and go: those that are silent make room.
            self.partitions.retain(|_, partition| !partition.idle);
        }
        let full = self.partitions.len() >= MAX_PARTITIONS;
        let name = if full { "" } else { topic };
        self.partitions.entry(name.into()).or_insert(fresh);
    }

    /// A partition does not have this watermark any more.
    fn leave(&mut self, watermark: Time) {
        self.active = self.active.saturating_sub(1);
        if let Some(count) = self.levels.get_mut(&watermark) {
            *count -= 1;
            if *count == 0 {
                self.levels.remove(&watermark);
            }
        }
    }

    /// The partitions that are waited for; an input without any is one itself.
    fn settle(&mut self) {
        self.watermark = if self.partitions.is_empty() {
            Some(self.silence.watermark).filter(|_| !self.silence.idle)
        } else {
            self.levels.keys().next().copied()
        };
    }

    /// When a partition falls idle next.
    fn deadline(&self) -> Option<Time> {
        let timeout = self.idle_timeout.filter(|_| self.is_heard())?;
        let silence = self.partitions.is_empty().then_some(&self.silence);
        let all = silence.into_iter().chain(self.partitions.values());
        all.filter(|p| !p.idle).map(|p| p.last.plus(timeout)).min()
    }

    fn fall_idle(&mut self, now: Time) {
        let Some(timeout) = self.idle_timeout.filter(|_| self.is_heard()) else {
            return;
        };
        if self.partitions.is_empty() {
            self.silence.idle |= self.silence.last.plus(timeout) <= now;
        }
        let silent = |partition: &Partition| !partition.idle && partition.last.plus(timeout) <= now;
        let mut gone = Vec::new();
        for partition in self.partitions.values_mut().filter(|partition| silent(partition)) {
            partition.idle = true;
            gone.push(partition.watermark);
        }
        for watermark in gone {
            self.leave(watermark);
        }
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        let patience = Patience {
            out_of_orderness: 0,
            idle_timeout: Some(100),
        };
        let mut clock = Clock::new(std::iter::once(Some(patience)));
        clock.start(Time(0));
        clock
    }

    #[test]
    fn topics_that_fall_silent_make_room_for_others() {
        let mut clock = clock();
        for n in 0..3 * MAX_PARTITIONS {
            let at = i64::try_from(n).unwrap();
            clock.elapse(Time(at));
            clock.observe(0, &format!("device/{n}"), Time(at), None, Time(at));
            assert_eq!(
                clock.watermark(),
                Time((at - 99).max(0)),
                "the last hundred count"
            );
        }
        assert!(clock.inputs[0].partitions.len() <= MAX_PARTITIONS);
        assert!(!clock.inputs[0].partitions.contains_key(""));
    }

    #[test]
    fn an_input_that_nobody_can_hear_is_not_idle() {
        let mut clock = clock();
        clock.observe(0, "t", Time(7), None, Time(10));
        clock.lose(0, true, Time(20));
        assert!(!clock.elapse(Time(5_000)), "nobody would know if it spoke");
        clock.pause(0, true, Time(5_000));
        clock.lose(0, false, Time(5_010));
        assert!(!clock.elapse(Time(6_000)), "and now nobody asks");
        clock.pause(0, false, Time(6_000));
        assert!(!clock.elapse(Time(6_099)));
        assert!(clock.elapse(Time(6_100)));
    }

    #[test]
    fn topics_beyond_those_that_are_told_apart_are_one() {
        let mut clock = clock();
        for n in 0..MAX_PARTITIONS + 10 {
            clock.observe(0, &format!("device/{n}"), Time(7), None, Time(0));
        }
        assert_eq!(clock.inputs[0].partitions.len(), MAX_PARTITIONS + 1);
        assert_eq!(clock.watermark(), Time(7));
    }
}
