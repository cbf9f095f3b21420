//! Conditions about how far two values are apart: `a.t - b.t <= 5`, `math.abs(a.t - b.t) < 5`.
//!
//! The differences of one value with many are in the order of the many, so that a search finds where the condition is
//! true. Not so of all values: a difference of integers may overflow, one of large integers and fractions is rounded.
//! Messages with such values ([`is_tame`] says which) have no place in the order and are tried one by one, as if there
//! were no order. So all is as it would be without, failures included.

use std::ops::Range;
use std::sync::Arc;

use super::matching::Matching;
use super::plan::{Bound, Distance};
use super::progress::Next;
use super::ranges::Sorted;
use crate::value::{OrderClass, Value};

/// The difference of two integers or spans up to here can't overflow.
const MOST: i64 = 1 << 62;
/// The difference of two numbers up to here, one of which is a double, is rounded in the order of the exact ones, and
/// that of two integers is exact as a double too.
const EXACT: i64 = 1 << 52;

/// What numbers there are among some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    /// Integers beyond [`EXACT`].
    wide: bool,
    /// Doubles.
    doubles: bool,
}

/// Whether differences with a value can be in the order of their values.
pub(super) fn is_tame(value: &Value<'_>) -> bool {
    match value {
        Value::Int(number) => -MOST < *number && *number < MOST,
        // Also not NaN.
        #[allow(clippy::cast_precision_loss)]
        Value::Double(number) => number.abs() <= EXACT as f64,
        Value::Timestamp(time) => (1 - i128::from(MOST)..i128::from(MOST)).contains(&time.nanos()),
        Value::Duration(span) => -MOST < span.0 && span.0 < MOST,
        _ => false,
    }
}

impl Extent {
    pub(super) fn add(&mut self, value: &Value<'_>) {
        match value {
            Value::Int(number) => self.wide |= number.unsigned_abs() > EXACT.unsigned_abs(),
            Value::Double(_) => self.doubles = true,
            _ => {}
        }
    }

    /// Whether differences between a value and these are in the order of these.
    fn is_ordered_with(mut self, value: &Value<'_>) -> bool {
        self.add(value);
        is_tame(value) && !(self.wide && self.doubles)
    }
}

impl Matching<'_> {
    /// What is left of the messages that step `at` would try, by conditions some of which are about differences.
    pub(super) fn narrow_distances(&mut self, at: usize, next: Next, sorted: &Arc<Sorted>) -> Next {
        let plan = self.plan;
        let Some(range) = &plan.steps[at].range else {
            return next;
        };
        let mut places = 0..sorted.len();
        let mut narrowed = false;
        for bound in &range.bounds {
            // What else is asked is asked of each.
            let Some(left) = self.left_by(at, bound, sorted) else {
                break;
            };
            let end = places.end.min(left.end);
            let left = places.start.max(left.start).min(end)..end;
            self.progress.tallies[bound.condition].turned_away += (places.len() - left.len()) as u64;
            places = left;
            narrowed = true;
        }
        if narrowed {
            Next::Within(sorted.within(places))
        } else {
            next
        }
    }

    /// The places of messages for which a condition is true, if it is false for all others that have one, and fails for none.
    fn left_by(&self, at: usize, bound: &Bound, sorted: &Sorted) -> Option<Range<usize>> {
        let limit = bound.limit.eval(&self.cx).ok()?;
        let Some(distance) = &bound.distance else {
            let point = sorted
                .compares(&limit)
                .then(|| self.limit(at, bound, &limit, sorted))?;
            return Some(if bound.below {
                0..point
            } else {
                point..sorted.len()
            });
        };
        let from = distance.from.eval(&self.cx).ok()?;
        let class = sorted.class();
        let difference = match class {
            OrderClass::Number => OrderClass::Number,
            OrderClass::Timestamp | OrderClass::Duration if !distance.absolute => OrderClass::Duration,
            _ => return None,
        };
        let comparable = from.order_class() == Some(class) && limit.order_class() == Some(difference);
        if !comparable || !sorted.extent.is_ordered_with(&from) {
            return None;
        }
        let all = 0..sorted.len();
        let holds = |row| self.holds(at, distance, row);
        Some(if distance.absolute {
            let below = |row| self.value(at, row).ok().and_then(|value| value.order(&from));
            let nearest = sorted.partition_point(|row| below(row).is_some_and(std::cmp::Ordering::is_lt));
            let start = sorted.partition_within(0..nearest, |row| !holds(row));
            start..sorted.partition_within(nearest..all.end, holds)
        } else if bound.below == distance.falls {
            sorted.partition_within(all.clone(), |row| !holds(row))..all.end
        } else {
            0..sorted.partition_within(all, holds)
        })
    }

    /// Whether a condition is true of a message.
    fn holds(&self, at: usize, distance: &Distance, row: u32) -> bool {
        let input = self.plan.steps[at].input;
        let row = self.sides[input].store.row(row as usize);
        self.bound[input].set(Some(row));
        distance.check.test(&self.cx) == Ok(true)
    }
}
