//! Takes a join's conditions apart.
//!
//! Each conjunct is checked as early as that changes nothing: on arrival, by an index, or as soon as its last input
//! is bound. An inner join wants all of them true for a row, wherever they stand, so there the order of the inputs
//! is free too; a conjunct that fails is not true: no row either way, and early checks only make failures fewer. A
//! join that keeps what has no match goes in the order of `from`, one step for each input after the first, and
//! tells what joins (no match: the row is kept) from what filters (no row): [`place`] says where each may stand.

mod place;

use std::sync::Arc;

use super::spec::Clause;
use crate::expr::{Expr, InputSet, OrderExpr, Program};
use crate::layout::Layout;
use crate::query::JoinKind;

/// A part of a condition that is checked by itself.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) program: Program,
    /// Its place in [`Plan::conditions`].
    pub(super) condition: usize,
}

/// A conjunct, for people.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) clause: Clause,
    pub(super) source: Arc<str>,
}

/// How one input takes part when a window closes.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) input: usize,
    /// What joins, but is about the inputs before alone: without it nothing is looked for.
    pub(super) guards: Vec<Check>,
    /// Keys of this input's messages, for its index. None means that it has no index.
    pub(super) build: Vec<Program>,
    /// The same keys, computed from the inputs of the steps before.
    pub(super) probe: Vec<Program>,
    /// The equalities that the keys come from, by their places in [`Plan::conditions`].
    pub(super) keys: Vec<usize>,
    /// What joins, and can be checked once this input's message is known, and not earlier.
    pub(super) checks: Vec<Check>,
    /// What some of the checks, the first ones, leave of this input's messages, if those are sorted.
    pub(super) range: Option<Range>,
    /// What filters the rows of this step, those without a match too.
    pub(super) filters: Vec<Check>,
}

/// Messages of an input that are in a range of values.
#[derive(Clone, Debug)]
pub(super) struct Range {
    /// Their value.
    pub(super) build: Program,
    /// In the order of the step's checks.
    pub(super) bounds: Vec<Bound>,
}

impl Range {
    /// Whether some of its ends are distances.
    pub(super) fn has_distance(&self) -> bool {
        self.bounds.iter().any(|bound| bound.distance.is_some())
    }
}

/// A condition that is an end of a range.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// What the values are compared with, computed from the inputs of the steps before.
    pub(super) limit: Program,
    /// Whether it is the upper end.
    pub(super) below: bool,
    /// Whether the limit itself is in the range.
    pub(super) or_equal: bool,
    /// Whether the limit stands on the left, and so is evaluated first.
    pub(super) limit_first: bool,
    pub(super) condition: usize,
    /// Some if not the values are compared with the limit, but how far they are from something.
    pub(super) distance: Option<Distance>,
}

/// How far values are from something.
#[derive(Clone, Debug)]
pub(super) struct Distance {
    /// From what, computed from the inputs of the steps before.
    pub(super) from: Program,
    /// Whether the values are what is subtracted.
    pub(super) falls: bool,
    /// Whether it does not matter on which side.
    pub(super) absolute: bool,
    /// The whole condition.
    pub(super) check: Program,
}

/// Conditions taken apart.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) kind: JoinKind,
    /// By input: what its messages have to fulfil on arrival.
    pub(super) arrival: Vec<Vec<Check>>,
    /// The inputs in the order in which they are bound.
    pub(super) steps: Vec<Step>,
    /// By input: its step.
    pub(super) step_of: Vec<usize>,
    /// Whether the steps are in the order of the inputs, so that rows come out in order by themselves.
    pub(super) in_order: bool,
    /// All conjuncts, in source order.
    pub(super) conditions: Vec<Condition>,
}

/// A conjunct that has no place yet.
struct Open {
    expr: Expr,
    /// The sides of `left == right`, if it is that.
    equality: Option<[Expr; 2]>,
    /// The same for an order.
    order: Option<OrderExpr>,
    condition: usize,
}

impl Plan {
    /// `on` joins and `filter` filters; both as conjuncts.
    pub(super) fn new(
        kind: JoinKind,
        on: Vec<(Clause, Expr)>,
        filter: Vec<(Clause, Expr)>,
        layouts: &[&Layout],
    ) -> Plan {
        let inputs = layouts.len();
        let mut plan = Plan {
            kind,
            arrival: vec![Vec::new(); inputs],
            steps: Vec::with_capacity(inputs),
            step_of: vec![0; inputs],
            in_order: true,
            conditions: Vec::new(),
        };
        let on = plan.number(on);
        let filter = plan.number(filter);
        let join: Vec<Open> = if kind == JoinKind::Inner {
            on.into_iter().chain(filter).collect()
        } else {
            plan.steps_in_order(inputs);
            plan.place_filters(filter, layouts);
            on
        };
        let mut join: Vec<Open> = join
            .into_iter()
            .filter(|conjunct| !plan.place_on_arrival(conjunct, layouts))
            .collect();
        plan.place_joins(&mut join, inputs, layouts);
        for (at, step) in plan.steps.iter().enumerate() {
            plan.step_of[step.input] = at;
        }
        // Of an anti join's row only the first input is left.
        plan.in_order =
            kind == JoinKind::Anti || plan.steps.iter().enumerate().all(|(at, step)| step.input == at);
        plan
    }

