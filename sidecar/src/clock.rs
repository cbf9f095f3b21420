//! What time it is, for windows and retries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streaming_engine::time::Time;
use tokio::time::Instant;

/// The system's time, except that it never goes back: a system clock that is set back must not keep a window open.
/// One that is set forward is followed at once.
#[derive(Debug)]
pub(crate) struct Clock {
    wall: Time,
    at: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock {
            wall: system(),
            at: Instant::now(),
        }
    }

    /// The time now.
    pub(crate) fn now(&mut self) -> Time {
        let elapsed = self.wall.plus(micros(self.at.elapsed()));
        let system = system();
        if system > elapsed {
            *self = Clock::start();
        }
        elapsed.max(system)
    }

    /// The moment at which this clock will show a time, as far as can be told now.
    pub(crate) fn instant(&self, at: Time) -> Instant {
        let micros = at.0.saturating_sub(self.wall.0).max(0).unsigned_abs();
        self.at
            .checked_add(Duration::from_micros(micros))
            .unwrap_or_else(|| self.at + FAR)
    }
}

/// Further than anything is waited for at once.
const FAR: Duration = Duration::from_hours(24);

/// The system's time.
pub(crate) fn system() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(micros(since))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let ahead = system().plus(3_600_000_000);
        let mut clock = Clock {
            wall: ahead,
            at: Instant::now(),
        };
        let first = clock.now();
        assert!(first >= ahead && clock.now() >= first);
        assert!(clock.instant(first.plus(1_000_000)) > Instant::now());
        assert!(clock.instant(Time(0)) <= Instant::now());
        clock.instant(Time::MAX);
    }

    #[test]
    fn it_follows_a_clock_that_is_set_forward() {
        let mut clock = Clock {
            wall: system().plus(-3_600_000_000),
            at: Instant::now(),
        };
        let behind = clock.wall;
        assert!(clock.now() >= behind.plus(3_600_000_000));
    }
}
