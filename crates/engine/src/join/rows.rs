//! One step of a join by itself: the rows of those before it, which are at hand, joined with its messages.

use super::bound::MISSING;
use super::matching::Matching;
use super::spilled;
use crate::query::JoinKind;

impl Matching<'_> {
    /// Whether the step is the last one.
    fn is_final(&self) -> bool {
        self.last + 1 == self.plan.steps.len()
    }

    /// Goes on to the next of the rows.
    pub(super) fn join_row(&mut self, row: u32) {
        let Some((_, loaded)) = &self.sink else { return };
        for (input, place) in loaded.row(row).iter().enumerate() {
            self.bind(input, *place);
        }
        self.progress.row = row;
        if self.plan.kind == JoinKind::Anti && self.is_final() {
            // Of more than two inputs, a message may have a match in another row.
            self.progress.alone = self.sides.len() == 2 && !self.progress.may_match();
            if self.progress.has_met() {
                return;
            }
        }
        self.open(self.last);
    }

    /// All inputs of the steps so far are bound to messages that make a row.
    pub(super) fn found_row(&mut self) {
        let anti = self.plan.kind == JoinKind::Anti;
        if self.is_final() {
            let two = self.sides.len() == 2;
            if two || !anti {
                self.mark_numbers();
            }
            if anti {
                // One match is enough.
                self.progress.alone = false;
                self.progress.frames.truncate(1);
            }
            if anti && two {
                return;
            }
        }
        self.write_row();
    }

    /// Notes which messages are in a row with others.
    fn mark_numbers(&mut self) {
        let Some((_, loaded)) = &self.sink else { return };
        let rows = &self.progress.rows;
        if rows.iter().filter(|row| **row != MISSING).nth(1).is_some() {
            for (input, marks) in self.progress.together.iter_mut().enumerate() {
                // Past the end if there is none.
                marks.mark(loaded.number(input, rows[input]));
            }
        }
    }

    /// Writes a row down: for the next step, or to be made a result of.
    pub(super) fn write_row(&mut self) {
        let next = self.plan.steps.get(self.last + 1);
        let part = next.map(|step| {
            let index = self.sides[step.input].index.as_ref();
            spilled::part(
                index.map(|index| (&*step.probe, index)),
                &self.cx,
                self.progress.row,
            )
        });
        if let (Some((sink, loaded)), Some(spill)) = (&mut self.sink, self.spill.as_mut())
            && let Err(error) = sink.push(spill, loaded, part, &self.progress.rows)
        {
            spill.fail(error);
        }
    }
}
