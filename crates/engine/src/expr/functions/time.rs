//! Parts of timestamps, in UTC or a time zone, and of durations.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::expr::error::EvalError;
use crate::expr::machine::Machine;
use crate::value::{Timestamp, Value};

use super::no_overload;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

/// The Gregorian calendar, its weekdays too, repeats after so many years and seconds.
const CYCLE: (i64, i64) = (400, 146_097 * 86_400);

/// The calendar's view of a timestamp in a time zone, [`CYCLE`] earlier: near the year 9999 an offset could lead out
/// of jiff's calendar.
fn civil(time: Timestamp, zone: Option<&str>) -> Option<DateTime> {
    let offset = match zone {
        None => 0,
        Some(name) => zone_offset(name, time)?,
    };
    let local = jiff::Timestamp::new(
        time.seconds() + offset - CYCLE.1,
        i32::try_from(time.subsecond()).ok()?,
    );
    local.ok().map(|local| Offset::UTC.to_datetime(local))
}

/// Seconds east of UTC at a point in time: of a zone with an IANA name, or a fixed offset such as `+02:00` or `-05:30`.
fn zone_offset(name: &str, time: Timestamp) -> Option<i64> {
    let Some((hours, minutes)) = name.split_once(':') else {
        let zone = if name.is_empty() {
            TimeZone::UTC
        } else {
            TimeZone::get(name).ok()?
        };
        // jiff takes names in any case; CEL does not.
        let known = name.is_empty() || zone.iana_name() == Some(name);
        let instant = jiff::Timestamp::from_second(time.seconds()).unwrap_or(jiff::Timestamp::MAX);
        return known.then(|| zone.to_offset(instant).seconds().into());
    };
    let (sign, hours) = match hours.strip_prefix('-') {
        Some(hours) => (-1, hours),
        None => (1, hours.strip_prefix('+').unwrap_or(hours)),
    };
    let number = |text: &str, limit: i64| -> Option<i64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number < limit)
    };
    Some(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}

/// A part of a timestamp's civil time.
fn part<'a>(name: &'static str, args: &[Value<'a>], read: impl FnOnce(DateTime) -> i64) -> Result<'a> {
    let (time, zone) = match args {
        [Value::Timestamp(time)] => (*time, None),
        [Value::Timestamp(time), Value::Str(zone)] => (*time, Some(&**zone)),
        _ => return Err(no_overload(name, args)),
    };
    civil(time, zone).map(read).map(Value::Int).ok_or_else(|| {
        let shown: String = zone.unwrap_or_default().chars().take(40).collect();
        EvalError::invalid(format!("{shown:?} is no time zone"))
    })
}

pub(super) fn full_year<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    part("getFullYear", args, |at| i64::from(at.year()) + CYCLE.0)
}

pub(super) fn month<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    part("getMonth", args, |at| i64::from(at.month()) - 1)
}

pub(super) fn date<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    part("getDate", args, |at| at.day().into())
}

pub(super) fn day_of_month<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    part("getDayOfMonth", args, |at| i64::from(at.day()) - 1)
}

pub(super) fn day_of_week<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    part("getDayOfWeek", args, |at| {
        at.weekday().to_sunday_zero_offset().into()
    })
}

pub(super) fn day_of_year<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    part("getDayOfYear", args, |at| i64::from(at.day_of_year()) - 1)
}

pub(super) fn hours<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Duration(span)] => Ok(Value::Int(span.0 / 3_600_000_000_000)),
        _ => part("getHours", args, |at| at.hour().into()),
    }
}

pub(super) fn minutes<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Duration(span)] => Ok(Value::Int(span.0 / 60_000_000_000)),
        _ => part("getMinutes", args, |at| at.minute().into()),
    }
}

pub(super) fn seconds<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Duration(span)] => Ok(Value::Int(span.0 / 1_000_000_000)),
        _ => part("getSeconds", args, |at| at.second().into()),
    }
}

pub(super) fn milliseconds<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Duration(span)] => Ok(Value::Int(span.0 / 1_000_000)),
        _ => part("getMilliseconds", args, |at| at.millisecond().into()),
    }
}
