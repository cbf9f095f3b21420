//! Topics, their groups, and what each group has yet to ack. Pure: no waiting, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use streaming_engine::time::Time;

/// What keeping track of one message takes, about, in bytes.
const OVERHEAD: usize = 128;

/// A message as a group is given it.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) offset: u64,
    pub(super) appended: Time,
    /// Deliveries before this one.
    pub(super) attempts: u32,
    pub(super) payload: Bytes,
}

/// How much to give at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// There is no room until somebody acks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Every topic of a broker.
#[derive(Debug)]
pub(super) struct Topics {
    logs: HashMap<Arc<str>, Log>,
    bytes: usize,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Log {
    /// The offset that the next message gets.
    end: u64,
    /// What some group has yet to ack; without any group, what the first one will find.
    entries: BTreeMap<u64, Entry>,
    groups: HashMap<Box<str>, Group>,
}

#[derive(Debug)]
struct Entry {
    payload: Bytes,
    appended: Time,
    /// Groups that have not acked it.
    waiting: usize,
}

#[derive(Debug, Default)]
struct Group {
    /// Offset of the first message that was never given.
    next: u64,
    unacked: BTreeMap<u64, Held>,
    /// Those of them that nobody holds any more.
    again: BTreeSet<u64>,
}

#[derive(Debug)]
struct Held {
    session: u64,
    deliveries: u32,
}

impl Topics {
    /// Topics that hold at most so many bytes.
    pub(super) fn new(capacity: usize) -> Topics {
        Topics {
            logs: HashMap::new(),
            bytes: 0,
            capacity,
        }
    }

    fn log(&mut self, topic: &str) -> &mut Log {
        self.logs.entry(topic.into()).or_default()
    }

    /// Makes sure that a topic has a group; a new one starts at the oldest message there is.
    pub(super) fn declare(&mut self, topic: &str, group: &str) {
        let log = self.log(topic);
        if log.groups.contains_key(group) {
            return;
        }
        for entry in log.entries.values_mut() {
            entry.waiting += 1;
        }
        let next = log.entries.keys().next().copied().unwrap_or(log.end);
        let new = Group {
            next,
            ..Group::default()
        };
        log.groups.insert(group.into(), new);
    }

    /// Forgets a group, unless a session of its holds messages; says whether it is gone.
    pub(super) fn remove(&mut self, topic: &str, group: &str) -> bool {
        let Some(log) = self.logs.get_mut(topic) else {
            return true;
        };
        let Some(known) = log.groups.get(group) else {
            return true;
        };
        let is_held = |offset: &u64| known.unacked.contains_key(offset) && !known.again.contains(offset);
        if known.unacked.keys().any(is_held) {
            return false;
        }
        let waiting = |offset: &u64| known.unacked.contains_key(offset) || *offset >= known.next;
        let waited: Vec<u64> = log.entries.keys().copied().filter(waiting).collect();
        log.groups.remove(group);
        for offset in waited {
            let Some(entry) = log.entries.get_mut(&offset) else {
                continue;
            };
            entry.waiting -= 1;
            if entry.waiting == 0 {
                self.bytes -= cost(&entry.payload);
                log.entries.remove(&offset);
            }
        }
        true
    }

    /// Appends a message. When there is no room, topics that nobody reads lose their oldest first.
    pub(super) fn publish(&mut self, topic: &str, payload: Bytes, now: Time) -> Result<(), Full> {
        let cost = cost(&payload);
        while self.bytes.saturating_add(cost) > self.capacity {
            self.trim()?;
        }
        self.bytes += cost;
        let log = self.log(topic);
        let entry = Entry {
            payload,
            appended: now,
            waiting: log.groups.len(),
        };
        log.entries.insert(log.end, entry);
        log.end += 1;
        Ok(())
    }

    fn trim(&mut self) -> Result<(), Full> {
        let unread = self.logs.values_mut().filter(|log| log.groups.is_empty());
        let oldest = unread
            .filter_map(|log| log.entries.first_entry())
            .min_by_key(|entry| entry.get().appended)
            .ok_or(Full)?;
        self.bytes -= cost(&oldest.remove().payload);
        Ok(())
    }

    /// The next messages for a group: first what must be given again, then, unless only that is wanted, new ones.
    pub(super) fn take(
        &mut self,
        topic: &str,
        group: &str,
        session: u64,
        limit: Limit,
        new_too: bool,
    ) -> Vec<Given> {
        let log = self.log(topic);
        let Some(group) = log.groups.get_mut(group) else {
            return Vec::new();
        };
        let mut given = Vec::new();
        let mut bytes = 0;
        while given.len() < limit.messages && bytes < limit.bytes {
            let Some(offset) = group.pop(log.end, new_too) else {
                break;
            };
            let Some(entry) = log.entries.get(&offset) else {
                continue;
            };
            bytes += entry.payload.len();
            given.push(Given {
                offset,
                appended: entry.appended,
                attempts: group.hold(offset, session),
                payload: entry.payload.clone(),
            });
        }
        given
    }

