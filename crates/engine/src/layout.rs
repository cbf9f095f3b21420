//! Which paths of a message the expressions want, as the decoder walks them and as a row stores them.
//!
//! The decoder follows [`Node`]s while it scans a message and puts what it finds into numbered slots; expressions
//! read slots. What nobody wants is never decoded.

use std::cell::Cell;
use std::sync::Arc;

/// A set of paths and their slots. Of `a` and `a.b` only `a` has a slot: the rest is read out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Shared, so that a decoder can tell by the place in memory that it is still the same.
    nodes: Arc<Vec<Entry>>,
    slots: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    slot: Option<usize>,
    /// Sorted by name.
    children: Vec<Child>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Child {
    prefix: u64,
    name: Box<str>,
    at: usize,
}

/// A member's name as the decoder finds it, with its first bytes as a number: most comparisons end there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) prefix: u64,
    /// Where it was found, for a name that is looked up in the same place of the same layout again and again.
    pub(crate) found: Option<&'a Cell<Found>>,
}

/// What became of a name that was looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Found {
    /// It was not yet.
    #[default]
    Unknown,
    /// Nobody wants it.
    Nowhere,
    /// The place of its entry.
    At(usize),
}

impl<'a> Name<'a> {
    pub(crate) fn new(text: &'a str) -> Name<'a> {
        Name::at(text.as_bytes(), 0, text.len())
    }

    /// The name of `len` bytes that stands at `start`.
    #[inline]
    pub(crate) fn at(bytes: &'a [u8], start: usize, len: usize) -> Name<'a> {
        let text = bytes.get(start..start + len).unwrap_or(&[]);
        // Nearly always there are eight bytes, as the name is not the last thing in the payload.
        let prefix = match bytes.get(start..).and_then(<[u8]>::first_chunk::<8>) {
            Some(eight) if len >= 8 => u64::from_le_bytes(*eight),
            Some(eight) => u64::from_le_bytes(*eight) & !(u64::MAX << (8 * len)),
            None => text
                .iter()
                .rev()
                .fold(0, |prefix, byte| prefix << 8 | u64::from(*byte)),
        };
        Name {
            text,
            prefix,
            found: None,
        }
    }

    #[inline]
    fn is(self, child: &Child) -> bool {
        // Up to eight bytes the number says it all.
        self.prefix == child.prefix
            && self.text.len() == child.name.len()
            && (self.text.len() <= 8 || self.text == child.name.as_bytes())
    }
}

/// A place in a layout: the message itself, or a path into it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'l> {
    layout: &'l Layout,
    entry: &'l Entry,
}

impl Layout {
    /// A layout for these paths. An empty path is the whole message.
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p [Box<str>]>) -> Layout {
        let mut paths: Vec<&[Box<str>]> = paths.into_iter().collect();
        // A prefix sorts before what it covers.
        paths.sort_unstable();
        let mut builder = Builder {
            nodes: vec![Entry::default()],
            slots: 0,
        };
        for path in paths {
            builder.insert(path);
        }
        Layout {
            nodes: builder.nodes.into(),
            slots: builder.slots,
        }
    }

    /// Whether this is the same as one that was looked at before, or a copy of it.
    #[inline]
    pub(crate) fn is(&self, other: &Layout) -> bool {
        Arc::ptr_eq(&self.nodes, &other.nodes)
    }

    #[inline]
    fn entry(&self, at: usize) -> &Entry {
        const NONE: &Entry = &Entry {
            slot: None,
            children: Vec::new(),
        };
        self.nodes.get(at).unwrap_or(NONE)
    }

    #[inline]
    fn node(&self, at: usize) -> Node<'_> {
        Node {
            layout: self,
            entry: self.entry(at),
        }
    }

    /// How many slots a row of this layout has.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The slot that holds a path, and how many of the path's leading names it covers; the rest of the path is
    /// inside the slot's value. `None` if no path of the layout covers this one.
    pub fn resolve(&self, path: &[Box<str>]) -> Option<(usize, usize)> {
        let mut node = self.root();
        let mut covered = 0;
        for name in path {
            if node.slot().is_some() {
                break;
            }
            node = node.child(name)?;
            covered += 1;
        }
        node.slot().map(|slot| (slot, covered))
    }

    /// Where a decoder starts: the message itself.
    pub fn root(&self) -> Node<'_> {
        self.node(0)
    }
}

/// A layout that is being made.
struct Builder {
    nodes: Vec<Entry>,
    slots: usize,
}

