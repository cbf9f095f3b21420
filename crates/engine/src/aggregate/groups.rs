//! All groups of a window, by their keys.

use std::collections::{HashMap, hash_map};

use crate::expr::{Context, EvalError};

use super::{Group, GroupSpec};
use crate::spill::{Run, Spill, Writer};
use crate::state::StateError;

/// What an entry takes beyond its key and group: the key's pointer and length, and the map's share.
const ENTRY: usize = 32;

/// The groups of a window.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    groups: HashMap<Box<[u8]>, Group>,
    bytes: usize,
}

impl Groups {
    /// None.
    pub fn new() -> Groups {
        Groups::default()
    }

    /// Adds a row to the group of its key, which [`GroupSpec::key`] makes. See [`Group::add`].
    pub fn add(
        &mut self,
        spec: &GroupSpec,
        key: &[u8],
        cx: &Context<'_>,
        id: [u8; 16],
        failed: &mut dyn FnMut(&EvalError),
    ) {
        self.change(spec, key, |group| group.add(spec, cx, id, failed));
    }

    /// Adds what was gathered of later messages of a group.
    pub fn merge(&mut self, spec: &GroupSpec, key: &[u8], later: Group) {
        self.change(spec, key, |group| group.merge(later));
    }

    fn change(&mut self, spec: &GroupSpec, key: &[u8], change: impl FnOnce(&mut Group)) {
        // Nearly every row is of a group that is known: only a new one's key is copied.
        if let Some(group) = self.groups.get_mut(key) {
            let before = group.bytes();
            change(group);
            self.bytes = (self.bytes + group.bytes()).saturating_sub(before);
        } else {
            let mut group = Group::new(spec);
            change(&mut group);
            self.bytes += ENTRY + key.len() + group.bytes();
            self.groups.insert(key.into(), group);
        }
    }

    /// The group of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Group> {
        self.groups.get(key)
    }

    /// Takes a group out.
    pub fn remove(&mut self, key: &[u8]) -> Option<Group> {
        let (key, group) = self.groups.remove_entry(key)?;
        self.bytes = self.bytes.saturating_sub(ENTRY + key.len() + group.bytes());
        Some(group)
    }

    /// Keys and groups in the keys' order.
    pub fn sorted(&self) -> Vec<(&[u8], &Group)> {
        let mut all: Vec<_> = self.groups.iter().map(|(key, group)| (&**key, group)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// Writes all groups to the store; none are left.
    pub(crate) fn spill(&mut self, spill: &mut Spill) -> Result<Run, StateError> {
        let mut writer = spill.write();
        self.write(&mut writer, spill)?;
        writer.finish(spill)
    }

    /// Adds all groups to a run; none are left.
    pub(crate) fn write(&mut self, writer: &mut Writer, spill: &Spill) -> Result<(), StateError> {
        self.bytes = 0;
        let mut all: Vec<_> = std::mem::take(&mut self.groups).into_iter().collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut encoded = Vec::new();
        for (key, group) in all {
            encoded.clear();
            group.encode(&mut encoded);
            writer.push(spill, &key, &encoded)?;
        }
        Ok(())
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The memory that they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// All groups with their keys, in no order.
impl IntoIterator for Groups {
    type Item = (Box<[u8]>, Group);
    type IntoIter = hash_map::IntoIter<Box<[u8]>, Group>;

    fn into_iter(self) -> Self::IntoIter {
        self.groups.into_iter()
    }
}
