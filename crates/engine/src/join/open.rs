//! A window that is open: what has arrived for it.

use super::bound::Single;
use super::early::Early;
use super::grouping;
use super::index::{Index, Key};
use super::spec::JoinSpec;
use super::spilled::Spilled;
use super::store::Store;
use crate::aggregate::Groups;
use crate::counters::{Tally, WindowInput};
use crate::expr::EvalError;
use crate::id::Id;
use crate::row::RowBuilder;
use crate::spill::{Run, Spill, Writer};
use crate::state::StateError;
use crate::window::Window;

/// One input of a window.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) store: Store,
    /// What the plan looks up by keys.
    pub(super) index: Option<Index>,
    pub(super) counts: WindowInput,
}

impl Side {
    fn bytes(&self) -> u64 {
        (self.store.bytes() + self.index.as_ref().map_or(0, Index::bytes)) as u64
    }
}

/// Where a message went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It may be in rows: held until the window closes.
    Kept,
    /// It can be in no row, and nothing of it is kept.
    Filtered,
}

/// A window and the messages in it.
#[derive(Debug)]
pub(crate) struct OpenWindow {
    pub(super) window: Window,
    pub(super) sides: Vec<Side>,
    pub(super) errors: u64,
    /// Of a query that groups the messages of a single input: they are added as they arrive.
    pub(super) groups: Groups,
    /// Those that did not fit, in the order in which they were written.
    pub(super) runs: Vec<Run>,
    /// Of any other query: messages that did not fit.
    pub(super) spilled: Option<Box<Spilled>>,
    pub(super) early: Early,
    /// Stands for all messages that it has kept, whatever their order.
    pub(super) digest: Id,
    /// By condition.
    pub(super) tallies: Vec<Tally>,
    /// Whether it has been reported that this window alone is over the memory budget.
    pub(crate) over_budget: bool,
}

impl OpenWindow {
    pub(crate) fn new(spec: &JoinSpec, window: Window, seed: u64) -> OpenWindow {
        let side = |input: usize| Side {
            store: Store::new(),
            index: spec.plan.is_indexed(input).then(|| Index::new(seed)),
            counts: WindowInput::default(),
        };
        OpenWindow {
            window,
            sides: (0..spec.inputs()).map(side).collect(),
            errors: 0,
            groups: Groups::new(),
            runs: Vec::new(),
            spilled: None,
            early: Early::default(),
            digest: Id([0; 16]),
            tallies: vec![Tally::default(); spec.plan.conditions.len()],
            over_budget: false,
        }
    }

    /// Bytes that an input's messages take.
    pub(crate) fn bytes(&self, input: usize) -> u64 {
        let spilled = self.spilled.as_ref().filter(|_| input == 0);
        let spilled = spilled.map_or(0, |spilled| spilled.bytes());
        let spilled = spilled + (self.runs.capacity() * size_of::<Run>()) as u64;
        self.sides[input].bytes() + self.groups.bytes() as u64 + self.early.bytes() + spilled
    }

    /// Bytes of what [`OpenWindow::spill`] can write.
    pub(crate) fn gathered(&self) -> u64 {
        let rows = |side: &Side| side.store.row_bytes() + side.index.as_ref().map_or(0, Index::bytes);
        (self.groups.bytes() + self.sides.iter().map(rows).sum::<usize>()) as u64
    }

    /// Whether some of its messages are in the store. When it closes, all are.
    pub(crate) fn has_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    /// Bytes that it takes to read again what was written.
    pub(crate) fn reading(&self, spill: &Spill) -> u64 {
        match &self.spilled {
            Some(spilled) => spilled.reading(spill),
            None => spill.reading(self.runs.iter()),
        }
    }

    /// Adds what is gathered to what is written to the store: groups, or messages.
    pub(crate) fn spill(
        &mut self,
        spec: &JoinSpec,
        writer: &mut Writer,
        spill: &Spill,
    ) -> Result<(), StateError> {
        if spec.gathers_groups() {
            self.groups.write(writer, spill)?;
            self.runs.push(writer.cut());
            return Ok(());
        }
        let inputs = self.sides.len();
        let spilled = self.spilled.get_or_insert_with(|| Box::new(Spilled::new(inputs)));
        spilled.write(spec, self.window, &mut self.sides, (writer, spill))
    }

    /// Whether all of its messages fit into memory together, once they are read.
    pub(crate) fn fits(&self, spill: &Spill) -> bool {
        let written = self.spilled.as_ref().map_or(0, |spilled| spilled.size());
        written + self.gathered() <= spill.part()
    }

    /// Reads its messages, so that they are joined as if none had been written.
    pub(crate) fn take_back(&mut self, spec: &JoinSpec, spill: &mut Spill) -> Result<(), StateError> {
        match self.spilled.take() {
            Some(spilled) => spilled.read(spec, self.window, &mut self.sides, spill),
            None => Ok(()),
        }
    }

