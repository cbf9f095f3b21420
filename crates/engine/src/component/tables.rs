//! Messages of tables, and messages that are looked up in them as they come.

use super::intake::identify;
use super::shipping::Shipment;
use super::windows::FIRST;
use super::{Component, Incoming};
use crate::ack::{Handle, Messages};
use crate::aggregate;
use crate::expr::{Context, Row};
use crate::id::Id;
use crate::join::{Closed, Closing, JoinSpec, OpenWindow, Output, Table};
use crate::state::StateError;
use crate::time::Time;
use crate::value::Value;
use crate::window::Window;

impl Component {
    /// Takes a message of a table: it replaces the one of the same key, which is acked for that.
    pub(super) fn update_table(&mut self, spec: &JoinSpec, message: &Incoming<'_>, now: Time) {
        let decoded = match self.decode(spec, message) {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(message, &error, now),
        };
        let is_removal = decoded.data.trim_ascii() == "null";
        let key = match message.key {
            // There is nothing in the message to compute the key from.
            Some(key) if is_removal => {
                let mut out = Vec::new();
                aggregate::write_key(&Value::string(key), &mut out).map(|()| out)
            }
            _ => {
                let row = self.row.row();
                let rows = vec![&row as &dyn Row; spec.inputs()];
                spec.table_key(message.input, &Context::new(&rows))
            }
        };
        let key = match key {
            Ok(key) => key,
            Err(error) => {
                *self.counters.expression_errors.entry(error.reason()).or_default() += 1;
                let count = message.attempts.saturating_add(1);
                return self.dead_letter_message(message, error.reason(), error.to_string(), count, now);
            }
        };
        let (topic, sequence) = (self.inputs[message.input].topic(message.topic), self.sequence);
        let id = identify(decoded.identity.as_ref(), topic, message, sequence);
        let table = &mut self.tables[message.input];
        let held = table.bytes();
        let before = if is_removal {
            table.remove(&key)
        } else {
            table.put(&key, (id, message.token), &self.row)
        };
        self.budget.sub(Some(message.input), held);
        self.budget.add(Some(message.input), table.bytes());
        let before = match before {
            Ok(before) => before,
            Err(error) => return self.spill_failed(error),
        };
        if let Some(token) = before {
            self.ack(message.input, token);
        }
        if is_removal {
            self.ack(message.input, message.token);
        }
    }

    /// Rows of tables that have no room in memory go to the store from now on.
    pub(super) fn settle_tables(&mut self, spec: &JoinSpec) {
        let Some(spill) = &mut self.spill else { return };
        // Windows hold what was looked up, besides.
        let all = if spec.is_looked_up_at_once() {
            spill.share()
        } else {
            spill.share() / 2
        };
        let share = all / spec.keyed_tables().count().max(1) as u64;
        for input in spec.keyed_tables() {
            if let Some(table) = self.tables.get_mut(input) {
                table.settle(spill.home(share));
            }
        }
    }

    /// Takes from the tables what may match a window's messages.
    pub(super) fn fill(&mut self, spec: &JoinSpec, open: &mut OpenWindow) -> Result<(), StateError> {
        if self.spill.is_none() {
            return open.fill(spec, &mut self.tables);
        }
        let held = |tables: &[Table]| tables.iter().map(Table::bytes).collect::<Vec<_>>();
        let before = held(&self.tables);
        let filled = open.fill(spec, &mut self.tables);
        // What was in the store may be in memory now, and the other way around.
        for (input, (before, after)) in before.into_iter().zip(held(&self.tables)).enumerate() {
            self.budget.sub(Some(input), before.saturating_sub(after));
            self.budget.add(Some(input), after.saturating_sub(before));
        }
        filled
    }

    /// Looks the message whose row is at hand up in the tables as they are now, and sends what that gives.
    pub(super) fn look_up(&mut self, spec: &JoinSpec, at: Time, input: usize, (id, token): (Id, u64)) {
        let mut open = OpenWindow::new(spec, Window::ALL, self.seed);
        let errors = &mut self.counters.expression_errors;
        open.arrive(spec, input, (|| id, token), &self.row, |error| {
            *errors.entry(error.reason()).or_default() += 1;
        });
        if let Err(error) = self.fill(spec, &mut open) {
            return self.spill_failed(error);
        }
        let mut closing = Closing::new(spec, open, &self.uid, 0);
        // One message and a row of each table: a few steps.
        let mut work = u64::MAX;
        let limit = self.budget.limit();
        let with = (&mut self.spill, &mut work);
        closing.advance(spec, &self.uid, limit, &mut self.previous, with);
        let Closed {
            results,
            failed,
            report,
            errors,
            ..
        } = closing.finish(spec);
        for (reason, count) in errors {
            *self.counters.expression_errors.entry(reason).or_default() += count;
        }
        if results.is_empty() && failed.is_empty() {
            self.counters.inputs[input].filtered += 1;
            return self.ack(input, token);
        }
        self.counters.rows += report.rows;
        let group = self.hold(Messages::One(Handle { input, token }));
        let shipment = Shipment {
            group,
            input,
            attempts: 0,
        };
        for Output { id, data, subject } in results {
            let event = self.result(spec, Output { id, data, subject }, at);
            self.ship(event, &shipment, 0..self.recipients, self.now);
        }
        for row in failed {
            let letter = self.failed_row(row, self.now);
            self.send_dead_letter(letter, group, FIRST, self.now);
        }
        self.release(group);
    }
}
