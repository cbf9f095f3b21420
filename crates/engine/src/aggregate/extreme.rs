//! One value kept of all: the first, the last, the least or the greatest.

use std::cmp::Ordering;

use crate::expr::EvalError;
use crate::value::Value;

use super::stored;

/// A value that was kept. Numbers of messages, which most are, need no bytes on the heap.
#[derive(Clone, Debug, Default)]
pub(super) enum Kept {
    #[default]
    None,
    Double(f64),
    Other(Box<[u8]>),
}

impl Kept {
    pub(super) fn of(value: &Value<'_>) -> Result<Kept, EvalError> {
        if let Value::Double(number) = value {
            return Ok(Kept::Double(*number));
        }
        let mut bytes = Vec::new();
        stored::write(value, &mut bytes)?;
        Ok(Kept::Other(bytes.into()))
    }

    pub(super) fn value(&self) -> Option<Value<'_>> {
        match self {
            Kept::None => None,
            Kept::Double(number) => Some(Value::Double(*number)),
            Kept::Other(bytes) => stored::read(&mut &**bytes),
        }
    }

    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Kept::None)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Kept::Other(bytes) => bytes.len(),
            _ => 0,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Kept::None => out.push(0),
            Kept::Double(number) => {
                out.push(1);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Kept::Other(bytes) => {
                out.push(2);
                out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }

    pub(super) fn decode(from: &mut &[u8]) -> Option<Kept> {
        Some(match *from.split_off_first()? {
            0 => Kept::None,
            1 => Kept::Double(f64::from_be_bytes(stored::take(from)?)),
            2 => {
                let bytes = stored::counted(from)?;
                let mut rest = bytes;
                stored::read(&mut rest)?;
                if !rest.is_empty() {
                    return None;
                }
                Kept::Other(bytes.into())
            }
            _ => return None,
        })
    }
}

/// The order that `min` and `max` go by: of values of different types as keys are ordered, so that it does not matter
/// which of them comes first. `None` for what has no order.
pub(super) fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    let by_type = rank(a)?.cmp(&rank(b)?);
    if by_type != Ordering::Equal {
        return Some(by_type);
    }
    // Equal numbers of different types, and zeros of different signs, are told apart for the same reason.
    let sign = |value: &Value<'_>| !matches!(value, Value::Double(number) if number.is_sign_negative());
    Some(
        a.order(b)?
            .then_with(|| sign(a).cmp(&sign(b)))
            .then_with(|| number_rank(a).cmp(&number_rank(b))),
    )
}

fn rank(value: &Value<'_>) -> Option<u8> {
    Some(match value {
        Value::Bool(_) => 0,
        Value::Double(number) if number.is_nan() => return None,
        Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::BigInt(_) => 1,
        Value::Str(_) => 2,
        Value::Bytes(_) => 3,
        Value::Timestamp(_) => 4,
        Value::Duration(_) => 5,
        _ => return None,
    })
}

fn number_rank(value: &Value<'_>) -> u8 {
    match value {
        Value::Int(_) => 0,
        Value::Uint(_) => 1,
        Value::Double(_) => 2,
        _ => 3,
    }
}
