//! Reads what was written, entry by entry and block by block.

use super::{Entry, Run, Spill, block_key};
use crate::state::StateError;
use crate::tokens;

/// A run that is read.
#[derive(Debug)]
pub(crate) struct Reader {
    number: u64,
    next: u32,
    /// Entries that were not read.
    left: u64,
    block: Vec<u8>,
    at: usize,
    /// Where in the first block it begins.
    skip: usize,
}

impl Reader {
    /// Bytes of the block at hand.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.block.len() as u64
    }

    pub(crate) fn new(run: &Run) -> Reader {
        Reader {
            number: run.number,
            next: run.block,
            left: run.entries,
            block: Vec::new(),
            at: 0,
            skip: run.at,
        }
    }

    /// The next entry: its key and its value.
    pub(crate) fn next(&mut self, spill: &Spill) -> Result<Option<Entry>, StateError> {
        let read =
            || StateError("the state's file is not as it was written; restart the component".to_owned());
        if self.left == 0 {
            return Ok(None);
        }
        while self.at >= self.block.len() {
            let key = block_key(self.number, self.next);
            self.block = spill.store.get(&key)?.ok_or_else(read)?;
            self.next += 1;
            self.at = std::mem::take(&mut self.skip);
        }
        self.left -= 1;
        let mut rest = self.block.get(self.at..).unwrap_or_default();
        let before = rest.len();
        let mut part = || {
            let len = usize::try_from(tokens::read(&mut rest)?).ok()?;
            Some(Box::from(rest.split_off(..len)?))
        };
        let (key, value) = part().zip(part()).ok_or_else(read)?;
        self.at += before - rest.len();
        Ok(Some((key, value)))
    }
}
