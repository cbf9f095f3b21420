//! When a message arrived, for brokers that don't say.

use std::time::{SystemTime, UNIX_EPOCH};

use streaming_engine::time::Time;

/// The wall clock.
pub(super) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
