//! Parts of timestamps, in UTC or a time zone, and of durations.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::expr::error::EvalError;
use crate::expr::machine::Machine;
use crate::value::{Timestamp, Value};

use super::no_overload;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

/// The calendar's view of a timestamp in a time zone: an IANA name, or an offset such as `+02:00` or `-05:30`.
fn civil(time: Timestamp, zone: Option<&str>) -> std::result::Result<DateTime, EvalError> {
    let instant = time.to_jiff().ok_or_else(|| EvalError::overflow("timestamp"))?;
    let zone = match zone {
        None | Some("" | "UTC" | "Z") => TimeZone::UTC,
        Some(name) => zone_named(name).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            EvalError::invalid(format!("{shown:?} is no time zone"))
        })?,
    };
    // An offset could lead out of the calendar at its very ends.
    Ok(zone.to_datetime(instant))
}

fn zone_named(name: &str) -> Option<TimeZone> {
    let Some((hours, minutes)) = name.split_once(':') else {
        // The database finds names in any case; here a name is one only as it is spelt.
        return TimeZone::get(name)
            .ok()
            .filter(|zone| zone.iana_name() == Some(name));
    };
    let (negative, hours) = match hours.strip_prefix('-') {
        Some(hours) => (true, hours),
        None => (false, hours.strip_prefix('+').unwrap_or(hours)),
    };
    let number = |text: &str| {
        (1..=2)
            .contains(&text.len())
            .then(|| text.parse::<i32>().ok())
            .flatten()
    };
    let seconds = number(hours).filter(|h| *h < 24)? * 3600 + number(minutes).filter(|m| *m < 60)? * 60;
    Offset::from_seconds(if negative { -seconds } else { seconds })
        .ok()
        .map(Offset::to_time_zone)
}

/// A part of a timestamp's civil time; `None` if the target is no timestamp.
fn part<'a>(name: &'static str, args: &[Value<'a>], read: impl FnOnce(DateTime) -> i64) -> Result<'a> {
    match args {
        [Value::Timestamp(time)] => Ok(Value::Int(read(civil(*time, None)?))),
        [Value::Timestamp(time), Value::Str(zone)] => Ok(Value::Int(read(civil(*time, Some(zone))?))),
        _ => Err(no_overload(name, args)),
    }
}

pub(super) fn full_year<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    part("getFullYear", args, |at| at.year().into())
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
