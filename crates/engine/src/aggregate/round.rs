//! Integers of any size, and the doubles nearest to them and to their quotients.

/// A number of any size: its sign, and its digits of 32 bits, the least first, in units of a power of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Magnitude {
    pub(super) negative: bool,
    /// The exponent of the unit.
    pub(super) exponent: i32,
    /// Without zeros at either end; none of zero.
    pub(super) digits: Vec<u32>,
}

/// The exponent of the least double.
const LEAST: i32 = -1074;

impl Magnitude {
    pub(super) fn new(negative: bool, exponent: i32, mut digits: Vec<u32>) -> Magnitude {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        if digits.is_empty() {
            return Magnitude {
                negative: false,
                exponent: 0,
                digits,
            };
        }
        Magnitude {
            negative,
            exponent: exponent + 32 * i32::try_from(zeros).unwrap_or(0),
            digits,
        }
    }

    /// The nearest double.
    pub(super) fn to_double(&self) -> f64 {
        self.cut(false).to_double()
    }

    /// The number divided by one or more integers, rounded once.
    pub(super) fn divided(&self, by: &[u64]) -> f64 {
        self.quotient(by).to_double()
    }

    /// The square root of the quotient by integers.
    pub(super) fn root_of_quotient(&self, by: &[u64]) -> f64 {
        let quotient = self.quotient(by).rounded(i32::MIN);
        let odd = quotient.exponent.rem_euclid(2);
        #[allow(clippy::cast_precision_loss)] // at most 54 bits, the lowest of them zero
        let mantissa = (quotient.mantissa << odd) as f64;
        scale(mantissa.sqrt(), (quotient.exponent - odd) / 2)
    }

    fn quotient(&self, by: &[u64]) -> Cut {
        // Five digits more are more than 64 bits of quotient beyond what any divisor takes away.
        let extra = 5 * by.len();
        let mut digits = vec![0; extra];
        digits.extend_from_slice(&self.digits);
        let mut inexact = false;
        for divisor in by {
            let divisor = u128::from((*divisor).max(1));
            let mut rest = 0_u128;
            for digit in digits.iter_mut().rev() {
                let value = rest << 32 | u128::from(*digit);
                // The rest is less than the divisor, so the quotient has one digit.
                *digit = u32::try_from(value / divisor).unwrap_or(u32::MAX);
                rest = value % divisor;
            }
            inexact |= rest != 0;
        }
        let exponent = self.exponent - 32 * i32::try_from(extra).unwrap_or(0);
        Magnitude::new(self.negative, exponent, digits).cut(inexact)
    }

