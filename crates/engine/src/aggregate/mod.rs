//! Aggregates: where a message ends that goes into a group. It is evaluated and added on arrival, and what is kept is
//! what its group has gathered, in memory that does not grow with the messages (but for `collect`).
//!
//! Sums are exact, sketches depend on what was added alone, and groups come in the order of their keys: neither the
//! order of messages nor the merging of partial groups changes a bit of a result, but where `first`, `last` and
//! `collect` ask for order.

mod accumulator;
mod distinct;
mod exact;
mod extreme;
mod group;
mod groups;
mod key;
mod merge;
mod previous;
mod quantiles;
mod result;
mod round;
mod stored;
#[cfg(test)]
mod tests;

use crate::expr::{Context, EvalError, Grouped, Programs};
use crate::layout::Layout;
use crate::value::Value;

pub(crate) use merge::Merge;
pub(crate) use previous::Previous;

pub use group::Group;
pub use groups::Groups;
pub use result::GroupResult;

/// Appends a value to a key: bytes that sort as values do. On an error `out` may end in a part of it.
pub(crate) fn write_key(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    key::write(value, out, key::MAX_KEY)
}

/// The memory that so many entries of 16 bytes take in a tree whose nodes hold 11, and may be but half full.
fn tree_bytes(entries: usize) -> usize {
    entries.div_ceil(6) * 200
}

/// What a component gathers and makes of groups, ready to run.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    programs: Programs,
    /// What keys and the values that `previous` reads mean.
    looks_back: Option<Box<str>>,
}

impl GroupSpec {
    /// Binds compiled expressions to the layouts of the inputs, in the scope's order.
    pub fn new(grouped: &Grouped, layouts: &[&Layout]) -> GroupSpec {
        GroupSpec {
            programs: grouped.programs(layouts),
            looks_back: grouped.looks_back().map(Into::into),
        }
    }

    /// The key of a row's group, as bytes that sort as the values of `groupBy` do. A field that is not there is null.
    ///
    /// # Errors
    /// An expression of `groupBy` fails in another way, or gives what can't be a key.
    pub fn key(&self, cx: &Context<'_>) -> Result<Vec<u8>, EvalError> {
        let mut out = Vec::with_capacity(16 * self.programs.keys.len());
        for (key, _) in &self.programs.keys {
            match key.eval(cx) {
                Ok(value) => write_key(&value, &mut out)?,
                Err(error) if error.is_absence() => write_key(&Value::Null, &mut out)?,
                Err(error) => return Err(error),
            }
        }
        Ok(out)
    }

    /// Whether groups are filtered.
    pub fn has_having(&self) -> bool {
        self.programs.having.is_some()
    }

    /// Whether a group can be sent before its window ends.
    pub fn has_trigger(&self) -> bool {
        self.programs.trigger.is_some()
    }

    /// What the values that are kept for `previous` mean: those of another meaning are of no use. `None` if none are.
    pub fn looks_back(&self) -> Option<&str> {
        self.looks_back.as_deref()
    }

    /// Whether results look back at a group's result before.
    pub fn has_previous(&self) -> bool {
        !self.programs.previous.is_empty()
    }
}
