//! The component between a broker and recipients that have their troubles, on virtual time.
//!
//! What is done next is drawn from the seed: a message is delivered, a recipient answers (or asks again, refuses, answers
//! twice), time passes. The component dies after the steps that the case says; the broker then gives it again what it has
//! not acked. Acks that come in one go are one step, as they are one command to a broker: no death comes between those of a
//! window.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role, SendId, Target};
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::Emit;
use streaming_engine::state::MemoryDisk;
use streaming_engine::time::Time;

use crate::Stats;
use crate::broker::Unacked;
use crate::case::{Broker, Case, NAMES};
use crate::lateness::Lateness;
use crate::oracle::{self, Row};

const MQTT_RECEIVE_MAXIMUM: usize = 20;
pub(crate) const MAX_STEPS: u64 = 1_000_000;

/// One run.
pub struct World<'a> {
    pub(crate) case: &'a Case,
    pub(crate) config: Config,
    /// What a life leaves to the next.
    pub(crate) disk: MemoryDisk,
    pub(crate) component: Durable,
    pub(crate) random: SmallRng,
    pub(crate) now: Time,
    /// By input: messages that were not delivered yet.
    pub(crate) waiting: Vec<VecDeque<usize>>,
    /// By input, in the order of delivery: messages that the broker has no ack for.
    pub(crate) unacked: Vec<Vec<Unacked>>,
    pub(crate) paused: Vec<bool>,
    /// How many unacked messages each input may have.
    pub(crate) limits: Vec<usize>,
    pub(crate) in_flight: Vec<(SendId, Target, Arc<Event>)>,
    pub(crate) expected: Vec<Row>,
    /// By output and row: the ids it was accepted under.
    pub(crate) accepted: BTreeMap<(usize, String), BTreeSet<String>>,
    pub(crate) refused: BTreeSet<(usize, String)>,
    pub(crate) dead: BTreeSet<String>,
    /// Windows that had no room for all of their results, and said so: under which ids.
    pub(crate) cut: BTreeMap<(i64, i64), BTreeSet<String>>,
    /// Rows that were ever sent, by window; and the most bytes that were sent of a window at once.
    pub(crate) made: BTreeMap<(i64, i64), (BTreeSet<String>, usize)>,
    pub(crate) ids: BTreeMap<String, String>,
    pub(crate) steps: u64,
    pub(crate) crashes: VecDeque<u64>,
    pub(crate) stats: Stats,
    pub(crate) trace: bool,
    pub(crate) lateness: Lateness,
    /// Messages that were sent on as late.
    pub(crate) late: BTreeSet<usize>,
    /// By output, and window and group: the last update, and its number.
    pub(crate) updates: BTreeMap<(usize, String), (u64, String)>,
}

/// What ends a life.
pub(crate) enum End {
    Crash,
    Wrong(String),
}

impl From<String> for End {
    fn from(why: String) -> End {
        End::Wrong(why)
    }
}

