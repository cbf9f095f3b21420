//! The evaluator: walks operations, reads fields by slot, and counts what it does so that nothing is unbounded.
//!
//! One machine lives for one evaluation. `eval` only dispatches: it is what recurses, so its frame stays small.

use std::cmp::Ordering;

use crate::field::Field;
use crate::value::{Meter, ParseLimit, Timestamp, Value, member, parse};

use super::ast::Binary;
use super::code::{Op, OpId, Unit};
use super::error::EvalError;
use super::functions::Pattern;
use super::limits::MAX_COST;
use super::program::{Context, Place};

mod arithmetic;
mod comprehension;
mod lookup;
mod output;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) struct Machine<'a> {
    unit: &'a Unit,
    places: &'a [Option<Place>],
    cx: Context<'a>,
    /// What is left of the cost that the evaluation may have.
    budget: u64,
    /// The variables of the macros around an operation, outermost first.
    locals: Vec<Value<'a>>,
    /// The variables of `cel.bind` whose value failed, and how.
    failed: Vec<(usize, EvalError)>,
    /// Arrays and objects of messages that were parsed, by where their text is, so that a loop parses them once.
    parsed: Vec<(*const u8, Value<'a>)>,
    /// The last pattern that a message brought.
    pub(super) pattern: Option<Box<Pattern>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(unit: &'a Unit, places: &'a [Option<Place>], cx: Context<'a>) -> Machine<'a> {
        Machine {
            unit,
            places,
            cx,
            budget: MAX_COST,
            locals: Vec::new(),
            failed: Vec::new(),
            parsed: Vec::new(),
            pattern: None,
        }
    }

    /// A machine for operations that read nothing, at compile time.
    pub(super) fn constant(unit: &'a Unit, budget: u64) -> Machine<'a> {
        Machine {
            budget,
            ..Machine::new(unit, &[], Context::new(&[]))
        }
    }

    /// Takes a cost from the budget.
    pub(super) fn spend(&mut self, cost: u64) -> std::result::Result<(), EvalError> {
        let Some(left) = self.budget.checked_sub(cost) else {
            self.budget = 0;
            return Err(EvalError::cost_exceeded());
        };
        self.budget = left;
        Ok(())
    }

    /// Takes the cost of so many bytes of text, read or made.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> std::result::Result<(), EvalError> {
        self.spend(bytes as u64 / 16)
    }

    pub(super) fn eval(&mut self, id: OpId) -> Result<'a> {
        self.spend(1)?;
        match self.unit.op(id) {
            Op::Const(value) => Ok(borrow(value)),
            Op::Field(access) => self.field(*access),
            Op::HasField(access) => self.has_field(*access),
            Op::Topic => Ok(Value::string(self.cx.topic())),
            Op::Key => Ok(self.cx.key().map_or(Value::Null, Value::string)),
            Op::WindowStart => self.window(true),
            Op::WindowEnd => self.window(false),
            Op::Aggregate(at) => Ok(self.cx.group().aggregate(*at)),
            Op::GroupKey(at) => Ok(self.cx.group().key(*at)),
            Op::Previous { at, default } => match (self.cx.group().previous(*at), default) {
                (Some(value), _) => Ok(value),
                (None, Some(default)) => self.eval(*default),
                (None, None) => Ok(Value::Null),
            },
            Op::Local(at) => self.local(*at),
            Op::Select { operand, field } => self.select(*operand, field),
            Op::Has { operand, path } => self.has(*operand, path),
            Op::Index { operand, index } => self.index(*operand, *index),
            Op::Not(operand) => self.truth(*operand, "!").map(|b| Value::Bool(!b)),
            Op::Negate(operand) => self.negate(*operand),
            Op::Arithmetic { op, left, right } => self.arithmetic(*op, *left, *right),
            Op::Equal { left, right, negated } => {
                self.equal(*left, *right).map(|b| Value::Bool(b != *negated))
            }
            Op::Order { op, left, right } => self.order(*op, *left, *right),
            Op::In { item, container } => self.contains(*item, *container),
            Op::And(items) => self.logic(items, "&&", true),
            Op::Or(items) => self.logic(items, "||", false),
            Op::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let id = if self.truth(*condition, "? :")? {
                    *then
                } else {
                    *otherwise
                };
                self.eval(id)
            }
            Op::List(items) => self.list(items),
            Op::Map { entries, .. } => self.map(entries),
            Op::Call { .. } => self.call(id),
            Op::Matches { text, pattern } => self.matches(*text, pattern),
            Op::Loop(inner) => self.comprehension(inner),
            Op::Bind { local, value, body } => self.bind(*local, *value, *body),
        }
    }

    /// An operand that has to be true or false.
    fn truth(&mut self, id: OpId, operation: &'static str) -> std::result::Result<bool, EvalError> {
        match self.eval(id)? {
            Value::Bool(b) => Ok(b),
            other => Err(EvalError::no_such_overload(operation, [other.kind()])),
        }
    }

    /// What a message has at an access' path.
    fn read(&mut self, access: usize) -> std::result::Result<Option<Value<'a>>, EvalError> {
        let Some(Some(place)) = self.places.get(access) else {
            return Ok(None);
        };
        let field = self.cx.field(place.input, place.slot);
        if place.exact {
            return Ok(Value::from_field(field));
        }
        let path = self
            .unit
            .accesses
            .get(access)
            .map_or(&[][..], |access| &access.path);
        self.walk_in(field, path.get(place.covered..).unwrap_or_default())
    }

    /// A path inside of a field that is wanted as a whole elsewhere.
    fn walk_in(
        &mut self,
        field: Field<'a>,
        path: &[Box<str>],
    ) -> std::result::Result<Option<Value<'a>>, EvalError> {
        let Field::Json(mut text) = field else {
            return Ok(None);
        };
        for name in path {
            self.spend_bytes(text.len())?;
            match member(text, name) {
                Some(inner) => text = inner,
                None => return Ok(None),
            }
        }
        raw(text).map(Some)
    }

    fn field(&mut self, access: usize) -> Result<'a> {
        match self.read(access)? {
            Some(value) => Ok(value),
            None if self.is_missing(access) => Ok(Value::Null),
            None => Err(EvalError::no_such_field(
                self.unit.paths.get(access).cloned().unwrap_or_default(),
            )),
        }
    }

    fn has_field(&mut self, access: usize) -> Result<'a> {
        Ok(Value::Bool(self.read(access)?.is_some()))
    }

    fn window(&mut self, start: bool) -> Result<'a> {
        match self.cx.window() {
            Some((from, _)) if start => Ok(Value::Timestamp(Timestamp::from_time(from))),
            Some((_, to)) => Ok(Value::Timestamp(Timestamp::from_time(to))),
            None => Err(EvalError::no_such_field(
                if start { "window.start" } else { "window.end" }.into(),
            )),
        }
    }

    fn equal(&mut self, left: OpId, right: OpId) -> std::result::Result<bool, EvalError> {
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        self.same(&left, &right)
    }

    /// Equality at its cost.
    fn same(&mut self, left: &Value<'a>, right: &Value<'a>) -> std::result::Result<bool, EvalError> {
        let mut meter = Meter(self.budget);
        let equal = left.equals(right, &mut meter);
        self.budget = meter.0;
        equal.ok_or_else(EvalError::cost_exceeded)
    }

    fn order(&mut self, op: Binary, left: OpId, right: OpId) -> Result<'a> {
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        if let (Value::Str(a), Value::Str(b)) = (&left, &right) {
            self.spend_bytes(a.len().min(b.len()))?;
        }
        let Some(order) = left.order(&right) else {
            // NaN is neither less nor greater than anything; as in cel-go, not even than text.
            let nan = |value: &Value<'_>| matches!(value, Value::Double(number) if number.is_nan());
            if nan(&right) && left.is_ordered() || nan(&left) {
                return Ok(Value::Bool(false));
            }
            return Err(EvalError::no_such_overload(
                op.symbol(),
                [left.kind(), right.kind()],
            ));
        };
        Ok(Value::Bool(match op {
            Binary::Less => order == Ordering::Less,
            Binary::LessEqual => order != Ordering::Greater,
            Binary::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }))
    }

    /// `&&` and `||`: the operand that decides wins over errors of the others, wherever it stands.
    fn logic(&mut self, items: &'a [OpId], symbol: &'static str, all: bool) -> Result<'a> {
        let mut error = None;
        for item in items {
            match self.truth(*item, symbol) {
                Ok(b) if b == all => {}
                Ok(_) => return Ok(Value::Bool(!all)),
                Err(found) if found.is_final() => return Err(found),
                Err(found) => {
                    error.get_or_insert(found);
                }
            }
        }
        error.map_or(Ok(Value::Bool(all)), Err)
    }

    fn list(&mut self, items: &'a [OpId]) -> Result<'a> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.eval(*item)?);
        }
        Ok(Value::list(values))
    }

    fn map(&mut self, entries: &'a [(OpId, OpId)]) -> Result<'a> {
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.eval(*key)?;
            values.push((key, self.eval(*value)?));
        }
        Self::new_map(values)
    }

    /// A map of entries that an expression made: with keys that can be keys, each once.
    fn new_map(entries: Vec<(Value<'a>, Value<'a>)>) -> Result<'a> {
        for (key, _) in &entries {
            if !matches!(
                key,
                Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Str(_)
            ) {
                return Err(EvalError::no_such_overload("{}", [key.kind()]));
            }
        }
        let map = crate::value::Map::new(entries);
        if let Some(key) = map.repeated_key() {
            return Err(EvalError::repeated_key(key_text(key)));
        }
        Ok(Value::Map(map.into()))
    }

    fn call(&mut self, id: OpId) -> Result<'a> {
        let Op::Call { function, args } = self.unit.op(id) else {
            return Ok(Value::Null);
        };
        match &**args {
            [a] => {
                let args = [self.eval(*a)?];
                (function.call)(self, &args)
            }
            [a, b] => {
                let args = [self.eval(*a)?, self.eval(*b)?];
                (function.call)(self, &args)
            }
            more => {
                let mut args = Vec::with_capacity(more.len());
                for arg in more {
                    args.push(self.eval(*arg)?);
                }
                (function.call)(self, &args)
            }
        }
    }

    fn matches(&mut self, text: OpId, pattern: &Pattern) -> Result<'a> {
        match self.eval(text)? {
            Value::Str(text) => self.is_match(pattern, &text),
            other => Err(EvalError::no_such_overload("matches", [other.kind()])),
        }
    }

    fn local(&mut self, at: usize) -> Result<'a> {
        match self.failed.iter().find(|(failed, _)| *failed == at) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(self.locals.get(at).cloned().unwrap_or(Value::Null)),
        }
    }

    /// `cel.bind`: an error of the value counts where the name is read, as if the value stood there.
    fn bind(&mut self, local: usize, value: OpId, body: OpId) -> Result<'a> {
        let failed = self.failed.len();
        let value = match self.eval(value) {
            Err(error) if !error.is_final() => {
                self.failed.push((local, error));
                Value::Null
            }
            other => other?,
        };
        self.locals.truncate(local);
        self.locals.push(value);
        let result = self.eval(body);
        self.locals.truncate(local);
        self.failed.truncate(failed);
        result
    }
}

/// The text of one JSON value as a value: arrays and objects stay text.
fn raw(text: &str) -> Result<'_> {
    if text.starts_with(['{', '[']) {
        return Ok(Value::Json(text));
    }
    Ok(parse(text, &mut ParseLimit::none())?)
}

/// A constant for an evaluation that its program outlives.
fn borrow<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Str(text) => Value::string(&**text),
        other => other.clone(),
    }
}

/// A key for a message to a person.
fn key_text(key: &Value<'_>) -> String {
    let mut out = Vec::new();
    // What has no JSON is shown as what was written of it.
    let _ = key.write_json(&mut out);
    let text = String::from_utf8_lossy(&out);
    if text.chars().count() > 60 {
        text.chars().take(60).chain(['…']).collect()
    } else {
        text.into_owned()
    }
}
