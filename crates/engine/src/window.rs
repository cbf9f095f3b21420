//! Windows: which span of time a message belongs to.

use crate::query::Windows;
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

/// Windows of one length that start at every multiple of a slide since the epoch, so that they overlap.
#[derive(Clone, Copy, Debug)]
pub struct Hopping {
    length: i64,
    slide: i64,
}

impl Hopping {
    /// Windows of `length` microseconds (at least 1), one every `slide` (at least 1, at most `length`).
    pub fn new(length: i64, slide: i64) -> Hopping {
        let length = length.max(1);
        Hopping {
            length,
            slide: slide.clamp(1, length),
        }
    }

    /// The windows that a point in time is in, the earliest first. At the ends of time windows are cut short.
    pub fn of(self, time: Time) -> impl Iterator<Item = Window> {
        // In 128 bits nothing overflows.
        let (at, length, slide) = (
            i128::from(time.0),
            i128::from(self.length),
            i128::from(self.slide),
        );
        let last = at.div_euclid(slide);
        let first = (at - length).div_euclid(slide) + 1;
        let clamp = |point: i128| {
            let end = if point < 0 { i64::MIN } else { i64::MAX };
            Time(i64::try_from(point).unwrap_or(end))
        };
        (first..=last).map(move |k| Window {
            start: clamp(k * slide),
            end: clamp(k * slide + length),
        })
    }

    /// The last of the windows that a point in time is in.
    fn last_of(self, time: Time) -> Window {
        let start = time.0.saturating_sub(time.0.rem_euclid(self.slide));
        Window {
            start: Time(start),
            end: Time(start).plus(self.length),
        }
    }

    /// How many windows a point in time is in at most.
    pub(crate) fn at_once(self) -> i64 {
        self.length.saturating_add(self.slide - 1) / self.slide
    }
}

/// Windows that begin with an event and end with a pause.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    gap: i64,
    max: i64,
}

impl Session {
    /// Sessions that a pause of `gap` microseconds ends (at least 1), and that last `max` at most (at least 1).
    pub fn new(gap: i64, max: i64) -> Session {
        Session {
            gap: gap.max(1),
            max: max.max(1),
        }
    }

    /// The session of these events alone.
    pub fn of(self, first: Time, last: Time) -> Window {
        Window {
            start: first,
            end: last.plus(self.gap).min(first.plus(self.max)),
        }
    }
}

/// Which windows there are.
#[derive(Clone, Copy, Debug)]
pub enum Windowing {
    /// One for all of time.
    Unbounded,
    /// Back to back.
    Tumbling(Tumbling),
    /// Overlapping.
    Hopping(Hopping),
    /// As events come.
    Session(Session),
}

impl Windowing {
    /// Those that a query asks for.
    pub fn new(windows: Windows) -> Windowing {
        match windows {
            Windows::Unbounded => Windowing::Unbounded,
            Windows::Tumbling { length } => Windowing::Tumbling(Tumbling::new(length)),
            Windows::Hopping { length, slide } => Windowing::Hopping(Hopping::new(length, slide)),
            Windows::Session { gap, max } => Windowing::Session(Session::new(gap, max)),
        }
    }

    /// When no window is open any more that has an event of this time; `None` if that is never.
    pub(crate) fn over(self, time: Time) -> Option<Time> {
        match self {
            Windowing::Unbounded => None,
            Windowing::Tumbling(_) | Windowing::Hopping(_) => Some(self.end_of(time)),
            // Whatever the session is: a multiple of its maximum that is that far away.
            Windowing::Session(Session { max, .. }) => Some(Tumbling::new(max).of(time.plus(max)).end),
        }
    }

    /// The end of the last window that a point in time is in, or could open.
    pub(crate) fn end_of(self, time: Time) -> Time {
        match self {
            Windowing::Unbounded => Time::MAX,
            Windowing::Tumbling(windows) => windows.of(time).end,
            Windowing::Hopping(windows) => windows.last_of(time).end,
            Windowing::Session(sessions) => sessions.of(time, time).end,
        }
    }
}

impl Window {
    /// All of time.
    pub(crate) const ALL: Window = Window {
        start: Time(i64::MIN),
        end: Time::MAX,
    };
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

    #[test]
    fn hops_that_do_not_divide_the_length_leave_a_point_in_two_or_three() {
        let of = |time| -> Vec<(i64, i64)> {
            Hopping::new(10, 4)
                .of(Time(time))
                .map(|w| (w.start.0, w.end.0))
                .collect()
        };
        assert_eq!(of(0), [(-8, 2), (-4, 6), (0, 10)]);
        assert_eq!(of(2), [(-4, 6), (0, 10)]);
        assert_eq!(of(-1), [(-8, 2), (-4, 6)]);
    }

    proptest! {
        #[test]
        fn a_point_is_in_every_hop_around_it(time in -500..500i64, length in 1..60i64, slide in 1..60i64) {
            let slide = slide.min(length);
            let expected: Vec<(i64, i64)> = (-600..=600)
                .map(|k| (k * slide, k * slide + length))
                .filter(|(start, end)| *start <= time && time < *end)
                .collect();
            let got: Vec<_> = Hopping::new(length, slide).of(Time(time)).map(|w| (w.start.0, w.end.0)).collect();
            prop_assert_eq!(got.last().copied(), {
                let last = Hopping::new(length, slide).last_of(Time(time));
                Some((last.start.0, last.end.0))
            });
            prop_assert!(i64::try_from(got.len()).unwrap() <= Hopping::new(length, slide).at_once());
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn hops_at_the_ends_of_time_hold_their_points(time: i64) {
            for window in Hopping::new(1_000, 300).of(Time(time)) {
                prop_assert!(window.start.0 <= time && (time < window.end.0 || window.end == Time::MAX));
            }
        }

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
