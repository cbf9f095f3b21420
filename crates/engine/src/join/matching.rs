//! The join itself: binds one input after the other, in the order of the plan, to the messages that agree with
//! those bound before.
//!
//! It goes in small steps and can stop after any of them, to be taken up again where it was: a join that has
//! millions of combinations to look at must not keep its runner from everything else.

use super::bound::{Bound, MISSING, Single};
use super::encode::Encoder;
use super::grouping::Grouping;
use super::index::Key;
use super::open::Side;
use super::plan::{Check, Plan};
use super::progress::{Frame, Next, Progress};
use super::spilled::{Loaded, Sink};
use crate::aggregate::{GroupSpec, Previous};
use crate::counters::CutShort;
use crate::expr::{Context, EvalError};
use crate::query::JoinKind;
use crate::spill::Spill;

/// Combinations that one window may cost: some seconds of one core. A join with keys gets there only by that many
/// rows; one without gets there by the product of its inputs.
pub(super) const MAX_CANDIDATES: u64 = 50_000_000;

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
    /// Where rows go that are grouped.
    pub(super) groups: Option<(&'a GroupSpec, &'a mut Grouping)>,
    /// Where they go that don't fit.
    pub(super) spill: &'a mut Option<Spill>,
    /// The step that completes a row: the last, or the one that is joined with the rows of those before.
    pub(super) last: usize,
    /// Where rows go that no results are made of yet, and what they are made of.
    pub(super) sink: Option<(&'a mut Sink, &'a Loaded)>,
    pub(super) encoder: Encoder<'a>,
}

