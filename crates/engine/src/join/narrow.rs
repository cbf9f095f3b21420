//! Leaves out what a step need not try, where a condition asks which of two values is more.
//!
//! What is left out is counted as if it had been tried: the conditions that it is left out by come first among a
//! step's checks, so that each message is counted to the same one, and fails in the same way.

use std::sync::Arc;

use super::chains::END;
use super::matching::Matching;
use super::plan::{Bound, Range};
use super::progress::Next;
use super::ranges::{FEW, Ranges, Sorted};
use crate::expr::EvalError;
use crate::value::Value;

/// What comparing values fails with that have no order.
const NO_ORDER: &str = "NoSuchOverload";

impl<'a> Matching<'a> {
    /// What is left of the messages that step `at` would try.
    pub(super) fn narrow(&mut self, at: usize, next: Next) -> Next {
        let plan = self.plan;
        let Some(range) = &plan.steps[at].range else {
            return next;
        };
        let bucket = match &next {
            Next::Found(found) if !found.is_empty() => found.first(),
            Next::Scan(_) => END,
            _ => return next,
        };
        let sorted = match self.progress.ranges.get(&(at, bucket)) {
            Some(Ranges::Sorted(sorted)) => Arc::clone(sorted),
            Some(Ranges::Few) => return next,
            before => {
                let again = before.is_some();
                let ranges = if again {
                    self.sort(at, &next)
                } else {
                    Ranges::Tried
                };
                let sorted = match &ranges {
                    Ranges::Sorted(sorted) => Some(Arc::clone(sorted)),
                    Ranges::Tried | Ranges::Few => None,
                };
                self.progress.ranges.insert((at, bucket), ranges);
                match sorted {
                    Some(sorted) => sorted,
                    None => return next,
                }
            }
        };
        if range.has_distance() {
            return self.narrow_distances(at, next, &sorted);
        }
        let limits: Vec<Result<Value<'a>, EvalError>> = range
            .bounds
            .iter()
            .map(|bound| bound.limit.eval(&self.cx))
            .collect();
        let mut places = 0..sorted.len();
        for (number, (bound, limit)) in range.bounds.iter().zip(&limits).enumerate() {
            let told = |limit: &Value<'_>| sorted.compares(limit) || sorted.is_strange(limit);
            if number == 0 && limit.as_ref().map_or(true, told) {
                self.leave_unsorted(bound, &sorted, limit);
            }
            match limit {
                Ok(limit) if sorted.compares(limit) => {
                    let point = self.limit(at, bound, limit, &sorted);
                    let left = if bound.below {
                        places.start..places.end.min(point).max(places.start)
                    } else {
                        places.start.max(point).min(places.end)..places.end
                    };
                    let out = places.len() - left.len();
                    self.progress.tallies[bound.condition].turned_away += out as u64;
                    places = left;
                }
                Ok(limit) if sorted.is_strange(limit) => {
                    self.fail(bound, NO_ORDER, places.len() as u64);
                    return Next::Nothing;
                }
                // Some may be comparable, or it is NaN: whoever is tried tells.
                Ok(_) if number == 0 => return next,
                Ok(_) => break,
                Err(error) => {
                    self.fail(bound, error.reason(), places.len() as u64);
                    return Next::Nothing;
                }
            }
        }
        Next::Within(sorted.within(places))
    }

    /// Sorts what a step tries, if it is much.
    fn sort(&mut self, at: usize, next: &Next) -> Ranges {
        let plan = self.plan;
        let side = &self.sides[plan.steps[at].input];
        let rows: Vec<u32> = match (next, &side.index) {
            (Next::Found(found), Some(index)) => {
                let mut found = *found;
                std::iter::from_fn(|| index.next(&mut found, &side.store)).collect()
            }
            (Next::Scan(first), _) => (*first..).take(side.store.len()).collect(),
            _ => Vec::new(),
        };
        if rows.len() < FEW {
            return Ranges::Few;
        }
        let value = |row| self.value(at, row);
        let subtracted = plan.steps[at].range.as_ref().is_some_and(Range::has_distance);
        let sorted = if subtracted {
            Sorted::of_tame(rows.into_iter(), value)
        } else {
            Sorted::new(rows.into_iter(), value)
        };
        Ranges::Sorted(Arc::new(sorted))
    }

    /// The value that messages of step `at` are sorted by.
    pub(super) fn value(&self, at: usize, row: u32) -> Result<Value<'a>, EvalError> {
        let plan = self.plan;
        let step = &plan.steps[at];
        let Some(range) = &step.range else {
            return Ok(Value::Null);
        };
        let row = self.sides[step.input].store.row(row as usize);
        self.bound[step.input].set(Some(row));
        range.build.eval(&self.cx)
    }

    /// Where in the order of values a limit is: the messages before it are below.
    pub(super) fn limit(&self, at: usize, bound: &Bound, limit: &Value<'_>, sorted: &Sorted) -> usize {
        sorted.partition_point(|row| {
            let order = self.value(at, row).ok().and_then(|value| value.order(limit));
            // An upper limit that may be reached lies behind what equals it, and so does a lower one that may not.
            order.is_some_and(|order| order.is_lt() || (order.is_eq() && bound.below == bound.or_equal))
        })
    }

    /// Counts the messages that have no place in the order of values. They are in no range.
    fn leave_unsorted(&mut self, bound: &Bound, sorted: &Sorted, limit: &Result<Value<'a>, EvalError>) {
        let error = limit.as_ref().err().map(EvalError::reason);
        for (reason, count) in &sorted.failed {
            // Of two sides that fail, the left one tells why.
            let reason = error.filter(|_| bound.limit_first).unwrap_or(reason);
            self.fail(bound, reason, *count);
        }
        self.fail(bound, error.unwrap_or(NO_ORDER), sorted.other);
        // NaN is neither more nor less than what has an order, and than anything on its right.
        let ordered = limit.as_ref().is_ok_and(|limit| limit.order_class().is_some());
        if error.is_none() && (ordered || !bound.limit_first) {
            self.progress.tallies[bound.condition].turned_away += sorted.nan;
        } else {
            self.fail(bound, error.unwrap_or(NO_ORDER), sorted.nan);
        }
    }

    fn fail(&mut self, bound: &Bound, reason: &'static str, count: u64) {
        if count > 0 {
            self.progress.tallies[bound.condition].failed += count;
            self.encoder.errors(reason, count);
        }
    }
}
