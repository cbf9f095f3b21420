//! A window's messages in the store: written when they outgrow memory, in parts that can be joined one by one.
//!
//! Messages whose keys are equal are in the same part: it is a range of their keys' hash. A message without a key has no
//! match, and is in any. When the window closes, [`passes`] takes as many parts together as fit into memory, joins them
//! as any window's messages are joined, and writes down which messages make a row; a part that is too large by itself
//! goes in [`blocks`]. What was written of rows is in the order of messages' arrival, pass by pass; read as one, it is
//! what nested loops over all messages would have found, and results are made of that.

mod blocks;
mod entry;
mod loaded;
mod passes;

use std::collections::BTreeMap;

use super::bound::{MISSING, Single};
use super::index::Key;
use super::open::Side;
use super::spec::JoinSpec;
use crate::spill::{Run, Spill};
use crate::state::StateError;
use crate::window::Window;

pub(super) use passes::{Pass, Passes, Sink};

/// Parts of a window.
const BUCKETS: u16 = 1024;
/// What a message takes in memory besides what is written of it.
const ROW: u64 = 64;
/// What it takes to know the size of a part.
const SIZE: usize = 32;

/// What of a window's messages is in the store.
#[derive(Debug)]
pub(super) struct Spilled {
    /// In each, messages by part, input and number.
    runs: Vec<Run>,
    /// By part: bytes that its messages take in memory.
    sizes: BTreeMap<u16, u64>,
    /// By input: how many messages.
    counts: Vec<u32>,
}

impl Spilled {
    pub(super) fn new(inputs: usize) -> Spilled {
        Spilled {
            runs: Vec::new(),
            sizes: BTreeMap::new(),
            counts: vec![0; inputs],
        }
    }

    /// Bytes that it takes to know of them.
    pub(super) fn bytes(&self) -> u64 {
        (self.sizes.len() * SIZE + self.runs.capacity() * size_of::<Run>()) as u64
    }

    /// Bytes that it takes to join them: a part of them, once as it was written and once as it is joined, where a single
    /// message may be more than a part; and reading the rows that were found, each with its messages.
    pub(super) fn reading(&self, spill: &Spill) -> u64 {
        let largest = self.runs.iter().map(Run::largest).max().unwrap_or_default();
        2 * spill.part().max(2 * largest) + spill.reading_of(2 * largest)
    }

    /// Writes the messages that are in memory. None are left there, but what their acks need.
    pub(super) fn write(
        &mut self,
        spec: &JoinSpec,
        window: Window,
        sides: &mut [Side],
        spill: &mut Spill,
    ) -> Result<(), StateError> {
        let single = Single {
            inputs: sides.len(),
            window,
        };
        let mut order: Vec<(u16, u8, u32)> = Vec::with_capacity(sides.iter().map(|s| s.store.len()).sum());
        for (side, input) in sides.iter().zip(0u8..) {
            let rows = (0..side.store.len()).zip(0u32..);
            order.extend(
                rows.map(|(at, row)| (bucket(spec, sides, single, (usize::from(input), at)), input, row)),
            );
        }
        order.sort_unstable();
        let mut writer = spill.write();
        let mut value = Vec::new();
        for (bucket, input, row) in order {
            let input = usize::from(input);
            value.clear();
            entry::write(&sides[input].store, row as usize, &mut value);
            let number = self.counts[input]
                .checked_add(row)
                .filter(|number| *number < MISSING);
            let number = number.ok_or_else(too_many)?;
            writer.push(spill, &entry::key(bucket, input, number), &value)?;
            *self.sizes.entry(bucket).or_default() += value.len() as u64 + ROW;
        }
        self.runs.push(writer.finish(spill)?);
        for (side, count) in sides.iter_mut().zip(&mut self.counts) {
            let written = u32::try_from(side.store.len()).map_err(|_| too_many())?;
            *count = count.checked_add(written).ok_or_else(too_many)?;
            side.store.clear();
            side.index = side.index.as_ref().map(super::index::Index::emptied);
        }
        Ok(())
    }
}

fn too_many() -> StateError {
    StateError("a window has more than 4 billion messages of one input; shorten it".to_owned())
}

/// Which part a message is in.
// Of the hash, ten bits; and a number below theirs.
#[allow(clippy::cast_possible_truncation)]
fn bucket(spec: &JoinSpec, sides: &[Side], single: Single, (input, row): (usize, usize)) -> u16 {
    let Some(step) = spec.plan.steps.get(1) else {
        return 0;
    };
    let keys = if step.input == input {
        &step.build
    } else {
        &step.probe
    };
    let Some(index) = sides.get(step.input).and_then(|side| side.index.as_ref()) else {
        return 0;
    };
    let hash = single.with(&sides[input].store.row(row), |cx| {
        let key = Key::eval(keys, cx).ok().filter(Key::matches_itself);
        key.map(|key| index.hash(&key))
    });
    hash.map_or((row % usize::from(BUCKETS)) as u16, |hash| {
        (hash >> (64 - BUCKETS.ilog2())) as u16
    })
}