impl Builder {
    fn insert(&mut self, path: &[Box<str>]) {
        let mut at = 0;
        for name in path {
            let Some(entry) = self.nodes.get(at).filter(|entry| entry.slot.is_none()) else {
                return;
            };
            let children = &entry.children;
            at = match children.binary_search_by(|child| child.name.cmp(name)) {
                Ok(found) => children.get(found).map_or(0, |child| child.at),
                Err(place) => {
                    let new = self.nodes.len();
                    self.nodes.push(Entry::default());
                    if let Some(entry) = self.nodes.get_mut(at) {
                        let prefix = Name::new(name).prefix;
                        entry.children.insert(
                            place,
                            Child {
                                prefix,
                                name: name.clone(),
                                at: new,
                            },
                        );
                    }
                    new
                }
            };
        }
        let slot = self.slots;
        if let Some(entry) = self.nodes.get_mut(at)
            && entry.slot.is_none()
        {
            entry.slot = Some(slot);
            self.slots += 1;
        }
    }
}

impl<'l> Node<'l> {
    /// The place of a member of the object at this place, if anyone wants it.
    pub fn child(self, key: &str) -> Option<Node<'l>> {
        self.member(Name::new(key))
    }

    /// The same for a name that the decoder has found.
    #[inline]
    pub(crate) fn member(self, name: Name<'_>) -> Option<Node<'l>> {
        match name.found.map(Cell::get) {
            Some(Found::At(at)) => Some(self.layout.node(at)),
            Some(Found::Nowhere) => None,
            Some(Found::Unknown) | None => self.search(name),
        }
    }

    #[inline(never)]
    fn search(self, name: Name<'_>) -> Option<Node<'l>> {
        let children = &self.entry.children;
        let child = if children.len() <= 8 {
            children.iter().find(|child| name.is(child))
        } else {
            let found = children.binary_search_by(|child| child.name.as_bytes().cmp(name.text));
            found.ok().and_then(|at| children.get(at))
        };
        if let Some(found) = name.found {
            found.set(child.map_or(Found::Nowhere, |child| Found::At(child.at)));
        }
        child.map(|child| self.layout.node(child.at))
    }

    /// The slot that wants the value at this place. A place with a slot has no children.
    #[inline]
    pub fn slot(self) -> Option<usize> {
        self.entry.slot
    }

    /// Whether anything below this place is wanted.
    pub fn has_children(self) -> bool {
        !self.entry.children.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<Box<str>> {
        text.split('.')
            .filter(|name| !name.is_empty())
            .map(Box::from)
            .collect()
    }

    fn layout(paths: &[&str]) -> Layout {
        let paths: Vec<_> = paths.iter().map(|p| path(p)).collect();
        Layout::new(paths.iter().map(Vec::as_slice))
    }

    #[test]
    fn a_prefix_covers_what_is_below_it_whatever_the_order() {
        for paths in [["a.b", "a", "c"], ["a", "a.b", "c"], ["c", "a.b", "a"]] {
            let layout = layout(&paths);
            assert_eq!(layout.slots(), 2);
            assert_eq!(layout.resolve(&path("a.b.x")), Some((0, 1)));
            assert_eq!(layout.resolve(&path("c")), Some((1, 1)));
            assert_eq!(layout.resolve(&path("d")), None);
        }
    }

    #[test]
    fn the_empty_path_is_the_whole_message() {
        let layout = layout(&["a.b", ""]);
        assert_eq!(layout.slots(), 1);
        assert_eq!(layout.root().slot(), Some(0));
        assert_eq!(layout.resolve(&path("a.b")), Some((0, 0)));
        assert!(!layout.root().has_children());
    }

    #[test]
    fn repeats_share_a_slot_and_siblings_do_not() {
        let layout = layout(&["a.b", "a.b", "a.c"]);
        assert_eq!(layout.slots(), 2);
        let a = layout.root().child("a").unwrap();
        assert_eq!(a.slot(), None);
        assert_eq!(a.child("b").unwrap().slot(), Some(0));
        assert_eq!(a.child("c").unwrap().slot(), Some(1));
        assert!(a.child("d").is_none());
    }

    #[test]
    fn many_children_are_found_too() {
        let names: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let layout = layout(&names);
        assert_eq!(layout.slots(), 40);
        for name in names {
            assert!(layout.root().child(name).unwrap().slot().is_some());
        }
        assert!(layout.root().child("f40").is_none());
    }
}
