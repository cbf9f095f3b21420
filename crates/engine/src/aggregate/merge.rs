//! All groups of a window in the order of their keys, one by one: what is in memory, and what was written when it did
//! not fit any more.
//!
//! Nothing is sorted, and nothing read, in one go. What is in memory is cut into parts, which are sorted one after the
//! other; where there are more runs than can be read at once, some are made one first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, hash_map};
use std::vec;

use super::{Group, GroupSpec, Groups};
use crate::spill::{Reader, Run, Spill, Writer};
use crate::state::StateError;

/// Groups that are sorted in one step.
const PART: usize = 4096;
/// What it takes to remove a run, in groups that could be merged meanwhile.
const REMOVAL: u64 = 1024;

type Keyed = (Box<[u8]>, Group);

/// A key with what was gathered for it, if there is another one.
type Next = Result<Option<(Box<[u8]>, Piece)>, StateError>;

/// A group, as it comes from where it was.
#[derive(Debug)]
enum Piece {
    Group(Group),
    Encoded(Box<[u8]>),
}

/// Where sorted groups come from.
#[derive(Debug)]
enum Source {
    Memory(vec::IntoIter<Keyed>),
    Stored(Reader),
}

/// Sources whose groups are taken together, the least key first. Of one key, a source's is earlier than that of
/// the sources after it.
#[derive(Debug, Default)]
struct Sources {
    sources: Vec<(Source, Option<Piece>)>,
    heap: BinaryHeap<Reverse<(Box<[u8]>, usize)>>,
}

/// Groups that are taken in the order of their keys.
#[derive(Debug)]
pub(crate) struct Merge {
    /// Groups that were in memory and are in no part yet.
    left: hash_map::IntoIter<Box<[u8]>, Group>,
    parts: Vec<Source>,
    /// Runs that are not in `sources`, in the order in which they were written.
    runs: Vec<Run>,
    /// Those that are.
    reading: Vec<Run>,
    /// Those that were read, and are still in the store.
    read: Vec<Run>,
    /// Some runs that are made one, and all that are left afterwards.
    sources: Sources,
    folded: Option<Writer>,
    ready: bool,
}

impl Source {
    fn next(&mut self, spill: Option<&Spill>) -> Next {
        match (self, spill) {
            (Source::Memory(groups), _) => Ok(groups.next().map(|(key, group)| (key, Piece::Group(group)))),
            (Source::Stored(reader), Some(spill)) => {
                let next = reader.next(spill)?;
                Ok(next.map(|(key, encoded)| (key, Piece::Encoded(encoded))))
            }
            // No run was written without a store.
            (Source::Stored(_), None) => Ok(None),
        }
    }
}

impl Piece {
    fn group(self, spec: &GroupSpec) -> Result<Group, StateError> {
        match self {
            Piece::Group(group) => Ok(group),
            Piece::Encoded(bytes) => Group::decode(spec, &bytes)
                .ok_or_else(|| StateError("the state's file has no group where one was written".to_owned())),
        }
    }
}

impl Sources {
    fn add(&mut self, mut source: Source, spill: Option<&Spill>) -> Result<(), StateError> {
        if let Some((key, piece)) = source.next(spill)? {
            self.heap.push(Reverse((key, self.sources.len())));
            self.sources.push((source, Some(piece)));
        }
        Ok(())
    }

    /// The next key with all that was gathered for it.
    fn next(&mut self, spec: &GroupSpec, spill: Option<&Spill>) -> Next {
        let Some((key, mut all)) = self.take(spill)? else {
            return Ok(None);
        };
        while self.heap.peek().is_some_and(|Reverse((next, _))| *next == key) {
            let Some((_, later)) = self.take(spill)? else {
                break;
            };
            let mut group = all.group(spec)?;
            group.merge(later.group(spec)?);
            all = Piece::Group(group);
        }
        Ok(Some((key, all)))
    }

