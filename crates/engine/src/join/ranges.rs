//! The messages of one input by the value of an expression, for conditions that ask which is more: made when a window
//! closes, of the messages that a lookup has found, or of all where nothing is looked up.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::distance::{Extent, is_tame};
use crate::expr::EvalError;
use crate::value::{OrderClass, Value};

/// Fewer messages than this are tried one by one: to sort them takes longer.
pub(super) const FEW: usize = 32;

/// One out of so many: fewer messages than that are brought in their order of arrival, of more it is asked for each
/// whether it is among them.
const SPARSE: usize = 8;

/// What is known of the messages that a step tries.
#[derive(Debug)]
pub(super) enum Ranges {
    /// They have been tried once. Many never are again, so that to sort them would be in vain.
    Tried,
    /// There are few of them.
    Few,
    Sorted(Arc<Sorted>),
}

/// Messages by value.
#[derive(Debug)]
pub(super) struct Sorted {
    /// What most of them have. The values of others have no order with theirs.
    class: OrderClass,
    /// The numbers of those messages, in the order of their values.
    by_value: Vec<u32>,
    /// The same messages in their order of arrival, each with its place in the order of values.
    by_arrival: Vec<(u32, u32)>,
    /// How many have no number, but NaN: it is neither more nor less.
    pub(super) nan: u64,
    /// How many have something that can't be compared with the others.
    pub(super) other: u64,
    /// How many have nothing, as the evaluation failed: by reason.
    pub(super) failed: BTreeMap<&'static str, u64>,
    /// Of values whose differences are asked for.
    pub(super) extent: Extent,
    /// Messages that have no place and are tried, in their order of arrival.
    unsorted: Vec<u32>,
}

/// Has no place in the order of values.
const NO_PLACE: u32 = u32::MAX;

impl Sorted {
    /// Of messages in their order of arrival.
    pub(super) fn new<'a>(
        rows: impl Iterator<Item = u32>,
        mut value: impl FnMut(u32) -> Result<Value<'a>, EvalError>,
    ) -> Sorted {
        let mut classes: BTreeMap<OrderClass, Vec<(Value<'a>, u32)>> = BTreeMap::new();
        let (mut nan, mut other, mut failed) = (0, 0, BTreeMap::new());
        for row in rows {
            match value(row) {
                Ok(value) => match value.order_class() {
                    Some(class) => classes.entry(class).or_default().push((value, row)),
                    None if matches!(value, Value::Double(_)) => nan += 1,
                    None => other += 1,
                },
                Err(error) => *failed.entry(error.reason()).or_default() += 1,
            }
        }
        let most = classes.iter().max_by_key(|(_, values)| values.len());
        let class = most.map_or(OrderClass::Number, |(class, _)| *class);
        let mut values = classes.remove(&class).unwrap_or_default();
        other += classes.values().map(|values| values.len() as u64).sum::<u64>();
        values.sort_by(|(a, _), (b, _)| a.order(b).unwrap_or(Ordering::Equal));
        let by_value: Vec<u32> = values.into_iter().map(|(_, row)| row).collect();
        let mut by_arrival: Vec<(u32, u32)> = by_value.iter().copied().zip(0..).collect();
        by_arrival.sort_unstable();
        Sorted {
            class,
            by_value,
            by_arrival,
            nan,
            other,
            failed,
            extent: Extent::default(),
            unsorted: Vec::new(),
        }
    }

    /// The same for values that are subtracted: only those have a place whose differences are in the order of the values,
    /// and never fail. All others are tried.
    pub(super) fn of_tame<'a>(
        rows: impl Iterator<Item = u32>,
        mut value: impl FnMut(u32) -> Result<Value<'a>, EvalError>,
    ) -> Sorted {
        let mut unsorted = Vec::new();
        let mut tame = Vec::new();
        for row in rows {
            match value(row) {
                Ok(value) if is_tame(&value) => tame.push((row, value)),
                _ => unsorted.push(row),
            }
        }
        let mut counts: BTreeMap<Option<OrderClass>, usize> = BTreeMap::new();
        for (_, value) in &tame {
            *counts.entry(value.order_class()).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let class = most.and_then(|(class, _)| class);
        let mut extent = Extent::default();
        tame.retain(|(row, value)| {
            let fits = value.order_class() == class;
            if fits {
                extent.add(value);
            } else {
                unsorted.push(*row);
            }
            fits
        });
        unsorted.sort_unstable();
        let mut values: BTreeMap<u32, Value<'a>> = tame.into_iter().collect();
        let rows: Vec<u32> = values.keys().copied().collect();
        let mut sorted = Sorted::new(rows.into_iter(), |row| {
            Ok(values.remove(&row).unwrap_or(Value::Null))
        });
        sorted.extent = extent;
        let apart = unsorted.iter().map(|row| (*row, NO_PLACE));
        sorted.by_arrival.extend(apart);
        sorted.by_arrival.sort_unstable();
        sorted.unsorted = unsorted;
        sorted
    }

    /// What its messages have.
    pub(super) fn class(&self) -> OrderClass {
        self.class
    }

    /// Of the messages at these places the first for which this is not true any more.
    pub(super) fn partition_within(
        &self,
        places: Range<usize>,
        mut before: impl FnMut(u32) -> bool,
    ) -> usize {
        let some = self.by_value.get(places.clone()).unwrap_or_default();
        places.start + some.partition_point(|row| before(*row))
    }

    /// Whether a value can be compared with the messages'.
    pub(super) fn compares(&self, value: &Value<'_>) -> bool {
        value.order_class() == Some(self.class)
    }

    /// Whether a value can be compared with that of no message at all.
    pub(super) fn is_strange(&self, value: &Value<'_>) -> bool {
        match value.order_class() {
            Some(class) => class != self.class && self.other == 0,
            None => !matches!(value, Value::Double(_)),
        }
    }

    /// How many messages can be compared.
    pub(super) fn len(&self) -> usize {
        self.by_value.len()
    }

    /// How many of them come first, in the order of values, for which this is true.
    pub(super) fn partition_point(&self, mut before: impl FnMut(u32) -> bool) -> usize {
        self.by_value.partition_point(|row| before(*row))
    }

    /// The messages at these places of the order of values, in their order of arrival.
    pub(super) fn within(self: &Arc<Sorted>, places: Range<usize>) -> Within {
        let some = self.by_value.get(places.clone()).unwrap_or_default();
        if some.len() + self.unsorted.len() < self.by_value.len() / SPARSE {
            let mut rows = [some, &self.unsorted].concat();
            rows.sort_unstable();
            Within::Some(rows.into_iter())
        } else {
            Within::Many {
                sorted: Arc::clone(self),
                places,
                at: 0,
            }
        }
    }
}

/// Messages that are left to try.
#[derive(Debug)]
pub(super) enum Within {
    Some(std::vec::IntoIter<u32>),
    Many {
        sorted: Arc<Sorted>,
        places: Range<usize>,
        /// How many messages have been asked.
        at: usize,
    },
}

impl Iterator for Within {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Within::Some(rows) => rows.next(),
            Within::Many { sorted, places, at } => {
                let left = sorted.by_arrival.get(*at..)?;
                let next = left
                    .iter()
                    .position(|(_, place)| *place == NO_PLACE || places.contains(&(*place as usize)))?;
                *at += next + 1;
                left.get(next).map(|(row, _)| *row)
            }
        }
    }
}
