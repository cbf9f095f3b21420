//! Windows: which span of time a message belongs to.

use crate::time::Time;

/// A span of time, from `start` up to but without `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The first microsecond.
    pub start: Time,
    /// The first microsecond after it.
    pub end: Time,
}

impl Window {
    /// Whether a point in time is in it.
    pub(crate) fn contains(self, time: Time) -> bool {
        self.start <= time && time < self.end
    }
}

/// Back-to-back windows of one length, aligned to the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Tumbling {
    micros: i64,
}

impl Tumbling {
    /// Windows of `micros` microseconds (at least 1).
    pub fn new(micros: i64) -> Tumbling {
        Tumbling {
            micros: micros.max(1),
        }
    }

    /// The window that a point in time is in. At the ends of time windows are cut short.
    pub fn of(self, time: Time) -> Window {
        let into = time.0.rem_euclid(self.micros);
        let start = time.0.saturating_sub(into);
        // From the point itself, so that a start that was cut short doesn't shift the end.
        Window {
            start: Time(start),
            end: time.plus(self.micros - into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_aligned_to_the_epoch() {
        let windows = Tumbling::new(20);
        assert_eq!(
            windows.of(Time(0)),
            Window {
                start: Time(0),
                end: Time(20)
            }
        );
        assert_eq!(
            windows.of(Time(19)),
            Window {
                start: Time(0),
                end: Time(20)
            }
        );
        assert_eq!(
            windows.of(Time(20)),
            Window {
                start: Time(20),
                end: Time(40)
            }
        );
        assert_eq!(
            windows.of(Time(-1)),
            Window {
                start: Time(-20),
                end: Time(0)
            }
        );
    }

    proptest! {
        #[test]
        fn windows_are_disjoint_and_leave_no_gap(time: i64, micros in 1..i64::MAX) {
            let windows = Tumbling::new(micros);
            let window = windows.of(Time(time));
            prop_assert!(window.start.0 <= time);
            prop_assert!(time < window.end.0 || window.end == Time::MAX);
            prop_assert_eq!(windows.of(window.start).end, window.end);
            if window.end != Time::MAX {
                prop_assert_eq!(windows.of(window.end).start, window.end);
            }
        }
    }
}
