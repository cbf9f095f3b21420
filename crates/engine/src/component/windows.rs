//! Which windows a message goes into, and what happens when one closes.

use std::borrow::Cow;
use std::sync::Arc;

use super::shipping::{DEAD_LETTER, Shipment};
use super::spilling::{share, take_back, write_out};
use super::{Component, Effect, Input, OverBudget, Role};
use crate::event::{Data, DeadLetter, Event};
use crate::expr::EvalError;
use crate::id::Id;
use crate::join::{Arrival, Closed, Closing, FailedRow, JoinSpec, OpenWindow, Output};
use crate::time::Time;
use crate::window::{Window, Windowing};

/// The input that speaks for a row where only one can: a row's dead letter goes to its topic.
pub(super) const FIRST: usize = 0;

/// Combinations of messages to look at before the runner has a look at everything else: about a millisecond.
pub(super) const SLICE: u64 = 4096;

/// Names an open window; windows close in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) end: Time,
    pub(super) start: Time,
    /// Whose session it is.
    pub(super) key: Vec<u8>,
}

impl Slot {
    pub(super) fn new(window: Window) -> Slot {
        Slot {
            end: window.end,
            start: window.start,
            key: Vec::new(),
        }
    }

    /// Whether it is what [`Slot::new`] makes of a window.
    #[inline]
    fn is(&self, window: Window) -> bool {
        self.end == window.end && self.start == window.start && self.key.is_empty()
    }
}

impl Component {
    /// Puts the message whose row is at hand into one window. Whether it is kept there.
    pub(super) fn enter(
        &mut self,
        spec: &JoinSpec,
        window: Window,
        (input, at): (usize, Time),
        (id, token): (impl FnOnce(&mut [Input]) -> Id, u64),
    ) -> bool {
        let (seed, windows) = (self.seed, self.open.len().max(1) as u64);
        let open = match self.open.last_entry() {
            // Nearly always it is the one that opened last.
            Some(last) if last.key().is(window) => last.into_mut(),
            _ => self
                .open
                .entry(Slot::new(window))
                .or_insert_with(|| OpenWindow::new(spec, window, seed)),
        };
        let errors = &mut self.counters.expression_errors;
        let mut error = |error: &EvalError| *errors.entry(error.reason()).or_default() += 1;
        if !open.wants(spec, input, &self.row, &mut error) {
            return false;
        }
        let before = open.bytes(input);
        let inputs = &mut self.inputs;
        let arrival = open.take(spec, input, (|| id(inputs), token), &self.row, error);
        if arrival == Arrival::Filtered {
            return false;
        }
        let after = open.bytes(input);
        self.budget.add(Some(input), after.saturating_sub(before));
        let budget = self.budget.limit();
        if let Some(spill) = &mut self.spill
            && self.budget.held() > share(spec, spill)
            && spec.spills()
            && open.gathered() > share(spec, spill) / 2 / windows
        {
            write_out(spec, std::iter::once(&mut *open), spill, &mut self.budget);
        }
        if self.budget.held() >= budget && !open.over_budget {
            let held = (0..spec.inputs()).map(|input| open.bytes(input)).sum();
            if held >= budget {
                open.over_budget = true;
                self.effects
                    .push(Effect::OverBudget(OverBudget { window, held, budget }));
            }
        }
        if spec.leaves_early() {
            self.leave_early(spec, &Slot::new(window), input, at);
        }
        true
    }

    /// Puts the message whose row is at hand into all of its windows that still take any. Whether it is kept in one.
    pub(super) fn place(
        &mut self,
        spec: &JoinSpec,
        at: Time,
        input: usize,
        (id, token): (Id, u64),
        takes: impl Fn(&Component, Window) -> bool,
    ) -> bool {
        let mut kept = 0;
        let mut enter = |component: &mut Component, window: Window| {
            if takes(component, window)
                && component.enter(spec, window, (input, at), (|_: &mut [Input]| id, token))
            {
                kept += 1;
            }
        };
        match spec.windows() {
            Windowing::Unbounded if spec.is_looked_up_at_once() => {
                self.look_up(spec, at, input, (id, token));
                return true;
            }
            Windowing::Unbounded => enter(self, Window::ALL),
            Windowing::Tumbling(windows) => enter(self, windows.of(at)),
            Windowing::Hopping(windows) => windows.of(at).for_each(|window| enter(self, window)),
            Windowing::Session(sessions) => {
                kept += u32::from(self.enter_session(spec, sessions, at, input, (id, token)));
            }
        }
        match kept {
            0 => {
                self.counters.inputs[input].filtered += 1;
                self.ack(input, token);
            }
            1 => {}
            windows => self.share(input, token, windows),
        }
        kept > 0
    }

