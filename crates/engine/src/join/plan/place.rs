//! Where each conjunct of a join may stand.
//!
//! | join | a conjunct of `on` about one input | a conjunct of `where` |
//! | --- | --- | --- |
//! | inner | on arrival | as if it stood in `on` |
//! | left | on arrival, but for the first input | the first input's on arrival, others once their inputs are bound |
//! | right | on arrival for the first input only | the last input's on arrival, others on the last step's rows |
//! | full | in its step | on the last step's rows |
//! | anti | on arrival, but for the first input | on arrival (only the first input is in scope) |
//!
//! In short: what has no match and is kept must not be turned away before that is known.

use super::{Check, Open, Plan, Range, Step};
use crate::expr::{Expr, InputSet};
use crate::layout::Layout;
use crate::query::JoinKind;

impl Plan {
    pub(super) fn steps_in_order(&mut self, inputs: usize) {
        if self.kind != JoinKind::Anti {
            self.steps = (0..inputs).map(Step::new).collect();
        }
    }

    /// Gives each conjunct of `where` its place, in a join that is no inner one.
    pub(super) fn place_filters(&mut self, filter: Vec<Open>, layouts: &[&Layout]) {
        let last = layouts.len().saturating_sub(1);
        // An input whose messages are in every row.
        let always = match self.kind {
            JoinKind::Right => Some(last),
            JoinKind::Full => None,
            _ => Some(0),
        };
        for conjunct in filter {
            let reads = conjunct.expr.inputs();
            let check = conjunct.check(layouts);
            if let Some(always) = always.filter(|always| reads.is_subset(InputSet::from_iter([*always]))) {
                self.arrival[always].push(check);
                continue;
            }
            // After a left join's step nothing looks at rows that a filter turns away there.
            let known = match self.kind {
                JoinKind::Left => reads.iter().max().unwrap_or(last),
                _ => last,
            };
            if let Some(step) = self.steps.get_mut(known) {
                step.filters.push(check);
            }
        }
    }

    /// Has a conjunct that joins checked on arrival, if that changes nothing.
    pub(super) fn place_on_arrival(&mut self, conjunct: &Open, layouts: &[&Layout]) -> bool {
        let reads = conjunct.expr.inputs();
        if reads.len() > 1 {
            return false;
        }
        let mut placed = false;
        let kind = self.kind;
        for (input, checks) in self.arrival.iter_mut().enumerate() {
            let droppable = match kind {
                JoinKind::Inner => true,
                JoinKind::Left | JoinKind::Anti => input > 0,
                JoinKind::Right => input == 0,
                JoinKind::Full => false,
            };
            // One about no input at all holds for the first step. There it is enough to have no message of one of its
            // inputs; of an inner or anti join no other input is of use either.
            let about = match kind {
                _ if !reads.is_empty() => reads.contains(input),
                JoinKind::Inner | JoinKind::Anti => true,
                _ => input <= 1,
            };
            if droppable && about {
                checks.push(conjunct.check(layouts));
                placed = true;
            }
        }
        placed
    }

    /// Makes the steps of those conjuncts that join and are still open.
    pub(super) fn place_joins(&mut self, open: &mut Vec<Open>, inputs: usize, layouts: &[&Layout]) {
        let free_order = self.steps.is_empty();
        let mut bound = InputSet::default();
        for at in 0..inputs {
            if free_order {
                self.steps.push(Step::new(next_input(open, bound, inputs)));
            }
            let Some(step) = self.steps.get_mut(at) else { break };
            open.retain(|conjunct| {
                let Some((build, probe)) = conjunct.key(step.input, bound) else {
                    return true;
                };
                step.build.push(build.bind(layouts));
                step.probe.push(probe.bind(layouts));
                step.keys.push(conjunct.condition);
                false
            });
            let before = bound;
            bound = bound.union(InputSet::from_iter([step.input]));
            if at == 0 {
                continue;
            }
            step.range = range(open, step.input, before, layouts);
            // An equality that was no key by now never becomes one: all of its inputs are bound.
            open.retain(|conjunct| {
                let reads = conjunct.expr.inputs();
                if !reads.is_subset(bound) {
                    return true;
                }
                let check = conjunct.check(layouts);
                if reads.is_subset(before) {
                    step.guards.push(check);
                } else {
                    step.checks.push(check);
                }
                false
            });
            if let Some(range) = &step.range {
                let is_end = |check: &Check| range.bounds.iter().any(|end| end.condition == check.condition);
                step.checks.sort_by_key(|check| !is_end(check));
            }
        }
    }
}

/// What conditions leave of an input's messages by one and the same value of theirs: of those that have the most
/// conditions, the first.
fn range(open: &[Open], input: usize, before: InputSet, layouts: &[&Layout]) -> Option<Range> {
    let ends = || {
        open.iter()
            .filter_map(|conjunct| conjunct.bound(input, before, layouts))
    };
    let count = |build: &Expr| {
        ends()
            .filter(|(other, _)| other.source() == build.source())
            .count()
    };
    let (build, _) = ends().rev().max_by_key(|(build, _)| count(build))?;
    let same = ends().filter(|(other, _)| other.source() == build.source());
    Some(Range {
        bounds: same.map(|(_, bound)| bound).collect(),
        build: build.bind(layouts),
    })
}

/// The first input that an equality links to those that are bound; without one, the first that is left.
fn next_input(open: &[Open], bound: InputSet, inputs: usize) -> usize {
    let free = || (0..inputs).filter(|input| !bound.contains(*input));
    let linked = free().find(|input| open.iter().any(|conjunct| conjunct.key(*input, bound).is_some()));
    linked.or_else(|| free().next()).unwrap_or(0)
}
