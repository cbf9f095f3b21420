//! What expressions read while a window is joined: a single message, or the messages that inputs are bound to.

use std::cell::Cell;

use crate::expr::{self, Context};
use crate::field::Field;
use crate::row::Row;
use crate::window::Window;

impl expr::Row for Row<'_> {
    fn field(&self, slot: usize) -> Field<'_> {
        Row::field(self, slot)
    }
}

/// Where the number of an input's message stands: that it has none.
pub(super) const MISSING: u32 = u32::MAX;

/// An input's place in an evaluation: holds the message that is looked at, if there is one.
#[derive(Default)]
pub(super) struct Bound<'a>(Cell<Option<Row<'a>>>);

impl<'a> Bound<'a> {
    pub(super) fn set(&self, row: Option<Row<'a>>) {
        self.0.set(row);
    }
}

impl expr::Row for Bound<'_> {
    fn field(&self, slot: usize) -> Field<'_> {
        self.0.get().map_or(Field::Absent, |row| row.field(slot))
    }

    fn is_missing(&self) -> bool {
        self.0.get().is_none()
    }
}

/// Evaluates what concerns a single input.
#[derive(Clone, Copy)]
pub(crate) struct Single {
    pub(crate) inputs: usize,
    pub(crate) window: Window,
}

impl Single {
    /// Every input's row is this one: of the others, nothing is read.
    pub(crate) fn with<T>(self, row: &dyn expr::Row, then: impl FnOnce(&Context<'_>) -> T) -> T {
        let context = |rows: &[&dyn expr::Row]| {
            then(&Context::new(rows).with_window(self.window.start, self.window.end))
        };
        if self.inputs <= 4 {
            context(&[row; 4])
        } else {
            context(&[row; 64])
        }
    }
}
