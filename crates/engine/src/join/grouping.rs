//! A window's groups: the rows of a query that aggregates end in them, and each group makes a result when the window
//! closes.
//!
//! Messages of a single input are added on arrival, and nothing is kept of them but what their acks need. Rows of a
//! join are added as they are found.

use super::emit::FailedRow;
use super::encode::{Encoder, FAILED};
use crate::aggregate::{GroupResult, GroupSpec, Groups, Merge, Previous};
use crate::counters::CutShort;
use crate::expr::{Context, EvalError};
use crate::id::{self, Id};
use crate::spill::{Run, Spill};
use crate::state::StateError;
use crate::window::Window;

/// The groups of a window that closes.
#[derive(Debug)]
pub(super) enum Grouping {
    /// Rows may come yet. Runs have what did not fit into memory.
    Gathering(Groups, Vec<Run>),
    /// Those that have made no result yet, in the order of their keys; and why those that are left make none, if that is
    /// so. What `previous` will read is taken of them all the same: of all groups of a window, or of none.
    Making(Box<Merge>, Option<CutShort>),
}

/// Adds a row to the group that it belongs to. Evaluations that fail are told to `failed`; if it is one of the key, the
/// row is in no group, and false is given.
pub(super) fn add(
    spec: &GroupSpec,
    groups: &mut Groups,
    cx: &Context<'_>,
    id: Id,
    failed: &mut dyn FnMut(&EvalError),
) -> bool {
    match spec.key(cx) {
        Ok(key) => groups.add(spec, &key, cx, id.0, failed),
        Err(error) => {
            failed(&error);
            return false;
        }
    }
    true
}

impl Grouping {
    /// Adds a row to the group that it belongs to. Fails if there is no room for it.
    pub(super) fn add(
        &mut self,
        spec: &GroupSpec,
        cx: &Context<'_>,
        (id, limit): (Id, u64),
        spill: &mut Option<Spill>,
        failed: &mut dyn FnMut(&EvalError),
    ) -> Result<(), CutShort> {
        let Grouping::Gathering(groups, runs) = self else {
            return Ok(());
        };
        add(spec, groups, cx, id, failed);
        let held = groups.bytes() as u64;
        match spill {
            Some(spill) if held > spill.share() => match groups.spill(spill) {
                Ok(run) => runs.push(run),
                Err(error) => spill.fail(error),
            },
            None if held > limit => return Err(CutShort::Budget),
            _ => {}
        }
        Ok(())
    }

    /// No results are made any more.
    pub(super) fn discard(self, spill: &mut Spill) {
        let removed = match self {
            Grouping::Gathering(_, runs) => spill.remove(runs),
            Grouping::Making(left, _) => spill.remove(left.abandon()),
        };
        if let Err(error) = removed {
            spill.fail(error);
        }
    }

    /// Makes the groups' results, as far as `work` goes. Whether that were all.
    pub(super) fn make(
        &mut self,
        spec: &GroupSpec,
        window: Window,
        previous: &mut Previous,
        encoder: &mut Encoder<'_>,
        (spill, work): (&mut Option<Spill>, &mut u64),
    ) -> Result<bool, CutShort> {
        if let Grouping::Gathering(groups, runs) = self {
            let merge = Merge::new(std::mem::take(groups), std::mem::take(runs));
            *self = Grouping::Making(Box::new(merge), None);
        }
        let Grouping::Making(left, full) = self else {
            return Ok(true);
        };
        while *work > 0 && !encoder.has_to_leave() {
            let next = match left.next(spec, spill, work) {
                Ok(next) => next,
                Err(error) => return Ok(stopped(error, spill, work)),
            };
            let (group, more) = next;
            let Some((key, group)) = group else {
                return full.filter(|_| !more).map_or(Ok(!more), Err);
            };
            let bounds = Some((window.start, window.end));
            let before = match previous.before(&key, window) {
                Ok(before) => before,
                Err(error) => return Ok(stopped(error, spill, work)),
            };
            let result = GroupResult::new(spec, &key, &group, bounds, before.as_deref());
            if spec.looks_back().is_some()
                && let Err(error) = previous.set(&key, window, result.next_previous())
            {
                return Ok(stopped(error, spill, work));
            }
            if full.is_some() {
                continue;
            }
            match result.having() {
                Ok(true) => {
                    if let Err(reason) = encoder.group(&result) {
                        if spec.looks_back().is_none() {
                            return Err(reason);
                        }
                        *full = Some(reason);
                    }
                }
                Ok(false) => {}
                Err(error) => encoder.error(&error),
            }
        }
        Ok(false)
    }
}

/// The store can't be used: no more is done, and that were not all.
fn stopped(error: StateError, spill: &mut Option<Spill>, work: &mut u64) -> bool {
    if let Some(spill) = spill {
        spill.fail(error);
    }
    *work = 0;
    false
}

/// What stands for a group whose `select` failed: what it groups by.
pub(super) fn failed(result: &GroupResult<'_>, uid: &str, error: &EvalError) -> FailedRow {
    let mut data = Vec::new();
    result.write_key(&mut data);
    FailedRow {
        id: id::of_one(FAILED, uid, Id(result.row_id(uid))),
        data,
        reason: error.reason(),
        message: error.to_string(),
    }
}
