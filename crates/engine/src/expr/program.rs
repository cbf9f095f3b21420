//! Expressions bound to the layout of their messages: what runs for every message and every candidate pair.

use std::ops::Range;
use std::sync::Arc;

use crate::field::Field;
use crate::layout::Layout;
use crate::time::Time;
use crate::value::Value;

use super::ast::Binary;
use super::code::{Access, Op, OpId, Unit};
use super::error::EvalError;
use super::machine::Machine;
use super::template::Template;

/// A decoded message, as its fields by slot.
pub trait Row {
    /// What is in a slot. A slot that the row does not have is [`Field::Absent`].
    fn field(&self, slot: usize) -> Field<'_>;

    /// Whether its input has no row at all, as an outer join leaves it: then every path into it reads as null.
    fn is_missing(&self) -> bool {
        false
    }
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

/// The row of an input that has nothing to match in an outer join: the input's variable is null, and so is every
/// path into it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MissingRow;

impl Row for MissingRow {
    fn field(&self, _: usize) -> Field<'_> {
        Field::Absent
    }

    fn is_missing(&self) -> bool {
        true
    }
}

/// What an expression over a group reads.
#[derive(Debug)]
pub(crate) struct GroupValues<'a> {
    /// Of `groupBy`, in its order.
    pub(crate) keys: Vec<Value<'a>>,
    /// By position among the component's aggregates, in order; those that the expression does not read may be left
    /// out.
    pub(crate) aggregates: Vec<(usize, Value<'a>)>,
    /// What `previous` gives, by position; empty if there was no result before.
    pub(crate) previous: Vec<Value<'a>>,
}

impl<'a> GroupValues<'a> {
    const NONE: &'static GroupValues<'static> = &GroupValues {
        keys: Vec::new(),
        aggregates: Vec::new(),
        previous: Vec::new(),
    };

    pub(super) fn key(&self, at: usize) -> Value<'a> {
        self.keys.get(at).cloned().unwrap_or(Value::Null)
    }

    pub(super) fn aggregate(&self, at: usize) -> Value<'a> {
        let found = self
            .aggregates
            .binary_search_by_key(&at, |(place, _)| *place)
            .ok();
        found
            .and_then(|found| self.aggregates.get(found))
            .map_or(Value::Null, |(_, value)| value.clone())
    }

    pub(super) fn previous(&self, at: usize) -> Option<Value<'a>> {
        self.previous.get(at).cloned()
    }
}

/// What an evaluation reads: a row for each input in the scope's order, and what the engine knows besides.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    rows: &'a [&'a dyn Row],
    topic: &'a str,
    key: Option<&'a str>,
    window: Option<(Time, Time)>,
    group: &'a GroupValues<'a>,
}

impl<'a> Context<'a> {
    /// Of these rows, without a message's topic and key and without a window.
    pub fn new(rows: &'a [&'a dyn Row]) -> Context<'a> {
        Context {
            rows,
            topic: "",
            key: None,
            window: None,
            group: GroupValues::NONE,
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

    /// With what is known of a group.
    #[must_use]
    pub(crate) fn with_group(self, group: &'a GroupValues<'a>) -> Context<'a> {
        Context { group, ..self }
    }

    pub(super) fn group(&self) -> &'a GroupValues<'a> {
        self.group
    }

    pub(super) fn field(&self, input: usize, slot: usize) -> Field<'a> {
        self.rows.get(input).map_or(Field::Absent, |row| row.field(slot))
    }

    pub(super) fn is_missing(&self, input: usize) -> bool {
        self.rows.get(input).is_some_and(|row| row.is_missing())
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
    shortcut: Option<Shortcut>,
    template: Option<Template>,
    /// The aggregates that it reads, by their positions, in order.
    aggregates: Box<[usize]>,
}

