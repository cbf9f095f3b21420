//! What one aggregate has gathered so far: fed value by value, merged with what was gathered elsewhere, read at the end.

use std::cmp::Ordering;

use crate::expr::{EvalError, Gather, Reading};
use crate::value::Value;

use super::distinct::Distinct;
use super::exact::Exact;
use super::extreme::{Kept, order};
use super::quantiles::Quantiles;
use super::stored::{self, take};

#[derive(Clone, Debug)]
pub(super) enum Accumulator {
    /// Of messages or values.
    Count(u64),
    Sum(u64, Exact),
    Moments(u64, Box<[Exact; 2]>),
    Min(Kept),
    Max(Kept),
    First(Kept),
    Last(Kept),
    Collect(u64, Vec<u8>),
    Quantiles(Quantiles),
    Distinct(Distinct),
}

impl Accumulator {
    pub(super) fn new(gather: Gather) -> Accumulator {
        match gather {
            Gather::Rows | Gather::Count => Accumulator::Count(0),
            Gather::Sum => Accumulator::Sum(0, Exact::default()),
            Gather::Moments => Accumulator::Moments(0, Box::default()),
            Gather::Min => Accumulator::Min(Kept::None),
            Gather::Max => Accumulator::Max(Kept::None),
            Gather::First => Accumulator::First(Kept::None),
            Gather::Last => Accumulator::Last(Kept::None),
            Gather::Collect => Accumulator::Collect(0, Vec::new()),
            Gather::Quantiles => Accumulator::Quantiles(Quantiles::default()),
            Gather::Distinct => Accumulator::Distinct(Distinct::default()),
        }
    }

    /// Adds a value that is there. On an error nothing was added.
    pub(super) fn add(&mut self, value: &Value<'_>, scratch: &mut Vec<u8>) -> Result<(), EvalError> {
        match self {
            Accumulator::Count(count) => *count = count.saturating_add(1),
            Accumulator::Sum(count, sum) => {
                sum.add(number("sum", value)?);
                *count = count.saturating_add(1);
            }
            Accumulator::Moments(count, moments) => {
                let number = number("variance", value)?;
                moments[0].add(number);
                moments[1].add_square(number);
                *count = count.saturating_add(1);
            }
            Accumulator::Min(kept) => extreme(kept, value, Ordering::Less, "min")?,
            Accumulator::Max(kept) => extreme(kept, value, Ordering::Greater, "max")?,
            Accumulator::First(kept) => {
                if !kept.is_some() {
                    *kept = Kept::of(value)?;
                }
            }
            Accumulator::Last(kept) => *kept = Kept::of(value)?,
            Accumulator::Collect(count, bytes) => {
                let before = bytes.len();
                if let Err(error) = stored::write(value, bytes) {
                    bytes.truncate(before);
                    return Err(error);
                }
                *count = count.saturating_add(1);
            }
            Accumulator::Quantiles(quantiles) => {
                let number = number("percentile", value)?;
                if number.is_nan() {
                    return Err(EvalError::not_ordered());
                }
                quantiles.add(number);
            }
            Accumulator::Distinct(distinct) => {
                scratch.clear();
                super::key::write(value, scratch, super::key::MAX_COUNTED)?;
                distinct.add(scratch);
            }
        }
        Ok(())
    }

    /// Adds what was gathered of later values. The two are of the same kind.
    pub(super) fn merge(&mut self, later: Accumulator) {
        match (self, later) {
            (Accumulator::Count(count), Accumulator::Count(more)) => *count = count.saturating_add(more),
            (Accumulator::Sum(count, sum), Accumulator::Sum(more, other)) => {
                *count = count.saturating_add(more);
                sum.merge(&other);
            }
            (Accumulator::Moments(count, moments), Accumulator::Moments(more, other)) => {
                *count = count.saturating_add(more);
                for (mine, other) in moments.iter_mut().zip(other.iter()) {
                    mine.merge(other);
                }
            }
            (Accumulator::Min(kept), Accumulator::Min(other)) => better(kept, other, Ordering::Less),
            (Accumulator::Max(kept), Accumulator::Max(other)) => better(kept, other, Ordering::Greater),
            (Accumulator::First(kept), Accumulator::First(other)) if !kept.is_some() => *kept = other,
            (Accumulator::Last(kept), Accumulator::Last(other)) if other.is_some() => *kept = other,
            (Accumulator::Collect(count, bytes), Accumulator::Collect(more, other)) => {
                *count = count.saturating_add(more);
                bytes.extend_from_slice(&other);
            }
            (Accumulator::Quantiles(quantiles), Accumulator::Quantiles(other)) => quantiles.merge(&other),
            (Accumulator::Distinct(distinct), Accumulator::Distinct(other)) => distinct.merge(&other),
            // The first is kept and there is no later last; all else was made for the same component.
            _ => {}
        }
    }

