//! Maps: entries in the order in which they were written, found by value.

use std::cmp::Ordering;
use std::sync::OnceLock;

use super::Value;

/// Maps up to this size are searched one by one.
const SMALL: usize = 8;

/// A map that keeps its entries' order for output and finds keys by CEL equality (`1`, `1u` and `1.0` are one key).
#[derive(Clone, Debug, Default)]
pub struct Map<'a> {
    entries: Vec<(Value<'a>, Value<'a>)>,
    /// Positions in `entries` by key. Sorted rather than hashed: keys come from messages, and no choice of them
    /// makes a sorted index slow.
    index: OnceLock<Box<[usize]>>,
}

impl<'a> Map<'a> {
    /// A map of these entries. Where keys repeat, a lookup finds one of them: callers that can meet repeats refuse
    /// or merge them first.
    pub(crate) fn new(entries: Vec<(Value<'a>, Value<'a>)>) -> Map<'a> {
        Map {
            entries,
            index: OnceLock::new(),
        }
    }

    /// The entries in order.
    pub fn entries(&self) -> &[(Value<'a>, Value<'a>)] {
        &self.entries
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        if self.entries.len() <= SMALL {
            return self.entries.iter().find(|(k, _)| k.cel_eq(key)).map(|(_, v)| v);
        }
        if matches!(key, Value::Double(d) if d.is_nan()) {
            return None;
        }
        let index = self.index();
        let found = index
            .binary_search_by(|at| key_order(self.key_at(*at), key))
            .ok()?;
        self.entries.get(*index.get(found)?).map(|(_, v)| v)
    }

    /// The value of a string key.
    pub(crate) fn get_str(&self, key: &str) -> Option<&Value<'a>> {
        if self.entries.len() <= SMALL {
            let same = |k: &Value<'_>| matches!(k, Value::Str(k) if **k == *key);
            return self.entries.iter().find(|(k, _)| same(k)).map(|(_, v)| v);
        }
        self.get(&Value::Str(key.into()))
    }

    /// A key that is there more than once.
    pub(crate) fn repeated_key(&self) -> Option<&Value<'a>> {
        if self.entries.len() <= SMALL {
            let repeats = |(at, (key, _)): &(usize, &(Value<'a>, Value<'a>))| {
                self.entries.iter().take(*at).any(|(k, _)| k.cel_eq(key))
            };
            return self
                .entries
                .iter()
                .enumerate()
                .find(repeats)
                .map(|(_, (key, _))| key);
        }
        let same = |pair: &&[usize]| match pair {
            [a, b] => key_order(self.key_at(*a), self.key_at(*b)) == Ordering::Equal,
            _ => false,
        };
        self.index()
            .windows(2)
            .find(same)
            .and_then(|pair| pair.last())
            .map(|at| self.key_at(*at))
    }

    /// Whether different keys have the same text, as in JSON, where all keys are text.
    pub(super) fn has_repeated_names(&self) -> bool {
        let texts = self
            .entries
            .iter()
            .filter(|(key, _)| matches!(key, Value::Str(_)))
            .count();
        if texts == 0 || texts == self.entries.len() {
            return false;
        }
        let others = self
            .entries
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !matches!(key, Value::Str(_)));
        others.map(Value::name).any(|name| self.get_str(&name).is_some())
    }

    fn key_at(&self, at: usize) -> &Value<'a> {
        self.entries.get(at).map_or(&Value::Null, |(key, _)| key)
    }

    fn index(&self) -> &[usize] {
        self.index.get_or_init(|| {
            let mut index: Box<[usize]> = (0..self.entries.len()).collect();
            index.sort_by(|a, b| key_order(self.key_at(*a), self.key_at(*b)));
            index
        })
    }
}

/// A total order of what can be a key: bools, then numbers by value, then strings.
fn key_order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    a.order(b).unwrap_or_else(|| rank(a).cmp(&rank(b)))
}

fn rank(key: &Value<'_>) -> u8 {
    match key {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::BigInt(_) => 1,
        Value::Str(_) => 2,
        _ => 3,
    }
}
