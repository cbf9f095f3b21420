//! A window's messages in the store: written when they outgrow memory, in parts that can be joined one by one.
//!
//! A join is one of two inputs after the other: of the rows of the steps before, which begin with the first input's
//! messages, with the messages of the next step's input. What can make a row there is in the same part: it is a range of
//! the hash of the step's keys. What has no key has no match, and is in any. When the window closes, [`passes`] takes as
//! many parts together as fit into memory, joins them as any window's messages are joined, and [`sink`] writes down
//! which rows they make; a part that is too large by itself goes in [`blocks`]. What the last step has written is in the
//! order of messages' arrival, pass by pass; read as one, it is what nested loops over all messages would have found,
//! and results are made of that.

mod blocks;
mod entry;
mod loaded;
mod passes;
mod sink;

use std::collections::BTreeMap;

use super::bound::{MISSING, Single};
use super::index::{Index, Key};
use super::matched::Matched;
use super::open::Side;
use super::spec::JoinSpec;
use crate::expr::{Context, Program};
use crate::spill::{Reader, Run, Spill, Writer};
use crate::state::StateError;
use crate::window::Window;

pub(super) use loaded::Loaded;
use passes::torn;

pub(super) use passes::{Pass, Passes};
pub(super) use sink::Sink;

/// Parts of a step.
const BUCKETS: u16 = 1024;
/// What a message takes in memory besides what is written of it.
const ROW: u64 = 64;
/// What it takes to know the size of a part.
const SIZE: usize = 32;

/// What of a window's messages is in the store.
#[derive(Debug)]
pub(super) struct Spilled {
    /// By step, from the second on: its messages by part and number. Those of the first step's input are with the
    /// second's.
    runs: Vec<Vec<Run>>,
    /// By step, from the second on, and by part: bytes that its messages take in memory.
    sizes: Vec<BTreeMap<u16, u64>>,
    /// Where it is known last which of the first input's messages have no match: these messages again, by number.
    firsts: Vec<Run>,
    /// By input: how many messages.
    counts: Vec<u32>,
}

impl Spilled {
    pub(super) fn new(inputs: usize) -> Spilled {
        let steps = inputs.saturating_sub(1).max(1);
        Spilled {
            runs: (0..steps).map(|_| Vec::new()).collect(),
            sizes: vec![BTreeMap::new(); steps],
            firsts: Vec::new(),
            counts: vec![0; inputs],
        }
    }

    /// Bytes that it takes to know of them.
    pub(super) fn bytes(&self) -> u64 {
        let sizes: usize = self.sizes.iter().map(BTreeMap::len).sum();
        let runs: usize = self.runs.iter().chain([&self.firsts]).map(Vec::capacity).sum();
        (sizes * SIZE + runs * size_of::<Run>()) as u64
    }

    /// Bytes that it takes to join them: a part of them, once as it was written and once as it is joined, where a single
    /// row may be more than a part; reading the rows that were found, each with its messages; of more than two
    /// inputs, rows that wait to be brought in order, and the sizes of their parts; and which messages are in a row.
    pub(super) fn reading(&self, spill: &Spill) -> u64 {
        let largest = self.runs.iter().flatten().map(Run::largest).max();
        let inputs = self.counts.len().max(2) as u64;
        let row = inputs * largest.unwrap_or_default();
        let part = spill.part().max(row);
        let sorting = match inputs - 2 {
            0 => 0,
            steps => part + steps * u64::from(BUCKETS) * SIZE as u64,
        };
        let marks: u64 = self.counts.iter().map(|count| u64::from(*count) / 8).sum();
        2 * part + spill.reading_of(row) + sorting + marks
    }

    /// For all messages: no mark.
    pub(super) fn unmarked(&self) -> Vec<Matched> {
        self.counts
            .iter()
            .map(|count| Matched::new(*count as usize))
            .collect()
    }

    /// Writes the messages that are in memory. None are left there, but what their acks need.
    pub(super) fn write(
        &mut self,
        spec: &JoinSpec,
        window: Window,
        sides: &mut [Side],
        (writer, spill): (&mut Writer, &Spill),
    ) -> Result<(), StateError> {
        let single = Single {
            inputs: sides.len(),
            window,
        };
        let mut order: Vec<(u8, u16, bool, u32)> =
            Vec::with_capacity(sides.iter().map(|s| s.store.len()).sum());
        for input in 0..sides.len() {
            order.extend(places(spec, sides, single, input));
        }
        order.sort_unstable();
        let mut value = Vec::new();
        let mut key = Vec::new();
        for of_step in order.chunk_by(|a, b| a.0 == b.0) {
            let mut at = 0;
            for (step, bucket, own, row) in of_step {
                at = usize::from(*step);
                let step = spec.plan.steps.get(at + usize::from(*own));
                let input = step.map_or(0, |step| step.input);
                value.clear();
                entry::write(&sides[input].store, *row as usize, &mut value);
                let number = self.number(input, *row)?;
                entry::begin(*bucket, *own, &mut key);
                key.extend_from_slice(&number.to_be_bytes());
                writer.push(spill, &key, &value)?;
                *self.sizes[at].entry(*bucket).or_default() += value.len() as u64 + ROW;
            }
            self.runs[at].push(writer.cut());
        }
        if sink::is_told_last(&spec.plan) && sides[0].store.len() > 0 {
            for row in (0u32..).take(sides[0].store.len()) {
                value.clear();
                entry::write(&sides[0].store, row as usize, &mut value);
                writer.push(spill, &self.number(0, row)?.to_be_bytes(), &value)?;
            }
            self.firsts.push(writer.cut());
        }
        for (side, count) in sides.iter_mut().zip(&mut self.counts) {
            let written = u32::try_from(side.store.len()).map_err(|_| too_many())?;
            *count = count.checked_add(written).ok_or_else(too_many)?;
            side.store.clear();
            side.index = side.index.as_ref().map(Index::emptied);
        }
        Ok(())
    }

