//! Messages that wait long, in the store: runs that are in order each, of which the earliest message is at hand.

use std::collections::BTreeMap;

use super::{Key, Waiting};
use crate::id::Id;
use crate::spill::{Entry, Reader, Run, Spill};
use crate::state::StateError;
use crate::time::Time;
use crate::tokens;

/// A run that is read as time goes on.
struct Stretch {
    run: Run,
    reader: Reader,
    /// The first message of it that was not taken.
    first: Waiting,
    /// When its last one happened.
    last: Time,
}

/// All of them, by their first messages.
#[derive(Default)]
pub(super) struct Far {
    stretches: BTreeMap<Key, Stretch>,
}

impl Far {
    /// Whether one more run can be read beside those that there are.
    pub(super) fn has_room(&self, spill: &Spill) -> bool {
        self.stretches.is_empty() || spill.has_room(self.bytes(spill))
    }

    /// Writes messages down, at least one.
    pub(super) fn write(
        &mut self,
        messages: &BTreeMap<Key, Waiting>,
        spill: &mut Spill,
    ) -> Result<(), StateError> {
        let mut writer = spill.write();
        let mut value = Vec::new();
        for (key, message) in messages {
            value.clear();
            message.encode(&mut value);
            writer.push(spill, &encode(key), &value)?;
        }
        let run = writer.finish(spill)?;
        let last = messages.keys().next_back().map_or(Time(0), |(at, ..)| *at);
        let reader = Reader::new(&run);
        self.go_on(run, reader, last, spill)
    }

    /// Has the next message of a run at hand, or removes the run.
    fn go_on(
        &mut self,
        run: Run,
        mut reader: Reader,
        last: Time,
        spill: &mut Spill,
    ) -> Result<(), StateError> {
        let Some(entry) = reader.next(spill)? else {
            return spill.remove([run]);
        };
        let torn = || {
            StateError(
                "the state's file has no message where one was written; restart the component".to_owned(),
            )
        };
        let (key, first) = decode(&entry).ok_or_else(torn)?;
        let stretch = Stretch {
            run,
            reader,
            first,
            last,
        };
        self.stretches.insert(key, stretch);
        Ok(())
    }

    /// The order of the earliest message.
    pub(super) fn first(&self) -> Option<&Key> {
        self.stretches.first_key_value().map(|(key, _)| key)
    }

    /// When the latest message happened.
    pub(super) fn last(&self) -> Option<Time> {
        self.stretches.values().map(|stretch| stretch.last).max()
    }

    /// Takes the earliest message.
    pub(super) fn pop(&mut self, spill: &mut Spill) -> Result<Option<Waiting>, StateError> {
        let Some((_, stretch)) = self.stretches.pop_first() else {
            return Ok(None);
        };
        let Stretch {
            run,
            reader,
            first,
            last,
        } = stretch;
        self.go_on(run, reader, last, spill)?;
        Ok(Some(first))
    }

    /// Bytes that it takes to read them.
    pub(super) fn bytes(&self, spill: &Spill) -> u64 {
        self.stretches
            .values()
            .map(|stretch| spill.cost(&stretch.run))
            .sum()
    }
}

/// Bytes that are in order as keys are.
fn encode((at, input, tie, number): &Key) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    // Of signed numbers the negative ones come first.
    out.extend_from_slice(&(at.0 ^ i64::MIN).to_be_bytes());
    out.extend_from_slice(&(*input as u64).to_be_bytes());
    out.extend_from_slice(&tie.0);
    out.extend_from_slice(&number.to_be_bytes());
    out
}

fn decode((key, value): &Entry) -> Option<(Key, Waiting)> {
    let mut key = &**key;
    let at = Time(i64::from_be_bytes(array(&mut key)?) ^ i64::MIN);
    let input = usize::try_from(u64::from_be_bytes(array(&mut key)?)).ok()?;
    let tie = Id(array(&mut key)?);
    let number = u64::from_be_bytes(array(&mut key)?);
    let mut value = &**value;
    let id = Id(array(&mut value)?);
    let floor = Time(i64::from_be_bytes(array(&mut value)?));
    let token = tokens::read(&mut value)?;
    let flags = tokens::read(&mut value)?;
    let name = if flags & 4 != 0 {
        Some(Id(array(&mut value)?))
    } else {
        None
    };
    let slots = usize::try_from(tokens::read(&mut value)?).ok()?;
    let slots = value.split_off(..slots)?;
    let message = Waiting {
        at,
        input,
        id,
        name,
        token,
        named: flags & 1 != 0,
        behind: flags & 2 != 0,
        floor,
        slots: slots.into(),
        text: std::str::from_utf8(value).ok()?.into(),
    };
    Some(((at, input, tie, number), message))
}

fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}
