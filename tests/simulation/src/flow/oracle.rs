//! What a life of the component has to make of what it is given, by the words of docs/windows.md: every message again
//! after every other, and nothing of the engine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::case::{Case, Fires, Kind, Message, Odd};

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
/// The end of a window, and whose group it is.
type Group = (i64, Option<Key>);

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
    latest: Option<i64>,
    /// How far time has come.
    watermark: i64,
    /// When the first input spoke last.
    heard: i64,
    /// What went on last.
    last: Option<usize>,
    groups: BTreeMap<Group, Vec<usize>>,
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
            latest: None,
            watermark: i64::MIN,
            heard: i64::MIN,
            last: None,
            groups: BTreeMap::new(),
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
                self.latest = self.latest.max(Some(of.at));
                self.heard = now;
                // By when it was received a message has its window at once, also while others are given again.
                let dated =
                    case.bound.is_none() && matches!(case.kind, Kind::Trigger { length: Some(_), .. });
                if dated {
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
        let collected = self.groups.values().flatten().any(|other| *other == message);
        let latest = self
            .tables
            .iter()
            .any(|table| table.values().any(|other| *other == message));
        collected || latest || self.waiting.contains(&message) && !self.gone.contains(&message)
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
        if let (Some(bound), Some(latest)) = (case.bound, self.latest) {
            self.watermark = self.watermark.max(latest - bound);
        }
        let at = |message: &usize| case.messages[*message].at;
        self.waiting.sort_by_key(at);
        let ready = |message: &usize| case.bound.is_none() || at(message) < self.watermark;
        let (ready, waiting): (Vec<usize>, Vec<usize>) = self.waiting.iter().copied().partition(ready);
        self.waiting = waiting;
        for message in ready {
            if case.bound.is_some() {
                self.close(at(&message));
            }
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
        match self.case.kind.clone() {
            Kind::LookUp { left, positive } => self.look_up(message, left, positive),
            Kind::Trigger { length, grouped, .. } if !self.gone.contains(&message) => {
                let end = length.map_or(i64::MAX, |length| of.at.div_euclid(length) * length + length);
                let group = (end, grouped.then_some(of.k));
                self.groups.entry(group).or_default().push(message);
                self.fire(group);
            }
            _ => {}
        }
    }

    /// With the tables as they are now.
    fn look_up(&mut self, message: usize, left: bool, positive: bool) {
        let of = &self.case.messages[message];
        let mut content = vec![json!(of.n)];
        for table in &self.tables[1..] {
            let found = table.get(&of.k).map(|found| &self.case.messages[*found]);
            let found = found.filter(|found| !positive || found.v.is_some_and(|v| v > 0));
            if found.is_none() && !left {
                self.gone.insert(message);
                return;
            }
            content.push(found.map_or(Value::Null, |found| json!(found.n)));
        }
        self.make(Value::Array(content), vec![message], None);
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
            self.send(group);
        }
    }

    /// Windows that end by then close.
    fn close(&mut self, until: i64) {
        let ended: Vec<Group> = self
            .groups
            .keys()
            .filter(|(end, _)| *end <= until)
            .copied()
            .collect();
        for group in ended {
            self.send(group);
        }
    }

    fn send(&mut self, group: Group) {
        let Some(of) = self.groups.remove(&group) else {
            return;
        };
        if matches!(self.case.kind, Kind::Trigger { having: true, .. }) && of.len() < 2 {
            self.gone.extend(of);
            return;
        }
        let k = group.1.flatten().map_or(Value::Null, |k| json!(format!("k{k}")));
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
