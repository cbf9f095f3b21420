//! Percentiles: exact while there are few different values, then from values rounded to buckets.
//!
//! Buckets are the doubles that share sign, exponent and the first seven bits of their mantissa, so that the middle of
//! one is within 0.4 % of all that are in it, whatever machine counts. A value is in the same bucket in whichever order
//! values come, and whether there are few depends on all of them: neither order nor merging changes the result.

use std::collections::BTreeMap;

use super::key::{ordered, unordered};
use super::stored::take;

/// Different values up to which a percentile is exact.
pub(super) const EXACT: usize = 4096;
/// The bits of a double that tell its bucket.
const BUCKET: u64 = !((1 << 45) - 1);

#[derive(Clone, Debug, Default)]
pub(super) struct Quantiles {
    /// How often each value or bucket is there, by the bits that sort as doubles do.
    counts: BTreeMap<u64, u64>,
    total: u64,
    rounded: bool,
}

impl Quantiles {
    /// Adds a value that is no NaN.
    pub(super) fn add(&mut self, number: f64) {
        self.put(ordered(number), 1);
    }

    fn put(&mut self, value: u64, count: u64) {
        let value = if self.rounded { bucket(value) } else { value };
        let known = self.counts.entry(value).or_default();
        *known = known.saturating_add(count);
        self.total = self.total.saturating_add(count);
        if !self.rounded && self.counts.len() > EXACT {
            self.round();
        }
    }

    fn round(&mut self) {
        self.rounded = true;
        for (value, count) in std::mem::take(&mut self.counts) {
            let known = self.counts.entry(bucket(value)).or_default();
            *known = known.saturating_add(count);
        }
    }

    pub(super) fn merge(&mut self, other: &Quantiles) {
        if other.rounded && !self.rounded {
            self.round();
        }
        for (value, count) in &other.counts {
            self.put(*value, *count);
        }
    }

    /// The value that a part of the values is not greater than, between two of them on the line that joins them.
    pub(super) fn percentile(&self, part: f64) -> Option<f64> {
        let last = self.total.checked_sub(1)?;
        #[allow(clippy::cast_precision_loss)] // a rank beyond 2^53 may be off by one
        let rank = part * last as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let below = (rank.floor() as u64).min(last);
        let fraction = rank - rank.floor();
        let low = self.at(below)?;
        if fraction <= 0.0 || below == last {
            return Some(low);
        }
        let high = self.at(below + 1)?;
        #[allow(clippy::float_cmp)] // the same value, whatever it is
        if low == high || low.is_infinite() {
            return Some(low);
        }
        // Neither the difference nor its parts overflow this way.
        Some((low * (1.0 - fraction) + high * fraction).clamp(low, high))
    }

    /// The value of a rank from 0.
    fn at(&self, rank: u64) -> Option<f64> {
        let mut seen = 0_u64;
        for (value, count) in &self.counts {
            seen = seen.saturating_add(*count);
            if seen > rank {
                return Some(if self.rounded {
                    middle(*value)
                } else {
                    unordered(*value)
                });
            }
        }
        None
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        super::tree_bytes(self.counts.len())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.rounded));
        out.extend_from_slice(&u32::try_from(self.counts.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (value, count) in &self.counts {
            out.extend_from_slice(&value.to_be_bytes());
            out.extend_from_slice(&count.to_be_bytes());
        }
    }

    pub(super) fn decode(from: &mut &[u8]) -> Option<Quantiles> {
        let rounded = match from.split_off_first()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let count = u32::from_be_bytes(take(from)?);
        let mut quantiles = Quantiles::default();
        for _ in 0..count {
            let value = u64::from_be_bytes(take(from)?);
            let count = u64::from_be_bytes(take(from)?);
            if unordered(value).is_nan() || count == 0 || rounded && value != bucket(value) {
                return None;
            }
            let known = quantiles.counts.entry(value).or_default();
            *known = known.saturating_add(count);
            quantiles.total = quantiles.total.saturating_add(count);
        }
        quantiles.rounded = rounded;
        if !rounded && quantiles.counts.len() > EXACT {
            return None;
        }
        Some(quantiles)
    }
}

/// The bucket of a value. What is smaller than any normal double counts as zero.
fn bucket(value: u64) -> u64 {
    let number = unordered(value);
    if number.abs() < f64::MIN_POSITIVE {
        return ordered(0.0);
    }
    if number.is_infinite() {
        return value;
    }
    ordered(f64::from_bits(number.to_bits() & BUCKET))
}

/// The middle of a bucket.
fn middle(bucket: u64) -> f64 {
    let number = unordered(bucket);
    if number == 0.0 || number.is_infinite() {
        return number;
    }
    f64::from_bits(number.to_bits() | 1 << 44)
}
