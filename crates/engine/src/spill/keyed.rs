//! Values by key: those that were used lately in memory, all others in the store.
//!
//! What leaves memory does so in the order of keys, some at a time from where the last ones were: what is written
//! together is close together in the store.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::Store;
use crate::state::{Batch, StateError};

/// Entries that leave memory at once.
const TOGETHER: usize = 1024;

/// What can be kept in the store.
pub(crate) trait Stored: Sized {
    /// Bytes that it takes in memory.
    fn bytes(&self) -> u64;
    fn encode(&self, out: &mut Vec<u8>);
    /// `None` if the bytes are nothing that was written.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// Values by key. Without a [`Home`] all are in memory.
#[derive(Debug)]
pub(crate) struct Keyed<V> {
    entries: BTreeMap<Box<[u8]>, Cached<V>>,
    bytes: u64,
    home: Option<Home>,
    /// The key that was the last to be looked at for leaving memory; none, to begin with the first.
    hand: Option<Box<[u8]>>,
}

/// Where values are that are not in memory.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) store: Store,
    /// What their keys begin with.
    pub(crate) prefix: Vec<u8>,
    /// Bytes that those in memory may take.
    pub(crate) share: u64,
    /// Whether any may be there.
    pub(crate) used: bool,
}

#[derive(Debug)]
struct Cached<V> {
    /// `None` if there is no value of this key.
    value: Option<V>,
    /// Whether the store has something else of this key.
    changed: bool,
    /// Whether it was used again since it was last looked at for leaving memory.
    used: bool,
}

impl<V> Default for Keyed<V> {
    fn default() -> Keyed<V> {
        Keyed {
            entries: BTreeMap::new(),
            bytes: 0,
            home: None,
            hand: None,
        }
    }
}

/// What an entry takes besides its key and its value.
const fn entry<V>() -> usize {
    size_of::<(Box<[u8]>, Cached<V>)>() + 16
}

fn bytes<V: Stored>(key: &[u8], value: Option<&V>) -> u64 {
    (key.len() + entry::<V>()) as u64 + value.map_or(0, Stored::bytes)
}

impl Home {
    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }

    fn change<V: Stored>(&mut self, key: &[u8], value: Option<&V>, batch: &mut Batch) {
        match value {
            Some(value) => {
                let mut encoded = Vec::new();
                value.encode(&mut encoded);
                batch.put(self.key(key), encoded);
                self.used = true;
            }
            None => batch.remove(self.key(key)),
        }
    }

    fn read<V: Stored>(&self, key: &[u8]) -> Result<Option<V>, StateError> {
        if !self.used {
            return Ok(None);
        }
        let Some(bytes) = self.store.get(&self.key(key))? else {
            return Ok(None);
        };
        let torn = || {
            StateError(
                "the state has a value that is none; restart the component, and if that is no help, delete the state and \
                 lose what it remembers"
                    .into(),
            )
        };
        V::decode(&bytes).ok_or_else(torn).map(Some)
    }
}

impl<V: Stored> Keyed<V> {
    /// What has no room in memory goes there from now on.
    pub(crate) fn settle(&mut self, home: Home) {
        self.home = Some(home);
    }

    /// Bytes that those in memory take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The value of a key.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<&V>, StateError> {
        self.load(key)?;
        let Some(cached) = self.entries.get_mut(key) else {
            return Ok(None);
        };
        cached.used = true;
        Ok(cached.value.as_ref())
    }

    /// Sets the value of a key. Gives the one before it.
    pub(crate) fn put(&mut self, key: &[u8], value: V) -> Result<Option<V>, StateError> {
        self.replace(key, Some(value))
    }

    /// Takes the value of a key away.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<Option<V>, StateError> {
        self.replace(key, None)
    }

    /// Writes what the store has not of these keys. It stays in memory, too.
    pub(crate) fn write(&mut self, keys: impl Iterator<Item = Box<[u8]>>) -> Result<(), StateError> {
        let Some(home) = &mut self.home else { return Ok(()) };
        let mut batch = Batch::default();
        for key in keys {
            if let Some(cached) = self.entries.get_mut(&key)
                && std::mem::take(&mut cached.changed)
            {
                home.change(&key, cached.value.as_ref(), &mut batch);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        home.store.apply(batch)
    }

    /// Those in memory, in the order of keys: all of them, if they have no other home.
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = (&[u8], &V)> {
        let entries = self.entries.iter();
        entries.filter_map(|(key, cached)| Some((&**key, cached.value.as_ref()?)))
    }

    fn replace(&mut self, key: &[u8], value: Option<V>) -> Result<Option<V>, StateError> {
        self.load(key)?;
        if value.is_none() && !self.may_be_stored() {
            let gone = self.entries.remove(key).and_then(|cached| cached.value);
            if let Some(gone) = &gone {
                self.bytes = self.bytes.saturating_sub(bytes(key, Some(gone)));
            }
            return Ok(gone);
        }
        let added = bytes(key, value.as_ref());
        let before = if let Some(cached) = self.entries.get_mut(key) {
            self.bytes = self.bytes.saturating_sub(bytes(key, cached.value.as_ref()));
            (cached.changed, cached.used) = (true, true);
            std::mem::replace(&mut cached.value, value)
        } else {
            let cached = Cached {
                value,
                changed: true,
                used: false,
            };
            self.entries.insert(key.into(), cached);
            None
        };
        self.bytes += added;
        self.make_room()?;
        Ok(before)
    }

    fn may_be_stored(&self) -> bool {
        self.home.as_ref().is_some_and(|home| home.used)
    }

    /// Gets into memory what is known of a key.
    fn load(&mut self, key: &[u8]) -> Result<(), StateError> {
        if !self.may_be_stored() || self.entries.contains_key(key) {
            return Ok(());
        }
        self.make_room()?;
        let Some(home) = &self.home else { return Ok(()) };
        let value = home.read(key)?;
        self.bytes += bytes(key, value.as_ref());
        let cached = Cached {
            value,
            changed: false,
            used: false,
        };
        self.entries.insert(key.into(), cached);
        Ok(())
    }

    /// Those that were not used for the longest time leave memory, until the others fit.
    fn make_room(&mut self) -> Result<(), StateError> {
        while let Some(home) = self.home.as_mut().filter(|home| self.bytes > home.share) {
            let mut batch = Batch::default();
            let mut gone = Vec::new();
            let mut seen = None;
            let from = self.hand.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            for (key, cached) in self.entries.range_mut::<[u8], _>((from, Bound::Unbounded)) {
                seen = Some(key);
                if std::mem::take(&mut cached.used) {
                    continue;
                }
                if cached.changed {
                    home.change(key, cached.value.as_ref(), &mut batch);
                }
                gone.push(key.clone());
                if gone.len() == TOGETHER {
                    break;
                }
            }
            self.hand = seen.filter(|_| gone.len() == TOGETHER).cloned();
            if !batch.is_empty() {
                home.store.apply(batch)?;
            }
            for key in gone {
                if let Some(cached) = self.entries.remove(&key) {
                    self.bytes = self.bytes.saturating_sub(bytes(&key, cached.value.as_ref()));
                }
            }
        }
        Ok(())
    }
}