    /// Its highest 64 bits. `more` says that the number is a little greater than its digits say.
    fn cut(&self, more: bool) -> Cut {
        let Some(top) = self.digits.last() else {
            return Cut {
                negative: false,
                mantissa: 0,
                exponent: 0,
                sticky: more,
            };
        };
        let bits = 32 * i32::try_from(self.digits.len()).unwrap_or(0)
            - i32::try_from(top.leading_zeros()).unwrap_or(0);
        // The highest 64 bits, and whether anything is below.
        let skip = (bits - 64).max(0);
        let (whole, part) = (usize::try_from(skip / 32).unwrap_or(0), skip % 32);
        let mut window = 0_u128;
        for (at, digit) in self.digits.iter().skip(whole).take(3).enumerate() {
            window |= u128::from(*digit) << (32 * at);
        }
        let below = window & ((1 << part) - 1) != 0;
        let sticky = more || below || self.digits.iter().take(whole).any(|digit| *digit != 0);
        let mantissa = u64::try_from(window >> part & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        Cut {
            negative: self.negative,
            mantissa,
            exponent: self.exponent + skip,
            sticky,
        }
    }

    /// The product with an integer.
    pub(super) fn times(&self, factor: u64) -> Magnitude {
        #[allow(clippy::cast_possible_truncation)] // the halves
        let factor = Magnitude::new(false, 0, vec![factor as u32, (factor >> 32) as u32]);
        self.product(&factor)
    }

    /// The number times another.
    pub(super) fn product(&self, other: &Magnitude) -> Magnitude {
        let mut digits = vec![0_u32; self.digits.len() + other.digits.len()];
        for (at, a) in self.digits.iter().enumerate() {
            let mut carry = 0_u64;
            let rest = other.digits.iter().copied().chain(std::iter::repeat(0));
            for (digit, b) in digits.iter_mut().skip(at).zip(rest) {
                let sum = u64::from(*digit) + u64::from(*a) * u64::from(b) + carry;
                *digit = (sum & 0xffff_ffff) as u32;
                carry = sum >> 32;
            }
        }
        Magnitude::new(
            self.negative != other.negative,
            self.exponent + other.exponent,
            digits,
        )
    }

    /// The difference to a number that is not greater; both are not negative.
    pub(super) fn minus(&self, other: &Magnitude) -> Magnitude {
        if other.digits.is_empty() || self.digits.is_empty() {
            return self.clone();
        }
        let exponent = self.exponent.min(other.exponent);
        let wide = |number: &Magnitude| {
            // Exponents differ by whole digits: all sums have the same unit.
            let zeros = usize::try_from((number.exponent - exponent) / 32).unwrap_or(0);
            let mut digits = vec![0; zeros];
            digits.extend_from_slice(&number.digits);
            digits
        };
        let (mut digits, less) = (wide(self), wide(other));
        let mut borrow = 0_i64;
        for (at, digit) in digits.iter_mut().enumerate() {
            let difference = i64::from(*digit) - i64::from(less.get(at).copied().unwrap_or(0)) + borrow;
            *digit = low(difference);
            borrow = difference >> 32;
        }
        Magnitude::new(false, exponent, digits)
    }
}

/// A number cut to a word: `mantissa` × 2^`exponent`, and a little more if `sticky`.
#[derive(Clone, Copy, Debug)]
struct Cut {
    negative: bool,
    mantissa: u64,
    exponent: i32,
    sticky: bool,
}

impl Cut {
    /// Drops bits until at most 53 are left and the exponent is at least `least`; ties go to even.
    fn rounded(self, least: i32) -> Cut {
        let used = 64 - i32::try_from(self.mantissa.leading_zeros()).unwrap_or(0);
        let drop = (used - 53).max(least.saturating_sub(self.exponent)).max(0);
        self.drop(drop)
    }

    fn drop(self, bits: i32) -> Cut {
        if bits == 0 {
            return self;
        }
        if bits > 64 {
            return Cut { mantissa: 0, ..self };
        }
        let wide = u128::from(self.mantissa);
        let (kept, rest) = (wide >> bits, wide & ((1 << bits) - 1));
        let half = 1_u128 << (bits - 1);
        let up = rest > half || rest == half && (self.sticky || kept & 1 == 1);
        Cut {
            mantissa: u64::try_from(kept + u128::from(up)).unwrap_or(u64::MAX),
            exponent: self.exponent + bits,
            sticky: false,
            ..self
        }
    }

    fn to_double(self) -> f64 {
        let rounded = self.rounded(LEAST);
        #[allow(clippy::cast_precision_loss)] // 53 bits, or 54 whose lowest is zero
        let magnitude = scale(rounded.mantissa as f64, rounded.exponent);
        if self.negative { -magnitude } else { magnitude }
    }
}

/// The lowest digit of a number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn low(number: i64) -> u32 {
    number as u32
}

/// A double times a power of two.
fn scale(number: f64, exponent: i32) -> f64 {
    let power = |exponent: i32| f64::from_bits(u64::from((exponent + 1023).unsigned_abs()) << 52);
    let mut number = number;
    let mut exponent = exponent;
    while exponent > 1000 && number.is_finite() && number != 0.0 {
        number *= power(1000);
        exponent -= 1000;
    }
    while exponent < -1000 && number != 0.0 {
        number *= power(-1000);
        exponent += 1000;
    }
    number * power(exponent.clamp(-1000, 1000))
}
