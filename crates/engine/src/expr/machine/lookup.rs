//! Looking into lists and maps: members, elements, `in` and `has`.

use crate::expr::code::{Op, OpId};
use crate::expr::error::EvalError;
use crate::value::{ParseLimit, Value, element, parse};

use super::{Machine, Result, key_text, raw};

impl<'a> Machine<'a> {
    /// A list or map out of the text that it may still be. Other values stay as they are.
    pub(in crate::expr) fn open(&mut self, value: Value<'a>) -> Result<'a> {
        let Value::Json(text) = value else {
            return Ok(value);
        };
        let known = self.parsed.iter().find(|(at, _)| *at == text.as_ptr());
        if let Some((_, value)) = known {
            return Ok(value.clone());
        }
        self.spend_bytes(text.len())?;
        // A value takes two: one for making it, one for the memory that it holds.
        let mut limit = ParseLimit {
            values: self.budget / 2,
        };
        let before = limit.values;
        let value = parse(text, &mut limit)?;
        self.spend(2 * (before - limit.values))?;
        self.parsed.push((text.as_ptr(), value.clone()));
        Ok(value)
    }

    /// Whether an access is into an input that has no row.
    pub(super) fn is_missing(&self, access: usize) -> bool {
        let access = self.unit.accesses.get(access);
        access.is_some_and(|access| self.cx.is_missing(access.input))
    }

    /// Whether an operand is such an access, or a member or element of one.
    fn is_inside_missing(&self, operand: OpId) -> bool {
        let mut at = operand;
        loop {
            match self.unit.op(at) {
                Op::Field(access) => return self.is_missing(*access),
                Op::Select { operand, .. } | Op::Index { operand, .. } => at = *operand,
                _ => return false,
            }
        }
    }

    pub(super) fn select(&mut self, operand: OpId, field: &'a str) -> Result<'a> {
        let value = self.eval(operand)?;
        match self.open(value)? {
            Value::Map(map) => match map.get_str(field) {
                Some(value) => Ok(value.clone()),
                None => Err(EvalError::no_such_key(field)),
            },
            Value::Null if self.is_inside_missing(operand) => Ok(Value::Null),
            other => Err(EvalError::no_such_overload(".", [other.kind()])),
        }
    }

    pub(super) fn has(&mut self, operand: OpId, path: &'a [Box<str>]) -> Result<'a> {
        let mut value = self.eval(operand)?;
        for name in path {
            let Value::Map(map) = self.open(value)? else {
                return Ok(Value::Bool(false));
            };
            match map.get_str(name) {
                Some(inner) => value = inner.clone(),
                None => return Ok(Value::Bool(false)),
            }
        }
        Ok(Value::Bool(true))
    }

    pub(super) fn index(&mut self, operand: OpId, index: OpId) -> Result<'a> {
        let container = self.eval(operand)?;
        let index = self.eval(index)?;
        if let (Value::Json(text), true) = (&container, self.locals.is_empty())
            && text.starts_with('[')
            && let Some(at) = list_index(&index)
        {
            // One element of an array is found faster than the array is parsed.
            self.spend_bytes(text.len())?;
            let found = usize::try_from(at).ok().and_then(|at| element(text, at));
            let Some(found) = found else {
                return Err(EvalError::index_out_of_range(at.to_string()));
            };
            return raw(found);
        }
        match self.open(container)? {
            Value::List(items) => {
                let Some(at) = list_index(&index) else {
                    return Err(bad_index(&index, "list[]"));
                };
                let found = usize::try_from(at).ok().and_then(|at| items.get(at));
                found
                    .cloned()
                    .ok_or_else(|| EvalError::index_out_of_range(at.to_string()))
            }
            Value::Map(map) => {
                if !is_key(&index) {
                    return Err(bad_index(&index, "map[]"));
                }
                map.get(&index)
                    .cloned()
                    .ok_or_else(|| EvalError::no_such_key(key_text(&index)))
            }
            Value::Null if self.is_inside_missing(operand) => Ok(Value::Null),
            other => Err(EvalError::no_such_overload("[]", [other.kind(), index.kind()])),
        }
    }

    pub(super) fn contains(&mut self, item: OpId, container: OpId) -> Result<'a> {
        let item = self.eval(item)?;
        let container = self.eval(container)?;
        match self.open(container)? {
            Value::List(items) => {
                for other in items.iter() {
                    self.spend(1)?;
                    if self.same(&item, other)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            Value::Map(map) if is_key(&item) => Ok(Value::Bool(map.get(&item).is_some())),
            Value::Map(_) => Ok(Value::Bool(false)),
            other => Err(EvalError::no_such_overload("in", [item.kind(), other.kind()])),
        }
    }
}

/// A position in a list: an int, a uint, or a double that is integral.
fn list_index(index: &Value<'_>) -> Option<i128> {
    index.as_integer()
}

/// What can be looked up in a map. Doubles can: they find the int or uint that they equal.
fn is_key(key: &Value<'_>) -> bool {
    matches!(key, Value::Bool(_) | Value::Str(_)) || key.as_double().is_some()
}

fn bad_index(index: &Value<'_>, operation: &'static str) -> EvalError {
    match index.as_double() {
        Some(number) => EvalError::invalid(format!("{number} is no position in a list")),
        None => EvalError::no_such_overload(operation, [index.kind()]),
    }
}
