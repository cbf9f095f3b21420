//! What groups were like in the last window that had them: what `previous` reads.
//!
//! Each group keeps what it had before that window too. A window that is computed again, because the process died
//! before its results were accepted, so reads what it read the first time.

use std::collections::HashMap;

use crate::time::Time;
use crate::window::Window;

use super::stored::take;

/// A group's last window.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    window: Window,
    before: Option<Box<[u8]>>,
    after: Box<[u8]>,
}

/// What an entry takes beyond its bytes.
const ENTRY: usize = 32 + size_of::<Past>();

/// The last windows of all groups.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    groups: HashMap<Box<[u8]>, Past>,
    /// Groups of the window that closes.
    closing: Vec<Box<[u8]>>,
    bytes: usize,
}

/// A group's key, and what is to be kept of it.
pub(crate) type Kept = (Box<[u8]>, Vec<u8>);

impl Previous {
    /// What a group had come to before a window.
    pub(crate) fn before(&self, key: &[u8], window: Window) -> Option<&[u8]> {
        let past = self.groups.get(key)?;
        if past.window == window {
            past.before.as_deref()
        } else {
            Some(&past.after)
        }
    }

    /// What a group has come to in a window.
    pub(crate) fn set(&mut self, key: &[u8], window: Window, after: Vec<u8>) {
        let before = self.before(key, window).map(Box::from);
        let after = after.into_boxed_slice();
        self.insert(
            key,
            Past {
                window,
                before,
                after,
            },
        );
        self.closing.push(key.into());
    }

    /// What the window that closed has changed.
    pub(crate) fn closed(&mut self) -> Vec<Kept> {
        let groups = &self.groups;
        let kept = self.closing.drain(..).filter_map(|key| {
            let past = groups.get(&key)?.encode();
            Some((key, past))
        });
        kept.collect()
    }

    /// Takes back what was kept of a group. False if it is nothing that was.
    #[must_use]
    pub(crate) fn recall(&mut self, key: &[u8], kept: &[u8]) -> bool {
        Past::decode(kept).map(|past| self.insert(key, past)).is_some()
    }

    /// The memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn insert(&mut self, key: &[u8], past: Past) {
        self.bytes += ENTRY + key.len() + past.bytes();
        if let Some(gone) = self.groups.insert(key.into(), past) {
            self.bytes = self.bytes.saturating_sub(ENTRY + key.len() + gone.bytes());
        }
    }
}

impl Past {
    fn bytes(&self) -> usize {
        self.before.as_ref().map_or(0, |before| before.len()) + self.after.len()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(25 + self.bytes());
        out.extend_from_slice(&self.window.start.0.to_be_bytes());
        out.extend_from_slice(&self.window.end.0.to_be_bytes());
        out.push(u8::from(self.before.is_some()));
        let before = self.before.as_deref().unwrap_or_default();
        out.extend_from_slice(&(before.len() as u64).to_be_bytes());
        out.extend_from_slice(before);
        out.extend_from_slice(&self.after);
        out
    }

    fn decode(mut from: &[u8]) -> Option<Past> {
        let from = &mut from;
        let window = Window {
            start: Time(i64::from_be_bytes(take(from)?)),
            end: Time(i64::from_be_bytes(take(from)?)),
        };
        let [has_before] = take(from)?;
        let length = usize::try_from(u64::from_be_bytes(take(from)?)).ok()?;
        let (before, after) = from.split_at_checked(length)?;
        Some(Past {
            window,
            before: (has_before == 1).then(|| before.into()),
            after: after.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64) -> Window {
        Window {
            start: Time(start),
            end: Time(start + 10),
        }
    }

    #[test]
    fn a_window_that_is_computed_again_reads_what_it_read() {
        let mut previous = Previous::default();
        assert_eq!(previous.before(b"k", window(0)), None);
        previous.set(b"k", window(0), b"first".to_vec());
        assert_eq!(previous.closed().len(), 1);
        assert_eq!(previous.before(b"k", window(0)), None, "computed again");
        assert_eq!(previous.before(b"k", window(10)), Some(b"first".as_slice()));
        previous.set(b"k", window(10), b"second".to_vec());
        let kept = previous.closed();
        let mut after = Previous::default();
        for (key, past) in &kept {
            assert!(after.recall(key, past));
        }
        assert_eq!(after.before(b"k", window(10)), Some(b"first".as_slice()));
        assert_eq!(after.before(b"k", window(20)), Some(b"second".as_slice()));
        assert_eq!(after.bytes(), previous.bytes());
        let (_, past) = &kept[0];
        for cut in 0..25 {
            assert!(!after.recall(b"k", &past[..cut]));
        }
    }
}
