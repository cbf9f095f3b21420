//! A part of a window that doesn't fit into memory by itself: nearly all of it has the same key, or the join has none.
//! Both inputs are cut into blocks, and each block of the first is joined with each of the second.

use super::super::matched::Matched;
use super::super::progress::{Block, Progress};
use super::entry;
use super::loaded::Loaded;
use super::passes::torn;
use crate::spill::{Reader, Run, Spill, Writer};
use crate::state::StateError;

/// A part's messages, by block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// By input.
    runs: [Vec<Run>; 2],
    /// The block that is being written: its input, and the bytes that it takes in memory.
    writing: Option<(usize, Writer, u64)>,
    /// Which blocks are joined.
    at: (usize, usize),
    /// Of the first input's block: which have had a match, and which are in rows with others.
    met: Matched,
    together: Matched,
    /// Of each block of the second input the same, once it was joined with any.
    second: Vec<(Matched, Matched)>,
}

impl Blocks {
    /// Writes a message down. `part` is how many bytes of messages can be joined at once.
    pub(super) fn push(
        &mut self,
        (input, key, value): (usize, &[u8], &[u8]),
        part: u64,
        spill: &mut Spill,
    ) -> Result<(), StateError> {
        let full = |(of, _, bytes): &(usize, Writer, u64)| *of != input || *bytes > part / 2;
        if self.writing.as_ref().is_some_and(full) {
            self.end_block(spill)?;
        }
        let (_, writer, bytes) = self.writing.get_or_insert_with(|| (input, spill.write(), 0));
        *bytes += value.len() as u64 + super::ROW;
        writer.push(spill, key, value)
    }

    /// Ends the block that is being written.
    pub(super) fn end_block(&mut self, spill: &Spill) -> Result<(), StateError> {
        if let Some((input, writer, _)) = self.writing.take()
            && let Some(runs) = self.runs.get_mut(input)
        {
            runs.push(writer.finish(spill)?);
        }
        Ok(())
    }

    /// Whether there is a pair of blocks that was not joined. An input without messages has a block of none: the other's
    /// may be in rows without a match.
    pub(super) fn are_left(&self) -> bool {
        self.at.0 < self.runs[0].len().max(1)
    }

    /// Reads the blocks of the next pair, and takes what it took off `work`.
    pub(super) fn load(&self, loaded: &mut Loaded, spill: &Spill, work: &mut u64) -> Result<(), StateError> {
        let (first, second) = self.at;
        for (input, block) in [(0, first), (1, second)] {
            if input == 0 && second > 0 {
                continue;
            }
            loaded.clear(input);
            let Some(run) = self.runs[input].get(block) else {
                continue;
            };
            let mut reader = Reader::new(run);
            while let Some((key, value)) = reader.next(spill)? {
                let (_, _, number) = entry::place(&key).ok_or_else(torn)?;
                loaded.add(input, number, &mut &*value).ok_or_else(torn)?;
                *work = work.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Tells the join of a pair what those before it have found.
    pub(super) fn resume(&mut self, progress: &mut Progress, loaded: &Loaded) {
        let (first, second) = self.at;
        if second == 0 {
            let rows = loaded.sides.first().map_or(0, |side| side.store.len());
            (self.met, self.together) = (Matched::new(rows), Matched::new(rows));
        }
        progress.block = Some(Block {
            met: std::mem::take(&mut self.met),
            last: second + 1 >= self.runs[1].len(),
            last_of_first: first + 1 >= self.runs[0].len(),
        });
        if let Some(together) = progress.together.get_mut(0) {
            *together = std::mem::take(&mut self.together);
        }
        if let Some((matched, together)) = self.second.get_mut(second) {
            if let Some(marks) = progress.matched.get_mut(1) {
                *marks = std::mem::take(matched);
            }
            if let Some(marks) = progress.together.get_mut(1) {
                *marks = std::mem::take(together);
            }
        }
    }

    /// A pair was joined. Adds what is known of it, by input, to how many messages are in rows with others.
    pub(super) fn joined(&mut self, progress: &mut Progress, matched: &mut [u64]) {
        let take =
            |marks: &mut Vec<Matched>, at: usize| marks.get_mut(at).map(std::mem::take).unwrap_or_default();
        self.met = progress.block.take().map(|block| block.met).unwrap_or_default();
        self.together = take(&mut progress.together, 0);
        let second = (take(&mut progress.matched, 1), take(&mut progress.together, 1));
        match self.second.get_mut(self.at.1) {
            Some(before) => *before = second,
            None => self.second.push(second),
        }
        self.at.1 += 1;
        if self.at.1 < self.runs[1].len() {
            return;
        }
        self.at = (self.at.0 + 1, 0);
        if let Some(matched) = matched.get_mut(0) {
            *matched += self.together.count();
        }
        if !self.are_left()
            && let Some(matched) = matched.get_mut(1)
        {
            *matched += self
                .second
                .iter()
                .map(|(_, together)| together.count())
                .sum::<u64>();
        }
    }

    /// All that was written, to be removed.
    pub(super) fn into_runs(self) -> impl Iterator<Item = Run> {
        self.runs.into_iter().flatten()
    }
}
