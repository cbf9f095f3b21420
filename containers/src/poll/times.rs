//! When a row was: the text in its time column, on the clock of the place that the file is about.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Error, Timestamp};

/// How times are written.
#[derive(Clone, Debug)]
pub struct Times {
    format: String,
    zone: TimeZone,
}

/// Written and read again, this has to be itself: no part of it is what a missing part would be taken for.
const TRIAL: DateTime = DateTime::constant(2018, 2, 9, 6, 5, 0, 0);

impl Times {
    /// `format` as of strptime; it has to have a date, and says how much of the time of day there is. A zone is known by its
    /// IANA name.
    ///
    /// # Errors
    /// Where a format reads no dates.
    pub fn new(format: &str, zone: TimeZone) -> Result<Times, Error> {
        let trial = TRIAL.to_zoned(zone.clone())?;
        let written = strtime::format(format, &trial)?;
        let times = Times {
            format: format.to_owned(),
            zone,
        };
        times.parse(&written, None)?;
        Ok(times)
    }

    /// A time zone, from the database that is part of the program.
    ///
    /// # Errors
    /// Where there is none of the name.
    pub fn zone(name: &str) -> Result<TimeZone, Error> {
        TimeZoneDatabase::bundled().get(name)
    }

    /// The day at a time.
    pub fn day(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// When a row was, that follows one of `previous` in its file.
    ///
    /// # Errors
    /// Why that can't be told.
    pub fn read(&self, text: &str, previous: Option<Timestamp>) -> Result<Timestamp, String> {
        let at = self
            .parse(text.trim(), previous)
            .map_err(|e| format!("its time `{}`: {e}", excerpt(text)))?;
        at.ok_or_else(|| format!("its time `{}` is one that the clock skips", excerpt(text)))
    }

    /// `None` where the clock is put forward over it.
    fn parse(&self, text: &str, previous: Option<Timestamp>) -> Result<Option<Timestamp>, Error> {
        let parts = strtime::parse(&self.format, text)?;
        if parts.timestamp().is_some() || parts.offset().is_some() {
            return parts.to_timestamp().map(Some);
        }
        let local = parts.to_datetime()?;
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).map(Some),
            AmbiguousOffset::Gap { .. } => Ok(None),
            // The clock is put back, and shows it twice: the second time if it has been later already.
            AmbiguousOffset::Fold { before, after } => {
                let first = before.to_timestamp(local)?;
                if previous.is_some_and(|previous| previous > first) {
                    return after.to_timestamp(local).map(Some);
                }
                Ok(Some(first))
            }
        }
    }
}

/// So much of a text from outside that a line of a log stays one.
pub(super) fn excerpt(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    crate::printable(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_york(format: &str) -> Times {
        Times::new(format, Times::zone("America/New_York").unwrap()).unwrap()
    }

    /// Reads one after the other.
    fn read(times: &Times, texts: &[&str]) -> Vec<String> {
        let mut previous = None;
        let texts = texts.iter().map(|text| match times.read(text, previous) {
            Ok(at) => {
                previous = Some(at);
                at.to_string()
            }
            Err(why) => why,
        });
        texts.collect()
    }

    #[test]
    fn the_hour_that_comes_twice_is_told_apart_by_the_order() {
        let times = new_york("%m/%d/%Y %H:%M:%S");
        let texts = [
            "11/05/2017 00:55:00",
            "11/05/2017 01:00:00",
            "11/05/2017 01:00:00",
            "11/05/2017 01:55:00",
            "11/05/2017 01:00:00",
            "11/05/2017 01:55:00",
            "11/05/2017 02:00:00",
        ];
        assert_eq!(
            read(&times, &texts),
            [
                "2017-11-05T04:55:00Z",
                "2017-11-05T05:00:00Z",
                "2017-11-05T05:00:00Z",
                "2017-11-05T05:55:00Z",
                "2017-11-05T06:00:00Z",
                "2017-11-05T06:55:00Z",
                "2017-11-05T07:00:00Z",
            ]
        );
    }

    #[test]
    fn an_hour_that_is_skipped_has_no_times() {
        let times = new_york("%m/%d/%Y %H:%M:%S");
        let read = read(
            &times,
            &[
                "03/11/2018 01:55:00",
                "03/11/2018 02:05:00",
                "03/11/2018 03:00:00",
            ],
        );
        assert_eq!(read[0], "2018-03-11T06:55:00Z");
        assert_eq!(
            read[1],
            "its time `03/11/2018 02:05:00` is one that the clock skips"
        );
        assert_eq!(read[2], "2018-03-11T07:00:00Z");
    }

    #[test]
    fn an_offset_in_the_text_goes_before_the_zone() {
        let times = new_york("%Y-%m-%dT%H:%M:%S%z");
        assert_eq!(
            read(&times, &["2018-03-11T02:05:00+0100"]),
            ["2018-03-11T01:05:00Z"]
        );
        assert_eq!(read(&new_york("%s"), &["1518174300"]), ["2018-02-09T11:05:00Z"]);
    }

    #[test]
    fn a_format_without_a_date_is_refused() {
        let zone = Times::zone("UTC").unwrap();
        for format in ["", "%H:%M", "%m/%d", "%!"] {
            assert!(Times::new(format, zone.clone()).is_err(), "{format}");
        }
        assert!(Times::new("%Y-%m-%d", zone).is_ok());
        assert!(Times::zone("America/Nowhere").is_err());
    }

    #[test]
    fn a_day_is_that_of_its_place() {
        let at = "2018-02-09T04:59:59Z".parse().unwrap();
        assert_eq!(new_york("%F").day(at).to_string(), "2018-02-08");
    }
}
