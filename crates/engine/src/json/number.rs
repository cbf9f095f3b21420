//! Numbers by RFC 8259's grammar, to the nearest double; the digits of large integers are kept.

use super::error::DecodeErrorKind;

/// What a scanned number is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// A double that stands for the number as `field::Field::Number` promises.
    Double(f64),
    /// An integer beyond 2^53, to be kept as text.
    BigInt,
}

/// Every integer up to this has a double of its own.
const EXACT: u64 = 1 << 53;

/// Powers of ten that a double holds exactly: with a mantissa up to 2^53, one multiplication or division by
/// them rounds correctly (Clinger, "How to read floating point numbers accurately", 1990).
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Digits of integers that a double holds exactly, whatever they are.
const SHORT: usize = 15;

/// Scans the number that begins at `begin` if it has few digits and no exponent, as most have: then it takes no care.
/// Gives its end too.
#[inline]
pub(super) fn short(bytes: &[u8], begin: usize) -> Option<(f64, usize)> {
    let negative = bytes.get(begin) == Some(&b'-');
    let start = begin + usize::from(negative);
    let mut mantissa = 0;
    let mut end = run(bytes, start, &mut mantissa);
    let whole = end - start;
    if whole == 0 || (whole > 1 && bytes.get(start) == Some(&b'0')) {
        return None;
    }
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        let first = end + 1;
        end = run(bytes, first, &mut mantissa);
        fraction = end - first;
        if fraction == 0 {
            return None;
        }
    }
    if whole + fraction > SHORT || matches!(bytes.get(end), Some(b'e' | b'E')) {
        return None;
    }
    // At most 15 digits: exact, as is the power of ten.
    #[allow(clippy::cast_precision_loss)]
    let mut value = mantissa.cast_signed() as f64;
    if fraction > 0 {
        value /= POWERS.get(fraction)?;
    }
    Some((if negative { -value } else { value }, end))
}

/// Scans the number that begins at `at`, which is moved to its end, or to the fault.
#[inline]
pub(super) fn scan(bytes: &[u8], at: &mut usize) -> Result<Number, DecodeErrorKind> {
    let begin = *at;
    let negative = bytes.get(begin) == Some(&b'-');
    let start = begin + usize::from(negative);
    let mut mantissa = 0;
    let mut i = run(bytes, start, &mut mantissa);
    let mut digits = i - start;
    if digits == 0 || (digits > 1 && bytes.get(start) == Some(&b'0')) {
        *at = start;
        return Err(DecodeErrorKind::InvalidJson);
    }
    let mut fraction = 0;
    let integer = !matches!(bytes.get(i), Some(b'.' | b'e' | b'E'));
    if !integer {
        if bytes.get(i) == Some(&b'.') {
            let first = i + 1;
            i = run(bytes, first, &mut mantissa);
            fraction = i - first;
            digits += fraction;
            if fraction == 0 {
                *at = i;
                return Err(DecodeErrorKind::InvalidJson);
            }
        }
        if matches!(bytes.get(i), Some(b'e' | b'E')) {
            i += 1 + usize::from(matches!(bytes.get(i + 1), Some(b'+' | b'-')));
            let first = i;
            i = run(bytes, first, &mut 0);
            *at = i;
            if i == first {
                return Err(DecodeErrorKind::InvalidJson);
            }
            return parse(bytes, begin, at);
        }
    }
    *at = i;
    // 19 digits fit into 64 bits, so the mantissa has not wrapped.
    let exact = digits <= 19 && mantissa <= EXACT;
    if exact && fraction < POWERS.len() {
        // Exact: checked against 2^53 above.
        #[allow(clippy::cast_precision_loss)]
        let value = mantissa as f64 / POWERS[fraction];
        return Ok(Number::Double(if negative { -value } else { value }));
    }
    // 1.8e308 has 309 digits: only beyond that can an integer be infinite.
    if integer && (digits <= 308 || parse(bytes, begin, at).is_ok()) {
        *at = i;
        return Ok(Number::BigInt);
    }
    parse(bytes, begin, at)
}

/// The nearest double. What Rust parses includes all of JSON's grammar, rounds to nearest, and overflows to
/// infinity.
#[cold]
fn parse(bytes: &[u8], begin: usize, end: &mut usize) -> Result<Number, DecodeErrorKind> {
    let text = bytes
        .get(begin..*end)
        .and_then(|number| std::str::from_utf8(number).ok());
    match text.and_then(|text| text.parse().ok()) {
        Some(value) if f64::is_finite(value) => Ok(Number::Double(value)),
        _ => {
            *end = begin;
            Err(DecodeErrorKind::NumberOutOfRange)
        }
    }
}

/// Where the digits that begin at `i` end. They are added to the mantissa, which wraps.
#[inline]
fn run(bytes: &[u8], mut i: usize, mantissa: &mut u64) -> usize {
    while let Some(byte) = bytes.get(i) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        i += 1;
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<(usize, Number), (DecodeErrorKind, usize)> {
        let mut at = 0;
        super::scan(text.as_bytes(), &mut at)
            .map(|number| (at, number))
            .map_err(|kind| (kind, at))
    }

    #[test]
    fn doubles_are_the_nearest_ones() {
        for text in [
            "0",
            "-0",
            "1.25",
            "0.1",
            "1.99",
            "9007199254740992",
            "1e22",
            "1e23",
            "5e-324",
            "1e-400",
        ] {
            let expected: f64 = text.parse().unwrap();
            let (len, number) = scan(text).unwrap();
            assert_eq!(len, text.len());
            match number {
                Number::Double(value) => assert_eq!(value.to_bits(), expected.to_bits(), "{text}"),
                Number::BigInt => panic!("{text}"),
            }
        }
    }

    #[test]
    fn large_integers_stay_digits() {
        for text in [
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551617",
            &"9".repeat(308),
        ] {
            assert_eq!(scan(text), Ok((text.len(), Number::BigInt)), "{text}");
        }
    }

    #[test]
    fn what_no_double_holds_is_out_of_range() {
        for text in [
            "1e309",
            "-1e999999999999",
            &"9".repeat(310),
            &format!("{}.5", "9".repeat(310)),
        ] {
            assert_eq!(scan(text), Err((DecodeErrorKind::NumberOutOfRange, 0)), "{text}");
        }
    }

    #[test]
    fn the_grammar_is_kept() {
        for text in ["-", "01", "1.", ".5", "1e", "1e+", "-a", "+1", "-01"] {
            assert!(
                matches!(scan(text), Err((DecodeErrorKind::InvalidJson, _))),
                "{text}"
            );
        }
    }
}
