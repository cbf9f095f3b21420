//! When a generator's messages are due: on absolute time, so that a late one makes the next no later.

use streaming_engine::time::Time;

/// The ticks of one generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    start: Time,
    delay: i64,
    limit: Option<u64>,
    ticks: u64,
}

impl Schedule {
    /// A first tick at `start`, then one every `delay` microseconds, `limit` in all.
    pub fn new(start: Time, delay: i64, limit: Option<u64>) -> Self {
        Self {
            start,
            delay: delay.max(1),
            limit,
            ticks: 0,
        }
    }

    /// When the next message is due, and its number from 0; `None` after the last.
    pub fn next(&self) -> Option<(Time, u64)> {
        if self.limit.is_some_and(|n| self.ticks >= n) {
            return None;
        }
        let offset = i64::try_from(self.ticks)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.delay);
        Some((self.start.plus(offset), self.ticks))
    }

    /// The message that was due has been made.
    pub fn tick(&mut self) {
        self.ticks += 1;
    }

    /// No more ticks.
    pub fn stop(&mut self) {
        self.limit = Some(self.ticks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_multiples_of_the_delay_after_the_start() {
        let mut schedule = Schedule::new(Time(7), 10, Some(3));
        let mut times = Vec::new();
        while let Some((at, number)) = schedule.next() {
            times.push((at.0, number));
            schedule.tick();
        }
        assert_eq!(times, [(7, 0), (17, 1), (27, 2)]);
    }

    #[test]
    fn without_a_limit_it_goes_on_until_it_is_stopped() {
        let mut schedule = Schedule::new(Time(0), i64::MAX, None);
        for _ in 0..3 {
            assert!(schedule.next().is_some());
            schedule.tick();
        }
        schedule.stop();
        assert_eq!(schedule.next(), None);
    }
}
