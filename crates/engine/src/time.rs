//! Time as the engine knows it: a number that its caller hands in. Nothing here reads a clock.

use std::fmt;

/// Microseconds since the Unix epoch. On a virtual clock the epoch is where the clock starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// A point that no event reaches.
    pub const MAX: Time = Time(i64::MAX);

    /// From milliseconds since the epoch, clamped to what fits.
    pub const fn from_millis(ms: i64) -> Time {
        Time(ms.saturating_mul(1000))
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This point plus a number of microseconds, clamped to what fits.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Time {
        Time(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:06}s",
            self.0.div_euclid(1_000_000),
            self.0.rem_euclid(1_000_000)
        )
    }
}
