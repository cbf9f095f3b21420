//! Closing a window: its rows, encoded, with their ids.

use std::collections::BTreeMap;

use super::bound::{Bound, Single};
use super::encode::{Encoded, Encoder, Encoding};
use super::grouping::Grouping;
use super::matched::Matched;
use super::matching::Matching;
use super::open::{OpenWindow, Side};
use super::progress::Progress;
use super::spec::JoinSpec;
use super::spilled::{Pass, Passes};
use crate::ack::{GroupId, Messages};
use crate::aggregate::Previous;
use crate::counters::{WindowInput, WindowReport};
use crate::expr::{self, Context};
use crate::id::Id;
use crate::query::Emit;
use crate::spill::Spill;
use crate::tokens::Tokens;
use crate::window::Window;

/// What a window leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// All rows in one, or one for each.
    pub(crate) results: Vec<Output>,
    /// Rows whose `select` failed.
    pub(crate) failed: Vec<FailedRow>,
    /// The messages that were held for it.
    pub(crate) messages: Messages,
    pub(crate) report: WindowReport,
    /// Evaluations that failed while it closed, by reason.
    pub(crate) errors: BTreeMap<&'static str, u64>,
}

/// An encoded result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) id: Id,
    pub(crate) data: Vec<u8>,
    /// What it has in common with all results of the same group and window.
    pub(crate) subject: Option<String>,
}

/// A row that could not be computed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FailedRow {
    pub(crate) id: Id,
    /// The fields that the row would have been computed from, by variable.
    pub(crate) data: Vec<u8>,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// A window that takes no more messages, while its rows are made.
pub(crate) struct Closing {
    open: OpenWindow,
    progress: Progress,
    /// Where its messages are in the store.
    passes: Option<Box<Passes>>,
    /// Of a query that groups its rows.
    grouping: Option<Grouping>,
    encoding: Encoding,
    /// By input: bytes that its messages took as long as they waited.
    held: Vec<u64>,
    /// What waits for the results that have left already.
    pub(crate) group: Option<GroupId>,
    /// The last result so far: there may be none after it.
    last: Option<Output>,
}

impl Closing {
    /// `reading` bytes are what it takes to read what it has in the store.
    pub(crate) fn new(spec: &JoinSpec, mut open: OpenWindow, uid: &str, reading: u64) -> Closing {
        let tallies = std::mem::take(&mut open.tallies);
        // What a table gave is held by the table.
        let held = |input| {
            if spec.is_table(input) {
                0
            } else {
                open.bytes(input)
            }
        };
        let mut held: Vec<u64> = (0..open.sides.len()).map(held).collect();
        if let Some(held) = held.first_mut() {
            *held += reading;
        }
        let groups = std::mem::take(&mut open.groups);
        let runs = std::mem::take(&mut open.runs);
        let early = std::mem::take(&mut open.early);
        let spilled = open.spilled.take();
        if let Some(side) = open.sides.first_mut() {
            early.into_tokens().for_each(|token| side.store.push_token(token));
        }
        let mut progress = Progress::new(&spec.plan, &open.sides, tallies);
        if let Some(spilled) = &spilled {
            progress.together = spilled.unmarked();
        }
        Closing {
            grouping: spec.groups.is_some().then_some(Grouping::Gathering(groups, runs)),
            held,
            passes: spilled.map(|spilled| Box::new(Passes::new(*spilled, &open.sides))),
            group: None,
            last: None,
            progress,
            encoding: Encoding::new(uid),
            open,
        }
    }

    /// The window's bounds.
    pub(crate) fn bounds(&self) -> Window {
        self.open.window
    }

    /// Bytes that an input's messages take, while they are joined too.
    pub(crate) fn bytes(&self, input: usize) -> u64 {
        self.held.get(input).copied().unwrap_or_default()
    }