    /// Bytes that its messages take in memory.
    pub(super) fn size(&self) -> u64 {
        self.sizes.iter().flat_map(BTreeMap::values).sum()
    }

    /// Puts its messages before those that are in memory.
    pub(super) fn read(
        self,
        spec: &JoinSpec,
        window: Window,
        sides: &mut [Side],
        spill: &mut Spill,
    ) -> Result<(), StateError> {
        let mut written: Vec<Vec<(u32, Box<[u8]>)>> = sides.iter().map(|_| Vec::new()).collect();
        for (at, run) in self
            .runs
            .iter()
            .enumerate()
            .flat_map(|(at, runs)| runs.iter().map(move |run| (at, run)))
        {
            let mut reader = Reader::new(run);
            while let Some((key, value)) = reader.next(spill)? {
                let (_, own, number) = entry::place(&key).ok_or_else(torn)?;
                let step = spec.plan.steps.get(at + usize::from(own)).ok_or_else(torn)?;
                let number = number.try_into().map(u32::from_be_bytes).map_err(|_| torn())?;
                written[step.input].push((number, value));
            }
        }
        let mut all = Loaded::new(sides);
        let mut value = Vec::new();
        for (input, mut written) in written.into_iter().enumerate() {
            written.sort_unstable_by_key(|(number, _)| *number);
            for (number, value) in written {
                all.add(input, number, &mut &*value).ok_or_else(torn)?;
            }
            let rows = &sides[input].store;
            for row in 0..rows.len() {
                value.clear();
                entry::write(rows, row, &mut value);
                all.add(input, MISSING, &mut &*value).ok_or_else(torn)?;
            }
            all.index(spec, window, input);
        }
        for (side, all) in sides.iter_mut().zip(all.sides) {
            side.store.refill(all.store);
            side.index = all.index;
        }
        spill.remove(self.runs.into_iter().flatten().chain(self.firsts))
    }

    /// Which of all messages of an input one is that is in memory.
    fn number(&self, input: usize, row: u32) -> Result<u32, StateError> {
        let number = self.counts.get(input).and_then(|count| count.checked_add(row));
        number.filter(|number| *number < MISSING).ok_or_else(too_many)
    }
}

fn too_many() -> StateError {
    StateError("a window has more than 4 billion messages of one input; shorten it".to_owned())
}

/// Where the messages of an input go that are in memory: the step that they are joined by, from the second on; the part;
/// whether they are the step's own; and which they are.
fn places<'a>(
    spec: &'a JoinSpec,
    sides: &'a [Side],
    single: Single,
    input: usize,
) -> impl Iterator<Item = (u8, u16, bool, u32)> + 'a {
    let plan = &spec.plan;
    let own = plan.step_of.get(input).copied().unwrap_or_default();
    let step = plan.steps.get(own.max(1));
    let keys = step.map(|step| if own > 0 { &*step.build } else { &*step.probe });
    let index = step.and_then(|step| sides.get(step.input)?.index.as_ref());
    let with = keys.zip(index);
    // An expression reads 64 inputs at most.
    let joined_by = u8::try_from(own.max(1) - 1).unwrap_or(u8::MAX);
    let rows = (0u32..).take(sides[input].store.len());
    rows.map(move |row| {
        let stored = sides[input].store.row(row as usize);
        let part = single.with(&stored, |cx| part(with, cx, row));
        (joined_by, part, own > 0, row)
    })
}

/// Which part of a step a message or a row is in, by its keys and the index that they are looked up in; without a key, any.
// Of the hash, ten bits; and a number below theirs.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn part(with: Option<(&[Program], &Index)>, cx: &Context<'_>, any: u32) -> u16 {
    let Some((keys, index)) = with else {
        return 0;
    };
    let key = Key::eval(keys, cx).ok().filter(Key::matches_itself);
    match key.map(|key| index.hash(&key)) {
        Some(hash) => (hash >> (64 - BUCKETS.ilog2())) as u16,
        None => (any % u32::from(BUCKETS)) as u16,
    }
}
