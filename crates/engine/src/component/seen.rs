//! Which messages the open windows have, so that one that comes again behind the watermark is known: then others have
//! gone into its windows since, and it no longer stands beside the first one ([`super::reorder`]).
//!
//! Of a message a hash is kept, by the end of its last window, and forgotten with that. There may be more of them than
//! fit into memory: the others go to the store, where one that is behind is looked for.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::id::Id;
use crate::spill::Spill;
use crate::state::{Batch, StateError};
use crate::time::Time;

/// Bytes that a hash takes in memory.
const ENTRY: u64 = 16;
/// Of what groups may take, what hashes may before they are written.
const SHARE: u64 = 8;
/// Hashes that are written at once.
const TOGETHER: u64 = 16_384;

/// Those of windows with the same end.
#[derive(Default)]
struct Bucket {
    hashes: FxHashSet<u64>,
    /// Whether some are in the store.
    stored: bool,
}

/// What goes into windows: its time, input and id.
pub(super) type Message = (Time, usize, Id);

/// Messages that are in open windows.
#[derive(Default)]
pub(super) struct Seen {
    buckets: BTreeMap<Time, Bucket>,
    count: u64,
}

/// What tells the message that is the same as so many before it from all others.
// Half of an id is as good a hash.
#[allow(clippy::cast_possible_truncation)]
fn hash((at, input, id): Message, repeats: u64) -> u64 {
    let id = u128::from_le_bytes(id.repeated(repeats).0) as u64;
    let at = at.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id ^ at ^ (input as u64).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

impl Seen {
    /// Bytes that they take in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.count * ENTRY
    }

    /// A message is in windows, the last of which ends then; so many of the same came before it.
    pub(super) fn add(
        &mut self,
        end: Time,
        (message, repeats): (Message, u64),
        spill: Option<&mut Spill>,
    ) -> Result<(), StateError> {
        let bucket = self.buckets.entry(end).or_default();
        self.count += u64::from(bucket.hashes.insert(hash(message, repeats)));
        match spill {
            Some(spill) if self.count >= (spill.share() / SHARE / ENTRY).min(TOGETHER) => self.write(spill),
            _ => Ok(()),
        }
    }

    /// How many of the same are in windows, the last of which ends then.
    pub(super) fn count(
        &self,
        end: Time,
        message: Message,
        spill: Option<&Spill>,
    ) -> Result<u64, StateError> {
        let Some(bucket) = self.buckets.get(&end) else {
            return Ok(0);
        };
        let mut count = 0;
        loop {
            let hash = hash(message, count);
            let stored = match spill.filter(|_| bucket.stored) {
                Some(spill) if !bucket.hashes.contains(&hash) => spill.has_mark(end, hash)?,
                _ => false,
            };
            if !stored && !bucket.hashes.contains(&hash) {
                return Ok(count);
            }
            count += 1;
        }
    }

    /// Windows that end by then have closed.
    pub(super) fn forget(&mut self, until: Time, spill: Option<&mut Spill>) -> Result<(), StateError> {
        let mut stored = false;
        while let Some(first) = self.buckets.first_entry().filter(|first| *first.key() <= until) {
            let bucket = first.remove();
            self.count -= bucket.hashes.len() as u64;
            stored |= bucket.stored;
        }
        match spill.filter(|_| stored) {
            Some(spill) => spill.remove_marks(until),
            None => Ok(()),
        }
    }

    fn write(&mut self, spill: &mut Spill) -> Result<(), StateError> {
        let mut batch = Batch::default();
        for (end, bucket) in &mut self.buckets {
            let mut hashes: Vec<u64> = std::mem::take(&mut bucket.hashes).into_iter().collect();
            hashes.sort_unstable();
            bucket.stored |= !hashes.is_empty();
            for hash in hashes {
                Spill::mark(*end, hash, &mut batch);
            }
        }
        self.count = 0;
        spill.write_marks(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::Store;
    use crate::state::MemoryDisk;
    use proptest::prelude::*;

    proptest! {
        /// In memory or not, they are counted, and forgotten with their windows.
        #[test]
        fn messages_are_counted_until_their_windows_close(
            steps in prop::collection::vec((0..40i64, 0..2usize, 0..4u8, any::<bool>()), 0..200),
            budget in 0..20_000u64,
            store in any::<bool>(),
        ) {
            let disk = MemoryDisk::default();
            let mut spill = store.then(|| Spill::new(Store::new(disk.open()), budget).unwrap());
            let mut seen = Seen::default();
            let mut model: Vec<Message> = Vec::new();
            let mut closed = i64::MIN;
            let end = |at: Time| Time(at.0.div_euclid(10) * 10 + 10);
            for (at, input, id, close) in steps {
                if close {
                    closed = closed.max(at);
                    seen.forget(Time(closed), spill.as_mut()).unwrap();
                    model.retain(|(at, ..)| end(*at) > Time(closed));
                    continue;
                }
                let message = (Time(at), input, Id([id; 16]));
                if end(message.0) <= Time(closed) {
                    continue;
                }
                let count = seen.count(end(message.0), message, spill.as_ref()).unwrap();
                prop_assert_eq!(count, model.iter().filter(|other| **other == message).count() as u64);
                seen.add(end(message.0), (message, count), spill.as_mut()).unwrap();
                model.push(message);
            }
            seen.forget(Time::MAX, spill.as_mut()).unwrap();
            prop_assert_eq!(seen.bytes(), 0);
            disk.open().sync().unwrap();
            prop_assert!(disk.is_empty());
        }
    }
}