    /// How many messages a session holds unacked.
    pub(super) fn held(&self, topic: &str, group: &str, session: u64) -> usize {
        let group = self.logs.get(topic).and_then(|log| log.groups.get(group));
        let held = group.map(|group| group.unacked.values().filter(|held| held.session == session));
        held.map_or(0, |held| held.count())
    }

    /// A group is done with messages, in any order. What it didn't hold changes nothing.
    pub(super) fn ack(&mut self, topic: &str, group: &str, offsets: &[u64]) {
        let log = self.logs.entry(topic.into()).or_default();
        let Some(group) = log.groups.get_mut(group) else {
            return;
        };
        for offset in offsets {
            if group.unacked.remove(offset).is_none() {
                continue;
            }
            group.again.remove(offset);
            let Some(entry) = log.entries.get_mut(offset) else {
                continue;
            };
            entry.waiting -= 1;
            if entry.waiting == 0 {
                self.bytes -= cost(&entry.payload);
                log.entries.remove(offset);
            }
        }
    }

    /// A session is over: what it held is given again, to whoever asks first.
    pub(super) fn release(&mut self, topic: &str, group: &str, session: u64) {
        let group = self.logs.get_mut(topic).and_then(|log| log.groups.get_mut(group));
        if let Some(group) = group {
            let held = group.unacked.iter().filter(|(_, held)| held.session == session);
            group.again.extend(held.map(|(offset, _)| offset));
        }
    }
}

impl Group {
    fn pop(&mut self, end: u64, new_too: bool) -> Option<u64> {
        let again = self.again.pop_first();
        if again.is_some() || !new_too || self.next >= end {
            return again;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// Notes a delivery, and says how many came before it.
    fn hold(&mut self, offset: u64, session: u64) -> u32 {
        let held = self.unacked.entry(offset).or_insert(Held {
            session,
            deliveries: 0,
        });
        held.session = session;
        held.deliveries = held.deliveries.saturating_add(1);
        held.deliveries - 1
    }
}

fn cost(payload: &Bytes) -> usize {
    payload.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Limit = Limit {
        messages: 100,
        bytes: 1 << 20,
    };

    fn publish(topics: &mut Topics, topic: &str, text: &'static str) -> Result<(), Full> {
        topics.publish(topic, Bytes::from_static(text.as_bytes()), Time(0))
    }

    fn texts(given: &[Given]) -> Vec<(&str, u32)> {
        let text = |payload| std::str::from_utf8(payload).unwrap();
        given
            .iter()
            .map(|given| (text(&given.payload), given.attempts))
            .collect()
    }

    #[test]
    fn what_a_session_left_comes_first_and_counts_its_deliveries() {
        let mut topics = Topics::new(1 << 20);
        topics.declare("t", "g");
        publish(&mut topics, "t", "a").unwrap();
        publish(&mut topics, "t", "b").unwrap();
        assert_eq!(texts(&topics.take("t", "g", 1, ALL, true)), [("a", 0), ("b", 0)]);
        topics.ack("t", "g", &[0]);
        publish(&mut topics, "t", "c").unwrap();
        topics.release("t", "g", 1);
        assert_eq!(texts(&topics.take("t", "g", 2, ALL, false)), [("b", 1)]);
        assert_eq!(texts(&topics.take("t", "g", 2, ALL, true)), [("c", 0)]);
        assert_eq!(topics.held("t", "g", 2), 2);
    }

    #[test]
    fn memory_comes_back_when_every_group_has_acked() {
        let mut topics = Topics::new(1 << 20);
        publish(&mut topics, "t", "a").unwrap();
        topics.declare("t", "g");
        topics.declare("t", "h");
        for group in ["g", "h"] {
            assert!(topics.bytes > 0);
            assert_eq!(topics.take("t", group, 1, ALL, true).len(), 1);
            topics.ack("t", group, &[0, 0, 7]);
        }
        assert_eq!(topics.bytes, 0);
    }

    #[test]
    fn a_full_broker_forgets_what_nobody_reads_and_refuses_the_rest() {
        let mut topics = Topics::new(2 * (OVERHEAD + 1));
        publish(&mut topics, "unread", "a").unwrap();
        topics.declare("t", "g");
        publish(&mut topics, "t", "b").unwrap();
        publish(&mut topics, "t", "c").unwrap();
        assert_eq!(publish(&mut topics, "t", "d"), Err(Full));
        topics.take("t", "g", 1, ALL, true);
        topics.ack("t", "g", &[0]);
        publish(&mut topics, "t", "d").unwrap();
    }
}
