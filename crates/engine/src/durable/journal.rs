//! Messages written down: a number each, in the order of arrival.
//!
//! Keys: `m` and a number, a message; `i` and a number, the id of a message that arrived lately, whether or not it is
//! still needed; `inputs`, what the inputs are called whose numbers stand in the messages; `settled`, up to which
//! event time all is done; `p` and a group's key, what `previous` reads, and `looks-back`, what that means; `next`, the next
//! number; `starts`, how often the component has started since it was last done with anything. Numbers only grow, so that all is written at the end of its kind.

mod past;

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Kept, entry};
use crate::component::Incoming;
use crate::id::{Hash, Id};
use crate::json::Decoder;
use crate::spill::Store;
use crate::state::{Batch, StateError};
use crate::time::Time;

/// Microseconds that a message waits to be made durable, and by that to be acked.
const WAIT: i64 = 200_000;
/// Messages, and bytes of them, that wait at most: less where there is less memory.
const MOST: usize = 16_384;
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Of the memory budget, what those bytes are at most.
const SHARE: u64 = 16;
/// Messages whose ids are remembered: more than a broker ever has given without having its acks. Acks of all that
/// waits go out together.
const RECENT: u64 = 4 * MOST as u64;
/// Entries that are read at once when a component comes back.
const PAGE: usize = 1024;

const MESSAGE: u8 = b'm';
const ID: u8 = b'i';
const INPUTS: &[u8] = b"inputs";
const SETTLED: &[u8] = b"settled";
const NEXT: &[u8] = b"next";
const STARTS: &[u8] = b"starts";
const PAST: u8 = b'p';
const MEANING: &[u8] = b"looks-back";

/// Ids of messages that are kept, which are of no meaning elsewhere.
const KEPT: u8 = b'k';

/// A message's number, and the broker's handle of it: input and token.
type Number = u64;
type Given = (usize, u64);

pub(super) struct Journal {
    state: Store,
    next: Number,
    /// Changes that have not been handed to the store.
    batch: Batch,
    /// Messages that are not durable yet, the last ones of all.
    waiting: Vec<Given>,
    /// What was given again and waits with them.
    again: Vec<Given>,
    waiting_bytes: usize,
    /// How many bytes that may be.
    most_bytes: usize,
    /// When that is to end.
    due: Option<Time>,
    /// What is durable, and not yet acked.
    acks: VecDeque<Given>,
    /// What is done with, and still written down.
    done: Vec<Range<Number>>,
    /// How far the component is done: as it was said last, and as it is durable.
    settled: Option<Time>,
    settled_durably: Option<Time>,
    /// Ids of the last [`RECENT`] messages, and from which number on.
    recent: FxHashSet<Id>,
    recent_ids: VecDeque<(Number, Id)>,
    decoder: Decoder,
    /// What the inputs are called.
    names: Vec<String>,
}

fn key(kind: u8, number: Number) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(kind);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn number(key: &[u8]) -> Option<Number> {
    let (_, number) = key.split_first()?;
    Some(Number::from_be_bytes(number.try_into().ok()?))
}

fn unreadable(what: &str) -> StateError {
    StateError(format!(
        "the state has {what} that this release can't read; run the one that wrote it, or delete the state and lose \
         what the component remembers"
    ))
}

impl Journal {
    pub(super) fn open(
        kept: Kept,
        max_message_bytes: usize,
        memory_budget: u64,
    ) -> Result<Journal, StateError> {
        let Kept { state, inputs } = kept;
        let state = Store::new(state);
        let before = match state.get(INPUTS)? {
            None => Vec::new(),
            Some(names) => {
                let names = String::from_utf8(names).map_err(|_| unreadable("names of inputs"))?;
                names.lines().map(str::to_owned).collect()
            }
        };
        let mut journal = Journal {
            next: 0,
            batch: Batch::default(),
            waiting: Vec::new(),
            again: Vec::new(),
            waiting_bytes: 0,
            most_bytes: usize::try_from(memory_budget / SHARE)
                .map_or(MOST_BYTES, |most| most.min(MOST_BYTES)),
            due: None,
            acks: VecDeque::new(),
            done: Vec::new(),
            settled: None,
            settled_durably: None,
            recent: FxHashSet::default(),
            recent_ids: VecDeque::new(),
            decoder: Decoder::new(max_message_bytes),
            names: before,
            state,
        };
        journal.read_ids()?;
        journal.adopt(inputs)?;
        Ok(journal)
    }

    /// Where it is written down.
    pub(super) fn store(&self) -> Store {
        self.state.clone()
    }

