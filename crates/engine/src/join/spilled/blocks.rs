//! A part of a window that doesn't fit into memory by itself: nearly all of it has the same key, or the join has none.
//! The rows of the steps before and the step's own messages are cut into blocks, and each block of the rows is joined
//! with each of the messages.

use super::super::matched::Matched;
use super::super::plan::Plan;
use super::super::progress::{Block, Progress};
use super::entry;
use super::loaded::Loaded;
use super::passes::torn;
use crate::spill::{Reader, Run, Spill, Writer};
use crate::state::StateError;

/// A part's rows and messages, by block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Of rows, and of messages.
    runs: [Vec<Run>; 2],
    /// The block that is being written: whether it is one of messages, and the bytes that it takes in memory.
    writing: Option<(bool, Writer, u64)>,
    /// Which blocks are joined.
    at: (usize, usize),
    /// Of the block of rows: which have had a match, and which have found messages with their key.
    met: Matched,
    looked_up: Matched,
    /// Of each block of messages that was joined with any, which have had a match.
    matched: Vec<Matched>,
}

impl Blocks {
    /// Writes a row or a message down. `part` is how many bytes can be joined at once.
    pub(super) fn push(
        &mut self,
        (own, key, value): (bool, &[u8], &[u8]),
        part: u64,
        spill: &mut Spill,
    ) -> Result<(), StateError> {
        let full = |(of, _, bytes): &(bool, Writer, u64)| *of != own || *bytes > part / 2;
        if self.writing.as_ref().is_some_and(full) {
            self.end_block(spill)?;
        }
        let (_, writer, bytes) = self.writing.get_or_insert_with(|| (own, spill.write(), 0));
        *bytes += value.len() as u64 + super::ROW * (entry::numbers(key).len() as u64 / 4);
        writer.push(spill, key, value)
    }

    /// Ends the block that is being written.
    pub(super) fn end_block(&mut self, spill: &Spill) -> Result<(), StateError> {
        if let Some((own, writer, _)) = self.writing.take() {
            self.runs[usize::from(own)].push(writer.finish(spill)?);
        }
        Ok(())
    }

    /// Whether there is a pair of blocks that was not joined. Where there are no rows, or no messages, there is a block
    /// of none: the others may be in rows without a match.
    pub(super) fn are_left(&self) -> bool {
        self.at.0 < self.runs[0].len().max(1)
    }

    /// Reads the blocks of the next pair, and takes what it took off `work`.
    pub(super) fn load(
        &self,
        loaded: &mut Loaded,
        (plan, step): (&Plan, usize),
        spill: &Spill,
        work: &mut u64,
    ) -> Result<(), StateError> {
        let input = plan.steps.get(step).ok_or_else(torn)?.input;
        let (first, second) = self.at;
        if second == 0 {
            loaded.clear(plan.inputs_before(step), true);
        }
        loaded.clear(std::iter::once(input), false);
        for (own, block) in [(false, first), (true, second)] {
            let Some(run) = self.runs[usize::from(own)].get(block) else {
                continue;
            };
            if !own && second > 0 {
                continue;
            }
            let mut reader = Reader::new(run);
            while let Some((key, value)) = reader.next(spill)? {
                loaded.take((plan, step), own, (&key, &value)).ok_or_else(torn)?;
                *work = work.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Tells the join of a pair what those before it have found.
    pub(super) fn resume(&mut self, step: usize, progress: &mut Progress, loaded: &Loaded) {
        let (first, second) = self.at;
        if second == 0 {
            let rows = loaded.len();
            (self.met, self.looked_up) = (Matched::new(rows), Matched::new(rows));
        }
        progress.block = Some(Block {
            met: std::mem::take(&mut self.met),
            looked_up: std::mem::take(&mut self.looked_up),
            last: second + 1 >= self.runs[1].len(),
            last_of_first: first + 1 >= self.runs[0].len(),
        });
        if let (Some(before), Some(marks)) = (self.matched.get_mut(second), progress.matched.get_mut(step)) {
            *marks = std::mem::take(before);
        }
    }

    /// A pair was joined.
    pub(super) fn joined(&mut self, step: usize, progress: &mut Progress) {
        if let Some(block) = progress.block.take() {
            (self.met, self.looked_up) = (block.met, block.looked_up);
        }
        let matched = progress.matched.get_mut(step).map(std::mem::take);
        let matched = matched.unwrap_or_default();
        match self.matched.get_mut(self.at.1) {
            Some(before) => *before = matched,
            None => self.matched.push(matched),
        }
        self.at.1 += 1;
        if self.at.1 >= self.runs[1].len() {
            self.at = (self.at.0 + 1, 0);
        }
    }

    /// All that was written, to be removed.
    pub(super) fn into_runs(self) -> impl Iterator<Item = Run> {
        self.runs.into_iter().flatten()
    }
}
