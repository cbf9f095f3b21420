//! Durations as Go's `time.ParseDuration` reads them, because that is what the manifests are written for.

use std::fmt;

/// The longest duration that a resource can ask for, in microseconds: 31 days.
const MAX_MICROS: i64 = 744 * 3600 * 1_000_000;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Empty, or a part of it is not `<number><unit>`.
    Malformed,
    /// A number without a unit, as in `20`.
    NoUnit(String),
    /// A unit that Go doesn't know, as in `1d`.
    UnknownUnit(String),
    /// Shorter than one millisecond, zero included.
    TooShort,
    /// Longer than 31 days.
    TooLong,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => {
                f.write_str("is not a duration; write numbers with units, as in 20s, 1m30s or 500ms")
            }
            Self::NoUnit(number) => write!(f, "has no unit; write {number}s for {number} seconds"),
            Self::UnknownUnit(unit) => {
                write!(
                    f,
                    "has the unknown unit {unit:?}; the units are ns, us, ms, s, m and h"
                )?;
                if matches!(unit.as_str(), "d" | "day" | "days") {
                    f.write_str(" (a day is 24h)")?;
                }
                Ok(())
            }
            Self::TooShort => f.write_str("is too short; the least is 1ms"),
            Self::TooLong => f.write_str("is too long; the most is 744h (31 days)"),
        }
    }
}

impl std::error::Error for DurationError {}

/// Reads a duration such as `20s`, `1m30s`, `1.5h` or `500ms`, and gives it in microseconds, rounded down.
///
/// # Errors
/// Anything that is not a run of `<number><unit>` with Go's units, or is not within 1 ms and 31 days.
pub fn parse_micros(text: &str) -> Result<i64, DurationError> {
    // Nanoseconds in an i128: 31 days are 2.7e15, so no sum of checked parts can overflow.
    let mut total: i128 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    while !rest.is_empty() {
        let number_len = rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count();
        let (number, after) = rest.split_at(number_len);
        let unit_len = after
            .bytes()
            .take_while(|b| !b.is_ascii_digit() && *b != b'.')
            .count();
        let (unit, next) = after.split_at(unit_len);
        total = total.saturating_add(part_nanos(number, unit)?);
        rest = next;
    }
    let micros = total / 1000;
    if micros < 1000 {
        return Err(DurationError::TooShort);
    }
    i64::try_from(micros)
        .ok()
        .filter(|m| *m <= MAX_MICROS)
        .ok_or(DurationError::TooLong)
}

fn part_nanos(number: &str, unit: &str) -> Result<i128, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(DurationError::Malformed);
    }
    let scale: i128 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(DurationError::NoUnit(number.to_owned())),
        other => return Err(DurationError::UnknownUnit(other.to_owned())),
    };
    let whole = whole.parse::<u64>().map_err(|_| DurationError::TooLong)?;
    // Nine digits of a fraction are nanoseconds of a second and finer than anything of an hour that matters.
    let fraction = &fraction[..fraction.len().min(9)];
    let places = u32::try_from(fraction.len()).map_err(|_| DurationError::Malformed)?;
    let fraction = fraction.parse::<i128>().map_err(|_| DurationError::Malformed)?;
    Ok(i128::from(whole) * scale + fraction * scale / 10_i128.pow(places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, micros) in [
            ("20s", 20_000_000),
            ("1m30s", 90_000_000),
            ("500ms", 500_000),
            ("1.5h", 5_400_000_000),
            ("1h0m0.5s", 3_600_500_000),
            ("1500us", 1500),
            ("744h", MAX_MICROS),
        ] {
            assert_eq!(parse_micros(text), Ok(micros), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, why) in [
            ("", "is not a duration"),
            ("soon", "is not a duration"),
            ("-5s", "is not a duration"),
            ("1.2.3s", "is not a duration"),
            (".5s", "is not a duration"),
            ("20", "has no unit; write 20s"),
            ("1d", "a day is 24h"),
            ("5 s", "unknown unit \" s\""),
            ("0s", "too short"),
            ("999us", "too short"),
            ("745h", "too long"),
            ("99999999999999999999999h", "too long"),
        ] {
            let error = parse_micros(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
