//! Messages that go into their windows in the order in which they happened: all of them in event time; in receipt
//! time, for windows that overlap or grow, those that are redelivered after a start.

use super::clock::START;
use super::intake::identify;
use super::reorder::Waiting;
use super::{Component, Effect, Incoming, OverBudget};
use crate::id::Id;
use crate::join::{self, InputTime, JoinSpec, TimeError};
use crate::state::StateError;
use crate::time::Time;
use crate::window::{Window, Windowing};

impl Component {
    /// Takes a message that says when it happened.
    pub(super) fn join_in_event_time(
        &mut self,
        spec: &JoinSpec,
        time: &InputTime,
        message: &Incoming<'_>,
        now: Time,
    ) {
        if self.live() {
            self.elapse(now);
        }
        let decoded = match self.decode(spec, message) {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(message, &error, now),
        };
        let at = match time.of(&self.row.row()) {
            Ok(at) => at,
            Err(error) => {
                if let TimeError::Eval(error) = &error {
                    *self.counters.expression_errors.entry(error.reason()).or_default() += 1;
                }
                let count = message.attempts.saturating_add(1);
                return self.dead_letter_message(message, error.reason(), error.to_string(), count, now);
            }
        };
        let topic = self.inputs[message.input].topic(message.topic);
        // Not by its position: in another order it would have another one.
        let (id, named, carried) = match &decoded.identity {
            Some(identity) => {
                let carried = identity.watermark.as_deref().and_then(join::watermark);
                (Id::of_event(&identity.source, &identity.id), true, carried)
            }
            None => (Id::of_content(topic, message.payload), false, None),
        };
        let watermark = match &self.clock {
            Some(clock) if self.live() => clock.watermark(),
            // Sessions share no messages: those of one that is done with don't come again.
            _ if matches!(spec.windows(), Windowing::Session(_)) => START,
            _ => self.settled,
        };
        let late = at < watermark && self.is_late(spec, (at, message.input), watermark, now);
        let mut behind = false;
        if let Some(clock) = &mut self.clock {
            behind = at < clock.watermark();
            clock.observe(message.input, message.topic, at, carried, now);
        }
        self.tell_watermark();
        if late {
            self.late(message, (at, watermark), id, &decoded.data, now);
        } else {
            // Of messages that are the same, one may be done with before a crash and the other not: by how many came before
            // it, it would have the name of the first.
            let apart = !named && spec.lets_go_early() && !message.position.is_empty();
            let name = apart.then(|| Id::of_position(topic, message.position));
            let arrived = (id, named, message.token);
            let waiting = Waiting::new(at, message.input, arrived, (watermark, behind), &self.row);
            self.wait(waiting.called(name));
            if !self.live() {
                self.release_early(spec);
            }
        }
    }

