//! Equality and order of values, as CEL has them: numbers by value across types, everything else only with its
//! own type.

use std::cmp::Ordering;

use super::number::Number;
use super::parse::{ParseLimit, parse};
use super::{Map, Value};

/// Values of the same class have an order between them, others have none. NaN is in no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OrderClass {
    Number,
    Text,
    Bool,
    Bytes,
    Timestamp,
    Duration,
}

/// What a comparison may cost: it counts down as values are visited, and stops the comparison at zero.
pub(crate) struct Meter(pub(crate) u64);

impl Meter {
    fn spend(&mut self, cost: u64) -> Option<()> {
        self.0 = self.0.checked_sub(cost)?;
        Some(())
    }
}

impl<'a> Value<'a> {
    /// CEL's `==`. NaN equals nothing; values of different types are unequal, but numbers compare by value.
    pub fn cel_eq(&self, other: &Value<'_>) -> bool {
        self.equals(other, &mut Meter(u64::MAX)).unwrap_or(false)
    }

    /// [`Value::cel_eq`] within a budget; `None` once it is spent.
    pub(crate) fn equals(&self, other: &Value<'_>, meter: &mut Meter) -> Option<bool> {
        Some(match (self, other) {
            (Value::Str(a), Value::Str(b)) => {
                a.len() == b.len() && {
                    meter.spend(a.len() as u64 / 64)?;
                    **a == **b
                }
            }
            (Value::Double(a), Value::Double(b)) => {
                #[allow(clippy::float_cmp)] // equality of doubles is what was asked for
                let equal = a == b;
                equal
            }
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => {
                a.len() == b.len() && {
                    meter.spend(a.len() as u64 / 64)?;
                    a == b
                }
            }
            (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Value::Duration(a), Value::Duration(b)) => a == b,
            (Value::Type(a), Value::Type(b)) => a == b,
            (Value::List(a), Value::List(b)) => return lists(a, b, meter),
            (Value::Map(a), Value::Map(b)) => return maps(a, b, meter),
            (Value::Json(a), Value::Json(_) | Value::List(_) | Value::Map(_)) => {
                meter.spend(a.len() as u64 / 8)?;
                return match parse(a, &mut ParseLimit::none()) {
                    Ok(a) => a.equals(other, meter),
                    Err(_) => Some(false),
                };
            }
            (Value::List(_) | Value::Map(_), Value::Json(_)) => return other.equals(self, meter),
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
                _ => false,
            },
        })
    }

    /// Whether the type has an order.
    pub(crate) fn is_ordered(&self) -> bool {
        self.order(self).is_some() || matches!(self, Value::Double(_))
    }

    /// What it can be ordered with.
    pub(crate) fn order_class(&self) -> Option<OrderClass> {
        match self {
            Value::Double(number) if number.is_nan() => None,
            Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::BigInt(_) => Some(OrderClass::Number),
            Value::Str(_) => Some(OrderClass::Text),
            Value::Bool(_) => Some(OrderClass::Bool),
            Value::Bytes(_) => Some(OrderClass::Bytes),
            Value::Timestamp(_) => Some(OrderClass::Timestamp),
            Value::Duration(_) => Some(OrderClass::Duration),
            _ => None,
        }
    }

    /// CEL's order; `None` where the types have none between them, or a NaN is involved.
    pub(crate) fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
            (Value::Str(a), Value::Str(b)) => Some((**a).cmp(&**b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
            (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            _ => self.number()?.compare(other.number()?),
        }
    }

    /// The value as a number, if it is one.
    pub(super) fn number(&self) -> Option<Number<'a>> {
        match self {
            Value::Int(n) => Some(Number::Int(*n)),
            Value::Uint(n) => Some(Number::Uint(*n)),
            Value::Double(n) => Some(Number::Double(*n)),
            Value::BigInt(digits) => Some(Number::Big(digits)),
            _ => None,
        }
    }

    /// The value as a double, if it is a number.
    pub(crate) fn as_double(&self) -> Option<f64> {
        self.number().map(Number::double)
    }

    /// The value as an integer, if it is a number with an integral value in the range of `i128`.
    pub(crate) fn as_integer(&self) -> Option<i128> {
        self.number().and_then(Number::integer)
    }
}

fn lists(a: &[Value<'_>], b: &[Value<'_>], meter: &mut Meter) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    for (a, b) in a.iter().zip(b) {
        meter.spend(1)?;
        if !a.equals(b, meter)? {
            return Some(false);
        }
    }
    Some(true)
}

fn maps(a: &Map<'_>, b: &Map<'_>, meter: &mut Meter) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    for (key, value) in a.entries() {
        meter.spend(2)?;
        match b.get(key) {
            Some(other) if value.equals(other, meter)? => {}
            _ => return Some(false),
        }
    }
    Some(true)
}
