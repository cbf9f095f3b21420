//! How long to wait before a broker is tried again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(5);

/// Doubling waits with jitter, so that all the clients of a broker that comes back don't come at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked: the next wait is short again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits, longer each time.
    pub(super) async fn wait(&mut self) {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(MOST);
        self.failures = self.failures.saturating_add(1);
        // The standard library's only source of randomness.
        let part = u8::try_from(RandomState::new().hash_one(self.failures) & 0x7f).unwrap_or_default();
        tokio::time::sleep(whole.mul_f64(0.5 + f64::from(part) / 256.0)).await;
    }
}