    /// Takes a message in receipt time, for windows that overlap or grow.
    pub(super) fn join_in_receipt_time(&mut self, spec: &JoinSpec, message: &Incoming<'_>, now: Time) {
        let decoded = match self.decode(spec, message) {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(message, &error, now),
        };
        let topic = self.inputs[message.input].topic(message.topic);
        let id = identify(decoded.identity.as_ref(), topic, message, self.sequence);
        if self.live() && self.reorder.is_empty() {
            let at = self.receipt(spec, (message.received, message.input), now);
            let takes = |component: &Component, window| component.takes(window, now);
            self.place(spec, at, message.input, (id, message.token), takes);
        } else {
            let floor = if self.overlap { self.settled } else { START };
            let named = decoded.identity.is_some();
            let arrived = (id, named, message.token);
            let (at, input) = (message.received, message.input);
            self.wait(Waiting::new(at, input, arrived, (floor, false), &self.row));
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        self.budget.add(Some(waiting.input), waiting.bytes());
        self.reorder.push(waiting);
        self.write_waiting();
    }

    /// The earliest of the messages that wait goes into its windows.
    pub(super) fn release_waiting(&mut self, spec: &JoinSpec) {
        let reading = self.reading_waiting();
        let popped = self.reorder.pop(self.spill.as_mut());
        self.budget
            .sub(None, reading.saturating_sub(self.reading_waiting()));
        let popped = match popped {
            Ok(Some(popped)) => popped,
            Ok(None) => return,
            Err(error) => return self.spill_failed(error),
        };
        let waiting = popped.message;
        self.budget.sub(Some(waiting.input), popped.freed);
        let repeats = match self.repeats(spec, &waiting, popped.repeats) {
            Ok(repeats) => repeats,
            Err(error) => return self.spill_failed(error),
        };
        if waiting.named && repeats > 0 {
            // The first one is in its windows, and is acked with them.
            self.counters.inputs[waiting.input].repeated += 1;
            return self.ack(waiting.input, waiting.token);
        }
        waiting.restore(&mut self.row);
        // In receipt time it was given again after a start, when no window had closed.
        let takes = |_: &Component, window: Window| window.end > waiting.floor;
        // What nobody named gets an id of its own even if the same message came before.
        let id = waiting.name.unwrap_or_else(|| waiting.id.repeated(repeats));
        if self.place(spec, waiting.at, waiting.input, (id, waiting.token), takes) {
            self.remember(spec, &waiting, repeats);
        }
    }

    /// How many messages that are the same as one that waited are in its windows. `last` of them came right before it.
    fn repeats(&self, spec: &JoinSpec, waiting: &Waiting, last: u64) -> Result<u64, StateError> {
        match spec.windows().over(waiting.at).filter(|_| waiting.behind) {
            Some(end) => self.seen.count(end, waiting.message(), self.spill.as_ref()),
            None => Ok(last),
        }
    }

    /// A message that waited is in windows.
    fn remember(&mut self, spec: &JoinSpec, waiting: &Waiting, repeats: u64) {
        let over = spec.windows().over(waiting.at).filter(|_| self.clock.is_some());
        let Some(end) = over else { return };
        let before = self.seen.bytes();
        let added = self
            .seen
            .add(end, (waiting.message(), repeats), self.spill.as_mut());
        self.seen_changed(before, added);
    }

    /// A window has closed: what comes again would be late.
    pub(super) fn forget(&mut self, end: Time) {
        let until = if self.open.is_empty() { Time::MAX } else { end };
        let before = self.seen.bytes();
        let forgotten = self.seen.forget(until, self.spill.as_mut());
        self.seen_changed(before, forgotten);
    }

    fn seen_changed(&mut self, before: u64, done: Result<(), StateError>) {
        let after = self.seen.bytes();
        self.budget.add(None, after.saturating_sub(before));
        self.budget.sub(None, before.saturating_sub(after));
        if let Err(error) = done {
            self.spill_failed(error);
        }
    }

    /// Whether all windows of an event have closed.
    fn is_late(&mut self, spec: &JoinSpec, (at, input): (Time, usize), watermark: Time, now: Time) -> bool {
        match spec.windows() {
            Windowing::Session(sessions) => {
                // Which sessions there are is known when everything before the watermark is in one.
                let mut row = std::mem::take(&mut self.row);
                self.progress(watermark, now, u64::MAX);
                std::mem::swap(&mut self.row, &mut row);
                self.session_is_over(spec, sessions, (at, input), watermark)
            }
            windows => windows.end_of(at) <= watermark,
        }
    }

    /// Whether a window takes messages in receipt time: it is open, or not over.
    fn takes(&self, window: Window, now: Time) -> bool {
        window.end > now || self.open.contains_key(&super::windows::Slot::new(window))
    }

    /// When a message counts as received: when it was, or now if no window of then takes any.
    fn receipt(&self, spec: &JoinSpec, (received, input): (Time, usize), now: Time) -> Time {
        let possible = match spec.windows() {
            Windowing::Hopping(windows) => windows.of(received).any(|window| self.takes(window, now)),
            Windowing::Session(sessions) => !self.session_is_over(spec, sessions, (received, input), now),
            Windowing::Tumbling(windows) => self.takes(windows.of(received), now),
            Windowing::Unbounded => true,
        };
        if possible { received } else { now.max(received) }
    }

    /// What falls idle by now holds nothing back any more. If everything is, all that is held goes on.
    pub(super) fn elapse(&mut self, now: Time) {
        let Some(clock) = &mut self.clock else { return };
        if clock.elapse(now) {
            let end = self.last_end();
            if let (Some(clock), Some(end)) = (&mut self.clock, end) {
                clock.raise(end);
            }
        }
        self.tell_watermark();
    }

    /// The end of the last window of all that is held, and at least past all messages that wait.
    pub(super) fn last_end(&self) -> Option<Time> {
        let super::Role::Join(spec) = &*self.role else {
            return None;
        };
        let bounded = |end: &Time| *end < Time::MAX;
        let open = self.open.keys().next_back().map(|slot| slot.end).filter(bounded);
        let waiting = self.reorder.last().map(|at| {
            let end = Some(spec.windows().end_of(at)).filter(bounded);
            end.unwrap_or_else(|| at.plus(1))
        });
        open.max(waiting)
    }

    fn tell_watermark(&mut self) {
        let watermark = self.clock.as_ref().map(super::clock::Clock::watermark);
        self.counters.watermark = watermark.filter(|watermark| *watermark > START);
    }

    /// Whether something can go on without another message, and without time.
    pub(super) fn is_due(&self) -> bool {
        if self.closing.is_some() {
            return !self.is_choked();
        }
        let Some(clock) = &self.clock else {
            return !self.reorder.is_empty();
        };
        let until = clock.watermark();
        self.open.keys().next().is_some_and(|slot| slot.end <= until)
            || self.reorder.first().is_some_and(|at| at < until)
    }

    /// The input that must not be paused, as nothing can go on without it.
    pub(super) fn spare(&self) -> Option<usize> {
        let clock = self.clock.as_ref().filter(|_| self.live())?;
        let stuck = self.ledger.is_empty() && !self.is_due();
        stuck.then(|| clock.laggard()).flatten()
    }

    /// Says once that no more can be held, though the input that all wait for goes on.
    pub(super) fn report_stuck(&mut self) {
        let super::Role::Join(spec) = &*self.role else {
            return;
        };
        let open = self.open.values().next().map(crate::join::OpenWindow::bounds);
        let waiting = || {
            self.reorder.first().map(|start| Window {
                start,
                end: spec.windows().end_of(start),
            })
        };
        if let Some(window) = open.or_else(waiting) {
            self.effects.push(Effect::OverBudget(OverBudget {
                window,
                held: self.budget.held(),
                budget: self.budget.limit(),
            }));
        }
    }
}
