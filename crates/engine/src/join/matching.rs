//! The join itself: binds one input after the other, in the order of the plan, to the messages that agree with
//! those bound before.
//!
//! It goes in small steps and can stop after any of them, to be taken up again where it was: a join that has
//! millions of combinations to look at must not keep its runner from everything else.

use std::cell::Cell;

use super::encode::Encoder;
use super::index::{Found, Key};
use super::open::Side;
use super::plan::{Check, Plan};
use crate::counters::CutShort;
use crate::expr::{self, Context};
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
pub(crate) struct Single {
    pub(crate) inputs: usize,
    pub(crate) window: Window,
}

impl Single {
    /// Every input's row is this one: of the others, nothing is read.
    pub(crate) fn with<T>(self, row: &dyn expr::Row, then: impl FnOnce(&Context<'_>) -> T) -> T {
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

/// What a step tries next.
#[derive(Debug)]
enum Next {
    /// Every message, from this one on.
    Scan(u32),
    /// Those with the key that was looked up.
    Found(Found),
}

/// How far a join has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// By step, as far as they are open.
    next: Vec<Next>,
    /// By input: the number of the message that it is bound to.
    rows: Vec<u32>,
    pub(super) candidates: u64,
    pub(super) cut_short: Option<CutShort>,
    /// Where the steps are not in the order of the inputs: the rows of the first input's message so far, to be
    /// brought in order before they are encoded. As the first step is always that of the first input, rows of
    /// different messages of it are in order.
    found: Vec<u32>,
    /// Their order, and how many of them are encoded, once they are complete.
    order: Option<(Vec<u32>, usize)>,
}

impl Progress {
    pub(super) fn new(inputs: usize) -> Progress {
        Progress {
            next: vec![Next::Scan(0)],
            rows: vec![0; inputs],
            candidates: 0,
            cut_short: None,
            found: Vec::new(),
            order: None,
        }
    }

    /// Looks for no more rows.
    fn stop(&mut self, reason: CutShort) {
        self.cut_short = Some(reason);
        self.next.clear();
    }
}

/// One window's join, while it is worked on.
pub(super) struct Matching<'a> {
    pub(super) plan: &'a Plan,
    pub(super) sides: &'a [Side],
    pub(super) single: Single,
    pub(super) bound: &'a [Bound<'a>],
    pub(super) cx: Context<'a>,
    /// Bytes that the rows of one message may take.
    pub(super) limit: u64,
    pub(super) progress: &'a mut Progress,
    pub(super) encoder: Encoder<'a>,
}

impl Matching<'_> {
    /// Takes up to `work` steps, which are taken off it. Whether the join is complete.
    pub(super) fn run(&mut self, work: &mut u64) -> bool {
        let bound = self.progress.next.len().saturating_sub(1);
        for step in self.plan.steps.iter().take(bound) {
            self.bind(step.input, self.progress.rows[step.input]);
        }
        while *work > 0 {
            *work -= 1;
            if !self.advance() {
                return true;
            }
        }
        false
    }

    /// Looks at one combination, or encodes one row. False if there is nothing left to do.
    fn advance(&mut self) -> bool {
        if self.progress.order.is_some() {
            self.encode_next();
            return true;
        }
        let depth = self.progress.next.len();
        if depth <= 1 && !self.progress.found.is_empty() {
            self.bring_in_order();
            return true;
        }
        let Some(next) = self.progress.next.last_mut() else {
            return false;
        };
        let step = &self.plan.steps[depth - 1];
        let side = &self.sides[step.input];
        let row = match (next, &side.index) {
            (Next::Found(found), Some(index)) => index.next(found, &side.store),
            (Next::Scan(row), _) if (*row as usize) < side.store.len() => {
                *row += 1;
                Some(*row - 1)
            }
            _ => None,
        };
        let Some(row) = row else {
            self.progress.next.pop();
            return true;
        };
        if depth > 1 {
            if self.progress.candidates >= MAX_CANDIDATES {
                self.progress.stop(CutShort::Candidates);
                return true;
            }
            self.progress.candidates += 1;
        }
        self.bind(step.input, row);
        if self.passes(&step.checks) {
            if depth == self.plan.steps.len() {
                self.found();
            } else {
                self.open(depth);
            }
        }
        true
    }

    /// Begins with a step, for what those before it are bound to.
    fn open(&mut self, at: usize) {
        let plan = self.plan;
        let step = &plan.steps[at];
        let side = &self.sides[step.input];
        let next = match &side.index {
            None => Next::Scan(0),
            Some(index) => match Key::eval(&step.probe, &self.cx) {
                Ok(key) => Next::Found(index.find(&key, &side.store, &step.build, self.single)),
                Err(error) => return self.encoder.error(&error),
            },
        };
        self.progress.next.push(next);
    }

    fn bind(&mut self, input: usize, row: u32) {
        self.progress.rows[input] = row;
        self.bound[input].0.set(self.sides[input].store.row(row as usize));
    }

    fn passes(&mut self, checks: &[Check]) -> bool {
        checks.iter().all(|check| {
            check.program.test(&self.cx).unwrap_or_else(|error| {
                self.encoder.error(&error);
                false
            })
        })
    }

    /// All inputs are bound to messages that make a row.
    fn found(&mut self) {
        if self.plan.in_order {
            return self.encode();
        }
        let progress = &mut *self.progress;
        let width = progress.rows.len();
        // Four bytes a number, and as many for the row's place in the order.
        let bytes = (progress.found.len() + width) / width.max(1) * (width + 1) * 4;
        if bytes as u64 > self.limit {
            return progress.stop(CutShort::Budget);
        }
        progress.found.extend_from_slice(&progress.rows);
    }

    // Rows are counted in u32, as messages are: the memory budget ends before 2^32 of them.
    #[allow(clippy::cast_possible_truncation)]
    fn bring_in_order(&mut self) {
        let progress = &mut *self.progress;
        let width = progress.rows.len();
        let rows = (progress.found.len() / width.max(1)) as u32;
        let row = |at: &u32| {
            progress
                .found
                .get(*at as usize * width..(*at as usize + 1) * width)
        };
        let mut order: Vec<u32> = (0..rows).collect();
        order.sort_unstable_by(|a, b| row(a).cmp(&row(b)));
        progress.order = Some((order, 0));
    }

    fn encode_next(&mut self) {
        let next = self.progress.order.as_mut().and_then(|(order, encoded)| {
            *encoded += 1;
            order.get(*encoded - 1).copied()
        });
        let Some(at) = next else {
            self.progress.found.clear();
            self.progress.order = None;
            return;
        };
        let inputs = self.progress.rows.len();
        for input in 0..inputs {
            self.bind(input, self.progress.found[at as usize * inputs + input]);
        }
        self.encode();
    }

    fn encode(&mut self) {
        if let Err(reason) = self.encoder.row(&self.cx, &self.progress.rows) {
            self.progress.stop(reason);
            self.progress.found.clear();
            self.progress.order = None;
        }
    }
}
