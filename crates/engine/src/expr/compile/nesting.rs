//! How deep an expression's values can nest. What walks values recurses on them, down to dropping them, so the bound
//! is kept at compile time: macros can nest values far deeper than the expression itself.

use crate::expr::ast::too_deep;
use crate::expr::code::{LoopKind, Op, OpId};
use crate::expr::diagnostic::Fault;
use crate::expr::limits::MAX_NESTING;
use crate::value::MAX_DEPTH;

use super::{Compiler, Typed};

impl Compiler<'_> {
    pub(super) fn nesting_of(&self, id: OpId) -> u32 {
        self.nestings.get(id.0 as usize).copied().unwrap_or(0)
    }

    /// Says how deep the value of the operation that was added last can nest.
    pub(super) fn set_nesting(&mut self, nesting: u32) {
        if let Some(known) = self.nestings.last_mut() {
            *known = nesting;
        }
    }

    fn deepest<'o>(&self, ids: impl IntoIterator<Item = &'o OpId>) -> u32 {
        ids.into_iter().map(|id| self.nesting_of(*id)).max().unwrap_or(0)
    }

    /// An upper bound of how deep the lists and maps nest that an operation's value can be.
    pub(super) fn nesting(&self, op: &Op) -> u32 {
        match op {
            Op::Field(_) => MAX_DEPTH,
            Op::Local(local) => self.local_nestings.get(*local).copied().unwrap_or(0),
            Op::Select { operand, .. } | Op::Index { operand, .. } => {
                self.nesting_of(*operand).saturating_sub(1)
            }
            Op::Arithmetic { left, right, .. } => self.deepest([left, right]),
            Op::Conditional { then, otherwise, .. } => self.deepest([then, otherwise]),
            Op::List(items) => 1 + self.deepest(items),
            Op::Map { entries, .. } => 1 + self.deepest(entries.iter().map(|(_, value)| value)),
            // `dyn` gives what it takes, `split` a list of text; no other function's value nests.
            Op::Call { args, .. } => self.deepest(args).max(1),
            Op::Bind { body, .. } => self.nesting_of(*body),
            Op::Loop(inner) => match (inner.kind, inner.body) {
                (LoopKind::List | LoopKind::Map, Some(body)) => 1 + self.nesting_of(body),
                (LoopKind::Entries, Some(body)) => self.nesting_of(body),
                (LoopKind::List, None) => self.nesting_of(inner.range),
                _ => 0,
            },
            // What a group has comes from elsewhere: who adds that sets it.
            _ => 0,
        }
    }

    /// Refuses an operation whose value could nest too deep.
    pub(super) fn check_nesting(&self, made: Typed) -> Result<Typed, Fault> {
        if self.nesting_of(made.0) <= MAX_NESTING {
            return Ok(made);
        }
        Err(too_deep(
            self.unit
                .spans
                .get(made.0.0 as usize)
                .copied()
                .unwrap_or_default(),
        ))
    }
}
