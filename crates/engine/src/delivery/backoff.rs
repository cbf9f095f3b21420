//! How long to wait before the next attempt.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Exponential backoff with jitter. The jitter is a hash of what is sent and of the attempt, so that it differs
/// between messages and yet a run can be repeated exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait before the second attempt, in microseconds. It doubles from attempt to attempt.
    pub initial_micros: i64,
    /// Longest wait at all, in microseconds.
    pub max_micros: i64,
}

impl Default for Backoff {
    /// From 1 s to 60 s: a restart of a recipient costs seconds, and one that stays away is asked once a minute.
    fn default() -> Self {
        Backoff {
            initial_micros: 1_000_000,
            max_micros: 60_000_000,
        }
    }
}

impl Backoff {
    /// Microseconds to wait after attempt number `attempt` (from 1) of what has this id: between half of the
    /// longest wait and all of it.
    pub fn delay(&self, attempt: u32, id: &str) -> i64 {
        let doublings = attempt.saturating_sub(1).min(62);
        let longest = self
            .initial_micros
            .max(1)
            .saturating_mul(1 << doublings)
            .min(self.max_micros.max(1));
        let mut hasher = FxHasher::default();
        hasher.write(id.as_bytes());
        hasher.write_u32(attempt);
        let half = longest / 2;
        // In 0..=half: `half` is not negative and far from overflowing.
        let jitter = (hasher.finish() >> 1) % (half.unsigned_abs() + 1);
        longest - half + i64::try_from(jitter).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_up_to_the_limit(attempt in 1u32.., id: String, initial: i64, max: i64) {
            let backoff = Backoff { initial_micros: initial, max_micros: max };
            let delay = backoff.delay(attempt, &id);
            prop_assert!(delay >= 1 && delay <= max.max(1));
            prop_assert_eq!(delay, backoff.delay(attempt, &id));
        }
    }

    #[test]
    fn the_defaults_double_from_a_second_to_a_minute() {
        let backoff = Backoff::default();
        for (attempt, longest) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (6, 32),
            (7, 60),
            (100, 60),
            (u32::MAX, 60),
        ] {
            let delay = backoff.delay(attempt, "id");
            assert!(
                (longest * 500_000..=longest * 1_000_000).contains(&delay),
                "{attempt}: {delay}"
            );
        }
        let distinct: std::collections::HashSet<_> =
            (0..100).map(|n| backoff.delay(1, &format!("{n}"))).collect();
        assert!(distinct.len() > 90, "messages do not come back in step");
    }
}
