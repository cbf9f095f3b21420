//! The innermost step of most joins: every message that was found makes a row, and nothing else is asked of it.

use super::matching::{MAX_CANDIDATES, Matching};
use super::progress::{Frame, Next};
use crate::counters::CutShort;
use crate::query::JoinKind;

impl Matching<'_> {
    /// Encodes rows of the messages that the innermost step has found, one after the other, as far as `work` goes.
    /// False if it can't be done so, or none is left.
    pub(super) fn encode_found(&mut self, work: &mut u64) -> bool {
        let (plan, sides) = (self.plan, self.sides);
        let depth = self.progress.frames.len();
        let Some(step) = plan.steps.get(self.progress.base + depth.max(2) - 1) else {
            return false;
        };
        let last = self.progress.base + depth == plan.steps.len();
        let inner = plan.kind == JoinKind::Inner && plan.in_order && last && depth > 1;
        let unasked = step.checks.is_empty() && step.filters.is_empty();
        if !inner || !unasked || self.groups.is_some() || self.sink.is_some() {
            return false;
        }
        let side = &sides[step.input];
        let (
            Some(index),
            Some(Frame {
                next: Next::Found(found),
                ..
            }),
        ) = (&side.index, self.progress.frames.last())
        else {
            return false;
        };
        let mut found = *found;
        let mut lead = 0..0;
        let mut rows = 0;
        while *work > 0 && !self.encoder.has_to_leave() {
            let Some(row) = index.next(&mut found, &side.store) else {
                break;
            };
            *work -= 1;
            rows += 1;
            self.bind(step.input, row);
            if self.progress.candidates >= MAX_CANDIDATES {
                self.progress.stop(CutShort::Candidates);
                return true;
            }
            self.progress.candidates += 1;
            if rows == 1 {
                self.mark_together();
            } else if let Some(marks) = self.progress.together.get_mut(step.input) {
                marks.mark(row);
            }
            let again = (step.input, &mut lead);
            if let Err(reason) = self.encoder.row(&self.cx, &self.progress.rows, Some(again)) {
                self.progress.stop(reason);
                return true;
            }
        }
        if let Some(frame) = self.progress.frames.last_mut() {
            frame.next = Next::Found(found);
        }
        rows > 0
    }
}
