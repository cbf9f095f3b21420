//! What happens when a window closes.

use std::borrow::Cow;
use std::sync::Arc;

use super::shipping::{DEAD_LETTER, Shipment};
use super::{Component, Effect, Role};
use crate::event::{Data, DeadLetter, Event};
use crate::id::Id;
use crate::join::{Closed, Closing, FailedRow, JoinSpec};
use crate::time::Time;

/// The input that speaks for a row where only one can: a row's dead letter goes to its topic.
const FIRST: usize = 0;

/// Combinations of messages to look at before the runner has a look at everything else: about a millisecond.
pub(super) const SLICE: u64 = 4096;

impl Component {
    /// Closes all windows that end at `until` or before, the oldest first, as far as `work` goes: so many
    /// combinations of messages are looked at.
    pub(super) fn close_windows(&mut self, until: Time, now: Time, mut work: u64) {
        let role = Arc::clone(&self.role);
        let Role::Join(spec) = &*role else { return };
        while work > 0
            && let Some(mut closing) = self.closing.take().or_else(|| self.next_to_close(until))
        {
            if closing.advance(spec, &self.uid, self.budget.limit(), &mut work) {
                self.close_window(spec, closing, now);
            } else {
                self.closing = Some(closing);
            }
        }
    }

    fn next_to_close(&mut self, until: Time) -> Option<Closing> {
        let first = self.open.first_entry()?;
        let due = first.get().bounds().end <= until;
        due.then(|| Closing::new(first.remove(), &self.uid))
    }

    fn close_window(&mut self, spec: &JoinSpec, closing: Closing, now: Time) {
        for input in 0..spec.inputs() {
            self.budget.sub(Some(input), closing.bytes(input));
        }
        let time = closing.bounds().end;
        let Closed {
            results,
            failed,
            messages,
            report,
            errors,
        } = closing.finish(spec);
        self.counters.windows += 1;
        self.counters.rows += report.rows;
        for (reason, count) in errors {
            *self.counters.expression_errors.entry(reason).or_default() += count;
        }
        self.effects.push(Effect::Window(Box::new(report)));
        let group = self.hold(messages);
        let shipment = Shipment {
            group,
            input: FIRST,
            attempts: 0,
        };
        for (id, data) in results {
            let event = self.result(spec, id, data, time);
            self.ship(event, &shipment, 0..self.recipients, now);
        }
        for row in failed {
            let letter = self.failed_row(row, now);
            self.send_dead_letter(letter, group, FIRST, now);
        }
        self.release(group);
    }

    fn result(&self, spec: &JoinSpec, id: Id, data: Vec<u8>, time: Time) -> Event {
        Event {
            id: id.hex(),
            source: Arc::clone(&self.source),
            kind: Cow::Borrowed(spec.event_type()),
            time,
            origin: None,
            data: Data::Json(data),
            dead_letter: None,
        }
    }

    fn failed_row(&self, row: FailedRow, now: Time) -> Event {
        Event {
            id: row.id.hex(),
            source: Arc::clone(&self.source),
            kind: DEAD_LETTER,
            time: now,
            origin: None,
            data: Data::Json(row.data),
            dead_letter: Some(DeadLetter {
                reason: row.reason,
                message: row.message,
                source: self.source.to_string(),
                position: String::new(),
                count: 0,
            }),
        }
    }
}
