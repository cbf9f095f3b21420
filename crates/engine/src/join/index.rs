//! The index of one input in one window, built as messages arrive: which rows have which key.

use std::hash::{DefaultHasher, Hasher};

use hashbrown::HashTable;

use super::bound::Single;
use super::chains::{Chain, Chains, Cursor, END};
use super::store::Store;
use crate::expr::{Context, EvalError, Program};
use crate::field::Field;
use crate::value::Value;

/// Rows that are fetched from memory together.
const FETCH: u8 = 16;

/// Rows whose keys are equal.
#[derive(Clone, Copy, Debug)]
struct Group {
    hash: u64,
    first: u32,
    others: Chain,
}

/// Groups by key. Rows are numbers of the store that belongs to it.
#[derive(Debug)]
pub(super) struct Index {
    /// Has been fed the seed: keys are hashed by copies of it.
    hasher: DefaultHasher,
    groups: HashTable<Group>,
    chains: Chains,
    /// How many rows there are.
    rows: u32,
}

/// A key: the values of one or more expressions.
pub(super) enum Key<'a> {
    One(Value<'a>),
    Many(Vec<Value<'a>>),
}

impl<'a> Key<'a> {
    pub(super) fn eval(programs: &'a [Program], cx: &Context<'a>) -> Result<Key<'a>, EvalError> {
        if let [program] = programs {
            return program.eval(cx).map(Key::One);
        }
        programs
            .iter()
            .map(|program| program.eval(cx))
            .collect::<Result<_, _>>()
            .map(Key::Many)
    }

    fn values(&self) -> &[Value<'a>] {
        match self {
            Key::One(value) => std::slice::from_ref(value),
            Key::Many(values) => values,
        }
    }

    /// `SipHash`, because keys come from outside: with a weaker one, a sender could choose them to collide even
    /// without knowing the seed.
    fn hash(&self, mut hasher: DefaultHasher) -> u64 {
        for value in self.values() {
            value.key_hash(&mut hasher);
        }
        hasher.finish()
    }

    fn equals(&self, other: &Key<'_>) -> bool {
        self.values().iter().zip(other.values()).all(|(a, b)| a.cel_eq(b))
    }

    /// Whether it could equal anything: NaN does not even equal itself.
    pub(super) fn matches_itself(&self) -> bool {
        matches!(self, Key::One(Value::Str(_))) || self.equals(self)
    }
}

impl Index {
    pub(super) fn new(seed: u64) -> Index {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        Index {
            hasher,
            groups: HashTable::new(),
            chains: Chains::default(),
            rows: 0,
        }
    }

    /// One that has nothing, and hashes in the same way.
    pub(super) fn emptied(&self) -> Index {
        Index {
            hasher: self.hasher.clone(),
            groups: HashTable::new(),
            chains: Chains::default(),
            rows: 0,
        }
    }

    /// The hash of a key.
    pub(super) fn hash(&self, key: &Key<'_>) -> u64 {
        key.hash(self.hasher.clone())
    }

    /// Adds the row that is about to become the store's last; `build` computes the keys of stored
    /// rows. Gives the first row with the same key, if there is one.
    pub(super) fn add(
        &mut self,
        key: &Key<'_>,
        store: &Store,
        build: &[Program],
        single: Single,
    ) -> Option<u32> {
        let row = self.rows;
        self.rows += 1;
        let hash = key.hash(self.hasher.clone());
        let same = |group: &Group| group.hash == hash && equal(single, group.first, key, store, build);
        if let Some(group) = self.groups.find_mut(hash, same) {
            self.chains.push(&mut group.others, row);
            Some(group.first)
        } else {
            self.groups.insert_unique(
                hash,
                Group {
                    hash,
                    first: row,
                    others: Chain::default(),
                },
                |group| group.hash,
            );
            None
        }
    }

    /// Adds the row that is about to become the store's last, under no key.
    pub(super) fn add_without_key(&mut self) {
        self.rows += 1;
    }

    /// The rows with this key, in the order in which they came.
    pub(super) fn find(&self, key: &Key<'_>, store: &Store, build: &[Program], single: Single) -> Found {
        let hash = key.hash(self.hasher.clone());
        let same = |group: &Group| group.hash == hash && equal(single, group.first, key, store, build);
        let group = self.groups.find(hash, same);
        Found {
            row: group.map_or(END, |group| group.first),
            others: group.map_or(Chain::default().begin(), |group| group.others.begin()),
            fetched: 0,
        }
    }

    /// The next of the rows that were found.
    #[inline]
    pub(super) fn next(&self, found: &mut Found, store: &Store) -> Option<u32> {
        let row = found.row;
        if row == END {
            return None;
        }
        if found.fetched == 0 {
            self.fetch(*found, store);
            found.fetched = FETCH;
        }
        found.fetched -= 1;
        found.row = self.chains.next(&mut found.others);
        Some(row)
    }

    /// Reads a bit of each of the next rows. A key's rows are all over a window's memory; the processor waits for
    /// many of them together as long as for one.
    fn fetch(&self, mut found: Found, store: &Store) {
        let mut sum = 0;
        for _ in 0..FETCH {
            if found.row == END {
                break;
            }
            sum ^= store.touch(found.row as usize);
            found.row = self.chains.next(&mut found.others);
        }
        // What is not used would not be read.
        std::hint::black_box(sum);
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        // One control byte for each bucket; an eighth of the buckets is always free.
        let buckets = self.groups.capacity() / 7 * 8;
        buckets * (size_of::<Group>() + 1) + self.chains.bytes()
    }
}

/// Whether a stored row has this key.
fn equal(single: Single, row: u32, key: &Key<'_>, store: &Store, build: &[Program]) -> bool {
    let row = store.row(row as usize);
    // Most keys are a text that messages have as it is.
    if let ([program], Key::One(Value::Str(text))) = (build, key)
        && let Some(slot) = program.as_slot()
        && let Field::Str(other) = row.field(slot)
    {
        return other == &**text;
    }
    single.with(&row, |cx| {
        Key::eval(build, cx).is_ok_and(|other| key.equals(&other))
    })
}

/// The rows of a key that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    row: u32,
    others: Cursor,
    /// How many of them have been fetched from memory.
    fetched: u8,
}

impl Found {
    /// The first of them, which stands for the key.
    pub(super) fn first(&self) -> u32 {
        self.row
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.row == END
    }
}