    /// Whether a row without a match in the next input is kept.
    pub(super) fn keeps_left(&self) -> bool {
        matches!(self.kind, JoinKind::Left | JoinKind::Full)
    }

    /// Whether a message without a match in the inputs before is kept.
    pub(super) fn keeps_right(&self) -> bool {
        matches!(self.kind, JoinKind::Right | JoinKind::Full)
    }

    /// Whether an index is needed over an input's messages.
    pub(super) fn is_indexed(&self, input: usize) -> bool {
        self.step(input).is_some_and(|step| !step.build.is_empty())
    }

    /// An input's step.
    pub(super) fn step(&self, input: usize) -> Option<&Step> {
        self.steps.get(*self.step_of.get(input)?)
    }

    /// The inputs of the steps before one, in their own order.
    pub(super) fn inputs_before(&self, step: usize) -> impl Iterator<Item = usize> {
        let steps = self.step_of.iter().enumerate();
        steps.filter(move |(_, of)| **of < step).map(|(input, _)| input)
    }

    fn number(&mut self, conjuncts: Vec<(Clause, Expr)>) -> Vec<Open> {
        let number = |(clause, expr): (Clause, Expr)| {
            self.conditions.push(Condition {
                clause,
                source: expr.source().into(),
            });
            Open {
                equality: expr.as_equality().map(<[Expr; 2]>::from),
                order: expr.as_order(),
                condition: self.conditions.len() - 1,
                expr,
            }
        };
        conjuncts.into_iter().map(number).collect()
    }
}

impl Step {
    /// The conditions that are ends of its range.
    pub(super) fn ranges(&self) -> impl Iterator<Item = usize> {
        self.range
            .iter()
            .flat_map(|range| range.bounds.iter().map(|end| end.condition))
    }

    fn new(input: usize) -> Step {
        Step {
            input,
            guards: Vec::new(),
            build: Vec::new(),
            probe: Vec::new(),
            keys: Vec::new(),
            checks: Vec::new(),
            range: None,
            filters: Vec::new(),
        }
    }
}

impl Open {
    fn check(&self, layouts: &[&Layout]) -> Check {
        Check {
            program: self.expr.bind(layouts),
            condition: self.condition,
        }
    }

    /// Of an order, the side about `input` alone, and the end of a range that the side about inputs that are bound is.
    fn bound(&self, input: usize, before: InputSet, layouts: &[&Layout]) -> Option<(Expr, Bound)> {
        let order = self.order.as_ref()?;
        if let Some(bound) = self.distance(order, input, before, layouts) {
            return Some(bound);
        }
        let ends = [
            (&order.lower, &order.upper, true),
            (&order.upper, &order.lower, false),
        ];
        let (build, limit, below) = ends.into_iter().find(|(build, limit, _)| {
            build.inputs() == InputSet::from_iter([input])
                && !limit.inputs().is_empty()
                && limit.inputs().is_subset(before)
        })?;
        let bound = Bound {
            limit: limit.bind(layouts),
            below,
            or_equal: order.or_equal,
            limit_first: order.lower_first != below,
            condition: self.condition,
            distance: None,
        };
        Some((build.clone(), bound))
    }

    /// The same of an order between the difference of two such sides and a limit.
    fn distance(
        &self,
        order: &OrderExpr,
        input: usize,
        before: InputSet,
        layouts: &[&Layout],
    ) -> Option<(Expr, Bound)> {
        let about = |expr: &Expr| expr.inputs() == InputSet::from_iter([input]);
        let known = |expr: &Expr| !expr.inputs().is_empty() && expr.inputs().is_subset(before);
        let ends = [
            (&order.lower, &order.upper, true),
            (&order.upper, &order.lower, false),
        ];
        ends.into_iter().find_map(|(difference, limit, below)| {
            let (left, right, absolute) = difference.as_difference()?;
            if !limit.inputs().is_subset(before) || absolute && !below {
                return None;
            }
            let (build, from, falls) = if about(&left) && known(&right) {
                (left, right, false)
            } else if about(&right) && known(&left) {
                (right, left, true)
            } else {
                return None;
            };
            let bound = Bound {
                limit: limit.bind(layouts),
                below,
                or_equal: order.or_equal,
                limit_first: order.lower_first != below,
                condition: self.condition,
                distance: Some(Distance {
                    from: from.bind(layouts),
                    falls,
                    absolute,
                    check: self.expr.bind(layouts),
                }),
            };
            Some((build, bound))
        })
    }

    /// Of an equality, the side about `input` alone and the side about inputs that are bound.
    fn key(&self, input: usize, bound: InputSet) -> Option<(&Expr, &Expr)> {
        let [left, right] = self.equality.as_ref()?;
        [(left, right), (right, left)].into_iter().find(|(build, probe)| {
            build.inputs() == InputSet::from_iter([input])
                && !probe.inputs().is_empty()
                && probe.inputs().is_subset(bound)
        })
    }
}
