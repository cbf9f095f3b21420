//! What a life of the component has to make of what it is given, by the words of docs/windows.md: every message again
//! after every other, and nothing of the engine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use streaming_engine::query::Windows;

use super::case::Case;
use super::kind::{Fires, Kind};
use crate::message::{Message, Odd};

/// Something that has to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) content: Value,
    /// What it is made of.
    pub(crate) of: Vec<usize>,
    /// The recipient, if it is not for all.
    pub(crate) to: Option<usize>,
}

type Key = Option<u8>;
/// The end of a window, its start, and whose group it is.
type Group = (i64, i64, Option<Key>);

/// A life as it should be.
#[derive(Clone)]
pub(crate) struct Oracle<'a> {
    case: &'a Case,
    /// In the order in which it has to be sent.
    pub(crate) made: Vec<Made>,
    /// Messages that nothing is made of, and that may be acked at once.
    pub(crate) gone: BTreeSet<usize>,
    /// Messages that can't be used.
    pub(crate) unusable: BTreeSet<usize>,
    /// By input: the latest of each key.
    pub(crate) tables: Vec<BTreeMap<Key, usize>>,
    live: bool,
    /// Messages that wait for their turn.
    waiting: Vec<usize>,
    /// By input that is no table: its latest event.
    latest: Vec<Option<i64>>,
    /// How far time has come.
    watermark: i64,
    /// When the first input spoke last.
    heard: i64,
    /// What went on last.
    last: Option<usize>,
    groups: BTreeMap<Group, Vec<usize>>,
    /// By start and key of a session: messages that have left it.
    left: BTreeMap<(i64, Option<Key>), Vec<usize>>,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(case: &'a Case) -> Oracle<'a> {
        Oracle {
            case,
            made: Vec::new(),
            gone: BTreeSet::new(),
            unusable: BTreeSet::new(),
            tables: vec![BTreeMap::new(); case.brokers.len()],
            live: false,
            waiting: Vec::new(),
            latest: vec![None; case.streams()],
            watermark: i64::MIN,
            heard: i64::MIN,
            last: None,
            groups: BTreeMap::new(),
            left: BTreeMap::new(),
        }
    }

    /// A message is handed in, which was before so many times.
    pub(crate) fn arrive(&mut self, message: usize, attempts: u32, now: i64) {
        let case = self.case;
        let of = &case.messages[message];
        if case.max_deliveries > 0 && attempts >= case.max_deliveries || of.odd == Odd::Broken {
            self.unusable.insert(message);
            return;
        }
        match &case.kind {
            Kind::Relay(_) => self.make(json!(of.payload), vec![message], Some(of.input)),
            Kind::Map { positive, selects } => {
                if *positive && of.v.is_none_or(|v| v <= 0) {
                    self.gone.insert(message);
                } else if !selects {
                    self.make(data(of), vec![message], None);
                } else if let Some(v) = of.v {
                    self.make(json!({"n": of.n, "d": v * 2}), vec![message], None);
                } else {
                    self.unusable.insert(message);
                }
            }
            _ if case.is_table(of.input) => self.update(message),
            _ => {
                if matches!(case.kind, Kind::Trigger { positive: true, .. }) && of.v.is_none_or(|v| v <= 0) {
                    self.gone.insert(message);
                }
                self.waiting.push(message);
                let latest = &mut self.latest[of.input];
                *latest = (*latest).max(Some(of.at));
                self.heard = now;
                // By when it was received a message has its window at once, also while others are given again: but for one
                // that the others may make longer, or that shares them.
                if case.bound.is_none() && matches!(case.kind.windows(), Windows::Tumbling { .. }) {
                    self.waiting.clear();
                    self.take(message);
                } else {
                    self.go_on();
                }
            }
        }
    }

    /// All that was not acked before has been handed in again.
    pub(crate) fn recovered(&mut self, now: i64) {
        self.live = true;
        self.heard = now;
        self.go_on();
        self.pass(now);
    }

    /// Time has passed.
    pub(crate) fn pass(&mut self, now: i64) {
        if !self.live {
            return;
        }
        if self.case.bound.is_none() {
            self.close(now);
        } else if let Some(idle) = self.case.idle
            && self.heard != i64::MAX
            && self.heard + idle <= now
        {
            self.heard = i64::MAX;
            let last = self.waiting.iter().map(|message| self.case.messages[*message].at);
            self.watermark = self.watermark.max(last.max().map_or(i64::MIN, |at| at + 1));
            self.go_on();
        }
    }

    /// No more messages come.
    pub(crate) fn flush(&mut self) {
        self.watermark = i64::MAX;
        self.go_on();
        self.close(i64::MAX);
    }

    /// Whether a message is neither done with nor waits for anybody's answer.
    pub(crate) fn holds(&self, message: usize) -> bool {
        let mut collected = self.groups.values().chain(self.left.values()).flatten();
        let collected = collected.any(|other| *other == message);
        collected
            || self.is_latest(message)
            || self.waiting.contains(&message) && !self.gone.contains(&message)
    }

    /// Whether a table has a message, for good as far as anybody knows.
    pub(crate) fn is_latest(&self, message: usize) -> bool {
        let mut latest = self.tables.iter().flat_map(BTreeMap::values);
        latest.any(|other| *other == message)
    }

    fn make(&mut self, content: Value, of: Vec<usize>, to: Option<usize>) {
        self.made.push(Made { content, of, to });
    }

    fn update(&mut self, message: usize) {
        let of = &self.case.messages[message];
        let table = &mut self.tables[of.input];
        let before = if of.odd == Odd::Tombstone {
            self.gone.insert(message);
            table.remove(&of.k)
        } else {
            table.insert(of.k, message)
        };
        self.gone.extend(before);
    }

    /// What waits goes on, in the order in which it happened, as far as that is known.
    fn go_on(&mut self) {
        if !self.live {
            return;
        }
        let case = self.case;
        // None is the least: who has not spoken yet is waited for.
        let latest = self.latest.iter().min().copied().flatten();
        if let (Some(bound), Some(latest)) = (case.bound, latest) {
            self.watermark = self.watermark.max(latest - bound);
        }
        let at = |message: &usize| case.messages[*message].at;
        self.waiting.sort_by_key(at);
        let ready = |message: &usize| case.bound.is_none() || at(message) < self.watermark;
        let (ready, waiting): (Vec<usize>, Vec<usize>) = self.waiting.iter().copied().partition(ready);
        self.waiting = waiting;
        for message in ready {
            self.close(at(&message));
            self.take(message);
        }
        if case.bound.is_some() {
            self.close(self.watermark.min(i64::MAX - 1));
        }
    }

    fn take(&mut self, message: usize) {
        let of = &self.case.messages[message];
        let again = |before: usize| self.case.messages[before].n == of.n;
        if self.case.bound.is_some() && of.named && self.last.is_some_and(again) {
            self.gone.insert(message);
            return;
        }
        self.last = Some(message);
        if matches!(self.case.kind, Kind::LookUp { .. }) && self.case.kind.windows() == Windows::Unbounded {
            self.look_up(&[message]);
        } else if !self.gone.contains(&message) {
            self.collect(message);
        }
    }

    /// A message goes into its windows.
    fn collect(&mut self, message: usize) {
        let of = &self.case.messages[message];
        let windows = self.case.kind.windows();
        let alone = match self.case.kind {
            Kind::Trigger { grouped, .. } => grouped,
            _ => matches!(windows, Windows::Session { .. }),
        };
        let key = alone.then_some(of.k);
        let mut groups = Vec::new();
        match windows {
            Windows::Unbounded => groups.push((i64::MAX, 0, key)),
            Windows::Tumbling { length } => {
                let start = of.at.div_euclid(length) * length;
                groups.push((start + length, start, key));
            }
            Windows::Hopping { length, slide } => {
                let mut start = of.at.div_euclid(slide) * slide;
                while start + length > of.at {
                    groups.push((start + length, start, key));
                    start -= slide;
                }
            }
            Windows::Session { gap, max } => {
                let is = |group: &&Group| group.2 == key && of.at < group.0;
                let open = self.groups.keys().find(is).copied();
                let start = open.map_or(of.at, |group| group.1);
                let group = ((of.at + gap).min(start + max), start, key);
                let held = open.and_then(|open| self.groups.remove(&open));
                self.groups.insert(group, held.unwrap_or_default());
                groups.push(group);
            }
        }
        for group in groups {
            self.groups.entry(group).or_default().push(message);
            self.fire(group);
        }
    }

    /// Messages of one window, with the tables as they are now.
    fn look_up(&mut self, of: &[usize]) {
        let Kind::LookUp {
            streams,
            left,
            positive,
            ..
        } = self.case.kind
        else {
            return;
        };
        let case = self.case;
        let k = |message: usize| case.messages[message].k;
        let stream = |input: usize| {
            of.iter()
                .filter(move |message| case.messages[**message].input == input)
        };
        let mut rows: Vec<Vec<Option<usize>>> = stream(0).map(|message| vec![Some(*message)]).collect();
        for input in 1..case.brokers.len() {
            let mut next = Vec::new();
            for row in rows {
                let of = row[0].and_then(k);
                let found: Vec<usize> = if input < streams {
                    stream(input).copied().filter(|other| k(*other) == of).collect()
                } else {
                    let found = self.tables[input].get(&of).copied();
                    let above = |found: &usize| case.messages[*found].v.is_some_and(|v| v > 0);
                    found
                        .filter(|found| !positive || above(found))
                        .into_iter()
                        .collect()
                };
                if found.is_empty() && left {
                    next.push([&row[..], &[None]].concat());
                }
                next.extend(found.iter().map(|found| [&row[..], &[Some(*found)]].concat()));
            }
            rows = next;
        }
        let mut gone: BTreeSet<usize> = of.iter().copied().collect();
        for row in rows {
            let of: Vec<usize> = row[..streams].iter().copied().flatten().collect();
            gone.retain(|message| !of.contains(message));
            let name = |message: &Option<usize>| {
                message.map_or(Value::Null, |message| json!(case.messages[message].n))
            };
            self.make(row.iter().map(name).collect(), of, None);
        }
        self.gone.extend(gone);
    }

    fn fire(&mut self, group: Group) {
        let Kind::Trigger { fires, .. } = self.case.kind else {
            return;
        };
        let of = &self.groups[&group];
        let fires = match fires {
            Fires::Count(count) => of.len() >= count,
            Fires::Sum(least) => sum(self.case, of).is_some_and(|sum| sum > least),
        };
        if fires {
            // A session goes on, with nothing in it; and what was in it is a part of it.
            if matches!(self.case.kind.windows(), Windows::Session { .. }) {
                let left = self.left.entry((group.1, group.2)).or_default();
                left.extend(of);
                self.send(group);
                self.groups.insert(group, Vec::new());
            } else {
                self.send(group);
            }
        }
    }

    /// Windows that end by then close.
    fn close(&mut self, until: i64) {
        let ended: Vec<Group> = self
            .groups
            .keys()
            .filter(|(end, ..)| *end <= until)
            .copied()
            .collect();
        for group in ended {
            self.send(group);
            self.left.remove(&(group.1, group.2));
        }
    }

    fn send(&mut self, group: Group) {
        let of = self.groups.remove(&group).unwrap_or_default();
        if of.is_empty() {
            return;
        }
        if matches!(self.case.kind, Kind::LookUp { .. }) {
            return self.look_up(&of);
        }
        if matches!(self.case.kind, Kind::Trigger { having: true, .. }) && of.len() < 2 {
            self.gone.extend(of);
            return;
        }
        let k = group.2.flatten().map_or(Value::Null, |k| json!(format!("k{k}")));
        let names: Vec<u64> = of.iter().map(|message| self.case.messages[*message].n).collect();
        let content = json!([k, of.len(), sum(self.case, &of), names]);
        self.make(content, of, None);
    }
}

fn sum(case: &Case, of: &[usize]) -> Option<i64> {
    let values: Vec<i64> = of
        .iter()
        .filter_map(|message| case.messages[*message].v)
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

fn data(message: &Message) -> Value {
    let k = message.k.map_or(Value::Null, |k| json!(format!("k{k}")));
    json!({"n": message.n, "k": k, "v": message.v, "t": message.at / 1000})
}
