//! The index of one input in one window, built as messages arrive: which rows have which key.

use std::hash::{DefaultHasher, Hasher};

use hashbrown::HashTable;

use super::matching::Single;
use super::store::Store;
use crate::expr::{Context, EvalError, Program};
use crate::value::Value;

/// No row follows.
const END: u32 = u32::MAX;

/// Rows that are fetched from memory together.
const FETCH: u8 = 16;

/// Rows whose keys are equal.
#[derive(Clone, Copy, Debug)]
struct Group {
    hash: u64,
    first: u32,
    last: u32,
}

/// Groups by key. Rows are numbers of the store that belongs to it.
#[derive(Debug)]
pub(super) struct Index {
    /// Has been fed the seed: keys are hashed by copies of it.
    hasher: DefaultHasher,
    groups: HashTable<Group>,
    /// By row: the next one with an equal key.
    next: Vec<u32>,
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
        self.equals(self)
    }
}

impl Index {
    pub(super) fn new(seed: u64) -> Index {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        Index {
            hasher,
            groups: HashTable::new(),
            next: Vec::new(),
        }
    }

    /// Adds the row that is about to become the store's last; `build` computes the keys of stored
    /// rows. Gives the first row with the same key, if there is one.
    // Rows are counted in u32; the memory budget ends long before 2^32 of them.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn add(
        &mut self,
        key: &Key<'_>,
        store: &Store,
        build: &[Program],
        single: Single,
    ) -> Option<u32> {
        let row = self.next.len() as u32;
        self.next.push(END);
        let hash = key.hash(self.hasher.clone());
        let same = |group: &Group| group.hash == hash && equal(single, group.first, key, store, build);
        if let Some(group) = self.groups.find_mut(hash, same) {
            if let Some(last) = self.next.get_mut(group.last as usize) {
                *last = row;
            }
            group.last = row;
            Some(group.first)
        } else {
            self.groups.insert_unique(
                hash,
                Group {
                    hash,
                    first: row,
                    last: row,
                },
                |group| group.hash,
            );
            None
        }
    }

    /// The rows with this key, in the order in which they came.
    pub(super) fn find(&self, key: &Key<'_>, store: &Store, build: &[Program], single: Single) -> Chain {
        let hash = key.hash(self.hasher.clone());
        let same = |group: &Group| group.hash == hash && equal(single, group.first, key, store, build);
        Chain {
            row: self.groups.find(hash, same).map_or(END, |group| group.first),
            fetched: 0,
        }
    }

    /// The next row of a chain.
    #[inline]
    pub(super) fn next(&self, chain: &mut Chain, store: &Store) -> Option<u32> {
        let row = chain.row;
        if row == END {
            return None;
        }
        if chain.fetched == 0 {
            self.fetch(row, store);
            chain.fetched = FETCH;
        }
        chain.fetched -= 1;
        chain.row = self.after(row);
        Some(row)
    }

    fn after(&self, row: u32) -> u32 {
        self.next.get(row as usize).copied().unwrap_or(END)
    }

    /// Reads a bit of each of the next rows. A key's rows are all over a window's memory; the processor waits for
    /// many of them together as long as for one.
    fn fetch(&self, mut row: u32, store: &Store) {
        let mut sum = 0;
        for _ in 0..FETCH {
            if row == END {
                break;
            }
            sum ^= store.touch(row as usize);
            row = self.after(row);
        }
        // What is not used would not be read.
        std::hint::black_box(sum);
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        // One control byte for each bucket; an eighth of the buckets is always free.
        let buckets = self.groups.capacity() / 7 * 8;
        buckets * (size_of::<Group>() + 1) + self.next.capacity() * size_of::<u32>()
    }
}

/// Whether a stored row has this key.
fn equal(single: Single, row: u32, key: &Key<'_>, store: &Store, build: &[Program]) -> bool {
    let row = store.row(row as usize);
    single.with(&row, |cx| {
        Key::eval(build, cx).is_ok_and(|other| key.equals(&other))
    })
}

/// The rows of a group that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    row: u32,
    /// How many of them have been fetched from memory.
    fetched: u8,
}
