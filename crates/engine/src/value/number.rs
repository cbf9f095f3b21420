//! Numbers across types: CEL compares int, uint and double by value, and so do we, exactly.
//!
//! `BigInt` digits come from JSON text and can be of any length; nothing here trusts them to be short.

use std::cmp::Ordering;

/// A number of any of the four kinds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number<'a> {
    Int(i64),
    Uint(u64),
    Double(f64),
    Big(&'a str),
}

/// 2^63, the first double beyond `i64`.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;
/// 2^64, the first double beyond `u64`.
const TWO_64: f64 = 18_446_744_073_709_551_616.0;
/// 2^127, the first double beyond `i128`.
const TWO_127: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// The nearest double to a run of digits; infinite if there is none.
fn big_to_f64(digits: &str) -> f64 {
    digits.parse().unwrap_or(f64::NAN)
}

/// A double's integer part, if an `int` holds it. CEL truncates toward zero.
pub(crate) fn double_to_int(value: f64) -> Option<i64> {
    // Exclusive at -2^63 as in cel-go, whose bound keeps doubles that only rounded to the limit out.
    #[allow(clippy::manual_range_contains)] // no range is open at both ends
    let inside = value > -TWO_63 && value < TWO_63;
    #[allow(clippy::cast_possible_truncation)]
    inside.then_some(value as i64)
}

/// A double's integer part, if a `uint` holds it.
pub(crate) fn double_to_uint(value: f64) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..TWO_64).contains(&value).then_some(value as u64)
}

impl Number<'_> {
    /// The number as an `i128`, if it is integral and fits. Two equal numbers agree on whether this is `Some`.
    pub(super) fn integer(self) -> Option<i128> {
        match self {
            Number::Int(n) => Some(i128::from(n)),
            Number::Uint(n) => Some(i128::from(n)),
            // Much cheaper than by way of `i128`, and nearly every number.
            #[allow(clippy::cast_possible_truncation, clippy::float_cmp)]
            Number::Double(d) if d.abs() < TWO_63 => (d.trunc() == d).then_some(i128::from(d as i64)),
            #[allow(clippy::cast_possible_truncation, clippy::float_cmp)]
            Number::Double(d) => (d.trunc() == d && (-TWO_127..TWO_127).contains(&d)).then_some(d as i128),
            Number::Big(digits) => digits.parse().ok(),
        }
    }

    /// The nearest double.
    pub(super) fn double(self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        match self {
            Number::Int(n) => n as f64,
            Number::Uint(n) => n as f64,
            Number::Double(d) => d,
            Number::Big(digits) => big_to_f64(digits),
        }
    }

    /// By value; `None` where a NaN is involved.
    pub(super) fn compare(self, other: Number<'_>) -> Option<Ordering> {
        match (self, other) {
            (Number::Double(a), Number::Double(b)) => a.partial_cmp(&b),
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            _ => match (self.integer(), other.integer()) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                (Some(a), None) => other.compare_integer(a).map(Ordering::reverse),
                (None, Some(b)) => self.compare_integer(b),
                (None, None) => match (self, other) {
                    (Number::Big(a), Number::Big(b)) => Some(compare_digits(a, b)),
                    (Number::Big(a), Number::Double(b)) => compare_big_double(a, b),
                    (Number::Double(a), Number::Big(b)) => compare_big_double(b, a).map(Ordering::reverse),
                    _ => self.double().partial_cmp(&other.double()),
                },
            },
        }
    }

    /// Compares a number that is no `i128` (a fraction, a NaN or beyond its range) with one that is.
    fn compare_integer(self, integer: i128) -> Option<Ordering> {
        match self {
            Number::Big(digits) if digits.starts_with('-') => Some(Ordering::Less),
            Number::Big(_) => Some(Ordering::Greater),
            _ => {
                let double = self.double();
                if double.is_nan() {
                    return None;
                }
                if double.abs() >= TWO_127 {
                    return Some(if double > 0.0 {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    });
                }
                // A fraction: equal to no integer, and on the side of one that its floor tells.
                #[allow(clippy::cast_possible_truncation)]
                let floor = double.floor() as i128;
                Some(if floor < integer {
                    Ordering::Less
                } else {
                    Ordering::Greater
                })
            }
        }
    }
}

/// Digits against a double that is beyond `i128` or not a number.
fn compare_big_double(digits: &str, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.is_infinite() {
        return Some(if double > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    // `{:.0}` prints every digit of a double's exact value.
    Some(compare_digits(digits, &format!("{double:.0}")))
}

/// Two runs of digits, `-` in front or not, leading zeros or not.
fn compare_digits(a: &str, b: &str) -> Ordering {
    let split = |text: &'_ str| match text.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start_matches('0').to_owned()),
        None => (false, text.trim_start_matches('0').to_owned()),
    };
    let ((a_negative, a), (b_negative, b)) = (split(a), split(b));
    let magnitude = a.len().cmp(&b.len()).then_with(|| a.cmp(&b));
    match (a_negative, b_negative) {
        (false, false) => magnitude,
        (true, true) => magnitude.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}
