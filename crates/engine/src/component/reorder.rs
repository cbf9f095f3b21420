//! Where messages wait until no earlier one is expected, so that whatever comes after sees them in the order in
//! which they happened.

use std::collections::BTreeMap;

use crate::id::Id;
use crate::row::RowBuilder;
use crate::time::Time;

/// A message that waits.
pub(super) struct Waiting {
    pub(super) at: Time,
    pub(super) input: usize,
    pub(super) id: Id,
    pub(super) token: u64,
    /// How far event time was when it came: windows that end by then are closed for it.
    pub(super) floor: Time,
    slots: Box<[u8]>,
    text: Box<str>,
}

impl Waiting {
    pub(super) fn new(
        at: Time,
        input: usize,
        (id, token): (Id, u64),
        floor: Time,
        row: &RowBuilder,
    ) -> Waiting {
        let (slots, text) = row.parts();
        Waiting {
            at,
            input,
            id,
            token,
            floor,
            slots: slots.into(),
            text: text.into(),
        }
    }

    /// Its fields, as they were decoded.
    pub(super) fn restore(&self, row: &mut RowBuilder) {
        row.restore(&self.slots, &self.text);
    }

    /// Bytes that it takes while it waits.
    pub(super) fn bytes(&self) -> u64 {
        (self.slots.len() + self.text.len() + 2 * size_of::<Waiting>()) as u64
    }
}

/// Messages by when they happened, then by input and id. What can't be told apart by that says the same.
#[derive(Default)]
pub(super) struct Reorder {
    waiting: BTreeMap<(Time, usize, Id, u64), Waiting>,
    /// Tells those apart that are the same otherwise.
    next: u64,
    /// What was taken last, and how many of the same had been before it.
    last: Option<((Time, usize, Id), u64)>,
}

impl Reorder {
    pub(super) fn push(&mut self, message: Waiting) {
        let key = (message.at, message.input, message.id, self.next);
        self.next += 1;
        self.waiting.insert(key, message);
    }

    /// When the earliest of them happened.
    pub(super) fn first(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|((at, ..), _)| *at)
    }

    /// When the latest of them happened.
    pub(super) fn last(&self) -> Option<Time> {
        self.waiting.last_key_value().map(|((at, ..), _)| *at)
    }

    /// Takes the earliest. Its id is one of its own even if the same message came before.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let (_, mut message) = self.waiting.pop_first()?;
        let this = (message.at, message.input, message.id);
        let repeats = match self.last {
            Some((last, count)) if last == this => count + 1,
            _ => 0,
        };
        self.last = Some((this, repeats));
        message.id = message.id.repeated(repeats);
        Some(message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
