//! The embedded broker: where a published message waits until every group that reads its topic has acked it.
//!
//! It promises what the real ones do: a message has one place in its topic and keeps it, with the time at which it
//! was appended; each group reads every message in order; what a group has not acked when its reader goes away is
//! delivered again, in order and before anything new, with the same place and time and a higher count. A group sees
//! what is appended after it subscribes. Memory holds only what some group has yet to ack.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use streaming_engine::time::Time;
use streaming_sidecar::repeats::Repeats;

/// What keeps track of one message takes about this much, in bytes.
const OVERHEAD: usize = 128;
/// Beyond this, in bytes, publishing is refused until something is acked.
pub(crate) const CAPACITY: usize = 512 << 20;

/// A topic by its place in the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(usize);

/// A group by topic and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupId {
    topic: TopicId,
    group: usize,
}

impl GroupId {
    /// The topic that the group reads.
    pub(crate) fn topic(self) -> TopicId {
        self.topic
    }
}

/// The name of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicName {
    /// Namespace of the `ClusterStream`.
    pub(crate) namespace: String,
    /// The `ClusterStream`.
    pub(crate) cluster_stream: String,
    /// The topic on it.
    pub(crate) topic: String,
}

/// A message as a group gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Its place in the topic: what an ack names.
    pub(crate) offset: u64,
    /// When it was appended.
    pub(crate) appended: Time,
    /// How often this group has got it, this time included.
    pub(crate) attempts: u32,
    /// The topic that it was published to: for a filter with wildcards not the filter.
    pub(crate) topic: Rc<str>,
    /// Its bytes.
    pub(crate) payload: Rc<[u8]>,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// Appended.
    New,
    /// A message with this id was appended before; this one is dropped, as accepted.
    Repeat,
    /// The broker is full; try again later.
    Full,
}

/// Topics and their groups.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    topics: Vec<Log>,
    index: HashMap<TopicName, TopicId>,
    /// Topics that are MQTT filters with wildcards: what is published to a topic that one matches is read there too.
    filters: Vec<TopicId>,
    bytes: usize,
}

#[derive(Debug)]
struct Log {
    name: TopicName,
    topic: Rc<str>,
    /// The offset that the next message gets.
    end: u64,
    /// What some group has yet to ack, by offset.
    entries: BTreeMap<u64, Entry>,
    groups: Vec<Group>,
    ids: Repeats,
}

#[derive(Debug)]
struct Entry {
    topic: Rc<str>,
    payload: Rc<[u8]>,
    appended: Time,
    /// Groups that have not acked it.
    waiting: usize,
}

#[derive(Debug, Default)]
struct Group {
    /// Offset of the first message that was never delivered.
    next: u64,
    /// Delivered and not acked, with the count of deliveries.
    unacked: BTreeMap<u64, u32>,
    /// Those of them that are to be delivered again.
    again: BTreeSet<u64>,
}

impl Broker {
    /// The topic of this name, made if it wasn't there.
    pub(crate) fn topic(&mut self, name: &TopicName) -> TopicId {
        if let Some(id) = self.index.get(name) {
            return *id;
        }
        let id = TopicId(self.topics.len());
        self.index.insert(name.clone(), id);
        self.topics.push(Log {
            name: name.clone(),
            topic: name.topic.as_str().into(),
            end: 0,
            entries: BTreeMap::new(),
            groups: Vec::new(),
            ids: Repeats::default(),
        });
        id
    }

    /// The name of a topic.
    pub(crate) fn name(&self, topic: TopicId) -> &TopicName {
        &self.topics[topic.0].name
    }

    /// A new group on a topic; it sees what is appended from now on.
    pub(crate) fn subscribe(&mut self, topic: TopicId) -> GroupId {
        let log = &mut self.topics[topic.0];
        let next = log.end;
        log.groups.push(Group {
            next,
            ..Group::default()
        });
        GroupId {
            topic,
            group: log.groups.len() - 1,
        }
    }

    /// Says that a topic is an MQTT filter with wildcards.
    pub(crate) fn is_filter(&mut self, topic: TopicId) {
        if !self.filters.contains(&topic) {
            self.filters.push(topic);
        }
    }

    /// The filters that match a topic.
    fn filters_of(&self, topic: TopicId) -> impl Iterator<Item = TopicId> {
        let name = &self.topics[topic.0].name;
        let reads = move |log: &TopicName| {
            log.cluster_stream == name.cluster_stream
                && log.namespace == name.namespace
                && filter_matches(&log.topic, &name.topic)
        };
        self.filters
            .iter()
            .copied()
            .filter(move |f| *f != topic && reads(&self.topics[f.0].name))
    }

