//! Rows that are found, and wait in the store: for the next step, or to be made results of.

use std::collections::BTreeMap;

use super::super::bound::MISSING;
use super::super::plan::Plan;
use super::loaded::Loaded;
use super::{ROW, entry};
use crate::query::JoinKind;
use crate::spill::{Entry, Run, Spill, Writer};
use crate::state::StateError;

/// What a row takes besides its key and its messages, until it is written.
const ENTRY: u64 = 64;

/// Writes rows down: for the next step by its parts, and at last in the order of their messages' numbers; each with
/// what is kept of its messages.
#[derive(Debug)]
pub(in crate::join) struct Sink {
    /// The inputs whose numbers are a row's key, in their order there.
    inputs: Vec<usize>,
    /// Whether rows come in order.
    ordered: bool,
    /// Whether who matched is all that is asked for.
    bare: bool,
    /// Of rows in order.
    writer: Option<Writer>,
    /// Of others: those that are not written yet, and their bytes.
    pending: Vec<Entry>,
    bytes: u64,
    runs: Vec<Run>,
    sizes: BTreeMap<u16, u64>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Sink {
    /// Of what a step finds.
    pub(super) fn new(plan: &Plan, step: usize) -> Sink {
        let last = step + 1 == plan.steps.len();
        let bare = last && is_told_last(plan);
        let inputs = if bare {
            plan.steps.iter().map(|step| step.input).collect()
        } else {
            plan.inputs_before(step + 1).collect()
        };
        Sink {
            inputs,
            ordered: last && plan.in_order && !bare,
            bare,
            writer: None,
            pending: Vec::new(),
            bytes: 0,
            runs: Vec::new(),
            sizes: BTreeMap::new(),
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Adds a row of messages that are at hand: by input, their places. `part` is that of the next step, if there is
    /// one.
    pub(in crate::join) fn push(
        &mut self,
        spill: &mut Spill,
        loaded: &Loaded,
        part: Option<u16>,
        rows: &[u32],
    ) -> Result<(), StateError> {
        self.key.clear();
        self.value.clear();
        if let Some(part) = part {
            entry::begin(part, false, &mut self.key);
        }
        for input in &self.inputs {
            let place = rows.get(*input).copied().unwrap_or(MISSING);
            let number = loaded.number(*input, place);
            self.key.extend_from_slice(&number.to_be_bytes());
            if let Some(side) = loaded
                .sides
                .get(*input)
                .filter(|_| place != MISSING && !self.bare)
            {
                entry::write(&side.store, place as usize, &mut self.value);
            }
        }
        if let Some(part) = part {
            *self.sizes.entry(part).or_default() += self.value.len() as u64 + ROW * self.inputs.len() as u64;
        }
        if self.ordered {
            let writer = self.writer.get_or_insert_with(|| spill.write());
            return writer.push(spill, &self.key, &self.value);
        }
        self.bytes += (self.key.len() + self.value.len()) as u64 + ENTRY;
        self.pending
            .push((self.key.as_slice().into(), self.value.as_slice().into()));
        if self.bytes > spill.part() {
            self.sort(spill)?;
        }
        Ok(())
    }

    /// Writes the rows that wait.
    fn sort(&mut self, spill: &mut Spill) -> Result<(), StateError> {
        self.bytes = 0;
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_unstable();
        let mut writer = spill.write();
        for (key, value) in &pending {
            writer.push(spill, key, value)?;
        }
        self.runs.push(writer.finish(spill)?);
        Ok(())
    }

    /// What comes next has no order with what was found so far.
    pub(super) fn end_pass(&mut self, spill: &Spill) -> Result<(), StateError> {
        if let Some(writer) = self.writer.take() {
            self.runs.push(writer.finish(spill)?);
        }
        Ok(())
    }

    /// All that was found; and for the next step, by part, bytes that it takes in memory.
    pub(super) fn finish(mut self, spill: &mut Spill) -> Result<(Vec<Run>, BTreeMap<u16, u64>), StateError> {
        self.end_pass(spill)?;
        if !self.pending.is_empty() {
            self.sort(spill)?;
        }
        Ok((self.runs, self.sizes))
    }
}

/// Whether a message of the first input that has a match is known only when all of its rows are: it may be in many, of
/// which some have none.
pub(super) fn is_told_last(plan: &Plan) -> bool {
    plan.kind == JoinKind::Anti && plan.steps.len() > 2
}
