//! The status line: how fast, how long until the next window closes, and what became of the messages.

use streaming_engine::time::Time;
use streaming_plan::Role;

use super::printer::Printer;
use crate::clock::rfc3339;
use crate::local::{Part, Pipeline};

/// Between two status lines on a terminal, in microseconds.
const LIVE: i64 = 1_000_000;
/// Elsewhere.
const PLAIN: i64 = 10_000_000;
/// Shows it when it is due.
pub(super) struct Status {
    started: Time,
    shown: Time,
    received: u64,
    delivered: u64,
}

/// The sums over all components that the status and the summary show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) received: u64,
    pub(super) delivered: u64,
    pub(super) repeats: u64,
    pub(super) matched: u64,
    pub(super) filtered: u64,
    pub(super) late: u64,
    pub(super) errored: u64,
    pub(super) dead_lettered: u64,
}

impl Totals {
    pub(super) fn add(&mut self, part: &Part) {
        let counters = part.engine.counters();
        let arrived = part.arrived();
        self.received += counters.inputs.iter().map(|i| i.received).sum::<u64>();
        self.filtered += counters.inputs.iter().map(|i| i.filtered).sum::<u64>();
        self.late += counters.inputs.iter().map(|i| i.late).sum::<u64>();
        self.delivered += arrived.new;
        self.repeats += arrived.repeats;
        self.matched += counters.rows;
        self.errored += counters.errors();
        self.dead_lettered += counters.dead_letters();
    }
}

impl Status {
    pub(super) fn new(now: Time) -> Self {
        Self {
            started: now,
            shown: now,
            received: 0,
            delivered: 0,
        }
    }

    /// Shows it if it is time; gives the time at which it is next.
    pub(super) fn show(&mut self, now: Time, pipeline: &Pipeline, printer: &mut Printer) -> Time {
        let period = if printer.on_terminal() { LIVE } else { PLAIN };
        if now < self.shown.plus(period) {
            return self.shown.plus(period);
        }
        let mut totals = Totals::default();
        pipeline.parts().iter().for_each(|part| totals.add(part));
        let closes = pipeline
            .parts()
            .iter()
            .filter(|part| matches!(part.plan.role, Role::Window(_)));
        let closes = closes.filter_map(|part| part.engine.poll_timeout()).min();
        let watermarks = pipeline.parts().iter();
        let watermark = watermarks
            .filter_map(|part| part.engine.counters().watermark)
            .min();
        printer.status(&self.line(now, totals, closes, watermark));
        (self.shown, self.received, self.delivered) = (now, totals.received, totals.delivered);
        now.plus(period)
    }

    fn line(&self, now: Time, totals: Totals, closes: Option<Time>, watermark: Option<Time>) -> String {
        // For people: what a double loses is not shown.
        #[allow(clippy::cast_precision_loss)]
        let rate = |new: u64, old: u64| {
            let seconds = (now.0 - self.shown.0).max(1) as f64 / 1e6;
            let rate = new.saturating_sub(old) as f64 / seconds;
            if rate < 100.0 {
                format!("{rate:.1}/s")
            } else {
                format!("{rate:.0}/s")
            }
        };
        let elapsed = (now.0 - self.started.0).max(0) / 1_000_000;
        let window = closes.map_or(String::new(), |at| {
            format!(
                " | window closes in {}s",
                (at.0 - now.0).max(0).unsigned_abs().div_ceil(1_000_000)
            )
        });
        let event_time = watermark.map_or(String::new(), |at| format!(" | event time {}", rfc3339(at)));
        let late = match totals.late {
            0 => String::new(),
            late => format!(" late {late}"),
        };
        format!(
            "{:02}:{:02} | in {} out {}{window}{event_time} | matched {} filtered {}{late} errors {} dead-lettered {}",
            elapsed / 60,
            elapsed % 60,
            rate(totals.received, self.received),
            rate(totals.delivered, self.delivered),
            totals.matched,
            totals.filtered,
            totals.errored,
            totals.dead_lettered,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_rates_countdown_and_counts() {
        let status = Status {
            started: Time(0),
            shown: Time(60_000_000),
            received: 120,
            delivered: 1,
        };
        let totals = Totals {
            received: 124,
            delivered: 2,
            repeats: 0,
            matched: 80,
            filtered: 40,
            late: 0,
            errored: 0,
            dead_lettered: 0,
        };
        assert_eq!(
            status.line(Time(62_000_000), totals, Some(Time(80_000_000)), None),
            "01:02 | in 2.0/s out 0.5/s | window closes in 18s | matched 80 filtered 40 errors 0 dead-lettered 0"
        );
        let totals = Totals { late: 3, ..totals };
        assert_eq!(
            status.line(Time(62_000_000), totals, None, Some(Time(50_000_000))),
            "01:02 | in 2.0/s out 0.5/s | event time 1970-01-01T00:00:50.000Z | matched 80 filtered 40 late 3 errors 0 \
             dead-lettered 0"
        );
    }
}
