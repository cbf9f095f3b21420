//! What groups were like in the last window that had them: what `previous` reads.
//!
//! Each group keeps what it had come to before all windows that may be computed again, too. A window that is, because the
//! process died before its results were accepted, so reads what it read the first time, whatever was written of it and of
//! those after it by then.
//!
//! With a store all of it is there: written some groups at a time, in the order in which their windows make results, and
//! before the messages go that it was made of.

use crate::spill::{Home, Keyed, Stored};
use crate::state::StateError;
use crate::time::Time;
use crate::tokens;
use crate::window::Window;

use super::stored::take;

/// Groups that are written at once.
const TOGETHER: usize = 1024;

/// What a group has come to, by window, in the order of windows: in all that may be computed again, and in the last one
/// before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Past(Vec<(Window, Box<[u8]>)>);

/// The last windows of all groups.
#[derive(Debug, Default)]
pub(crate) struct Previous {
    groups: Keyed<Past>,
    /// Groups that the store may have something else of.
    changed: Vec<Box<[u8]>>,
    /// Windows that end after this may be computed again; `None` if none ever is.
    settled: Option<Time>,
}

/// Windows close in this order.
fn order(window: Window) -> (Time, Time) {
    (window.end, window.start)
}

impl Previous {
    /// What groups come to is kept there, with what an earlier life left. Windows that end by then are never computed
    /// again.
    pub(crate) fn settle(&mut self, home: Home, settled: Time) {
        self.groups.settle(home);
        self.settled = Some(settled);
    }

    /// Windows that end by then are never computed again.
    pub(crate) fn settled(&mut self, until: Time) {
        self.settled = self.settled.map(|settled| settled.max(until));
    }

    /// What groups have come to so far is in the store after this.
    pub(crate) fn write(&mut self) -> Result<(), StateError> {
        self.groups.write(self.changed.drain(..))
    }

    /// What a group had come to before a window.
    pub(crate) fn before(&mut self, key: &[u8], window: Window) -> Result<Option<Vec<u8>>, StateError> {
        let past = self.groups.get(key)?;
        let before = past.and_then(|past| past.0.iter().rev().find(|(of, _)| order(*of) < order(window)));
        Ok(before.map(|(_, after)| after.to_vec()))
    }

    /// What a group has come to in a window.
    pub(crate) fn set(&mut self, key: &[u8], window: Window, after: Vec<u8>) -> Result<(), StateError> {
        let mut past = self.groups.get(key)?.cloned().unwrap_or_default();
        // Those after it are computed again, if this one is.
        past.0.retain(|(of, _)| order(*of) < order(window));
        let is_done = |of: Window| self.settled.is_none_or(|settled| of.end <= settled);
        let done = past.0.iter().take_while(|(of, _)| is_done(*of)).count();
        past.0.drain(..done.saturating_sub(1));
        past.0.push((window, after.into_boxed_slice()));
        self.groups.put(key, past)?;
        if self.settled.is_some() {
            self.changed.push(key.into());
            if self.changed.len() >= TOGETHER {
                self.write()?;
            }
        }
        Ok(())
    }

    /// The memory that they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.groups.bytes()
    }
}

impl Stored for Past {
    fn bytes(&self) -> u64 {
        let windows = self.0.iter();
        windows
            .map(|(_, after)| size_of::<(Window, Box<[u8]>)>() + after.len())
            .sum::<usize>() as u64
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for (window, after) in &self.0 {
            out.extend_from_slice(&window.start.0.to_be_bytes());
            out.extend_from_slice(&window.end.0.to_be_bytes());
            tokens::write(after.len() as u64, out);
            out.extend_from_slice(after);
        }
    }

    fn decode(mut from: &[u8]) -> Option<Past> {
        let mut past = Past::default();
        while !from.is_empty() {
            let window = Window {
                start: Time(i64::from_be_bytes(take(&mut from)?)),
                end: Time(i64::from_be_bytes(take(&mut from)?)),
            };
            let len = usize::try_from(tokens::read(&mut from)?).ok()?;
            past.0.push((window, from.split_off(..len)?.into()));
        }
        Some(past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::{Spill, Store};
    use crate::state::MemoryDisk;

    fn window(start: i64) -> Window {
        Window {
            start: Time(start),
            end: Time(start + 10),
        }
    }

    fn before(previous: &mut Previous, start: i64) -> Option<String> {
        let before = previous.before(b"k", window(start)).unwrap();
        before.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn set(previous: &mut Previous, start: i64, after: &str) {
        previous.set(b"k", window(start), after.into()).unwrap();
    }

    #[test]
    fn a_window_that_is_computed_again_reads_what_it_read() {
        let disk = MemoryDisk::default();
        let store = Store::new(disk.open());
        let mut spill = Spill::new(store.clone(), 1 << 20).unwrap();
        // What is written in one life is read in the next.
        let home = |share| Home {
            prefix: b"p".to_vec(),
            share,
            used: true,
            ..spill.home(share)
        };
        let mut homes = [0, 1 << 20, 0].map(home).into_iter();
        let mut previous = Previous::default();
        previous.settle(homes.next().unwrap(), Time(0));
        assert_eq!(before(&mut previous, 0), None);
        set(&mut previous, 0, "first");
        assert_eq!(before(&mut previous, 0), None, "computed again");
        assert_eq!(before(&mut previous, 10).as_deref(), Some("first"));
        set(&mut previous, 10, "second");
        set(&mut previous, 20, "third");
        previous.write().unwrap();
        let mut after = Previous::default();
        after.settle(homes.next().unwrap(), Time(0));
        assert_eq!(before(&mut after, 0), None);
        assert_eq!(before(&mut after, 10).as_deref(), Some("first"));
        assert_eq!(before(&mut after, 20).as_deref(), Some("second"));
        assert_eq!(before(&mut after, 90).as_deref(), Some("third"));
        // All again, and then on.
        set(&mut after, 0, "1st");
        assert_eq!(before(&mut after, 90).as_deref(), Some("1st"));
        set(&mut after, 10, "2nd");
        after.settled(Time(20));
        set(&mut after, 20, "3rd");
        assert_eq!(before(&mut after, 20).as_deref(), Some("2nd"));
        assert_eq!(before(&mut after, 10), None, "nothing of what is done with");
        after.write().unwrap();
        let mut last = Previous::default();
        last.settle(homes.next().unwrap(), Time(20));
        assert_eq!(before(&mut last, 30).as_deref(), Some("3rd"));
    }

    #[test]
    fn nobody_keeps_more_than_two_windows_without_a_store() {
        let mut previous = Previous::default();
        set(&mut previous, 0, "first");
        set(&mut previous, 10, "other");
        let two = previous.bytes();
        set(&mut previous, 20, "third");
        assert_eq!(before(&mut previous, 20).as_deref(), Some("other"));
        assert_eq!(before(&mut previous, 30).as_deref(), Some("third"));
        assert_eq!(previous.bytes(), two);
    }

    #[test]
    fn what_is_no_past_is_told_from_one() {
        let past = Past(vec![
            (window(0), b"one".as_slice().into()),
            (window(10), b"".as_slice().into()),
        ]);
        let mut bytes = Vec::new();
        past.encode(&mut bytes);
        assert_eq!(Past::decode(&bytes).as_ref(), Some(&past));
        for cut in (1..bytes.len()).filter(|cut| *cut != 20) {
            assert_eq!(Past::decode(&bytes[..cut]), None);
        }
    }
}
