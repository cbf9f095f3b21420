//! Timestamps and durations as CEL has them: nanoseconds; timestamps within the years 1 to 9999, durations within
//! what 64 bits of nanoseconds hold (as in cel-go), some 292 years.

use std::fmt;

/// `0001-01-01T00:00:00Z`, in seconds since the Unix epoch.
const MIN_SECONDS: i64 = -62_135_596_800;
/// `9999-12-31T23:59:59Z`.
const MAX_SECONDS: i64 = 253_402_300_799;
/// Nanoseconds in a second.
const NANOS: i128 = 1_000_000_000;

/// A point in time, always in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// A span of time in nanoseconds, possibly negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

impl Timestamp {
    /// From nanoseconds since the Unix epoch; `None` outside the years 1 to 9999.
    pub fn from_nanos(nanos: i128) -> Option<Timestamp> {
        let seconds = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
        let nanos = u32::try_from(nanos.rem_euclid(NANOS)).ok()?;
        (MIN_SECONDS..=MAX_SECONDS)
            .contains(&seconds)
            .then_some(Timestamp { seconds, nanos })
    }

    /// From seconds since the Unix epoch.
    pub fn from_seconds(seconds: i64) -> Option<Timestamp> {
        Timestamp::from_nanos(i128::from(seconds) * NANOS)
    }

    /// From the engine's time, clamped to the years 1 to 9999.
    pub fn from_time(time: crate::time::Time) -> Timestamp {
        let seconds = time.0.div_euclid(1_000_000).clamp(MIN_SECONDS, MAX_SECONDS);
        let nanos = u32::try_from(time.0.rem_euclid(1_000_000) * 1000).unwrap_or(0);
        Timestamp { seconds, nanos }
    }

    /// Nanoseconds since the Unix epoch.
    pub fn nanos(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// The point a span later.
    pub fn plus(self, span: Duration) -> Option<Timestamp> {
        Timestamp::from_nanos(self.nanos() + i128::from(span.0))
    }

    /// The point a span earlier.
    pub fn minus(self, span: Duration) -> Option<Timestamp> {
        Timestamp::from_nanos(self.nanos() - i128::from(span.0))
    }

    /// The span since an earlier point.
    pub fn since(self, earlier: Timestamp) -> Option<Duration> {
        i64::try_from(self.nanos() - earlier.nanos()).ok().map(Duration)
    }

    /// Nanoseconds since the last whole second.
    pub(crate) fn subsecond(self) -> u32 {
        self.nanos
    }

    /// Parses RFC 3339 as cel-go does: strict, so that two digits are two digits and an offset is one.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let (date, rest) = text.split_at_checked(10)?;
        let time = rest.strip_prefix('T')?;
        let (clock, rest) = time.split_at_checked(8)?;
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date.as_bytes() else {
            return None;
        };
        let [h1, h2, b':', n1, n2, b':', s1, s2] = *clock.as_bytes() else {
            return None;
        };
        let year = i64::from(two(y1, y2)?) * 100 + i64::from(two(y3, y4)?);
        let (month, day) = (i64::from(two(m1, m2)?), i64::from(two(d1, d2)?));
        let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
        if month > 12 || day > 31 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => {
                let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let (digits, zone) = rest.split_at_checked(digits)?;
                (fraction_nanos(digits)?, zone)
            }
            None => (0, rest),
        };
        let days = days_from_civil(year, month, day)?;
        let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let nanos = i128::from(seconds - zone_seconds(zone)?) * NANOS + i128::from(fraction);
        Timestamp::from_nanos(nanos)
    }
}

fn two(a: u8, b: u8) -> Option<u8> {
    (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'))
}

/// Nanoseconds of the digits after a decimal point; further digits are cut off.
fn fraction_nanos(digits: &str) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    let mut nanos = 0;
    for at in 0..9 {
        nanos = nanos * 10 + digits.as_bytes().get(at).map_or(0, |d| u32::from(d - b'0'));
    }
    Some(nanos)
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let [sign, h1, h2, b':', m1, m2] = *zone.as_bytes() else {
        return None;
    };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// Days since the Unix epoch of a date of the proleptic Gregorian calendar; `None` if there is no such day.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if month == 0 || day == 0 || day > length {
        return None;
    }
    // Years counted from March put the leap day last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * m + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many digits of a second as it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.seconds.div_euclid(86_400);
        let clock = self.seconds.rem_euclid(86_400);
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let m = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * m + 2) / 5 + 1;
        let month = if m < 10 { m + 3 } else { m - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if self.nanos > 0 {
            let digits = format!("{:09}", self.nanos);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl Duration {
    /// Parses what Go's `time.ParseDuration` does: `1h30m`, `-1.5h`, `100ms`, `.5s`.
    pub fn parse(text: &str) -> Option<Duration> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Duration(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let (whole, after) = digits(rest);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => digits(after),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return None;
            }
            let end = after
                .find(|c: char| c == '.' || c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at_checked(end)?;
            let unit: i128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => NANOS,
                "m" => 60 * NANOS,
                "h" => 3600 * NANOS,
                _ => return None,
            };
            let whole: i128 = if whole.is_empty() {
                0
            } else {
                whole.parse::<i64>().ok()?.into()
            };
            total = total.checked_add(whole.checked_mul(unit)?)?;
            total = total.checked_add(fraction_of(fraction, unit))?;
            rest = after;
        }
        i64::try_from(if negative { -total } else { total })
            .ok()
            .map(Duration)
    }

    /// Seconds, as the nearest double.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_seconds(self) -> f64 {
        let whole = self.0 / 1_000_000_000;
        let nanos = self.0 % 1_000_000_000;
        whole as f64 + nanos as f64 / 1e9
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A unit's part that decimal digits tell, in nanoseconds, with the rounding of Go's `time.ParseDuration`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn fraction_of(digits: &str, unit: i128) -> i128 {
    let (mut value, mut scale) = (0_i64, 1.0);
    for digit in digits.bytes() {
        // Digits beyond what 64 bits hold no longer count.
        let Some(more) = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i64::from(digit - b'0')))
        else {
            break;
        };
        value = more;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as i128
}

impl fmt::Display for Duration {
    /// Seconds, with as many digits after the point as it has: `1.5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if part > 0 {
            let digits = format!("{part:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("s")
    }
}