    /// The window's bounds.
    pub(crate) fn bounds(&self) -> Window {
        self.window
    }

    /// A session is as long as its messages make it.
    pub(crate) fn set_bounds(&mut self, window: Window) {
        self.window = window;
    }

    /// Messages of groups that have left are acked with the last of the window all the same.
    pub(crate) fn keep(&mut self, tokens: &[u64]) {
        if let Some(side) = self.sides.first_mut() {
            for token in tokens {
                side.store.push_token(*token);
            }
        }
    }

    /// Whether a decoded message fulfils what concerns it alone; if not, it can be in no row. `error` is told of
    /// evaluations that fail.
    pub(crate) fn wants(
        &mut self,
        spec: &JoinSpec,
        input: usize,
        row: &RowBuilder,
        error: &mut impl FnMut(&EvalError),
    ) -> bool {
        let side = &mut self.sides[input];
        side.counts.received += 1;
        let checks = &spec.plan.arrival[input];
        if checks.is_empty() {
            return true;
        }
        let single = Single {
            inputs: spec.inputs(),
            window: self.window,
        };
        let tallies = &mut self.tallies;
        let failed = single.with(&row.row(), |cx| {
            checks.iter().find_map(|check| {
                let tally = &mut tallies[check.condition];
                match check.program.test(cx) {
                    Ok(true) => None,
                    Ok(false) => {
                        tally.turned_away += 1;
                        Some(None)
                    }
                    Err(error) => {
                        tally.failed += 1;
                        Some(Some(error))
                    }
                }
            })
        });
        match &failed {
            None => return true,
            Some(None) => {}
            Some(Some(cause)) => {
                self.errors += 1;
                error(cause);
            }
        }
        side.counts.filtered += 1;
        false
    }

    /// Takes a decoded message, if it can be in a row at all. `error` is told of evaluations that fail.
    pub(crate) fn arrive(
        &mut self,
        spec: &JoinSpec,
        input: usize,
        message: (impl FnOnce() -> Id, u64),
        row: &RowBuilder,
        mut error: impl FnMut(&EvalError),
    ) -> Arrival {
        if self.wants(spec, input, row, &mut error) {
            self.take(spec, input, message, row, error)
        } else {
            Arrival::Filtered
        }
    }

    /// Takes a message that is wanted, if it has a key. `error` is told of evaluations that fail.
    pub(crate) fn take(
        &mut self,
        spec: &JoinSpec,
        input: usize,
        (id, token): (impl FnOnce() -> Id, u64),
        row: &RowBuilder,
        mut error: impl FnMut(&EvalError),
    ) -> Arrival {
        let single = Single {
            inputs: spec.inputs(),
            window: self.window,
        };
        let side = &mut self.sides[input];
        let plan = &spec.plan;
        let tallies = &mut self.tallies;
        let mut like = None;
        let mut kept_without_key = false;
        let wanted = single.with(&row.row(), |cx| {
            let (Some(index), Some(step)) = (&mut side.index, plan.step(input)) else {
                return Ok(true);
            };
            let failed = match Key::eval(&step.build, cx) {
                Ok(key) if key.matches_itself() => {
                    like = index.add(&key, &side.store, &step.build, single);
                    return Ok(true);
                }
                Ok(_) => Ok(false),
                Err(error) => Err(error),
            };
            // Which of a key's parts it is makes no difference to whoever looks for the cause.
            if let Some(condition) = step.keys.first() {
                let tally = &mut tallies[*condition];
                match failed {
                    Ok(_) => tally.turned_away += 1,
                    Err(_) => tally.failed += 1,
                }
            }
            if plan.keeps_right() {
                index.add_without_key();
                kept_without_key = true;
            }
            failed
        });
        if let Err(cause) = &wanted {
            self.errors += 1;
            error(cause);
        }
        if let (Some(groups), true, 1) = (&spec.groups, wanted == Ok(true), spec.inputs()) {
            let errors = &mut self.errors;
            let mut failed = |cause: &EvalError| {
                *errors += 1;
                error(cause);
            };
            let all = &mut self.groups;
            let id = id();
            if single.with(&row.row(), |cx| grouping::add(groups, all, cx, id, &mut failed)) {
                self.digest = self.digest.and(id);
                side.store.push_token(token);
                return Arrival::Kept;
            }
        } else if wanted == Ok(true) || kept_without_key {
            let id = id();
            self.digest = self.digest.and(id);
            side.store.push(id, token, row.parts(), like);
            return Arrival::Kept;
        }
        side.counts.filtered += 1;
        Arrival::Filtered
    }
}
