//! A window's groups: the rows of a query that aggregates end in them, and each group makes a result when the window
//! closes.
//!
//! Messages of a single input are added on arrival, and nothing is kept of them but what their acks need. Rows of a
//! join are added as they are found.

use std::vec::IntoIter;

use super::emit::FailedRow;
use super::encode::{Encoder, FAILED};
use crate::aggregate::{Group, GroupResult, GroupSpec, Groups, Previous};
use crate::counters::CutShort;
use crate::expr::{Context, EvalError};
use crate::id::{self, Id};
use crate::window::Window;

/// The groups of a window that closes.
#[derive(Debug)]
pub(super) enum Grouping {
    /// Rows may come yet.
    Gathering(Groups),
    /// Those that have made no result yet, in the order of their keys.
    Making(IntoIter<(Box<[u8]>, Group)>),
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
    /// Makes the groups' results, as far as `work` goes. Whether that were all.
    pub(super) fn make(
        &mut self,
        spec: &GroupSpec,
        window: Window,
        previous: &mut Previous,
        encoder: &mut Encoder<'_>,
        work: &mut u64,
    ) -> Result<bool, CutShort> {
        if let Grouping::Gathering(groups) = self {
            *self = Grouping::Making(groups.drain().into_iter());
        }
        let Grouping::Making(left) = self else {
            return Ok(true);
        };
        while *work > 0 {
            *work -= 1;
            let Some((key, group)) = left.next() else {
                return Ok(true);
            };
            let bounds = Some((window.start, window.end));
            let before = previous.before(&key, window).map(Vec::from);
            let result = GroupResult::new(spec, &key, &group, bounds, before.as_deref());
            if spec.looks_back().is_some() {
                previous.set(&key, window, result.next_previous());
            }
            match result.having() {
                Ok(true) => encoder.group(&result)?,
                Ok(false) => {}
                Err(error) => encoder.error(&error),
            }
        }
        Ok(false)
    }
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
