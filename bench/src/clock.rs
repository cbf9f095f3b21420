//! The one clock that harness and pipeline share: nanoseconds since the epoch.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const MS: u64 = 1_000_000;

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn sleep_until(time: u64) {
    thread::sleep(Duration::from_nanos(time.saturating_sub(now())));
}