    fn take(&mut self, spill: Option<&Spill>) -> Next {
        let Some(mut top) = self.heap.peek_mut() else {
            return Ok(None);
        };
        let Some((source, head)) = self.sources.get_mut(top.0.1) else {
            return Ok(None);
        };
        let piece = head.take();
        let key = if let Some((next, piece)) = source.next(spill)? {
            *head = Some(piece);
            std::mem::replace(&mut top.0.0, next)
        } else {
            let Reverse((key, _)) = std::collections::binary_heap::PeekMut::pop(top);
            key
        };
        Ok(piece.map(|piece| (key, piece)))
    }
}

impl Merge {
    /// `runs` are in the order in which they were written, all before what is in `groups`.
    pub(crate) fn new(groups: Groups, runs: Vec<Run>) -> Merge {
        Merge {
            left: groups.into_iter(),
            parts: Vec::new(),
            runs,
            reading: Vec::new(),
            read: Vec::new(),
            sources: Sources::default(),
            folded: None,
            ready: false,
        }
    }

    /// The next group, and true; without one, whether there will be one, after more work. What is done is taken off
    /// `work`.
    pub(crate) fn next(
        &mut self,
        spec: &GroupSpec,
        spill: &mut Option<Spill>,
        work: &mut u64,
    ) -> Result<(Option<Keyed>, bool), StateError> {
        while !self.ready || !self.read.is_empty() {
            if *work == 0 {
                return Ok((None, true));
            }
            if let (Some(spill), Some(run)) = (spill.as_mut(), self.read.pop()) {
                spill.remove([run])?;
                *work = work.saturating_sub(REMOVAL);
            } else {
                self.prepare(spec, spill, work)?;
            }
        }
        let next = self.sources.next(spec, spill.as_ref())?;
        let Some((key, piece)) = next else {
            self.read.append(&mut self.reading);
            return Ok((None, !self.read.is_empty()));
        };
        *work = work.saturating_sub(1);
        Ok((Some((key, piece.group(spec)?)), true))
    }

    /// All runs that are left, to be removed.
    pub(crate) fn abandon(self: Box<Self>) -> impl Iterator<Item = Run> {
        let folded = self.folded.map(Writer::abandon);
        self.runs
            .into_iter()
            .chain(self.reading)
            .chain(self.read)
            .chain(folded)
    }

    fn prepare(
        &mut self,
        spec: &GroupSpec,
        spill: &mut Option<Spill>,
        work: &mut u64,
    ) -> Result<(), StateError> {
        let mut part: Vec<Keyed> = self.left.by_ref().take(PART).collect();
        if !part.is_empty() {
            part.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            *work = work.saturating_sub(part.len() as u64);
            self.parts.push(Source::Memory(part.into_iter()));
        } else if let Some(spill) = spill
            && (self.folded.is_some() || self.runs.len() > spill.together(&self.runs))
        {
            self.fold(spec, spill, work)?;
        } else {
            for run in &self.runs {
                self.sources
                    .add(Source::Stored(Reader::new(run)), spill.as_ref())?;
            }
            self.reading.append(&mut self.runs);
            for part in self.parts.drain(..) {
                self.sources.add(part, spill.as_ref())?;
            }
            self.ready = true;
        }
        Ok(())
    }

    /// Makes the earliest runs one, as far as `work` goes.
    fn fold(&mut self, spec: &GroupSpec, spill: &mut Spill, work: &mut u64) -> Result<(), StateError> {
        if self.folded.is_none() {
            self.folded = Some(spill.write());
            self.reading = self.runs.drain(..spill.together(&self.runs)).collect();
            for run in &self.reading {
                self.sources.add(Source::Stored(Reader::new(run)), Some(spill))?;
            }
        }
        let mut scratch = Vec::new();
        while *work > 0 {
            *work -= 1;
            if let Some((key, piece)) = self.sources.next(spec, Some(spill))? {
                let Some(writer) = &mut self.folded else { break };
                match piece {
                    Piece::Encoded(bytes) => writer.push(spill, &key, &bytes)?,
                    Piece::Group(group) => {
                        scratch.clear();
                        group.encode(&mut scratch);
                        writer.push(spill, &key, &scratch)?;
                    }
                }
                continue;
            }
            if let Some(writer) = self.folded.take() {
                self.runs.insert(0, writer.finish(spill)?);
            }
            self.read.append(&mut self.reading);
            self.sources = Sources::default();
            break;
        }
        Ok(())
    }
}
