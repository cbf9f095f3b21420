//! Where messages wait until no earlier one is expected, so that whatever comes after sees them in the order in
//! which they happened. Those that wait longest may do so in the store ([`far`]).

mod far;

use std::collections::BTreeMap;

use super::seen::Message;
use crate::id::Id;
use crate::row::RowBuilder;
use crate::spill::Spill;
use crate::state::StateError;
use crate::time::Time;
use crate::tokens;
use far::Far;

/// What messages are in the order of. The last tells those apart that are the same otherwise.
type Key = (Time, usize, Id, u64);

/// The order of an input's messages of the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ties {
    /// In event time, where the order in which they come means nothing.
    ById,
    /// In receipt time: as it was when they went into their windows at once.
    AsTheyCame,
}

/// A message that waits.
pub(super) struct Waiting {
    pub(super) at: Time,
    pub(super) input: usize,
    pub(super) id: Id,
    /// What it is called in results, if its id does not tell it from its like after a crash.
    pub(super) name: Option<Id>,
    pub(super) token: u64,
    /// Whether the id is its producer's: then the same once more is the same event, published again.
    pub(super) named: bool,
    /// How far event time was when it came: windows that end by then are closed for it.
    pub(super) floor: Time,
    /// Whether the same may be in its windows: no earlier one was expected when it came.
    pub(super) behind: bool,
    slots: Box<[u8]>,
    text: Box<str>,
}

impl Waiting {
    pub(super) fn new(
        at: Time,
        input: usize,
        (id, named, token): (Id, bool, u64),
        (floor, behind): (Time, bool),
        row: &RowBuilder,
    ) -> Waiting {
        let (slots, text) = row.parts();
        Waiting {
            at,
            input,
            id,
            name: None,
            token,
            named,
            floor,
            behind,
            slots: slots.into(),
            text: text.into(),
        }
    }

    /// Of one that its producer has not named: results call it by its place with the broker.
    pub(super) fn called(self, name: Option<Id>) -> Waiting {
        Waiting { name, ..self }
    }

    /// What is the same for a message that comes again.
    pub(super) fn message(&self) -> Message {
        (self.at, self.input, self.id)
    }

    /// Its fields, as they were decoded.
    pub(super) fn restore(&self, row: &mut RowBuilder) {
        row.restore(&self.slots, &self.text);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.floor.0.to_be_bytes());
        tokens::write(self.token, out);
        let flags = [self.named, self.behind, self.name.is_some()];
        let flags = flags
            .iter()
            .rev()
            .fold(0, |flags, flag| flags << 1 | u64::from(*flag));
        tokens::write(flags, out);
        out.extend(self.name.iter().flat_map(|name| name.0));
        tokens::write(self.slots.len() as u64, out);
        out.extend_from_slice(&self.slots);
        out.extend_from_slice(self.text.as_bytes());
    }

    /// Bytes that it takes while it waits.
    pub(super) fn bytes(&self) -> u64 {
        (self.slots.len() + self.text.len() + 2 * size_of::<Waiting>()) as u64
    }
}

/// The earliest message, taken out.
pub(super) struct Popped {
    pub(super) message: Waiting,
    /// How many of the same were taken out right before it.
    pub(super) repeats: u64,
    /// Bytes of memory that this frees.
    pub(super) freed: u64,
}

/// Messages by when they happened, then by input, then as [`Ties`] says.
pub(super) struct Reorder {
    ties: Ties,
    waiting: BTreeMap<Key, Waiting>,
    /// Bytes that they take.
    bytes: u64,
    /// What is in the store.
    far: Far,
    /// Tells those apart that are the same otherwise.
    next: u64,
    /// What was taken last, and how many of the same had been before it.
    last: Option<(Message, u64)>,
}

impl Reorder {
    pub(super) fn new(ties: Ties) -> Reorder {
        Reorder {
            ties,
            waiting: BTreeMap::new(),
            bytes: 0,
            far: Far::default(),
            next: 0,
            last: None,
        }
    }

    pub(super) fn push(&mut self, message: Waiting) {
        let id = match self.ties {
            Ties::ById => message.id,
            Ties::AsTheyCame => Id([0; 16]),
        };
        let key = (message.at, message.input, id, self.next);
        self.next += 1;
        self.bytes += message.bytes();
        self.waiting.insert(key, message);
    }

    /// Bytes that messages in memory take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that it takes to read those in the store.
    pub(super) fn reading(&self, spill: &Spill) -> u64 {
        self.far.bytes(spill)
    }

    /// Whether more can be read from the store.
    pub(super) fn has_room(&self, spill: &Spill) -> bool {
        self.far.has_room(spill)
    }

    /// Writes all but the earliest to the store. Gives what that frees, by input.
    pub(super) fn write_out(&mut self, spill: &mut Spill) -> Result<Vec<(usize, u64)>, StateError> {
        let from = self.waiting.keys().nth(self.waiting.len() / 4).copied();
        let Some(from) = from else {
            return Ok(Vec::new());
        };
        let late = self.waiting.split_off(&from);
        self.far.write(&late, spill)?;
        let freed: Vec<(usize, u64)> = late
            .values()
            .map(|message| (message.input, message.bytes()))
            .collect();
        self.bytes = self
            .bytes
            .saturating_sub(freed.iter().map(|(_, bytes)| bytes).sum());
        Ok(freed)
    }

    /// When the earliest of them happened.
    pub(super) fn first(&self) -> Option<Time> {
        let (near, far) = (self.waiting.keys().next(), self.far.first());
        near.into_iter().chain(far).map(|(at, ..)| *at).min()
    }

    /// When the latest of them happened.
    pub(super) fn last(&self) -> Option<Time> {
        let near = self.waiting.keys().next_back().map(|(at, ..)| *at);
        near.max(self.far.last())
    }

    /// Takes the earliest.
    pub(super) fn pop(&mut self, spill: Option<&mut Spill>) -> Result<Option<Popped>, StateError> {
        let near = self.waiting.keys().next();
        let is_far = self
            .far
            .first()
            .is_some_and(|far| near.is_none_or(|near| far < near));
        let message = match spill.filter(|_| is_far) {
            Some(spill) => self.far.pop(spill)?.map(|message| (message, 0)),
            None => self.waiting.pop_first().map(|(_, message)| {
                let bytes = message.bytes();
                self.bytes = self.bytes.saturating_sub(bytes);
                (message, bytes)
            }),
        };
        Ok(message.map(|(message, freed)| self.compare(message, freed)))
    }

    /// With the one before. Those that are the same in event time come one after the other, but for one that is behind.
    fn compare(&mut self, message: Waiting, freed: u64) -> Popped {
        let this = message.message();
        let repeats = match self.last {
            Some((last, count)) if last == this && self.ties == Ties::ById => count + 1,
            _ => 0,
        };
        self.last = Some((this, repeats));
        Popped {
            message,
            repeats,
            freed,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.far.first().is_none()
    }
}
