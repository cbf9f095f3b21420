//! How long to wait before a broker is tried again.

use std::time::Duration;

use streaming_engine::delivery::Backoff;

/// From a tenth of a second, for one that restarts, to ten seconds for one that stays away.
const BACKOFF: Backoff = Backoff {
    initial_micros: 100_000,
    max_micros: 10_000_000,
};

/// Waits between attempts at one thing.
#[derive(Debug)]
pub(crate) struct Retry<'n> {
    name: &'n str,
    attempts: u32,
}

impl<'n> Retry<'n> {
    /// `name` is what is tried, so that not all wait the same.
    pub(crate) fn new(name: &'n str) -> Retry<'n> {
        Retry { name, attempts: 0 }
    }

    /// It went well for a while: the next failure is a first one.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The wait after another failure.
    pub(crate) fn next(&mut self) -> Duration {
        self.attempts = self.attempts.saturating_add(1);
        let micros = BACKOFF.delay(self.attempts, self.name);
        Duration::from_micros(micros.unsigned_abs())
    }
}
