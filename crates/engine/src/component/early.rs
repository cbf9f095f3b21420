//! What leaves before its window ends: groups whose trigger is true, and once a second those that have changed.

use super::shipping::Shipment;
use super::windows::Slot;
use super::{Component, Role};
use crate::ack::{GroupId, Messages};
use crate::id::Id;
use crate::join::{Fired, JoinSpec, Output};
use crate::time::Time;
use crate::window::{Window, Windowing};

/// Microseconds between two updates of a window.
const UPDATES: i64 = 1_000_000;

/// The last update of a group, by its window and what all of its results have in common.
pub(super) type Updated = std::collections::BTreeMap<(Window, String), Update>;

/// What was sent of a group.
pub(super) struct Update {
    id: Id,
    /// How often it was sent.
    sequence: u64,
    /// Held until the last one is accepted.
    group: GroupId,
}

/// By key and start of a session: what waits for that which has left it.
pub(super) type Left = std::collections::BTreeMap<(Vec<u8>, Time), GroupId>;

fn left_bytes((key, _): &(Vec<u8>, Time)) -> u64 {
    (key.len() + 64) as u64
}

/// Bytes of an [`Update`] with its key.
const UPDATE: u64 = 192;

impl Component {
    /// A message has come to a window: its group may leave, now or soon. `at` is when the message happened.
    pub(super) fn leave_early(&mut self, spec: &JoinSpec, slot: &Slot, input: usize, at: Time) {
        if spec.sends_updates() && self.update_at.is_none() {
            self.update_at = Some(self.now.plus(UPDATES));
        }
        let Some(open) = self.open.get_mut(slot) else {
            return;
        };
        let before = open.bytes(input);
        let errors = &mut self.counters.expression_errors;
        let fired = open.fire(spec, &self.uid, &self.row, |error| {
            *errors.entry(error.reason()).or_default() += 1;
        });
        let after = open.bytes(input);
        self.budget.add(Some(input), after.saturating_sub(before));
        self.budget.sub(Some(input), before.saturating_sub(after));
        let Some(Fired {
            output,
            failed,
            tokens,
        }) = fired
        else {
            return;
        };
        let time = if slot.end < Time::MAX { slot.end } else { at };
        let session = matches!(spec.windows(), Windowing::Session(_));
        let group = if session {
            self.keep_with_session(slot, input, &tokens)
        } else {
            self.hold(Messages::Many(vec![tokens.into_iter().collect()]))
        };
        if !session && self.clock.is_some() && slot.end < Time::MAX {
            // Its window may close with nothing left in it, and is not done with before this is accepted.
            self.unsettled.insert(group, slot.end);
        }
        let shipment = Shipment {
            group,
            input,
            attempts: 0,
        };
        if let Some(output) = output {
            self.counters.rows += 1;
            let event = self.result(spec, output, time);
            self.ship(event, &shipment, 0..self.recipients, self.now);
        }
        if let Some(row) = failed {
            let letter = self.failed_row(row, self.now);
            self.send_dead_letter(letter, group, input, self.now);
        }
        // Of a session all is done with together, after its end.
        if !session {
            self.release(group);
        }
    }

    /// Sends the groups that have changed, if it is time for that.
    pub(super) fn send_updates(&mut self, now: Time) {
        let role = std::sync::Arc::clone(&self.role);
        let Role::Join(spec) = &*role else { return };
        if self.update_at.is_none_or(|at| at > now) {
            return;
        }
        self.update_at = None;
        let mut updates = Vec::new();
        for open in self.open.values_mut() {
            let window = open.bounds();
            let before = open.bytes(0);
            let outputs = open.updates(spec, &self.uid);
            self.budget.sub(Some(0), before.saturating_sub(open.bytes(0)));
            updates.extend(outputs.into_iter().map(|output| (window, output)));
        }
        for (window, output) in updates {
            let id = Self::named(spec, window, output.id);
            let Some(sequence) = self.next_update(window, &output, id) else {
                continue;
            };
            // The window's messages wait for its last results, and so for this one if it is the last.
            let group = self.hold(Messages::Many(Vec::new()));
            if let Some(subject) = &output.subject {
                let update = Update { id, sequence, group };
                if self.updated.insert((window, subject.clone()), update).is_none() {
                    self.budget.add(None, UPDATE);
                }
            }
            let shipment = Shipment {
                group,
                input: 0,
                attempts: 0,
            };
            let mut event = self.result(spec, Output { id, ..output }, window.end);
            event.sequence = Some(sequence);
            self.ship(event, &shipment, 0..self.recipients, now);
            self.release(group);
        }
    }

    /// The number that this result of a group has among its updates; `None` if it was the last that was sent, and is
    /// accepted.
    pub(super) fn next_update(&self, window: Window, output: &Output, id: Id) -> Option<u64> {
        let key = (window, output.subject.clone().unwrap_or_default());
        match self.updated.get(&key) {
            None => Some(1),
            Some(update) if update.id == id && !self.ledger.holds(update.group) => None,
            Some(update) if update.id == id => Some(update.sequence),
            Some(update) => Some(update.sequence + 1),
        }
    }

    /// A window has no more updates.
    pub(super) fn forget_updates(&mut self, window: Window) {
        if self.updated.is_empty() {
            return;
        }
        let budget = &mut self.budget;
        self.updated.retain(|(of, _), _| {
            if *of == window {
                budget.sub(None, UPDATE);
            }
            *of != window
        });
    }

    /// What has left a session is acked with the rest of it, when all that was made of it is accepted: without some of its
    /// messages it would have other bounds after a crash.
    fn keep_with_session(&mut self, slot: &Slot, input: usize, tokens: &[u64]) -> GroupId {
        if let Some(open) = self.open.get_mut(slot) {
            let before = open.bytes(input);
            open.keep(tokens);
            let after = open.bytes(input);
            self.budget.add(Some(input), after.saturating_sub(before));
        }
        let session = (slot.key.clone(), slot.start);
        if let Some(group) = self.left.get(&session) {
            return *group;
        }
        let group = self.hold(Messages::Many(Vec::new()));
        self.budget.add(None, left_bytes(&session));
        self.left.insert(session, group);
        group
    }

    /// A session closes: what of it has left, if anything has.
    pub(super) fn left_of(&mut self, slot: &Slot) -> Option<GroupId> {
        if self.left.is_empty() {
            return None;
        }
        let session = (slot.key.clone(), slot.start);
        let group = self.left.remove(&session)?;
        self.budget.sub(None, left_bytes(&session));
        Some(group)
    }

    /// A result's id: where windows overlap, one row may be a result of several.
    pub(super) fn named(spec: &JoinSpec, window: Window, id: Id) -> Id {
        match spec.windows() {
            Windowing::Hopping(_) => id.in_window(window),
            _ => id,
        }
    }
}
