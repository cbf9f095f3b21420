//! What leaves memory for a while: sorted runs in the store, written once, read once in order, and removed.
//!
//! Runs are no part of what has to survive: a component that comes back is given its messages again, and removes all
//! runs before. So they are never waited for, and a store that fails loses nothing.

mod keyed;
mod merged;
mod reader;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::state::{Batch, State, StateError, Visit};
use crate::time::Time;
use crate::tokens;

pub(crate) use keyed::{Home, Keyed, Stored};
pub(crate) use merged::{Merged, Next};
pub(crate) use reader::Reader;

/// The first byte of the keys of runs.
const RUN: u8 = b'r';
/// The first byte of the keys of values that are read by their keys.
const KEYED: u8 = b'k';
/// The first byte of the keys of marks: an end of windows, and a message's hash.
const MARK: u8 = b'e';

/// Of the memory budget, what it may take to read runs: a block of each.
const READING: u64 = 8;
/// Of the memory budget, what a block takes.
const BLOCKS: u64 = 1024;
/// Runs that are read at once, however small the budget is.
const MIN_FAN_IN: u64 = 4;
/// The bounds of a block; a page of the store, with some of its own, is a power of two.
const SMALL_BLOCK: usize = 4 * 1024 - PAGE_OVERHEAD;
const MIN_BLOCK: u64 = SMALL_BLOCK as u64;
const MAX_BLOCK: u64 = 64 * 1024 - PAGE_OVERHEAD as u64;
const PAGE_OVERHEAD: usize = 256;
/// Blocks that are handed to the store together.
const TOGETHER: usize = 16;
/// What the lengths of a key and a value take in a block at most.
const LENGTHS: usize = 20;
/// What an entry that was taken out of a block takes besides its bytes, roughly.
const HEAD: u64 = 256;

/// A component's store, shared by those of its parts that have keys in it.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Mutex<Box<dyn State>>>);

impl Store {
    pub(crate) fn new(state: Box<dyn State>) -> Store {
        Store(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, Box<dyn State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn apply(&self, batch: Batch) -> Result<(), StateError> {
        self.state().apply(batch)
    }

    pub(crate) fn sync(&self) -> Result<(), StateError> {
        self.state().sync()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.state().get(key)
    }

    pub(crate) fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.state().scan(prefix, from, visit)
    }
}

/// Where runs are written to.
#[derive(Debug)]
pub(crate) struct Spill {
    store: Store,
    next: u64,
    /// Bytes of a block.
    block: usize,
    /// Bytes that it may take to read runs.
    reading: u64,
    /// Bytes that groups may take before they are written; messages may take twice as much.
    share: u64,
    failure: Option<StateError>,
}

/// Entries in the order of their keys, in the store.
#[derive(Debug)]
pub(crate) struct Run {
    number: u64,
    /// The block that it begins in, and where.
    block: u32,
    at: usize,
    entries: u64,
    /// Bytes of its largest entry.
    largest: u64,
    /// Whether its blocks are small.
    small: bool,
    /// Held by all runs that are in the same blocks.
    shared: Arc<()>,
}

impl Run {
    /// Bytes of its largest entry.
    pub(crate) fn largest(&self) -> u64 {
        self.largest
    }
}

/// A key and its value.
pub(crate) type Entry = (Box<[u8]>, Box<[u8]>);

fn block_key(number: u64, block: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.push(RUN);
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&block.to_be_bytes());
    key
}

fn mark_key(end: Time, hash: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(MARK);
    // Of signed numbers the negative ones come first.
    key.extend_from_slice(&(end.0 ^ i64::MIN).to_be_bytes());
    key.extend_from_slice(&hash.to_be_bytes());
    key
}