impl<'a> World<'a> {
    /// A world at its start.
    ///
    /// # Errors
    /// The engine does not take the pipeline.
    pub fn new(case: &'a Case, seed: u64, trace: bool) -> Result<World<'a>, String> {
        let spec =
            JoinSpec::compile(&case.query()).map_err(|errors| format!("does not compile: {errors:?}"))?;
        let inputs: Vec<InputConfig> = case
            .brokers
            .iter()
            .map(|_| InputConfig {
                cluster_stream: "cs".to_owned(),
                max_deliveries: 0,
            })
            .collect();
        let mut config = Config::new(
            "uid",
            "/simulation",
            Role::Join(Box::new(spec)),
            inputs,
            case.outputs,
        );
        config.late = case.keeps_late;
        config.memory_budget = case.budget.unwrap_or(config.memory_budget);
        let of = |input: usize| {
            (0..case.messages.len()).filter(move |message| case.messages[*message].input == input)
        };
        let disk = MemoryDisk::default();
        let lateness = Lateness::new(case);
        Ok(World {
            component: start(case, &config, &disk, Time(0))?,
            disk,
            config,
            random: SmallRng::seed_from_u64(seed ^ 0x5eed),
            now: Time(0),
            waiting: (0..case.brokers.len()).map(|input| of(input).collect()).collect(),
            unacked: case.brokers.iter().map(|_| Vec::new()).collect(),
            paused: vec![false; case.brokers.len()],
            limits: case.brokers.iter().map(limit).collect(),
            in_flight: Vec::new(),
            expected: oracle::rows(case, &lateness.behind),
            lateness,
            late: BTreeSet::new(),
            updates: BTreeMap::new(),
            accepted: BTreeMap::new(),
            refused: BTreeSet::new(),
            dead: BTreeSet::new(),
            cut: BTreeMap::new(),
            made: BTreeMap::new(),
            ids: BTreeMap::new(),
            steps: 0,
            crashes: case.crashes.iter().copied().collect(),
            stats: Stats::default(),
            trace,
            case,
        })
    }

    /// Runs it to its end and judges it.
    ///
    /// # Errors
    /// What went otherwise than it must.
    pub fn run(mut self) -> Result<Stats, String> {
        let mut life = self.start();
        loop {
            match life {
                Err(End::Wrong(why)) => return Err(why),
                Err(End::Crash) => {
                    self.stats.crashes += 1;
                    self.lateness.die(self.case);
                    self.say(|| "death".to_owned());
                    life = self.start();
                    continue;
                }
                Ok(()) => {}
            }
            let acked = self.waiting.iter().all(VecDeque::is_empty) && self.unacked.iter().all(Vec::is_empty);
            if acked && (!self.case.kept || self.component.is_idle()) {
                break;
            }
            life = self.act();
        }
        // A window may be open still, all of whose messages were kept out.
        self.component.flush(self.now);
        while let Some(effect) = self.component.poll_effect() {
            if !matches!(effect, Effect::Window(_)) {
                return Err(format!("out of nothing: {effect:?}"));
            }
        }
        self.judge()?;
        self.stats.messages = self.case.messages.len() as u64;
        self.stats.rows = self.expected.len() as u64;
        self.stats.cut = self.cut.len() as u64;
        Ok(self.stats)
    }

    /// A life begins: what was not acked comes again, before anything else.
    fn start(&mut self) -> Result<(), End> {
        self.component = start(self.case, &self.config, &self.disk, self.now)?;
        self.in_flight.clear();
        for input in 0..self.case.brokers.len() {
            self.paused[input] = false;
            let mut again = std::mem::take(&mut self.unacked[input]);
            for each in &mut again {
                each.done = false;
                each.attempts += 1;
            }
            let attempts: Vec<(usize, u32)> =
                again.iter().map(|each| (each.message, each.attempts)).collect();
            self.unacked[input] = again;
            for (message, attempts) in attempts {
                self.hand_in(message, attempts);
                self.carry_out()?;
            }
        }
        for input in 0..self.case.brokers.len() {
            self.component.recovered(input, self.now);
        }
        self.carry_out()
    }

    /// For who looks at one seed.
    #[allow(clippy::print_stdout)]
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>5} {} {}", self.steps, self.now, what());
        }
    }

    pub(crate) fn hand_in(&mut self, message: usize, attempts: u32) {
        let of = &self.case.messages[message];
        self.say(|| {
            format!(
                "message {message} of {} at {}, {attempts} attempts: {}",
                of.input, of.at, of.payload
            )
        });
        if self.case.is_timed() && self.lateness.deliver(self.case, message, self.now.0) {
            self.expected = oracle::rows(self.case, &self.lateness.behind);
        }
        self.component.message(
            Incoming {
                input: of.input,
                token: message as u64,
                position: &message.to_string(),
                received: if self.case.event_time {
                    self.now
                } else {
                    Time(of.at)
                },
                attempts,
                topic: "t",
                key: None,
                payload: of.payload.as_bytes(),
            },
            self.now,
        );
    }

    /// One thing happens.
    fn act(&mut self) -> Result<(), End> {
        self.step()?;
        if self.steps > MAX_STEPS {
            return Err(End::Wrong("it does not come to rest".to_owned()));
        }
        let deliverable: Vec<usize> = (0..self.waiting.len())
            .filter(|input| !self.paused[*input] && self.unacked[*input].len() < self.limits[*input])
            .filter(|input| self.next_arrival(*input).is_some())
            .collect();
        match self.random.random_range(0..10) {
            0..4 if !deliverable.is_empty() => {
                let input = deliverable[self.random.random_range(0..deliverable.len())];
                self.deliver(input)?;
            }
            4..8 if !self.in_flight.is_empty() => self.answer()?,
            8 => {
                let most = if self.case.emit == Emit::Updates {
                    1_500_000
                } else {
                    2_000
                };
                let until = self.now.plus(self.random.random_range(0..most));
                self.pass(until)?;
            }
            _ if deliverable.is_empty() && self.in_flight.is_empty() => self.rest()?,
            _ => {}
        }
        self.carry_out()
    }

    /// Time passes, but not past when the next message is received.
    fn pass(&mut self, until: Time) -> Result<(), End> {
        let next = self.waiting.iter().flatten().min();
        let bound = next.filter(|_| !self.case.event_time);
        let bound = bound.map_or(Time::MAX, |next| Time(self.case.messages[*next].at));
        self.elapse(until.min(bound))
    }

    pub(crate) fn elapse(&mut self, until: Time) -> Result<(), End> {
        while let Some(due) = self.component.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            if self.case.is_timed() && self.lateness.pass(self.case, self.now.0) {
                self.expected = oracle::rows(self.case, &self.lateness.behind);
            }
            self.component.timeout(self.now);
            self.step()?;
            self.carry_out()?;
            if self.steps > MAX_STEPS {
                return Err(End::Wrong("a timeout that is never over".to_owned()));
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Nothing can be delivered and nothing is in flight.
    fn rest(&mut self) -> Result<(), End> {
        if self.waiting.iter().all(VecDeque::is_empty) {
            if let Some(due) = self.component.poll_timeout() {
                return self.pass(due);
            }
            self.component.flush(self.now);
            return Ok(());
        }
        // Without event time a message that must wait would be another window's.
        if let Some(due) = self.component.poll_timeout().filter(|_| self.case.event_time) {
            return self.pass(due.max(self.now.plus(1)));
        }
        // A window holds more than the protocol lets be unacked: such a plan is refused, so it is given more here.
        for (input, limit) in self.limits.iter_mut().enumerate() {
            if self.unacked[input].len() >= *limit {
                *limit *= 2;
                return Ok(());
            }
        }
        // Whoever is waited for has no more to say, which only the end of a simulation brings about; it is not paused. What a
        // broker has under way may come to a paused input all the same.
        let speaks = |input: &usize| self.next_arrival(*input).is_some();
        if self.case.budget.is_some()
            && self.paused.contains(&false)
            && let Some(input) = (0..self.waiting.len()).find(speaks)
        {
            return self.deliver(input);
        }
        Err(End::Wrong(format!("stuck: paused {:?}", self.paused)))
    }

    pub(crate) fn step(&mut self) -> Result<(), End> {
        self.steps += 1;
        if self.crashes.front().is_some_and(|crash| *crash <= self.steps) {
            self.crashes.pop_front();
            return Err(End::Crash);
        }
        Ok(())
    }
}

/// How many unacked messages an input may have.
pub(crate) fn limit(broker: &Broker) -> usize {
    match broker {
        Broker::Redis => usize::MAX,
        Broker::Rabbit(prefetch) => *prefetch,
        Broker::Mqtt => MQTT_RECEIVE_MAXIMUM,
    }
}

/// A life, with what the one before it kept.
fn start(case: &Case, config: &Config, disk: &MemoryDisk, now: Time) -> Result<Durable, String> {
    let kept = case.kept.then(|| Kept {
        state: disk.open(),
        inputs: NAMES[..case.brokers.len()]
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    });
    Durable::new(config.clone(), kept, now).map_err(|error| format!("can't start: {error}"))
}