    /// Joins the window's messages, as far as `work` goes: it is the number of combinations to look at, and of groups
    /// to make results of, and those that were are taken off it. `limit` is the memory budget: results of more bytes are
    /// cut short. Whether all is done.
    pub(crate) fn advance(
        &mut self,
        spec: &JoinSpec,
        uid: &str,
        limit: u64,
        previous: &mut Previous,
        (spill, work): (&mut Option<Spill>, &mut u64),
    ) -> bool {
        let window = self.open.window;
        // Where windows can be written, what waits in memory besides is half of the budget at most. That a window was
        // must not matter: made again, it may fit.
        let limit = match spec.emit {
            Emit::Batch if spill.is_some() => limit / 2,
            _ => limit,
        };
        loop {
            let last = match (&mut self.passes, spill.as_mut()) {
                (Some(passes), Some(spill)) => {
                    match passes.prepare(spec, window, &mut self.progress, (&mut *spill, &mut *work)) {
                        Ok(Pass::Later) => return false,
                        Ok(pass) => pass == Pass::Through,
                        Err(error) => {
                            spill.fail(error);
                            return false;
                        }
                    }
                }
                _ => true,
            };
            if !self.join(
                spec,
                (uid, limit),
                last.then_some(&mut *previous),
                (&mut *spill, &mut *work),
            ) {
                return false;
            }
            let (Some(passes), Some(spill), false) = (&mut self.passes, spill.as_mut(), last) else {
                break;
            };
            if let Err(error) = passes.end(&mut self.progress, spill) {
                spill.fail(error);
                return false;
            }
        }
        if let (Some(spill), Some(grouping)) = (spill, self.grouping.take()) {
            grouping.discard(spill);
        }
        true
    }

    /// Joins what is at hand, and, if there is nothing else, makes results of groups.
    fn join(
        &mut self,
        spec: &JoinSpec,
        (uid, limit): (&str, u64),
        previous: Option<&mut Previous>,
        (spill, work): (&mut Option<Spill>, &mut u64),
    ) -> bool {
        let window = self.open.window;
        let steps = spec.plan.steps.len();
        let (sides, last, sink, whole) = match self.passes.as_deref_mut() {
            None => (&self.open.sides, steps.saturating_sub(1), None, true),
            Some(Passes {
                loaded, sink, step, ..
            }) => {
                let loaded = &*loaded;
                (
                    &loaded.sides,
                    *step,
                    sink.as_mut().map(|sink| (sink, loaded)),
                    false,
                )
            }
        };
        let bound: Vec<Bound<'_>> = sides.iter().map(|_| Bound::default()).collect();
        let views: Vec<&dyn expr::Row> = bound.iter().map(|row| row as &dyn expr::Row).collect();
        let mut matching = Matching {
            plan: &spec.plan,
            sides,
            single: Single {
                inputs: sides.len(),
                window,
            },
            bound: &bound,
            cx: Context::new(&views).with_window(window.start, window.end),
            limit,
            progress: &mut self.progress,
            groups: spec.groups.as_ref().zip(self.grouping.as_mut()),
            spill,
            last,
            sink,
            encoder: Encoder {
                spec,
                uid,
                sides,
                limit,
                digest: self.open.digest,
                whole,
                to: &mut self.encoding,
            },
        };
        matching.run(work) && previous.is_none_or(|previous| matching.make_groups(previous, work))
    }

    /// Takes the results that are complete, but for the last one.
    pub(crate) fn take(&mut self) -> (Vec<Output>, Vec<FailedRow>) {
        let (made, failed) = self.encoding.take();
        let mut results = Vec::with_capacity(made.len());
        for output in made {
            results.extend(self.last.replace(output));
        }
        (results, failed)
    }

    /// What the window leaves behind, once all is done.
    pub(crate) fn finish(self, spec: &JoinSpec) -> Closed {
        let sides = self.open.sides;
        let Encoded {
            mut results,
            failed,
            rows,
            errors,
        } = self.encoding.finish(spec);
        results.splice(..0, self.last);
        let together = self.progress.together.iter().map(Matched::count);
        let alone = sides.len() == 1;
        let inputs = sides.iter().zip(together).map(|(side, matched)| WindowInput {
            matched: if alone {
                side.counts.received - side.counts.filtered
            } else {
                matched
            },
            ..side.counts
        });
        let report = WindowReport {
            window: self.open.window,
            inputs: inputs.collect(),
            conditions: self.progress.tallies,
            candidates: self.progress.candidates,
            errors: self.open.errors + errors.values().sum::<u64>(),
            rows,
            cut_short: self.progress.cut_short,
        };
        let tokens = |(input, side): (usize, Side)| {
            if spec.is_table(input) {
                return Tokens::default();
            }
            side.store.into_tokens()
        };
        let messages = Messages::Many(sides.into_iter().enumerate().map(tokens).collect());
        Closed {
            results,
            failed,
            messages,
            report,
            errors,
        }
    }
}

#[cfg(test)]
mod tests;