impl Spill {
    /// Removes what an earlier life has left.
    pub(crate) fn new(store: Store, memory_budget: u64) -> Result<Spill, StateError> {
        let mut batch = Batch::default();
        batch.clear(vec![RUN], vec![RUN + 1]);
        batch.clear(vec![MARK], vec![MARK + 1]);
        batch.clear(vec![KEYED], vec![KEYED + 1]);
        store.apply(batch)?;
        let block = (memory_budget / BLOCKS).clamp(MIN_BLOCK, MAX_BLOCK);
        Ok(Spill {
            store,
            next: 0,
            block: usize::try_from(block).unwrap_or(usize::MAX),
            reading: (memory_budget / READING).max(MIN_FAN_IN * block),
            share: memory_budget / 4,
            failure: None,
        })
    }

    /// Bytes that what can be written may take before it is.
    pub(crate) fn share(&self) -> u64 {
        self.share
    }

    /// Where values go that are read by their keys, and of which so many bytes may be in memory.
    pub(crate) fn home(&mut self, share: u64) -> Home {
        self.next += 1;
        Home {
            store: self.store.clone(),
            prefix: [[KEYED].as_slice(), &self.next.to_be_bytes()].concat(),
            share,
            used: false,
        }
    }

    /// Bytes that messages may take that were written and are joined; to read them takes as much.
    pub(crate) fn part(&self) -> u64 {
        self.share / 4
    }

    /// How many of these runs, from the first on, are read at once; if not all are, they are first made fewer.
    pub(crate) fn together(&self, runs: &[Run]) -> usize {
        let mut sum = 0;
        let fits = runs.iter().take_while(|run| {
            sum += self.cost(run);
            sum <= self.reading
        });
        fits.count().max(2).min(runs.len())
    }