impl Matching<'_> {
    /// Takes up to `work` steps, which are taken off it. Whether the join is complete.
    pub(super) fn run(&mut self, work: &mut u64) -> bool {
        for input in 0..self.sides.len() {
            self.bind(input, self.progress.rows[input]);
        }
        while *work > 0 && !self.encoder.has_to_leave() {
            if self.encode_found(work) {
                continue;
            }
            *work -= 1;
            if !self.advance() {
                return true;
            }
            if self.spill.as_ref().is_some_and(Spill::has_failed) {
                break;
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
        let depth = self.progress.frames.len();
        if depth <= 1 && !self.progress.found.is_empty() {
            self.bring_in_order();
            return true;
        }
        if depth <= 1 && self.progress.alone {
            self.progress.alone = false;
            self.encode_first();
            return true;
        }
        if depth == 0 {
            return self.next_base();
        }
        let at = self.progress.base + depth - 1;
        let plan = self.plan;
        let step = &plan.steps[at];
        let Some(row) = self.next_row(at) else {
            let kept = plan.keeps_left() && depth > 1;
            match self
                .progress
                .frames
                .last_mut()
                .filter(|frame| kept && !frame.settled)
            {
                Some(frame) => {
                    frame.settled = true;
                    self.bind(step.input, MISSING);
                    self.descend(at);
                }
                None => {
                    self.progress.frames.pop();
                }
            }
            return true;
        };
        if self.sink.is_some() && at < self.last {
            self.join_row(row);
            return true;
        }
        self.bind(step.input, row);
        if depth > 1 {
            if self.progress.candidates >= MAX_CANDIDATES {
                self.progress.stop(CutShort::Candidates);
                return true;
            }
            self.progress.candidates += 1;
            if !self.passes(&step.checks) {
                return true;
            }
            if plan.kind != JoinKind::Inner {
                self.matched(at, row);
            }
        } else if plan.kind == JoinKind::Anti {
            self.progress.alone = true;
        }
        self.descend(at);
        true
    }

    /// What the innermost step, which is `at`, tries next.
    fn next_row(&mut self, at: usize) -> Option<u32> {
        let Progress { frames, matched, .. } = &mut *self.progress;
        let side = &self.sides[self.plan.steps[at].input];
        let row = match (&mut frames.last_mut()?.next, &side.index) {
            (Next::Found(found), Some(index)) => return index.next(found, &side.store),
            (Next::Within(rows), _) => return rows.next(),
            (Next::Scan(row), _) => row,
            (Next::Rows(row), _) => {
                *row += 1;
                let rows = self.sink.as_ref().map_or(0, |(_, loaded)| loaded.len());
                return (*row as usize <= rows).then(|| *row - 1);
            }
            (Next::Unmatched(row), _) => {
                *row = matched.get(at)?.next_unmarked(*row);
                row
            }
            _ => return None,
        };
        ((*row as usize) < side.store.len()).then(|| {
            *row += 1;
            *row - 1
        })
    }

    /// What joins is true for a message of step `at` and what is bound before.
    fn matched(&mut self, at: usize, row: u32) {
        if let Some(frame) = self.progress.frames.last_mut() {
            frame.settled = true;
        }
        if let Some(matched) = self.progress.matched.get_mut(at) {
            matched.mark(row);
        }
        let Progress { row, block, .. } = &mut *self.progress;
        if let Some(block) = block {
            block.met.mark(*row);
        }
    }

    /// Goes on to the messages of the next step that had no match, now that all that may match is through.
    fn next_base(&mut self) -> bool {
        let base = self.progress.base + 1;
        let elsewhere = self
            .progress
            .block
            .as_ref()
            .is_some_and(|block| !block.last_of_first);
        if !self.plan.keeps_right() || base > self.last || elsewhere {
            return false;
        }
        self.progress.base = base;
        self.progress.frames.push(Frame::new(Next::Unmatched(0)));
        for step in self.plan.steps.iter().take(base) {
            self.bind(step.input, MISSING);
        }
        true
    }

    /// Step `at` is settled: goes on to the next.
    fn descend(&mut self, at: usize) {
        let plan = self.plan;
        if !self.passes(&plan.steps[at].filters) {
            return;
        }
        if at == self.last {
            self.found();
        } else {
            self.open(at + 1);
        }
    }

    /// Begins with a step, for what those before it are bound to.
    pub(super) fn open(&mut self, at: usize) {
        let plan = self.plan;
        let step = &plan.steps[at];
        let side = &self.sides[step.input];
        // Of a message that is looked up again and again, one evaluation counts.
        let counts = self.progress.is_last();
        let next = if !self.passes_guards(&step.guards, counts) {
            Next::Nothing
        } else if let Some(index) = &side.index {
            match Key::eval(&step.probe, &self.cx) {
                Ok(key) => {
                    let found = index.find(&key, &side.store, &step.build, self.single);
                    if self.progress.is_in_vain(!found.is_empty()) {
                        for condition in &step.keys {
                            self.progress.tallies[*condition].turned_away += 1;
                        }
                    }
                    Next::Found(found)
                }
                Err(error) => {
                    // Which of them failed, nobody asks of a lookup by more than one.
                    if let Some(condition) = step.keys.first().filter(|_| counts) {
                        self.progress.tallies[*condition].failed += 1;
                        self.encoder.error(&error);
                    }
                    Next::Nothing
                }
            }
        } else {
            Next::Scan(0)
        };
        let next = self.narrow(at, next);
        let settled = self.progress.may_match();
        self.progress.frames.push(Frame { next, settled });
    }

    fn passes_guards(&mut self, guards: &[Check], counts: bool) -> bool {
        if counts {
            return self.passes(guards);
        }
        guards
            .iter()
            .all(|guard| guard.program.test(&self.cx) == Ok(true))
    }

    pub(super) fn bind(&mut self, input: usize, row: u32) {
        self.progress.rows[input] = row;
        let row = (row != MISSING).then(|| self.sides[input].store.row(row as usize));
        self.bound[input].set(row);
    }

    fn passes(&mut self, checks: &[Check]) -> bool {
        checks.iter().all(|check| {
            let tally = &mut self.progress.tallies[check.condition];
            match check.program.test(&self.cx) {
                Ok(true) => true,
                Ok(false) => {
                    tally.turned_away += 1;
                    false
                }
                Err(error) => {
                    tally.failed += 1;
                    self.encoder.error(&error);
                    false
                }
            }
        })
    }

    /// The first input's message has no match, and makes a row of its own.
    fn encode_first(&mut self) {
        for input in 1..self.sides.len() {
            self.bind(input, MISSING);
        }
        self.encode();
    }

    /// All inputs are bound to messages that make a row.
    fn found(&mut self) {
        if self.sink.is_some() {
            return self.found_row();
        }
        self.mark_together();
        if self.plan.kind == JoinKind::Anti {
            // One match is enough.
            self.progress.alone = false;
            self.progress.frames.truncate(1);
            return;
        }
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

    /// Notes which messages are in a row with others.
    pub(super) fn mark_together(&mut self) {
        let Progress { rows, together, .. } = &mut *self.progress;
        if rows.iter().filter(|row| **row != MISSING).nth(1).is_some() {
            for (row, marks) in rows.iter().zip(together) {
                // Past the end if there is none.
                marks.mark(*row);
            }
        }
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
        if self.sink.is_some() {
            return self.write_row();
        }
        let taken = match &mut self.groups {
            Some((spec, grouping)) => {
                let id = self.encoder.row_id(&self.progress.rows);
                let encoder = &mut self.encoder;
                let failed = &mut |error: &EvalError| encoder.error(error);
                grouping.add(spec, &self.cx, (id, self.limit), self.spill, failed)
            }
            None => self.encoder.row(&self.cx, &self.progress.rows, None),
        };
        if let Err(reason) = taken {
            self.progress.stop(reason);
            self.progress.found.clear();
            self.progress.order = None;
        }
    }

    /// Makes results of the groups, now that all rows are in them. Whether that is done.
    pub(super) fn make_groups(&mut self, previous: &mut Previous, work: &mut u64) -> bool {
        if let Some(reason) = self.progress.cut_short {
            if self.progress.is_void(self.encoder.spec) {
                self.encoder.discard();
            }
            self.encoder.incomplete(self.single.window, reason);
            return true;
        }
        let Some((spec, grouping)) = &mut self.groups else {
            return true;
        };
        let encoder = &mut self.encoder;
        let made = grouping.make(spec, self.single.window, previous, encoder, (self.spill, work));
        made.unwrap_or_else(|reason| {
            self.progress.cut_short = Some(reason);
            self.encoder.incomplete(self.single.window, reason);
            true
        })
    }
}
