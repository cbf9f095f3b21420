//! The names of the last message's members. Those of the next one are nearly always the same in the same order, and
//! then each needs no more than a comparison: it is not scanned, not looked for among those before it, and known
//! to be whole.

use std::cell::Cell;

use super::keys::{Frame, Keys, PAIRWISE};
use crate::layout::{Found, Layout, Name};

/// Names of no more than this many bytes together are remembered.
const KEEP: usize = 1024;

/// The names of an object's members, in their order.
#[derive(Default)]
pub(super) struct Shape {
    /// The names as they stand before a value: with quotes and colon.
    text: Vec<u8>,
    members: Vec<Member>,
    /// Where the members' values go.
    layout: Layout,
    /// How many members of the object at hand are as expected.
    at: usize,
    /// Whether all of them so far are.
    follows: bool,
    /// Whether all of them so far are remembered.
    learns: bool,
}

struct Member {
    start: usize,
    end: usize,
    /// The first eight bytes of `"name":`, and the last eight.
    head: [u8; 8],
    tail: [u8; 8],
    prefix: u64,
    /// Where the layout has it.
    found: Cell<Found>,
}

impl Shape {
    /// Where an object begins whose values are for a layout.
    #[inline]
    pub(super) fn begin(&mut self, layout: &Layout) {
        if !self.layout.is(layout) {
            self.layout = layout.clone();
            self.members
                .iter_mut()
                .for_each(|member| member.found = Cell::default());
        }
        self.at = 0;
        self.follows = true;
        self.learns = true;
    }

    /// The name that is expected next, if it is what `rest` begins with; and how many bytes it takes, quotes and
    /// colon included.
    #[inline]
    pub(super) fn next(&mut self, rest: &[u8]) -> Option<(Name<'_>, usize)> {
        let member = self.members.get(self.at).filter(|_| self.follows)?;
        let len = member.end - member.start;
        let text = self.text.get(member.start..member.end)?;
        let there = if let 8..=16 = len {
            rest.get(len - 8..).and_then(<[u8]>::first_chunk) == Some(&member.tail)
                && rest.first_chunk() == Some(&member.head)
        } else {
            rest.starts_with(text)
        };
        if !there {
            return None;
        }
        self.at += 1;
        let name = Name {
            text: text.get(1..len - 2)?,
            prefix: member.prefix,
            found: Some(&member.found),
        };
        Some((name, len))
    }

    /// A name that is not the expected one. What follows is no longer expected, and those before it are added to
    /// `keys`, where it will be looked for.
    #[cold]
    pub(super) fn depart(&mut self, keys: &mut Keys, frame: &mut Frame) {
        self.follows = false;
        self.members.truncate(self.at);
        self.text
            .truncate(self.members.last().map_or(0, |member| member.end));
        for member in &self.members {
            let name = self.text.get(member.start + 1..member.end - 2).unwrap_or(&[]);
            let prefix = member.prefix;
            let found = None;
            keys.add_copy(
                frame,
                0,
                Name {
                    text: name,
                    prefix,
                    found,
                },
            );
        }
    }

    pub(super) fn follows(&self) -> bool {
        self.follows
    }

    /// Remembers a name that no other member of the object has, as it stands in the payload up to its value.
    pub(super) fn learn(&mut self, name: Name<'_>, text: &[u8]) {
        let (start, end) = (self.text.len(), self.text.len() + text.len());
        // With white space before the colon it would be longer.
        let usual = text.len() == name.text.len() + 3;
        self.learns &= usual && self.members.len() < PAIRWISE && end <= KEEP;
        if self.learns {
            self.text.extend_from_slice(text);
            self.members.push(Member {
                start,
                end,
                head: text.first_chunk().copied().unwrap_or_default(),
                tail: text.last_chunk().copied().unwrap_or_default(),
                prefix: name.prefix,
                found: Cell::default(),
            });
        }
    }
}