    /// Bytes that it takes to read these runs, as many at once as may be.
    pub(crate) fn reading<'r>(&self, runs: impl Iterator<Item = &'r Run> + Clone) -> u64 {
        let largest = runs.clone().map(|run| run.largest).max().unwrap_or_default();
        let all: u64 = runs.map(|run| self.cost(run)).sum();
        all.min(self.reading_of(largest))
    }

    /// Bytes that it takes at most to read runs whose entries are no larger.
    pub(crate) fn reading_of(&self, largest: u64) -> u64 {
        self.reading.max(2 * self.cost_of(largest))
    }

    /// Bytes that it takes to read a run: a block, and an entry that was taken out of it.
    pub(crate) fn cost(&self, run: &Run) -> u64 {
        cost(self.block_of(run.small) as u64, run.largest)
    }

    fn cost_of(&self, entry: u64) -> u64 {
        cost(self.block as u64, entry)
    }

    /// Whether another run can be read where reading takes so many bytes.
    pub(crate) fn has_room(&self, reading: u64) -> bool {
        reading + (self.block as u64) <= self.reading
    }

    /// Nothing can be written or read any more. What was not done with by then has to be done by another life.
    pub(crate) fn fail(&mut self, error: StateError) {
        self.failure.get_or_insert(error);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Why.
    pub(crate) fn failure(&self) -> Option<&StateError> {
        self.failure.as_ref()
    }

    /// Begins a run.
    pub(crate) fn write(&mut self) -> Writer {
        self.begin(false)
    }

    /// Begins runs that are small, and are read each by itself: little besides is read with one.
    pub(crate) fn write_small(&mut self) -> Writer {
        self.begin(true)
    }

    fn block_of(&self, small: bool) -> usize {
        if small { SMALL_BLOCK } else { self.block }
    }

    fn begin(&mut self, small: bool) -> Writer {
        self.next += 1;
        let size = self.block_of(small);
        Writer {
            run: Run {
                number: self.next,
                block: 0,
                at: 0,
                entries: 0,
                largest: 0,
                small,
                shared: Arc::default(),
            },
            blocks: 0,
            size,
            block: Vec::with_capacity(size),
            bytes: 0,
            batch: Batch::default(),
        }
    }

    /// Adds to a batch that a message is in a window that ends then.
    pub(crate) fn mark(end: Time, hash: u64, batch: &mut Batch) {
        batch.put(mark_key(end, hash), Vec::new());
    }

    /// Writes such marks.
    pub(crate) fn write_marks(&mut self, marks: Batch) -> Result<(), StateError> {
        self.store.apply(marks)
    }

    /// Whether there is such a mark.
    pub(crate) fn has_mark(&self, end: Time, hash: u64) -> Result<bool, StateError> {
        Ok(self.store.get(&mark_key(end, hash))?.is_some())
    }

    /// Removes those of windows that end by then.
    pub(crate) fn remove_marks(&mut self, until: Time) -> Result<(), StateError> {
        let mut batch = Batch::default();
        let past = if until < Time::MAX {
            mark_key(until.plus(1), 0)
        } else {
            vec![MARK + 1]
        };
        batch.clear(vec![MARK], past);
        self.store.apply(batch)
    }

    /// Removes runs. Blocks go with the last run that is in them.
    pub(crate) fn remove(&mut self, runs: impl IntoIterator<Item = Run>) -> Result<(), StateError> {
        let mut batch = Batch::default();
        for run in runs {
            if Arc::into_inner(run.shared).is_some() {
                batch.clear(block_key(run.number, 0), block_key(run.number + 1, 0));
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.store.apply(batch)
    }
}

/// Bytes that it takes to read a run.
fn cost(block: u64, entry: u64) -> u64 {
    block.max(entry + LENGTHS as u64) + entry + HEAD
}

/// A run that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    run: Run,
    /// Blocks that are complete.
    blocks: u32,
    /// Bytes of a block.
    size: usize,
    block: Vec<u8>,
    batch: Batch,
    /// Bytes of blocks in it.
    bytes: usize,
}

impl Writer {
    /// Adds an entry, whose key is greater than those before.
    pub(crate) fn push(&mut self, spill: &Spill, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let entry = key.len() + value.len();
        self.run.largest = self.run.largest.max(entry as u64);
        self.run.entries += 1;
        if !self.block.is_empty() && self.block.len() + entry + LENGTHS > self.size {
            self.end_block();
            if self.bytes >= TOGETHER * spill.block {
                self.bytes = 0;
                spill.store.apply(std::mem::take(&mut self.batch))?;
            }
        }
        for part in [key, value] {
            tokens::write(part.len() as u64, &mut self.block);
            self.block.extend_from_slice(part);
        }
        Ok(())
    }

    fn end_block(&mut self) {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(self.size));
        self.bytes += block.len();
        self.batch.put(block_key(self.run.number, self.blocks), block);
        self.blocks += 1;
    }

    /// What was added since the last cut is a run of its own, which can be read when all is finished.
    pub(crate) fn cut(&mut self) -> Run {
        let next = Run {
            block: self.blocks,
            at: self.block.len(),
            entries: 0,
            largest: 0,
            shared: Arc::clone(&self.run.shared),
            ..self.run
        };
        std::mem::replace(&mut self.run, next)
    }

    /// What there is of the run so far.
    pub(crate) fn abandon(self) -> Run {
        self.run
    }

    /// Ends the run.
    pub(crate) fn finish(mut self, spill: &Spill) -> Result<Run, StateError> {
        if !self.block.is_empty() {
            self.end_block();
        }
        spill.store.apply(self.batch)?;
        Ok(self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryDisk;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_written_is_read_in_order_and_then_gone(
            entries in prop::collection::btree_map(
                prop::collection::vec(any::<u8>(), 0..20),
                prop_oneof![
                    9 => prop::collection::vec(any::<u8>(), 0..300),
                    1 => prop::collection::vec(any::<u8>(), 3000..9000),
                ],
                0..200,
            ),
        ) {
            let disk = MemoryDisk::default();
            let mut spill = Spill::new(Store::new(disk.open()), 0).unwrap();
            let mut writer = spill.write();
            for (key, value) in &entries {
                writer.push(&spill, key, value).unwrap();
            }
            let run = writer.finish(&spill).unwrap();
            let mut reader = Reader::new(&run);
            for (key, value) in &entries {
                let (read_key, read_value) = reader.next(&spill).unwrap().unwrap();
                prop_assert_eq!((&*read_key, &*read_value), (&**key, &**value));
            }
            prop_assert!(reader.next(&spill).unwrap().is_none());
            spill.remove([run]).unwrap();
            spill.store.sync().unwrap();
            prop_assert!(disk.is_empty());
        }
    }
}