/// What most keys and filters are: they run for every message, and need no machine.
#[derive(Clone, Copy, Debug)]
enum Shortcut {
    /// A field.
    Field(Place),
    /// A field, which should be a number, against a constant one.
    Compare { place: Place, op: Binary, constant: f64 },
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
        let places: Box<[Option<Place>]> = unit.accesses.iter().zip(reads).map(place).collect();
        Program {
            shortcut: Shortcut::of(unit, root, &places),
            template: Template::of(unit, root, &places),
            aggregates: unit.aggregates(root).into(),
            unit: Arc::clone(unit),
            root,
            places,
        }
    }

    /// The aggregates that it reads, by their positions.
    pub(crate) fn aggregates(&self) -> &[usize] {
        &self.aggregates
    }

    /// The slot of its only input that it reads, if it does no more than that.
    pub(crate) fn as_slot(&self) -> Option<usize> {
        match self.shortcut {
            Some(Shortcut::Field(place)) => Some(place.slot),
            _ => None,
        }
    }

    /// The expression's value. It borrows from the rows and from the program.
    pub fn eval<'a>(&'a self, cx: &Context<'a>) -> Result<Value<'a>, EvalError> {
        if let Some(Shortcut::Field(place)) = self.shortcut
            && let Some(value) = Value::from_field(cx.field(place.input, place.slot))
        {
            return Ok(value);
        }
        Machine::new(&self.unit, &self.places, *cx).eval(self.root)
    }

    /// Whether the expression is true: what a filter asks. A value that is no bool is an error.
    pub fn test(&self, cx: &Context<'_>) -> Result<bool, EvalError> {
        if let Some(Shortcut::Compare { place, op, constant }) = self.shortcut
            && let Field::Number(number) = cx.field(place.input, place.slot)
        {
            return Ok(match op {
                Binary::Less => number < constant,
                Binary::LessEqual => number <= constant,
                Binary::Greater => number > constant,
                _ => number >= constant,
            });
        }
        let value = self.eval(cx)?;
        value
            .truthy()
            .ok_or_else(|| EvalError::no_such_overload("where", [value.kind()]))
    }

    /// Appends the expression's value as compact JSON. Maps and lists that the expression spells out are written
    /// as they are evaluated, without a value in between. On an error `out` is as it was.
    pub fn write_json(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
        self.write_json_again(cx, out, None)
    }

    /// The same, where the last thing in `out` may be of a context that differed in the row of one input only: `again`
    /// is that input, and where in `out` what they have in common is, as far as that is known.
    pub(crate) fn write_json_again(
        &self,
        cx: &Context<'_>,
        out: &mut Vec<u8>,
        again: Option<(usize, &mut Range<usize>)>,
    ) -> Result<(), EvalError> {
        if let Some(template) = &self.template
            && template.write(cx, out, again)
        {
            return Ok(());
        }
        let before = out.len();
        let written = Machine::new(&self.unit, &self.places, *cx).write_json(self.root, out, 0);
        if written.is_err() {
            out.truncate(before);
        }
        written
    }
}

impl Shortcut {
    fn of(unit: &Unit, root: OpId, places: &[Option<Place>]) -> Option<Shortcut> {
        let field = |id: OpId| match unit.op(id) {
            Op::Field(access) => places.get(*access).copied().flatten().filter(|place| place.exact),
            _ => None,
        };
        if let Some(place) = field(root) {
            return Some(Shortcut::Field(place));
        }
        let Op::Order { op, left, right } = unit.op(root) else {
            return None;
        };
        // An `int` constant compares by value: so does its double, where there is an exact one.
        let constant = |id: OpId| match unit.op(id) {
            Op::Const(Value::Double(number)) => Some(*number),
            Op::Const(Value::Int(number)) => i32::try_from(*number).ok().map(f64::from),
            _ => None,
        };
        if let (Some(place), Some(constant)) = (field(*left), constant(*right)) {
            return Some(Shortcut::Compare {
                place,
                op: *op,
                constant,
            });
        }
        let (Some(constant), Some(place)) = (constant(*left), field(*right)) else {
            return None;
        };
        let op = match op {
            Binary::Less => Binary::Greater,
            Binary::LessEqual => Binary::GreaterEqual,
            Binary::Greater => Binary::Less,
            _ => Binary::LessEqual,
        };
        Some(Shortcut::Compare { place, op, constant })
    }
}
