//! `+ - * / %` and unary minus: integers checked for overflow, doubles as IEEE has them, `int op double` as double.

use crate::expr::ast::Binary;
use crate::expr::code::OpId;
use crate::expr::error::EvalError;
use crate::value::{Duration, Value};

use super::{Machine, Result};

impl<'a> Machine<'a> {
    pub(super) fn negate(&mut self, operand: OpId) -> Result<'a> {
        match self.eval(operand)? {
            Value::Int(n) => n
                .checked_neg()
                .map(Value::Int)
                .ok_or_else(|| EvalError::overflow("int")),
            Value::Duration(span) => {
                let negated = span.0.checked_neg().map(Duration).map(Value::Duration);
                negated.ok_or_else(|| EvalError::overflow("duration"))
            }
            other => match (&other, other.as_double()) {
                (Value::Double(_) | Value::BigInt(_), Some(n)) => Ok(Value::Double(-n)),
                _ => Err(EvalError::no_such_overload("-", [other.kind()])),
            },
        }
    }

    pub(super) fn arithmetic(&mut self, op: Binary, left: OpId, right: OpId) -> Result<'a> {
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        match (&left, &right) {
            (Value::Double(a), Value::Double(b)) => {
                doubles(op, *a, *b).ok_or_else(|| mismatch(op, &left, &right))
            }
            (Value::Int(a), Value::Int(b)) => ints(op, *a, *b),
            (Value::Uint(a), Value::Uint(b)) => uints(op, *a, *b),
            (Value::Str(a), Value::Str(b)) if op == Binary::Add => {
                self.spend_bytes(a.len() + b.len())?;
                let mut text = String::with_capacity(a.len() + b.len());
                text.push_str(a);
                text.push_str(b);
                Ok(Value::string(text))
            }
            (Value::Bytes(a), Value::Bytes(b)) if op == Binary::Add => {
                self.spend_bytes(a.len() + b.len())?;
                Ok(Value::Bytes([&**a, &**b].concat().into()))
            }
            (Value::List(_) | Value::Json(_), Value::List(_) | Value::Json(_)) if op == Binary::Add => {
                self.concatenate(left, right)
            }
            _ => times(op, &left, &right),
        }
    }

    fn concatenate(&mut self, left: Value<'a>, right: Value<'a>) -> Result<'a> {
        let (left, right) = (self.open(left)?, self.open(right)?);
        let (Value::List(a), Value::List(b)) = (&left, &right) else {
            return Err(mismatch(Binary::Add, &left, &right));
        };
        self.spend(2 * (a.len() + b.len()) as u64)?;
        Ok(Value::list(a.iter().chain(b.iter()).cloned().collect()))
    }
}

fn mismatch(op: Binary, left: &Value<'_>, right: &Value<'_>) -> EvalError {
    EvalError::no_such_overload(op.symbol(), [left.kind(), right.kind()])
}

fn ints<'a>(op: Binary, a: i64, b: i64) -> Result<'a> {
    let result = match op {
        Binary::Divide | Binary::Remainder if b == 0 => return Err(EvalError::division_by_zero()),
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    result.map(Value::Int).ok_or_else(|| EvalError::overflow("int"))
}

fn uints<'a>(op: Binary, a: u64, b: u64) -> Result<'a> {
    let result = match op {
        Binary::Divide | Binary::Remainder if b == 0 => return Err(EvalError::division_by_zero()),
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    result.map(Value::Uint).ok_or_else(|| EvalError::overflow("uint"))
}

/// `None` for the remainder, which doubles have none of.
fn doubles<'a>(op: Binary, a: f64, b: f64) -> Option<Value<'a>> {
    Some(Value::Double(match op {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        _ => return None,
    }))
}

/// Timestamps and durations; and numbers of two types, one of which is a double.
fn times<'a>(op: Binary, left: &Value<'a>, right: &Value<'a>) -> Result<'a> {
    let late = || EvalError::overflow("timestamp");
    let long = || EvalError::overflow("duration");
    match (op, left, right) {
        (Binary::Add, Value::Timestamp(time), Value::Duration(span))
        | (Binary::Add, Value::Duration(span), Value::Timestamp(time)) => {
            time.plus(*span).map(Value::Timestamp).ok_or_else(late)
        }
        (Binary::Add, Value::Duration(a), Value::Duration(b)) => {
            a.0.checked_add(b.0)
                .map(|n| Value::Duration(Duration(n)))
                .ok_or_else(long)
        }
        (Binary::Subtract, Value::Timestamp(time), Value::Duration(span)) => {
            time.minus(*span).map(Value::Timestamp).ok_or_else(late)
        }
        (Binary::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => {
            a.since(*b).map(Value::Duration).ok_or_else(long)
        }
        (Binary::Subtract, Value::Duration(a), Value::Duration(b)) => {
            a.0.checked_sub(b.0)
                .map(|n| Value::Duration(Duration(n)))
                .ok_or_else(long)
        }
        _ => {
            let real = |value: &Value<'_>| matches!(value, Value::Double(_) | Value::BigInt(_));
            match (left.as_double(), right.as_double()) {
                (Some(a), Some(b)) if real(left) || real(right) => {
                    doubles(op, a, b).ok_or_else(|| mismatch(op, left, right))
                }
                _ => Err(mismatch(op, left, right)),
            }
        }
    }
}
