//! The join itself: binds one input after the other, in the order of the plan, to the messages that agree with
//! those bound before.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::index::Key;
use super::open::Side;
use super::plan::{Check, Step};
use crate::counters::CutShort;
use crate::expr::{self, Context, EvalError};
use crate::field::Field;
use crate::row::Row;
use crate::window::Window;

/// Combinations that one window may cost: some seconds of one core. A join with keys gets there only by that many
/// rows; one without gets there by the product of its inputs.
pub(super) const MAX_CANDIDATES: u64 = 50_000_000;

impl expr::Row for Row<'_> {
    fn field(&self, slot: usize) -> Field<'_> {
        Row::field(self, slot)
    }
}

/// An input's place in an evaluation: holds the message that is looked at.
#[derive(Default)]
pub(super) struct Bound<'a>(Cell<Row<'a>>);

impl expr::Row for Bound<'_> {
    fn field(&self, slot: usize) -> Field<'_> {
        self.0.get().field(slot)
    }
}

/// Evaluates what concerns a single input.
#[derive(Clone, Copy)]
pub(super) struct Single {
    pub(super) inputs: usize,
    pub(super) window: Window,
}

impl Single {
    /// Every input's row is this one: of the others, nothing is read.
    pub(super) fn with<T>(self, row: &dyn expr::Row, then: impl FnOnce(&Context<'_>) -> T) -> T {
        let context = |rows: &[&dyn expr::Row]| {
            then(&Context::new(rows).with_window(self.window.start, self.window.end))
        };
        if self.inputs <= 4 {
            context(&[row; 4])
        } else {
            context(&[row; 64])
        }
    }
}

/// Takes what the join finds.
pub(super) trait Sink {
    /// A row: `rows` holds the number of each input's message, by input; `cx` evaluates on them.
    fn row(&mut self, cx: &Context<'_>, rows: &[u32]) -> ControlFlow<CutShort>;
    /// An evaluation that failed.
    fn error(&mut self, error: &EvalError);
}

/// One window's join.
pub(super) struct Matching<'a, S> {
    pub(super) steps: &'a [Step],
    pub(super) sides: &'a [Side],
    pub(super) single: Single,
    pub(super) bound: &'a [Bound<'a>],
    pub(super) cx: Context<'a>,
    pub(super) rows: Vec<u32>,
    pub(super) candidates: u64,
    pub(super) sink: S,
}

impl<'a, S: Sink> Matching<'a, S> {
    /// Finds all rows, in the order of nested loops over the steps.
    pub(super) fn run(&mut self) -> Option<CutShort> {
        self.step(0).break_value()
    }

    fn step(&mut self, at: usize) -> ControlFlow<CutShort> {
        let steps = self.steps;
        let Some(step) = steps.get(at) else {
            return self.sink.row(&self.cx, &self.rows);
        };
        let side = &self.sides[step.input];
        let Some(index) = &side.index else {
            // Counted in u32, like the index does.
            #[allow(clippy::cast_possible_truncation)]
            return (0..side.store.len() as u32).try_for_each(|row| self.candidate(at, step, row, at > 0));
        };
        let cx = self.cx;
        let chain = match Key::eval(&step.probe, &cx) {
            Ok(key) => index.find(&key, &side.store, &step.build, self.single),
            Err(error) => {
                self.sink.error(&error);
                return ControlFlow::Continue(());
            }
        };
        for row in chain {
            self.candidate(at, step, row, true)?;
        }
        ControlFlow::Continue(())
    }

    fn candidate(&mut self, at: usize, step: &'a Step, row: u32, counts: bool) -> ControlFlow<CutShort> {
        if counts {
            if self.candidates >= MAX_CANDIDATES {
                return ControlFlow::Break(CutShort::Candidates);
            }
            self.candidates += 1;
        }
        self.bind(step.input, row);
        if self.passes(&step.checks) {
            self.step(at + 1)
        } else {
            ControlFlow::Continue(())
        }
    }

    pub(super) fn bind(&mut self, input: usize, row: u32) {
        self.rows[input] = row;
        self.bound[input].0.set(self.sides[input].store.row(row as usize));
    }

    fn passes(&mut self, checks: &[Check]) -> bool {
        checks.iter().all(|check| {
            check.program.test(&self.cx).unwrap_or_else(|error| {
                self.sink.error(&error);
                false
            })
        })
    }
}
