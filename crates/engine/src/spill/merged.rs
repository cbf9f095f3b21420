//! Runs read as one, in the order of their keys, where no key is in two of them.
//!
//! It goes in steps: where there are more runs than can be read at once, some are made one first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::{Entry, Reader, Run, Spill, Writer};
use crate::state::StateError;

/// What it takes to remove a run, in entries that could be read meanwhile.
const REMOVAL: u64 = 1024;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Entry(Entry),
    /// More work has to be done before that is known.
    Later,
    /// Nothing; and what was read is gone from the store.
    End,
}

/// A source's first entry that was not taken: its key, whose it is, and its value.
type Head = (Box<[u8]>, usize, Box<[u8]>);

/// Runs that are read together.
#[derive(Debug, Default)]
struct Sources {
    readers: Vec<Reader>,
    heads: BinaryHeap<Reverse<Head>>,
}

impl Sources {
    fn add(&mut self, run: &Run, spill: &Spill) -> Result<(), StateError> {
        let mut reader = Reader::new(run);
        if let Some((key, value)) = reader.next(spill)? {
            self.heads.push(Reverse((key, self.readers.len(), value)));
            self.readers.push(reader);
        }
        Ok(())
    }

    fn next(&mut self, spill: &Spill) -> Result<Option<Entry>, StateError> {
        let Some(mut top) = self.heads.peek_mut() else {
            return Ok(None);
        };
        let source = top.0.1;
        let next = match self.readers.get_mut(source) {
            Some(reader) => reader.next(spill)?,
            None => None,
        };
        let Reverse((key, _, value)) = match next {
            Some((key, value)) => std::mem::replace(&mut *top, Reverse((key, source, value))),
            None => PeekMut::pop(top),
        };
        Ok(Some((key, value)))
    }
}

/// Runs that are taken as one.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// Runs that are not in `sources`.
    waiting: Vec<Run>,
    /// Those that are.
    reading: Vec<Run>,
    /// Those that are not needed any more, and are still in the store.
    read: Vec<Run>,
    /// Some runs that are made one, and all that are left afterwards.
    sources: Sources,
    folded: Option<Writer>,
    ready: bool,
}

impl Merged {
    /// Of runs; others that are not needed any more are removed before.
    pub(crate) fn new(runs: Vec<Run>, read: Vec<Run>) -> Merged {
        Merged {
            waiting: runs,
            reading: Vec::new(),
            read,
            sources: Sources::default(),
            folded: None,
            ready: false,
        }
    }

    /// The next entry. What is done is taken off `work`.
    pub(crate) fn next(&mut self, spill: &mut Spill, work: &mut u64) -> Result<Next, StateError> {
        while *work > 0 {
            if let Some(run) = self.read.pop() {
                spill.remove([run])?;
                *work = work.saturating_sub(REMOVAL);
            } else if self.folded.is_some() || self.waiting.len() > spill.together(&self.waiting) {
                self.fold(spill, work)?;
            } else if !self.ready {
                for run in &self.waiting {
                    self.sources.add(run, spill)?;
                }
                self.reading.append(&mut self.waiting);
                self.ready = true;
            } else if let Some(entry) = self.sources.next(spill)? {
                *work -= 1;
                return Ok(Next::Entry(entry));
            } else if self.reading.is_empty() {
                return Ok(Next::End);
            } else {
                self.read.append(&mut self.reading);
            }
        }
        Ok(Next::Later)
    }

    /// All runs that are left, to be removed.
    pub(crate) fn into_runs(self) -> Vec<Run> {
        let folded = self.folded.map(Writer::abandon);
        let left = self.waiting.into_iter().chain(self.reading).chain(self.read);
        left.chain(folded).collect()
    }

    /// Makes the first runs one, as far as `work` goes.
    fn fold(&mut self, spill: &mut Spill, work: &mut u64) -> Result<(), StateError> {
        if self.folded.is_none() {
            self.folded = Some(spill.write());
            self.reading = self.waiting.drain(..spill.together(&self.waiting)).collect();
            for run in &self.reading {
                self.sources.add(run, spill)?;
            }
        }
        while *work > 0 {
            *work -= 1;
            let next = self.sources.next(spill)?;
            if let (Some((key, value)), Some(writer)) = (next, &mut self.folded) {
                writer.push(spill, &key, &value)?;
                continue;
            }
            if let Some(writer) = self.folded.take() {
                // Behind the others: none is made one with others again and again.
                self.waiting.push(writer.finish(spill)?);
            }
            self.read.append(&mut self.reading);
            self.sources = Sources::default();
            break;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::spill::Store;
    use crate::state::MemoryDisk;
    use proptest::prelude::*;

    impl Merged {
        /// Bytes that reading takes.
        fn held(&self) -> u64 {
            let blocks = self.sources.readers.iter().map(Reader::held);
            let head = |Reverse((key, _, value)): &Reverse<Head>| (key.len() + value.len()) as u64;
            blocks.sum::<u64>() + self.sources.heads.iter().map(head).sum::<u64>()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// However large entries are, even one that is larger than a block.
        #[test]
        fn reading_takes_what_is_said(
            runs in prop::collection::vec(
                prop::collection::vec(prop_oneof![9 => 0..300usize, 1 => 3_000..60_000usize], 0..20),
                0..20,
            ),
            budget in 0..1_000_000u64,
        ) {
            let disk = MemoryDisk::default();
            let mut spill = Spill::new(Store::new(disk.open()), budget).unwrap();
            let mut number = 0u32;
            let mut write = |sizes: Vec<usize>| {
                let mut writer = spill.write();
                for size in sizes {
                    number += 1;
                    writer.push(&spill, &number.to_be_bytes(), &vec![0; size]).unwrap();
                }
                writer.finish(&spill).unwrap()
            };
            let runs: Vec<Run> = runs.into_iter().map(&mut write).collect();
            let said = spill.reading(runs.iter());
            let mut merged = Merged::new(runs, Vec::new());
            loop {
                let mut work = 1;
                if let Next::End = merged.next(&mut spill, &mut work).unwrap() {
                    break;
                }
                prop_assert!(merged.held() <= said, "{} of {said}", merged.held());
            }
        }

        #[test]
        fn entries_come_in_order_and_are_gone(
            entries in prop::collection::btree_map(any::<u32>(), (any::<u8>(), 0..30usize), 0..400),
            slice in 1..500u64,
        ) {
            let disk = MemoryDisk::default();
            let mut spill = Spill::new(Store::new(disk.open()), 0).unwrap();
            let mut runs = Vec::new();
            for run in 0..30 {
                let mut writer = spill.write();
                for (key, (value, _)) in entries.iter().filter(|(_, (_, of))| *of == run) {
                    writer.push(&spill, &key.to_be_bytes(), &[*value]).unwrap();
                }
                runs.push(writer.finish(&spill).unwrap());
            }
            let mut merged = Merged::new(runs, Vec::new());
            let mut read = Vec::new();
            loop {
                let mut work = slice;
                match merged.next(&mut spill, &mut work).unwrap() {
                    Next::Entry((key, value)) => read.push((key.to_vec(), value.to_vec())),
                    Next::Later => {}
                    Next::End => break,
                }
            }
            let expected: Vec<(Vec<u8>, Vec<u8>)> =
                entries.iter().map(|(key, (value, _))| (key.to_be_bytes().to_vec(), vec![*value])).collect();
            prop_assert_eq!(read, expected);
            spill.store.sync().unwrap();
            prop_assert!(disk.is_empty());
        }
    }
}