    /// What it came to. Without a value that is null, and a count is 0.
    pub(super) fn read(&self, reading: Reading) -> Value<'_> {
        let double = |number: Option<f64>| number.map_or(Value::Null, Value::Double);
        match self {
            Accumulator::Count(count) => Value::Int(i64::try_from(*count).unwrap_or(i64::MAX)),
            Accumulator::Sum(0, _) => Value::Null,
            Accumulator::Sum(count, sum) if reading == Reading::Mean => {
                let mean = sum.beyond().unwrap_or_else(|| sum.magnitude().divided(&[*count]));
                Value::Double(mean)
            }
            Accumulator::Sum(_, sum) => Value::Double(sum.value()),
            Accumulator::Moments(count, moments) => double(variance(*count, moments, reading)),
            Accumulator::Min(kept)
            | Accumulator::Max(kept)
            | Accumulator::First(kept)
            | Accumulator::Last(kept) => kept.value().unwrap_or(Value::Null),
            Accumulator::Collect(count, _) if reading == Reading::Size => {
                Value::Int(i64::try_from(*count).unwrap_or(i64::MAX))
            }
            Accumulator::Collect(_, bytes) => {
                let mut items = Vec::new();
                let mut rest = &**bytes;
                while let Some(item) = stored::read(&mut rest) {
                    items.push(item);
                }
                Value::list(items)
            }
            Accumulator::Quantiles(quantiles) => match reading {
                Reading::Percentile(part) => double(quantiles.percentile(part)),
                _ => Value::Null,
            },
            Accumulator::Distinct(distinct) => Value::Int(distinct.count()),
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Accumulator::Count(_) => 0,
            Accumulator::Sum(_, sum) => sum.bytes(),
            Accumulator::Moments(_, moments) => {
                size_of::<[Exact; 2]>() + moments.iter().map(Exact::bytes).sum::<usize>()
            }
            Accumulator::Min(kept)
            | Accumulator::Max(kept)
            | Accumulator::First(kept)
            | Accumulator::Last(kept) => kept.bytes(),
            Accumulator::Collect(_, bytes) => bytes.capacity(),
            Accumulator::Quantiles(quantiles) => quantiles.bytes(),
            Accumulator::Distinct(distinct) => distinct.bytes(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Accumulator::Count(count) => out.extend_from_slice(&count.to_be_bytes()),
            Accumulator::Sum(count, sum) => {
                out.extend_from_slice(&count.to_be_bytes());
                sum.encode(out);
            }
            Accumulator::Moments(count, moments) => {
                out.extend_from_slice(&count.to_be_bytes());
                moments.iter().for_each(|moment| moment.encode(out));
            }
            Accumulator::Min(kept)
            | Accumulator::Max(kept)
            | Accumulator::First(kept)
            | Accumulator::Last(kept) => kept.encode(out),
            Accumulator::Collect(count, bytes) => {
                out.extend_from_slice(&count.to_be_bytes());
                out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                out.extend_from_slice(bytes);
            }
            Accumulator::Quantiles(quantiles) => quantiles.encode(out),
            Accumulator::Distinct(distinct) => distinct.encode(out),
        }
    }

    pub(super) fn decode(gather: Gather, from: &mut &[u8]) -> Option<Accumulator> {
        Some(match gather {
            Gather::Rows | Gather::Count => Accumulator::Count(u64::from_be_bytes(take(from)?)),
            Gather::Sum => Accumulator::Sum(u64::from_be_bytes(take(from)?), Exact::decode(from)?),
            Gather::Moments => Accumulator::Moments(
                u64::from_be_bytes(take(from)?),
                Box::new([Exact::decode(from)?, Exact::decode(from)?]),
            ),
            Gather::Min => Accumulator::Min(Kept::decode(from)?),
            Gather::Max => Accumulator::Max(Kept::decode(from)?),
            Gather::First => Accumulator::First(Kept::decode(from)?),
            Gather::Last => Accumulator::Last(Kept::decode(from)?),
            Gather::Collect => {
                let count = u64::from_be_bytes(take(from)?);
                let len = usize::try_from(u64::from_be_bytes(take(from)?)).ok()?;
                let bytes = from.split_off(..len)?;
                let mut rest = bytes;
                let mut found = 0;
                while !rest.is_empty() {
                    stored::read(&mut rest)?;
                    found += 1;
                }
                if found != count {
                    return None;
                }
                Accumulator::Collect(count, bytes.to_vec())
            }
            Gather::Quantiles => Accumulator::Quantiles(Quantiles::decode(from)?),
            Gather::Distinct => Accumulator::Distinct(Distinct::decode(from)?),
        })
    }
}

/// A value that has to be a number, as the nearest double.
fn number(aggregate: &'static str, value: &Value<'_>) -> Result<f64, EvalError> {
    value
        .as_double()
        .ok_or_else(|| EvalError::no_such_overload(aggregate, [value.kind()]))
}

fn extreme(
    kept: &mut Kept,
    value: &Value<'_>,
    wanted: Ordering,
    aggregate: &'static str,
) -> Result<(), EvalError> {
    if order(value, value).is_none() {
        return Err(match value {
            Value::Double(_) => EvalError::not_ordered(),
            _ => EvalError::no_such_overload(aggregate, [value.kind()]),
        });
    }
    let best = kept.value();
    let better = best.is_none_or(|best| order(value, &best) == Some(wanted));
    if better {
        *kept = Kept::of(value)?;
    }
    Ok(())
}

fn better(kept: &mut Kept, other: Kept, wanted: Ordering) {
    let better = match (kept.value(), other.value()) {
        (Some(mine), Some(theirs)) => order(&theirs, &mine) == Some(wanted),
        (mine, _) => mine.is_none(),
    };
    if better {
        *kept = other;
    }
}

/// The sample's variance, exact but for one rounding, or its square root.
fn variance(count: u64, moments: &[Exact; 2], reading: Reading) -> Option<f64> {
    if count < 2 {
        return None;
    }
    let [sum, squares] = moments;
    if sum.beyond().is_some() || squares.beyond().is_some() {
        return Some(f64::NAN);
    }
    let sum = sum.magnitude();
    let spread = squares.magnitude().times(count).minus(&sum.product(&sum));
    Some(match reading {
        Reading::StdDev => spread.root_of_quotient(&[count, count - 1]),
        _ => spread.divided(&[count, count - 1]),
    })
}
