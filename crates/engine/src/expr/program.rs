//! Expressions bound to the layout of their messages: what runs for every message and every candidate pair.

use std::sync::Arc;

use crate::field::Field;
use crate::layout::Layout;
use crate::time::Time;
use crate::value::Value;

use super::code::{Access, OpId, Unit};
use super::error::EvalError;
use super::machine::Machine;

/// A decoded message, as its fields by slot.
pub trait Row {
    /// What is in a slot. A slot that the row does not have is [`Field::Absent`].
    fn field(&self, slot: usize) -> Field<'_>;
}

impl Row for [Field<'_>] {
    fn field(&self, slot: usize) -> Field<'_> {
        self.get(slot).copied().unwrap_or(Field::Absent)
    }
}

impl<const N: usize> Row for [Field<'_>; N] {
    fn field(&self, slot: usize) -> Field<'_> {
        self.as_slice().field(slot)
    }
}

impl Row for Vec<Field<'_>> {
    fn field(&self, slot: usize) -> Field<'_> {
        self.as_slice().field(slot)
    }
}

/// The row of an input that has none: every field is absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRow;

impl Row for NoRow {
    fn field(&self, _: usize) -> Field<'_> {
        Field::Absent
    }
}

/// What an evaluation reads: a row for each input in the scope's order, and what the engine knows besides.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    rows: &'a [&'a dyn Row],
    topic: &'a str,
    key: Option<&'a str>,
    window: Option<(Time, Time)>,
}

impl<'a> Context<'a> {
    /// Of these rows, without a message's topic and key and without a window.
    pub fn new(rows: &'a [&'a dyn Row]) -> Context<'a> {
        Context {
            rows,
            topic: "",
            key: None,
            window: None,
        }
    }

    /// With what `topic` and `key` are.
    #[must_use]
    pub fn with_message(self, topic: &'a str, key: Option<&'a str>) -> Context<'a> {
        Context { topic, key, ..self }
    }

    /// With what `window.start` and `window.end` are.
    #[must_use]
    pub fn with_window(self, start: Time, end: Time) -> Context<'a> {
        Context {
            window: Some((start, end)),
            ..self
        }
    }

    pub(super) fn field(&self, input: usize, slot: usize) -> Field<'a> {
        self.rows.get(input).map_or(Field::Absent, |row| row.field(slot))
    }

    pub(super) fn topic(&self) -> &'a str {
        self.topic
    }

    pub(super) fn key(&self) -> Option<&'a str> {
        self.key
    }

    pub(super) fn window(&self) -> Option<(Time, Time)> {
        self.window
    }
}

/// Where a field is: an input's slot, and how much of the path is left to walk inside of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) input: usize,
    pub(super) slot: usize,
    pub(super) covered: usize,
    /// Whether that is the whole path.
    pub(super) exact: bool,
}

/// An expression that is ready to run.
#[derive(Clone, Debug)]
pub struct Program {
    unit: Arc<Unit>,
    root: OpId,
    /// For each access of the unit; `None` for those that this expression does not read.
    places: Box<[Option<Place>]>,
}

impl Program {
    pub(super) fn new(unit: &Arc<Unit>, root: OpId, layouts: &[&Layout]) -> Program {
        let reads = unit.reads(root);
        let place = |(access, read): (&Access, bool)| {
            let layout = layouts.get(access.input).filter(|_| read)?;
            let (slot, covered) = layout.resolve(&access.path)?;
            Some(Place {
                input: access.input,
                slot,
                covered,
                exact: covered == access.path.len(),
            })
        };
        let places = unit.accesses.iter().zip(reads).map(place).collect();
        Program {
            unit: Arc::clone(unit),
            root,
            places,
        }
    }

    /// The expression's value. It borrows from the rows and from the program.
    pub fn eval<'a>(&'a self, cx: &Context<'a>) -> Result<Value<'a>, EvalError> {
        Machine::new(&self.unit, &self.places, *cx).eval(self.root)
    }

    /// Whether the expression is true: what a filter asks. A value that is no bool is an error.
    pub fn test(&self, cx: &Context<'_>) -> Result<bool, EvalError> {
        let value = self.eval(cx)?;
        value
            .truthy()
            .ok_or_else(|| EvalError::no_such_overload("where", [value.kind()]))
    }

    /// Appends the expression's value as compact JSON. Maps and lists that the expression spells out are written
    /// as they are evaluated, without a value in between. On an error `out` is as it was.
    pub fn write_json(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
        let before = out.len();
        let written = Machine::new(&self.unit, &self.places, *cx).write_json(self.root, out, 0);
        if written.is_err() {
            out.truncate(before);
        }
        written
    }
}
