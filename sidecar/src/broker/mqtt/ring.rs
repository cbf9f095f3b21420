//! Things under way, by number: they end in about the order in which they began, so what has ended is dropped from the
//! front, and each is found at once. Pure.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Ring<T> {
    /// The number of the front.
    first: u64,
    /// `None` has ended.
    items: VecDeque<Option<T>>,
}

impl<T> Default for Ring<T> {
    fn default() -> Ring<T> {
        Ring {
            first: 0,
            items: VecDeque::new(),
        }
    }
}

impl<T> Ring<T> {
    /// The number of the front.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number of what is pushed next.
    pub(super) fn next(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    pub(super) fn push(&mut self, item: T) {
        self.items.push_back(Some(item));
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.items.get_mut(at)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let item = self.items.get_mut(at)?.take();
        while self.items.pop_front_if(|item| item.is_none()).is_some() {
            self.first += 1;
        }
        item
    }

    /// Ends all.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.first = self.next();
        self.items.drain(..).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_leaves_from_the_front() {
        let mut ring = Ring::default();
        for item in ["a", "b", "c"] {
            ring.push(item);
        }
        assert_eq!(ring.remove(1), Some("b"));
        assert_eq!((ring.remove(1), ring.get_mut(1)), (None, None));
        assert_eq!(ring.first(), 0);
        assert_eq!(ring.remove(0), Some("a"));
        assert_eq!((ring.first(), ring.next()), (2, 3));
        assert_eq!((ring.remove(0), ring.get_mut(3)), (None, None));
        assert_eq!(ring.get_mut(2), Some(&mut "c"));
        ring.push("d");
        assert_eq!(ring.drain().collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!((ring.first(), ring.next()), (4, 4));
    }
}
