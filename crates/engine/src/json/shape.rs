//! The names of the last message's members. Those of the next one are nearly always the same in the same order, and
//! then each needs no more than a comparison: it is not scanned, not looked for among those before it, and known
//! to be whole.

use std::cell::Cell;

use super::keys::{Frame, Keys, PAIRWISE};
use super::{number, text};
use crate::field::Field;
use crate::layout::{Found, Layout, Name, Node};
use crate::row::RowBuilder;

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
    /// Whether it is known of each member where its value goes.
    settled: bool,
}

struct Member {
    start: usize,
    end: usize,
    /// The first sixteen bytes of `"name":`, or all if there are fewer, as the mask says.
    head: u128,
    mask: u128,
    prefix: u64,
    /// Where the layout has it.
    found: Cell<Found>,
    goes: Goes,
}

/// Where a member's value goes.
#[derive(Clone, Copy, PartialEq)]
enum Goes {
    /// That is to be found out, or takes a closer look at the value.
    Ask,
    Nowhere,
    To(usize),
}

impl Member {
    fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether `rest` begins with it, which is somewhere in `text`.
    #[inline]
    fn begins(&self, rest: &[u8], text: &[u8]) -> bool {
        match rest.first_chunk() {
            Some(first) if self.len() <= 16 => (u128::from_le_bytes(*first) ^ self.head) & self.mask == 0,
            _ => text
                .get(self.start..self.end)
                .is_some_and(|name| rest.starts_with(name)),
        }
    }
}

impl Shape {
    /// Where an object begins whose values are for a layout.
    #[inline]
    pub(super) fn begin(&mut self, layout: &Layout) {
        if !self.layout.is(layout) {
            self.layout = layout.clone();
            self.settled = false;
            for member in &mut self.members {
                member.found = Cell::default();
                member.goes = Goes::Ask;
            }
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
        if !member.begins(rest, &self.text) {
            return None;
        }
        let len = member.len();
        let text = self.text.get(member.start..member.end)?;
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

    /// Whether some members of the object at hand are scanned.
    pub(super) fn has_begun(&self) -> bool {
        self.at > 0
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
            let mut head = [0; 16];
            let mut mask = [0; 16];
            for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(text) {
                (*head, *mask) = (*byte, u8::MAX);
            }
            self.settled = false;
            self.members.push(Member {
                start,
                end,
                head: u128::from_le_bytes(head),
                mask: u128::from_le_bytes(mask),
                prefix: name.prefix,
                found: Cell::default(),
                goes: Goes::Ask,
            });
        }
    }

    /// An object was scanned with it: finds out where values go that are strings, numbers or literals. `special` names
    /// a member that is not to be passed over.
    #[inline]
    pub(super) fn settle(&mut self, root: Node<'_>, special: &[u8]) {
        if self.settled {
            return;
        }
        self.settled = true;
        for member in &mut self.members {
            let text = self.text.get(member.start + 1..member.end - 2).unwrap_or(&[]);
            let name = Name {
                text,
                prefix: member.prefix,
                found: Some(&member.found),
            };
            member.goes = match root.member(name) {
                _ if text == special => Goes::Ask,
                None => Goes::Nowhere,
                Some(node) => node.slot().map_or(Goes::Ask, Goes::To),
            };
        }
    }

    /// Scans the members of an object as long as they are the expected ones, without much space around them and with
    /// values that take no closer look; their brace is at 0. Gives the place after the object's end, or, for whoever
    /// looks closer, that where the next member begins.
    #[inline]
    pub(super) fn follow(&mut self, text: &str, row: &mut RowBuilder) -> Followed {
        let bytes = text.as_bytes();
        let mut pos = 1;
        for member in self.members.get(self.at..).unwrap_or(&[]) {
            let begin = pos + usize::from(bytes.get(pos) == Some(&b' '));
            let rest = bytes.get(begin..).unwrap_or(&[]);
            if member.goes == Goes::Ask || !member.begins(rest, &self.text) {
                break;
            }
            let at = begin + member.len();
            let at = at + usize::from(bytes.get(at) == Some(&b' '));
            let Some(end) = value(text, at, member.goes, row) else {
                break;
            };
            match bytes.get(end) {
                Some(b',') => pos = end + 1,
                Some(b'}') => return Followed::End(end + 1),
                _ => break,
            }
            self.at += 1;
        }
        Followed::Until(pos)
    }
}

/// How far an object is as expected.
pub(super) enum Followed {
    /// To its end, which is before this place.
    End(usize),
    /// Up to this place, where a member begins.
    Until(usize),
}

/// Scans the value at `at`, if it is a plain one. Gives its end.
#[inline]
fn value(text: &str, at: usize, goes: Goes, row: &mut RowBuilder) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.get(at)? {
        b'"' => {
            let end = text::plain(bytes, at + 1)?;
            if let Goes::To(slot) = goes {
                row.set_str(slot, text.get(at + 1..end)?);
            }
            Some(end + 1)
        }
        b'-' | b'0'..=b'9' => {
            let (number, end) = number::short(bytes, at)?;
            if let Goes::To(slot) = goes {
                row.set_number(slot, number);
            }
            Some(end)
        }
        b't' => literal(bytes, at, "true", (goes, Field::Bool(true)), row),
        b'f' => literal(bytes, at, "false", (goes, Field::Bool(false)), row),
        b'n' => literal(bytes, at, "null", (goes, Field::Null), row),
        _ => None,
    }
}

fn literal(
    bytes: &[u8],
    at: usize,
    word: &str,
    (goes, field): (Goes, Field<'_>),
    row: &mut RowBuilder,
) -> Option<usize> {
    if !bytes.get(at..)?.starts_with(word.as_bytes()) {
        return None;
    }
    if let Goes::To(slot) = goes {
        row.set(slot, field);
    }
    Some(at + word.len())
}
