//! Seconds of the virtual clock, exact to the microsecond in both directions.

use streaming_engine::time::Time;

/// Seconds that can be said: past any pipeline, and far from overflowing microseconds.
const MAX_SECONDS: i64 = 1_000_000_000_000;

/// Microseconds as the shortest decimal number of seconds.
pub(crate) fn seconds(at: Time) -> String {
    let (whole, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000));
    if micros == 0 {
        return whole.to_string();
    }
    format!("{whole}.{micros:06}").trim_end_matches('0').to_owned()
}

/// The time that a JSON number of seconds says, or why it says none. Its decimals are taken as they are written, not by
/// way of a double, so that none is lost in silence.
pub(super) fn parse(number: &str) -> Result<Time, String> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let negative = whole.starts_with('-');
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(Time(0));
    }
    if negative {
        return Err("`at` is before the clock starts, which is at 0".to_owned());
    }
    let beyond = || format!("`at` is beyond {MAX_SECONDS} seconds");
    // The power of ten of the last significant digit, in microseconds.
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let power = exponent
        .parse::<i64>()
        .ok()
        .and_then(|exponent| {
            let places = i64::try_from(fraction.len()).ok()? - i64::try_from(trailing).ok()?;
            exponent.checked_add(6)?.checked_sub(places)
        })
        .ok_or_else(beyond)?;
    let Ok(power) = u32::try_from(power) else {
        return Err("`at` is finer than a microsecond: at most 6 decimals count".to_owned());
    };
    significant
        .parse::<i64>()
        .ok()
        .and_then(|value| value.checked_mul(10_i64.checked_pow(power)?))
        .filter(|micros| *micros <= MAX_SECONDS * 1_000_000)
        .map(Time)
        .ok_or_else(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, micros) in [
            ("0", 0),
            ("-0.0", 0),
            ("20", 20_000_000),
            ("0.1", 100_000),
            ("0.300000", 300_000),
            ("1.2340000000", 1_234_000),
            ("25e-1", 2_500_000),
            ("1.5E+3", 1_500_000_000),
            ("1000000000000", 1_000_000_000_000_000_000),
            ("9007199254.740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(parse(text), Ok(Time(micros)), "{text}");
        }
        for text in [
            "-1",
            "1e-7",
            "0.0000001",
            "1e12345678901234567890",
            "1e300",
            "1000000000000.1",
            "1e-12345678901234567890",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