    /// Which messages arrived lately, and how many there were ever.
    fn read_ids(&mut self) -> Result<(), StateError> {
        let (recent, ids) = (&mut self.recent, &mut self.recent_ids);
        self.state.scan(&[ID], &[ID], &mut |key, id| {
            if let (Some(number), Ok(id)) = (number(key), id.try_into()) {
                recent.insert(Id(id));
                ids.push_back((number, Id(id)));
            }
            ControlFlow::Continue(())
        })?;
        self.next = self.count(NEXT)?;
        Ok(())
    }

    fn count(&self, key: &[u8]) -> Result<u64, StateError> {
        let Some(bytes) = self.state.get(key)? else {
            return Ok(0);
        };
        let bytes = bytes.try_into().map_err(|_| unreadable("a count"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Makes the messages from before those of the inputs as they are now.
    fn adopt(&mut self, inputs: Vec<String>) -> Result<(), StateError> {
        if self.names == inputs {
            return Ok(());
        }
        let mut left: FxHashMap<usize, u64> = FxHashMap::default();
        let renumbered = self
            .names
            .iter()
            .map(|name| inputs.iter().position(|input| input == name));
        let renumbered: Vec<Option<usize>> = renumbered.collect();
        let mut moved = Vec::new();
        let mut torn = false;
        self.state.scan(&[MESSAGE], &[MESSAGE], &mut |key, value| {
            let Some(message) = number(key).and_then(|number| entry::decode(number, value)) else {
                torn = true;
                return ControlFlow::Break(());
            };
            match renumbered.get(message.input) {
                Some(Some(now)) if *now == message.input => {}
                Some(Some(now)) => moved.push((message.token, *now)),
                _ => *left.entry(message.input).or_default() += 1,
            }
            ControlFlow::Continue(())
        })?;
        if torn {
            return Err(unreadable("messages"));
        }
        if let Some((input, count)) = left.into_iter().min() {
            let name = self.names.get(input).map_or("an input", String::as_str);
            return Err(StateError(format!(
                "the state holds {count} messages of {name}, which is not read any more: put it back until they are \
                 done with, or give the component another name, or delete its state and lose them"
            )));
        }
        for (number, input) in moved {
            let key = key(MESSAGE, number);
            let value = self.state.get(&key)?.unwrap_or_default();
            if let Some(message) = entry::decode(number, &value) {
                self.batch.put(key, entry::encode(&Incoming { input, ..message }));
            }
        }
        self.batch.put(INPUTS.to_vec(), inputs.join("\n").into_bytes());
        self.names = inputs;
        self.sync()
    }

    /// Gives every message that is not done with, in the order in which they arrived, until one can't be taken.
    pub(super) fn replay(
        &mut self,
        mut give: impl FnMut(Incoming<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        // Each start may be one that a message brought about, by what it does to the process: it counts as a delivery.
        let starts = self.count(STARTS)? + 1;
        self.batch.put(STARTS.to_vec(), starts.to_be_bytes().to_vec());
        self.sync()?;
        let starts = u32::try_from(starts - 1).unwrap_or(u32::MAX);
        let mut from = key(MESSAGE, 0);
        loop {
            let mut page = Vec::with_capacity(PAGE);
            self.state.scan(&[MESSAGE], &from, &mut |key, value| {
                page.push((key.to_vec(), value.to_vec()));
                if page.len() < PAGE {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            let Some(last) = page.last().and_then(|(key, _)| number(key)) else {
                return Ok(());
            };
            for (key, value) in &page {
                let message = number(key).and_then(|number| entry::decode(number, value));
                let message = message.ok_or_else(|| unreadable("a message"))?;
                let own = message.token.to_string();
                let position = if message.position.is_empty() {
                    &own
                } else {
                    message.position
                };
                let attempts = message.attempts.saturating_add(starts);
                give(Incoming {
                    position,
                    attempts,
                    ..message
                })?;
            }
            from = key(MESSAGE, last + 1);
        }
    }

    /// Writes a message down. Gives its number, or `None` if it was there before.
    pub(super) fn keep(&mut self, message: &Incoming<'_>, now: Time) -> Result<Option<Number>, StateError> {
        self.due.get_or_insert(now.plus(WAIT));
        let given = (message.input, message.token);
        let id = self.identify(message);
        if let Some(id) = id
            && self.recent.contains(&id)
        {
            self.again.push(given);
            return Ok(None);
        }
        let number = self.next;
        self.next += 1;
        if let Some(id) = id {
            self.recent.insert(id);
            self.recent_ids.push_back((number, id));
            self.batch.put(key(ID, number), id.0.to_vec());
        }
        let entry = entry::encode(message);
        self.waiting_bytes += entry.len();
        self.batch.put(key(MESSAGE, number), entry);
        self.waiting.push(given);
        // An entry takes more than its bytes: as much as one of 256 bytes has.
        let many = self.waiting.len() >= MOST.min(self.most_bytes / 256);
        if many || self.waiting_bytes >= self.most_bytes {
            self.sync()?;
        }
        Ok(Some(number))
    }

    /// By what a message is known when it comes again, by input: one message may go to two.
    fn identify(&mut self, message: &Incoming<'_>) -> Option<Id> {
        let mut hash = Hash::of_component(KEPT, self.names.get(message.input)?);
        if message.position.is_empty() {
            let identity = self.decoder.identify(message.payload).ok()??;
            hash.text(&identity.source);
            hash.text(&identity.id);
        } else {
            hash.text(message.topic);
            hash.text(message.position);
        }
        // A topic that is made anew has the positions of the old one, and other messages.
        hash.bytes(message.payload);
        Some(hash.finish())
    }

    /// The component is done with so many messages. Even one that is not durable yet waits with the others: were it
    /// acked now, a crash would bring back some messages of a window without it.
    pub(super) fn done(&mut self, first: Number, count: u64) {
        let end = first.saturating_add(count);
        match self.done.last_mut() {
            Some(last) if last.end == first => last.end = end,
            _ => {
                // Runs of two inputs, or of messages that came in another order, may follow each other.
                if self.done.len() >= 1024 && self.done.len() == self.done.capacity() {
                    self.join_done();
                    // Else it might soon be full again, and again.
                    self.done.reserve(self.done.len().max(1024));
                }
                self.done.push(first..end);
            }
        }
    }

    fn join_done(&mut self) {
        self.done.sort_unstable_by_key(|run| run.start);
        self.done.dedup_by(|run, last| {
            let follows = last.end == run.start;
            if follows {
                last.end = run.end;
            }
            follows
        });
    }

    /// Whether the component is done with any since the last [`Journal::settle`]. A window may be done with when all of
    /// its messages are needed by others still: that is written down with the next that goes.
    pub(super) fn is_done_with_any(&self) -> bool {
        !self.done.is_empty()
    }

    /// What was done with since the last call goes at once.
    /// With it goes how far the component is done, so that it is known of no message less than of all that it shared
    /// a window with.
    pub(super) fn settle(&mut self, settled: Option<Time>, now: Time) {
        if let Some(Time(settled)) = settled {
            self.batch.put(SETTLED.to_vec(), settled.to_be_bytes().to_vec());
        }
        self.settled = settled;
        self.due.get_or_insert(now.plus(WAIT));
        self.join_done();
        let done = std::mem::take(&mut self.done);
        self.batch.remove(STARTS.to_vec());
        // A batch removes ranges before it puts: what it puts itself is removed one by one.
        let first_put = self.next.saturating_sub(self.waiting.len() as u64);
        for run in done {
            let put = run.start.max(first_put)..run.end;
            put.for_each(|number| self.batch.remove(key(MESSAGE, number)));
            let durable = run.start..run.end.min(first_put);
            if !durable.is_empty() {
                self.batch
                    .clear(key(MESSAGE, durable.start), key(MESSAGE, durable.end));
            }
        }
    }

    /// The next message that its broker may forget.
    pub(super) fn next_ack(&mut self) -> Option<Given> {
        self.acks.pop_front()
    }

    /// When [`Journal::sync`] has to be called.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    /// Whether all that has happened is durable, and all that is durable acked.
    pub(super) fn is_settled(&self) -> bool {
        self.due.is_none() && self.acks.is_empty()
    }

    /// Makes all that arrived durable.
    pub(super) fn sync(&mut self) -> Result<(), StateError> {
        self.due = None;
        let floor = self.next.saturating_sub(RECENT);
        if self.recent_ids.front().is_some_and(|(number, _)| *number < floor) {
            while let Some((_, id)) = self.recent_ids.pop_front_if(|(number, _)| *number < floor) {
                self.recent.remove(&id);
            }
            self.batch.clear(key(ID, 0), key(ID, floor));
        }
        // Never one twice, even when nothing is left of it: it may be part of an id.
        self.batch.put(NEXT.to_vec(), self.next.to_be_bytes().to_vec());
        self.state.apply(std::mem::take(&mut self.batch))?;
        self.state.sync()?;
        self.settled_durably = self.settled;
        self.acks.extend(self.waiting.drain(..));
        self.acks.extend(self.again.drain(..));
        self.waiting_bytes = 0;
        Ok(())
    }
}