    /// Closes all windows that end at `until` or before, the oldest first, as far as `work` goes: so many
    /// combinations of messages are looked at. Messages that wait for their turn are put into their windows in
    /// between, each when all windows that ended before it are closed: what happens depends on the messages alone,
    /// not on when this is called.
    pub(super) fn progress(&mut self, until: Time, now: Time, mut work: u64) {
        let role = Arc::clone(&self.role);
        let Role::Join(spec) = &*role else { return };
        // Who wants all of it now doesn't wait for recipients.
        let patient = work < u64::MAX;
        if self.failure().is_some() || patient && self.is_choked() {
            return;
        }
        while work > 0 {
            if let Some(mut closing) = self.closing.take() {
                let (limit, before) = (self.budget.limit(), self.previous.bytes());
                let previous = &mut self.previous;
                let with = (&mut self.spill, &mut work);
                let all = closing.advance(spec, &self.uid, limit, previous, with);
                self.past_changed(before);
                if self.failure().is_some() {
                    // What was made of the window so far can't be told from all of it.
                    self.closing = Some(closing);
                    return;
                }
                if spec.streams() {
                    self.ship_some(spec, &mut closing, now);
                }
                if all {
                    self.close_window(spec, closing, now);
                    continue;
                }
                self.closing = Some(closing);
                if patient && self.is_choked() {
                    return;
                }
                continue;
            }
            let waiting = self.reorder.first().filter(|at| self.ripe(*at, until));
            let closing = self
                .open
                .keys()
                .next()
                .map(|slot| slot.end)
                .filter(|end| *end <= until);
            match (waiting, closing) {
                (Some(at), end) if end.is_none_or(|end| at < end) => {
                    self.release_waiting(spec);
                    if self.failure().is_some() {
                        return;
                    }
                    work -= 1;
                }
                (_, Some(_)) => {
                    self.begin_closing(spec);
                    if self.failure().is_some() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Whether a message that waits may go into its windows, by how far time has come.
    pub(super) fn ripe(&self, at: Time, until: Time) -> bool {
        // In receipt time messages wait only until the inputs have recovered.
        self.clock.is_none() || at < until
    }

    fn begin_closing(&mut self, spec: &JoinSpec) {
        if let Some((slot, mut open)) = self.open.pop_first() {
            let left = self.left_of(&slot);
            self.end_session(slot);
            if let Err(error) = self.fill(spec, &mut open) {
                return self.spill_failed(error);
            }
            if let Some(spill) = self.spill.as_mut().filter(|_| open.has_spilled()) {
                if open.fits(spill) {
                    take_back(spec, &mut open, spill, &mut self.budget);
                } else {
                    write_out(spec, std::iter::once(&mut open), spill, &mut self.budget);
                }
            }
            let looked_up =
                |open: &OpenWindow| -> u64 { spec.table_inputs().map(|input| open.bytes(input)).sum() };
            let spill = self.spill.as_ref();
            let reading = spill.map_or(0, |spill| open.reading(spill) + looked_up(&open));
            self.budget.add(Some(FIRST), reading);
            let mut closing = Closing::new(spec, open, &self.uid, reading);
            closing.group = left;
            self.closing = Some(closing);
        }
    }

    fn close_window(&mut self, spec: &JoinSpec, closing: Closing, now: Time) {
        for input in 0..spec.inputs() {
            self.budget.sub(Some(input), closing.bytes(input));
        }
        let window = closing.bounds();
        let time = window.end;
        let shipped = closing.group;
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
        let group = match shipped {
            Some(group) => {
                self.hold_more(group, messages);
                group
            }
            None => self.hold(messages),
        };
        if self.clock.is_some() || self.unsettled.in_order {
            if time < Time::MAX {
                self.closed = self.closed.max(time);
            }
            self.unsettled.insert(group, time);
        }
        let shipment = Shipment {
            group,
            input: FIRST,
            attempts: 0,
        };
        let mut events = Vec::with_capacity(results.len());
        for output in results {
            let id = Self::named(spec, window, output.id);
            let sequence = spec
                .sends_updates()
                .then(|| self.next_update(window, &output, id));
            if sequence == Some(None) {
                continue;
            }
            let mut event = self.result(spec, Output { id, ..output }, time);
            event.sequence = sequence.flatten();
            events.push(event);
        }
        // After any other, those that follow could be late for who goes by it.
        if let Some(last) = events.last_mut() {
            last.watermark = self.clock.is_some().then_some(time);
        }
        for event in events {
            self.ship(event, &shipment, 0..self.recipients, now);
        }
        self.forget_updates(window);
        if self.clock.is_some() {
            self.forget(time);
        }
        for row in failed {
            let id = Self::named(spec, window, row.id);
            let letter = self.failed_row(FailedRow { id, ..row }, now);
            self.send_dead_letter(letter, group, FIRST, now);
        }
        self.release(group);
    }

    pub(super) fn result(&self, spec: &JoinSpec, output: Output, time: Time) -> Event {
        Event {
            id: output.id.hex(),
            source: Arc::clone(&self.source),
            kind: Cow::Borrowed(spec.event_type()),
            time,
            origin: None,
            data: Data::Json(output.data),
            subject: output.subject,
            dead_letter: None,
            watermark: None,
            sequence: None,
            trace: None,
        }
    }

    pub(super) fn failed_row(&self, row: FailedRow, now: Time) -> Event {
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
            subject: None,
            watermark: None,
            sequence: None,
            trace: None,
        }
    }
}
