//! Sums without error: whatever the order of their terms, and however they are merged, the same bits come out.
//!
//! A sum is an integer in units of 2^-2176, kept as digits of 32 bits with room for carries, and of these only the
//! stretch that was ever touched: numbers of similar size need four or five. Squares fit in as well, exactly, since the
//! square of a double's mantissa is an integer.

use super::round::{Magnitude, low};

/// The position of the unit bit: below the square of the least double, 2^-2148.
const UNIT: i32 = 2176;
/// How many additions a digit has room for before carries must be moved on.
const ROOM: u32 = 1 << 30;

/// A sum of doubles.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    /// The position of the first digit.
    base: u16,
    digits: Vec<i64>,
    /// Additions since carries were moved on.
    pending: u32,
    /// Whether +∞, -∞ and NaN are among the terms.
    beyond: u8,
}

/// The lower half of a square.
const HALF: u128 = (1 << 53) - 1;

const POSITIVE: u8 = 1;
const NEGATIVE: u8 = 2;
const NAN: u8 = 4;

/// Digits that any sum needs: squares reach 2^2048, and 2^64 of them 2^2112.
const MOST: usize = 136;

impl Exact {
    /// Adds a number.
    pub(super) fn add(&mut self, number: f64) {
        let Some((mantissa, exponent)) = self.parts(number) else {
            return;
        };
        self.add_at(mantissa, exponent + UNIT, number < 0.0);
    }

    /// Adds a number's square.
    pub(super) fn add_square(&mut self, number: f64) {
        let Some((mantissa, exponent)) = self.parts(number) else {
            // The square of an infinity is a positive one.
            if self.beyond & NEGATIVE != 0 {
                self.beyond = self.beyond & !NEGATIVE | POSITIVE;
            }
            return;
        };
        let square = u128::from(mantissa) * u128::from(mantissa);
        let at = 2 * exponent + UNIT;
        // Each half has at most 53 bits.
        self.add_at(u64::try_from(square & HALF).unwrap_or(0), at, false);
        self.add_at(u64::try_from(square >> 53).unwrap_or(0), at + 53, false);
    }

    /// A finite double's mantissa and exponent; anything else is noted.
    fn parts(&mut self, number: f64) -> Option<(u64, i32)> {
        let bits = number.to_bits();
        let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
        let fraction = bits & ((1 << 52) - 1);
        if exponent == 0x7ff {
            self.beyond |= match (fraction, bits >> 63) {
                (0, 0) => POSITIVE,
                (0, _) => NEGATIVE,
                _ => NAN,
            };
            return None;
        }
        if exponent == 0 {
            return Some((fraction, -1074));
        }
        Some((fraction | 1 << 52, exponent - 1075))
    }

    /// Adds a mantissa at a bit's position.
    fn add_at(&mut self, mantissa: u64, position: i32, negative: bool) {
        if mantissa == 0 {
            return;
        }
        let position = position.unsigned_abs();
        let first = u16::try_from(position / 32).unwrap_or(0);
        let shifted = u128::from(mantissa) << (position % 32);
        let from = self.reach(first);
        for (at, digit) in self.digits.iter_mut().skip(from).take(3).enumerate() {
            #[allow(clippy::cast_possible_truncation)] // a digit of it
            let part = i64::from((shifted >> (32 * at)) as u32);
            *digit += if negative { -part } else { part };
        }
        self.pending += 1;
        if self.pending >= ROOM {
            self.carry();
        }
    }

    /// Makes room for three digits from a position on; returns where they are.
    fn reach(&mut self, first: u16) -> usize {
        if self.digits.is_empty() {
            self.base = first;
        }
        if first < self.base {
            let more = usize::from(self.base - first);
            self.digits.splice(0..0, std::iter::repeat_n(0, more));
            self.base = first;
        }
        let from = usize::from(first - self.base);
        if self.digits.len() < from + 3 {
            self.digits.reserve_exact(from + 3 - self.digits.len());
            self.digits.resize(from + 3, 0);
        }
        from
    }

    /// Moves carries on, so that every digit but the last is in 0..2^32.
    fn carry(&mut self) {
        let mut carry = 0_i64;
        let last = self.digits.len().saturating_sub(1);
        for (at, digit) in self.digits.iter_mut().enumerate() {
            let sum = *digit + carry;
            if at == last {
                *digit = sum;
            } else {
                *digit = sum & 0xffff_ffff;
                carry = sum >> 32;
            }
        }
        if let Some(top) = self.digits.last_mut()
            && (*top >> 32 != 0 && *top >> 32 != -1)
        {
            let more = *top >> 32;
            *top &= 0xffff_ffff;
            self.digits.push(more);
        }
        self.pending = 1;
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Exact) {
        self.beyond |= other.beyond;
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (at, digit) in (other.base..).zip(&other.digits) {
            let from = self.reach(at);
            if let Some(mine) = self.digits.get_mut(from) {
                *mine += digit;
            }
        }
        self.carry();
    }

    /// The sum as sign and magnitude, without zeros at its ends: equal sums give equal ones.
    pub(super) fn magnitude(&self) -> Magnitude {
        let negated = |negative: bool| -> Option<Vec<u32>> {
            let mut carry = 0_i64;
            let mut out = Vec::with_capacity(self.digits.len() + 2);
            for digit in &self.digits {
                let sum = if negative { -digit } else { *digit } + carry;
                out.push(low(sum));
                carry = sum >> 32;
            }
            while carry > 0 {
                out.push(low(carry));
                carry >>= 32;
            }
            (carry == 0).then_some(out)
        };
        let (negative, digits) = match negated(false) {
            Some(digits) => (false, digits),
            None => (true, negated(true).unwrap_or_default()),
        };
        Magnitude::new(negative, i32::from(self.base) * 32 - UNIT, digits)
    }

    /// What the sum is if an infinity or NaN is among its terms.
    pub(super) fn beyond(&self) -> Option<f64> {
        match self.beyond {
            0 => None,
            POSITIVE => Some(f64::INFINITY),
            NEGATIVE => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    /// The nearest double.
    pub(super) fn value(&self) -> f64 {
        self.beyond().unwrap_or_else(|| self.magnitude().to_double())
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.digits.capacity() * size_of::<i64>()
    }

    /// Appends it; equal sums as equal bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let exact = self.magnitude();
        out.push(self.beyond | u8::from(exact.negative) << 3);
        let base = u16::try_from((exact.exponent + UNIT) / 32).unwrap_or(0);
        out.extend_from_slice(&base.to_be_bytes());
        out.push(u8::try_from(exact.digits.len()).unwrap_or(u8::MAX));
        for digit in &exact.digits {
            out.extend_from_slice(&digit.to_be_bytes());
        }
    }

    pub(super) fn decode(from: &mut &[u8]) -> Option<Exact> {
        let [flags, high, low, len] = *from.split_off(..4)?.first_chunk()?;
        let base = u16::from_be_bytes([high, low]);
        let bytes = from.split_off(..usize::from(len) * 4)?;
        if flags > 15 || usize::from(base) + usize::from(len) > MOST {
            return None;
        }
        let digit = |bytes: &[u8]| {
            bytes
                .first_chunk()
                .map(|bytes| i64::from(u32::from_be_bytes(*bytes)))
        };
        let negative = flags & 8 != 0;
        let digits = bytes.chunks(4).filter_map(digit);
        Some(Exact {
            base,
            digits: digits
                .map(|digit| if negative { -digit } else { digit })
                .collect(),
            pending: 1,
            beyond: flags & 7,
        })
    }
}
