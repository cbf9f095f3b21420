//! Windows that outgrow memory: what is gathered goes to the store, and results leave as they are made.

use std::sync::Arc;

use super::budget::Budget;
use super::shipping::Shipment;
use super::windows::FIRST;
use super::{Component, Role};
use crate::ack::Messages;
use crate::id::Id;
use crate::join::{Closing, FailedRow, JoinSpec, OpenWindow, Output};
use crate::spill::{Spill, Store};
use crate::state::StateError;
use crate::time::Time;
use crate::window::Windowing;

/// Bytes that may be held before a window that gathers more than its part of them is written: of messages more than of
/// groups, as what is joined in memory alone costs less.
pub(super) fn share(spec: &JoinSpec, spill: &Spill) -> u64 {
    if spec.gathers_groups() {
        spill.share()
    } else {
        2 * spill.share()
    }
}

/// Writes what windows have gathered to the store.
pub(super) fn write_out<'w>(
    spec: &JoinSpec,
    windows: impl Iterator<Item = &'w mut OpenWindow>,
    spill: &mut Spill,
    budget: &mut Budget,
) {
    let mut writer = match spec.windows() {
        Windowing::Session(_) => spill.write_small(),
        _ => spill.write(),
    };
    let mut written = Ok(());
    for open in windows.filter(|open| open.gathered() > 0) {
        let added = changing(spec, open, budget, |open| open.spill(spec, &mut writer, spill));
        written = written.and(added);
    }
    let finished = writer.finish(spill);
    if let Err(error) = written.and(finished.map(|_| ())) {
        spill.fail(error);
    }
}

/// Reads the messages of a window that were written, as they fit into memory.
pub(super) fn take_back(spec: &JoinSpec, open: &mut OpenWindow, spill: &mut Spill, budget: &mut Budget) {
    let taken = changing(spec, open, budget, |open| open.take_back(spec, spill));
    if let Err(error) = taken {
        spill.fail(error);
    }
}

/// Does something with a window, and minds what it takes then.
fn changing<T>(
    spec: &JoinSpec,
    open: &mut OpenWindow,
    budget: &mut Budget,
    change: impl FnOnce(&mut OpenWindow) -> T,
) -> T {
    let held: Vec<u64> = (0..spec.inputs()).map(|input| open.bytes(input)).collect();
    let changed = change(open);
    for (input, held) in held.into_iter().enumerate() {
        let left = open.bytes(input);
        budget.sub(Some(input), held.saturating_sub(left));
        budget.add(Some(input), left.saturating_sub(held));
    }
    changed
}

impl Component {
    /// What outgrows memory goes to a store from now on.
    pub(crate) fn spill_to(&mut self, store: Store) -> Result<(), StateError> {
        let role = Arc::clone(&self.role);
        if let Role::Join(spec) = &*role {
            self.spill = Some(Spill::new(store, self.budget.limit())?);
            self.settle_tables(spec);
        }
        Ok(())
    }

    pub(super) fn spill_failed(&mut self, error: StateError) {
        if let Some(spill) = &mut self.spill {
            spill.fail(error);
        }
    }

    /// Why the store can't be used any more. Nothing goes on then: what was not acked is taken up by another life.
    pub(crate) fn failure(&self) -> Option<&StateError> {
        self.spill.as_ref().and_then(Spill::failure)
    }

    /// Whether so many results of the window that closes are on their way that no more are made before they are
    /// accepted.
    pub(super) fn is_choked(&self) -> bool {
        let streams = self
            .closing
            .as_ref()
            .is_some_and(|closing| closing.group.is_some());
        streams && self.in_flight > self.budget.limit() / 8
    }

    /// Sends the results that a window has made so far.
    pub(super) fn ship_some(&mut self, spec: &JoinSpec, closing: &mut Closing, now: Time) {
        let (results, failed) = closing.take();
        if results.is_empty() && failed.is_empty() {
            return;
        }
        let window = closing.bounds();
        let group = match closing.group {
            Some(group) => group,
            None => self.hold(Messages::Many(Vec::new())),
        };
        closing.group = Some(group);
        let shipment = Shipment {
            group,
            input: FIRST,
            attempts: 0,
        };
        for output in results {
            let id: Id = Self::named(spec, window, output.id);
            let event = self.result(spec, Output { id, ..output }, window.end);
            self.ship(event, &shipment, 0..self.recipients, now);
        }
        for row in failed {
            let id = Self::named(spec, window, row.id);
            let letter = self.failed_row(FailedRow { id, ..row }, now);
            self.send_dead_letter(letter, group, FIRST, now);
        }
    }

    /// Sessions have gathered so many bytes more. All go to the store together, as there may be many that have little.
    pub(super) fn write_sessions(&mut self, spec: &JoinSpec, more: u64) {
        let Some(spill) = self.spill.as_mut().filter(|_| spec.spills()) else {
            return;
        };
        self.gathered += more;
        let share = share(spec, spill);
        if self.budget.held() > share && self.gathered > share / 2 {
            self.gathered = 0;
            write_out(spec, self.open.values_mut(), spill, &mut self.budget);
        }
    }

    /// Bytes that it takes to read messages that wait in the store.
    pub(super) fn reading_waiting(&self) -> u64 {
        let spill = self.spill.as_ref();
        spill.map_or(0, |spill| self.reorder.reading(spill))
    }

    /// Messages that wait for earlier ones go to the store, if they take as much as groups may.
    pub(super) fn write_waiting(&mut self) {
        let reorder = &mut self.reorder;
        let many = |spill: &&mut Spill| reorder.bytes() > spill.share() && reorder.has_room(spill);
        let Some(spill) = self.spill.as_mut().filter(many) else {
            return;
        };
        let before = self.reorder.reading(spill);
        match self.reorder.write_out(spill) {
            Ok(freed) => {
                for (input, bytes) in freed {
                    self.budget.sub(Some(input), bytes);
                }
                let after = self.reorder.reading(spill);
                self.budget.add(None, after.saturating_sub(before));
                self.budget.sub(None, before.saturating_sub(after));
            }
            Err(error) => spill.fail(error),
        }
    }

    /// While what was kept is given again nothing closes, but what would have gone into its windows by then does so
    /// now, if there is no room for it to wait.
    pub(super) fn release_early(&mut self, spec: &JoinSpec) {
        let Some(spill) = &self.spill else { return };
        let share = share(spec, spill);
        let Some(until) = self.clock.as_ref().map(super::clock::Clock::watermark) else {
            return;
        };
        if self.budget.held() <= share || !spec.spills() {
            return;
        }
        while self.reorder.first().is_some_and(|at| at < until) && self.failure().is_none() {
            self.release_waiting(spec);
        }
    }
}
