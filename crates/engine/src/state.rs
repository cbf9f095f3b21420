//! What a component remembers beyond its messages: a store of ordered keys, kept by whoever runs the component.
//!
//! Groups that look back at their previous window, tables, and windows larger than memory live in it. A message is
//! acked once what it changed here is durable, so that a component that dies finds all of it again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::ControlFlow;

use thiserror::Error;

/// A store that does not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StateError(pub String);

/// Changes that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
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

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
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

/// A store in memory, as good as durable where the process that would die is simulated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl State for MemoryState {
    fn apply(&mut self, batch: Batch) -> Result<(), StateError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