    /// Whether any group reads what is published to a topic.
    pub(crate) fn is_read(&self, topic: TopicId) -> bool {
        let read = |topic: TopicId| !self.topics[topic.0].groups.is_empty();
        read(topic) || self.filters_of(topic).any(read)
    }

    /// Appends a message. One with an id that the topic had before is a repeat of a sender that saw no answer.
    pub(crate) fn publish(
        &mut self,
        topic: TopicId,
        id: Option<&str>,
        payload: &[u8],
        now: Time,
    ) -> Published {
        let logs: Vec<TopicId> = std::iter::once(topic).chain(self.filters_of(topic)).collect();
        let wanted = logs
            .iter()
            .filter(|log| !self.topics[log.0].groups.is_empty())
            .count();
        let cost = cost(payload).saturating_mul(wanted);
        if self.bytes.saturating_add(cost) > CAPACITY {
            return Published::Full;
        }
        if id.is_some_and(|id| !self.topics[topic.0].ids.first_time(id)) {
            return Published::Repeat;
        }
        self.bytes += cost;
        let name = Rc::clone(&self.topics[topic.0].topic);
        let payload: Rc<[u8]> = if wanted > 0 { payload.into() } else { Rc::default() };
        for id in logs {
            let log = &mut self.topics[id.0];
            if !log.groups.is_empty() {
                let (topic, payload) = (Rc::clone(&name), Rc::clone(&payload));
                log.entries.insert(
                    log.end,
                    Entry {
                        topic,
                        payload,
                        appended: now,
                        waiting: log.groups.len(),
                    },
                );
            }
            log.end += 1;
        }
        Published::New
    }

    /// The next message for a group: first what must be delivered again.
    pub(crate) fn next(&mut self, id: GroupId) -> Option<Delivered> {
        let log = &mut self.topics[id.topic.0];
        let group = &mut log.groups[id.group];
        let offset = group.again.pop_first().unwrap_or(group.next);
        let entry = log.entries.get(&offset)?;
        let attempts = group
            .unacked
            .entry(offset)
            .and_modify(|n| *n = n.saturating_add(1))
            .or_insert(1);
        group.next = group.next.max(offset + 1);
        Some(Delivered {
            offset,
            appended: entry.appended,
            attempts: *attempts,
            topic: Rc::clone(&entry.topic),
            payload: Rc::clone(&entry.payload),
        })
    }

    /// Whether [`Broker::next`] would give something.
    #[cfg(test)]
    fn has_next(&self, id: GroupId) -> bool {
        let log = &self.topics[id.topic.0];
        let group = &log.groups[id.group];
        !group.again.is_empty() || group.next < log.end
    }

    /// The offset that the next message of the topic will get.
    pub(crate) fn end(&self, id: GroupId) -> u64 {
        self.topics[id.topic.0].end
    }

    /// Whether a group has been given everything before `end`, what it must get again included.
    pub(crate) fn caught_up(&self, id: GroupId, end: u64) -> bool {
        let group = &self.topics[id.topic.0].groups[id.group];
        group.next >= end && group.again.is_empty()
    }

    /// A group is done with a message. Acks come in any order; one for a message that isn't out changes nothing.
    pub(crate) fn ack(&mut self, id: GroupId, offset: u64) {
        let log = &mut self.topics[id.topic.0];
        let group = &mut log.groups[id.group];
        if group.unacked.remove(&offset).is_none() {
            return;
        }
        group.again.remove(&offset);
        let Some(entry) = log.entries.get_mut(&offset) else {
            return;
        };
        entry.waiting -= 1;
        if entry.waiting == 0 {
            self.bytes -= cost(&entry.payload);
            log.entries.remove(&offset);
        }
    }

    /// A group's reader went away: all that it hasn't acked will be delivered again.
    pub(crate) fn requeue(&mut self, id: GroupId) {
        let group = &mut self.topics[id.topic.0].groups[id.group];
        group.again = group.unacked.keys().copied().collect();
    }

    /// Bytes that are held for some group.
    pub(crate) fn held(&self) -> usize {
        self.bytes
    }
}

/// What holding a message costs: its bytes, and what keeps track of it.
fn cost(payload: &[u8]) -> usize {
    payload.len() + OVERHEAD
}

/// Whether an MQTT filter matches a topic (MQTT 5.0, 4.7).
fn filter_matches(filter: &str, topic: &str) -> bool {
    // Topics for the broker's own use are not for wildcards.
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (part, Some(level)) if part == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests;
