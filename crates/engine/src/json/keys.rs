//! Finds a member name that an object uses twice.
//!
//! Small objects compare each new name with the ones before it, unless one bit of each says that it is new; larger
//! ones are sorted when they end. Nothing rests on a hash, so no choice of names makes it slow: a million names
//! cost a sort.

use crate::layout::Name;

/// From this many names on an object is sorted instead of compared pairwise.
pub(super) const PAIRWISE: usize = 16;

/// Names of more than this many kept for the next message would be memory that only one message needed.
const KEEP: usize = 4096;

#[derive(Clone, Copy)]
struct Key {
    /// The first eight bytes, or all if there are fewer: settles nearly every comparison without touching the text.
    prefix: u64,
    start: u32,
    len: u32,
    /// Whether `start` counts in `unescaped` instead of the payload.
    escaped: bool,
    /// Where the name stands in the payload.
    offset: u32,
}

impl Key {
    // Payloads are at most 1 GiB (the decoder's limit is clamped), so positions fit.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn new(prefix: u64, start: usize, len: usize, offset: usize, escaped: bool) -> Key {
        Key {
            prefix,
            start: start as u32,
            len: len as u32,
            escaped,
            offset: offset as u32,
        }
    }
}

impl Key {
    /// One of 64, the same for the same name: the upper bits of a product depend on all bits of a factor.
    #[inline]
    fn bit(self) -> u64 {
        1 << ((self.prefix ^ u64::from(self.len)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
    }
}

/// The member names of all objects that are open at one point of a scan.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<Key>,
    unescaped: Vec<u8>,
}

/// Where an object's names begin.
pub(super) struct Frame {
    keys: usize,
    unescaped: usize,
    /// A bit for each name so far, the same for the same name.
    seen: u64,
}

impl Keys {
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.unescaped.clear();
        self.keys.shrink_to(KEEP);
        self.unescaped.shrink_to(KEEP);
    }

    #[inline]
    pub(super) fn enter(&self) -> Frame {
        Frame {
            keys: self.keys.len(),
            unescaped: self.unescaped.len(),
            seen: 0,
        }
    }

    /// Adds the name that stands at `start` in the payload; false if the object has it already.
    #[inline]
    pub(super) fn add(&mut self, text: &[u8], frame: &mut Frame, start: usize, name: Name<'_>) -> bool {
        self.push(
            text,
            frame,
            Key::new(name.prefix, start, name.text.len(), start, false),
        )
    }

    /// Adds a name whose escapes have been resolved.
    pub(super) fn add_escaped(
        &mut self,
        text: &[u8],
        frame: &mut Frame,
        offset: usize,
        name: Name<'_>,
    ) -> bool {
        let key = self.copy(offset, name);
        self.push(text, frame, key)
    }

    /// Adds a name that the object is known not to have yet.
    pub(super) fn add_copy(&mut self, frame: &mut Frame, offset: usize, name: Name<'_>) {
        let key = self.copy(offset, name);
        frame.seen |= key.bit();
        self.keys.push(key);
    }

    fn copy(&mut self, offset: usize, name: Name<'_>) -> Key {
        let start = self.unescaped.len();
        self.unescaped.extend_from_slice(name.text);
        Key::new(name.prefix, start, name.text.len(), offset, true)
    }

    #[inline]
    fn push(&mut self, text: &[u8], frame: &mut Frame, key: Key) -> bool {
        let bit = key.bit();
        let fresh = frame.seen & bit == 0 || !self.has(text, frame, key);
        frame.seen |= bit;
        self.keys.push(key);
        fresh
    }

    /// Whether an object that is still small has a name.
    fn has(&self, text: &[u8], frame: &Frame, key: Key) -> bool {
        let seen = self.keys.get(frame.keys..).unwrap_or(&[]);
        seen.len() < PAIRWISE && seen.iter().any(|other| self.same(text, *other, key))
    }

    /// Ends an object; the offset of a name that it has twice, if any was not found earlier.
    #[inline]
    pub(super) fn leave(&mut self, text: &[u8], frame: &Frame) -> Option<usize> {
        let duplicate = if self.keys.len() - frame.keys > PAIRWISE {
            self.sort(text, frame)
        } else {
            None
        };
        self.keys.truncate(frame.keys);
        self.unescaped.truncate(frame.unescaped);
        duplicate
    }

    fn sort(&mut self, text: &[u8], frame: &Frame) -> Option<usize> {
        let mut keys = std::mem::take(&mut self.keys);
        let all = keys.get_mut(frame.keys..).unwrap_or_default();
        all.sort_unstable_by(|a, b| {
            (a.prefix, a.len)
                .cmp(&(b.prefix, b.len))
                .then_with(|| self.bytes(text, *a).cmp(self.bytes(text, *b)))
        });
        let duplicate = all
            .windows(2)
            .filter(|pair| self.same(text, pair[0], pair[1]))
            .map(|pair| pair[0].offset.max(pair[1].offset) as usize)
            .min();
        self.keys = keys;
        duplicate
    }

    fn same(&self, text: &[u8], a: Key, b: Key) -> bool {
        a.prefix == b.prefix && a.len == b.len && (a.len <= 8 || self.bytes(text, a) == self.bytes(text, b))
    }

    fn bytes<'a>(&'a self, text: &'a [u8], key: Key) -> &'a [u8] {
        let from = if key.escaped { &self.unescaped } else { text };
        &from[key.start as usize..key.start as usize + key.len as usize]
    }
}
