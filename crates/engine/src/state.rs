//! What a component remembers beyond its messages: a store of ordered keys, kept by whoever runs the component.
//!
//! Groups that look back at their previous window, tables, and windows larger than memory live in it. A message is
//! acked once what it changed here is durable, so that a component that dies finds all of it again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

/// A store that does not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StateError(pub String);

/// Changes that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Ranges of keys that are removed before anything else happens: from the first on, up to but without the second.
    pub cleared: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys with their new values; `None` removes one. Of two changes of one key the later counts.
    pub changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, Some(value)));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.changes.push((key, None));
    }

    /// Removes all keys from one on, up to but without another, before the batch's other changes.
    pub fn clear(&mut self, from: Vec<u8>, to: Vec<u8>) {
        self.cleared.push((from, to));
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.cleared.is_empty()
    }
}

/// What is asked about each entry of a [`State::scan`]: whether to go on.
pub type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered store of bytes.
pub trait State: Debug + Send {
    /// Makes changes. What the call before [`State::sync`] wrote may be lost in a crash, but only from its end.
    ///
    /// # Errors
    /// The store can't write.
    fn apply(&mut self, batch: Batch) -> Result<(), StateError>;

    /// Makes everything so far durable.
    ///
    /// # Errors
    /// The store can't write.
    fn sync(&mut self) -> Result<(), StateError>;

    /// A key's value.
    ///
    /// # Errors
    /// The store can't read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// The entries whose keys begin with `prefix` and are `from` or after it, in the order of keys (byte by byte).
    ///
    /// # Errors
    /// The store can't read.
    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StateError>;
}

/// A store in memory, which goes with its process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl State for MemoryState {
    fn apply(&mut self, batch: Batch) -> Result<(), StateError> {
        for (from, to) in &batch.cleared {
            while let Some((key, _)) = self
                .entries
                .range(from.clone()..)
                .next()
                .filter(|(key, _)| *key < to)
            {
                let key = key.clone();
                self.entries.remove(&key);
            }
        }
        for (key, value) in batch.changes {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StateError> {
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        let start = prefix.max(from);
        for (key, value) in self.entries.range(start.to_vec()..) {
            if !key.starts_with(prefix) || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// What would stay of a store if the process that opened it died, where that is only simulated. Clones are the same
/// disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<MemoryState>>);

impl MemoryDisk {
    /// Opens the store as its last owner's last [`State::sync`] left it.
    pub fn open(&self) -> Box<dyn State> {
        Box::new(Opened {
            disk: self.clone(),
            entries: self.durable().clone(),
            unsynced: Vec::new(),
        })
    }

    /// Whether nothing is on it.
    pub fn is_empty(&self) -> bool {
        self.durable().entries.is_empty()
    }

    fn durable(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk's store, open.
#[derive(Debug)]
struct Opened {
    disk: MemoryDisk,
    entries: MemoryState,
    unsynced: Vec<Batch>,
}

impl State for Opened {
    fn apply(&mut self, batch: Batch) -> Result<(), StateError> {
        self.unsynced.push(batch.clone());
        self.entries.apply(batch)
    }

    fn sync(&mut self) -> Result<(), StateError> {
        let mut durable = self.disk.durable();
        self.unsynced.drain(..).try_for_each(|batch| durable.apply(batch))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.entries.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.entries.scan(prefix, from, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_keeps_what_was_synced() {
        let disk = MemoryDisk::default();
        let mut state = disk.open();
        let put = |state: &mut Box<dyn State>, key: &str| {
            let mut batch = Batch::default();
            batch.put(key.into(), Vec::new());
            state.apply(batch).unwrap();
        };
        for key in ["a", "b", "c"] {
            put(&mut state, key);
        }
        state.sync().unwrap();
        put(&mut state, "d");
        let mut batch = Batch::default();
        batch.clear("a".into(), "c".into());
        batch.put("b".into(), b"new".to_vec());
        state.apply(batch).unwrap();
        let has =
            |state: &dyn State| ["a", "b", "c", "d"].map(|key| state.get(key.as_bytes()).unwrap().is_some());
        assert_eq!(has(&*state), [false, true, true, true]);
        let state = disk.open();
        assert_eq!(has(&*state), [true, true, true, false]);
    }

    #[test]
    fn a_scan_stays_in_its_prefix_and_goes_in_order() {
        let mut state = MemoryState::default();
        let mut batch = Batch::default();
        for key in ["b2", "a", "b1", "b3", "c"] {
            batch.put(key.into(), key.to_uppercase().into());
        }
        batch.remove("b3".into());
        state.apply(batch).unwrap();
        let scan = |from: &str| {
            let mut seen = Vec::new();
            let visit: Visit<'_> = &mut |key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            };
            state.scan(b"b", from.as_bytes(), visit).unwrap();
            seen
        };
        let entry = |key: &str| (key.as_bytes().to_vec(), key.to_uppercase().into_bytes());
        assert_eq!(scan(""), [entry("b1"), entry("b2")]);
        assert_eq!(scan("b2"), [entry("b2")]);
        assert_eq!(state.get(b"b3").unwrap(), None);
    }
}
