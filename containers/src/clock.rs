//! The laptop's clock, for those commands whose time is real.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use streaming_engine::time::Time;

/// Time that starts at the system's and then only ever moves forward, whatever happens to the system's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Time,
    started: Instant,
}

impl Clock {
    /// A clock that shows the system's time now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            wall: Time(micros(wall)),
            started: Instant::now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.wall.plus(micros(self.started.elapsed()))
    }

    /// How long it is until a time; zero if it has passed.
    pub fn until(&self, at: Time) -> Duration {
        Duration::from_micros(at.0.saturating_sub(self.now().0).max(0).unsigned_abs())
    }
}

/// A duration in microseconds.
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds; what is beyond the year 9999 is shown as its last moment.
pub fn rfc3339(at: Time) -> String {
    let timestamp = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(rfc3339(Time(1_500_999)), "1970-01-01T00:00:01.500Z");
        assert_eq!(rfc3339(Time(0)), "1970-01-01T00:00:00.000Z");
        assert!(rfc3339(Time::MAX).ends_with('Z'));
    }
}
