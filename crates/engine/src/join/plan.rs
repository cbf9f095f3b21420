//! Takes a join's condition apart.
//!
//! Each conjunct of `where` has to be true for a row, so each can be checked as early as its inputs are known:
//! those over one input (or none) when a message arrives; `left == right`, where one side is about one input and
//! the other about inputs that come before it in the plan, by an index; all others as soon as their last input is
//! bound. A conjunct that fails is not true: no row either way, and early checks only make failures fewer.

use crate::expr::{Expr, InputSet, Program};
use crate::layout::Layout;

/// A condition, with the text that it came from.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) program: Program,
    pub(super) source: Box<str>,
}

/// How one input takes part when a window closes.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) input: usize,
    /// Keys of this input's messages, for its index. None means that it has no index.
    pub(super) build: Vec<Program>,
    /// The same keys, computed from the inputs of the steps before.
    pub(super) probe: Vec<Program>,
    /// The equalities that the keys come from.
    pub(super) keys: Vec<Box<str>>,
    /// What can be checked once this input's message is known, and not earlier.
    pub(super) checks: Vec<Check>,
}

/// A condition taken apart.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// By input: what its messages have to fulfil on arrival.
    pub(super) arrival: Vec<Vec<Check>>,
    /// The inputs in the order in which they are bound.
    pub(super) steps: Vec<Step>,
    /// By input: its step.
    pub(super) step_of: Vec<usize>,
    /// Whether the steps are in the order of the inputs, so that rows come out in order by themselves.
    pub(super) in_order: bool,
}

/// `left == right`, not yet placed.
struct Equality {
    sides: [Expr; 2],
    whole: Expr,
}

impl Plan {
    pub(super) fn new(filter: Option<Expr>, layouts: &[&Layout]) -> Plan {
        let inputs = layouts.len();
        let bind = |expr: &Expr| Check {
            program: expr.bind(layouts),
            source: expr.source().into(),
        };
        let mut arrival: Vec<Vec<Check>> = vec![Vec::new(); inputs];
        let mut equalities = Vec::new();
        let mut others = Vec::new();
        for conjunct in filter.map(Expr::conjuncts).unwrap_or_default() {
            let reads = conjunct.inputs();
            if reads.len() <= 1 {
                // One over no input at all holds for a message of any input, or for none.
                for (input, checks) in arrival.iter_mut().enumerate() {
                    if reads.is_empty() || reads.contains(input) {
                        checks.push(bind(&conjunct));
                    }
                }
            } else if let Some((left, right)) = conjunct.as_equality() {
                equalities.push(Equality {
                    sides: [left, right],
                    whole: conjunct,
                });
            } else {
                others.push(conjunct);
            }
        }
        let mut steps: Vec<Step> = Vec::with_capacity(inputs);
        let mut bound = InputSet::default();
        while steps.len() < inputs {
            // The first input that an equality links to those before it; without one, the first that is left.
            let free = || (0..inputs).filter(|input| !bound.contains(*input));
            let linked = free().find(|input| equalities.iter().any(|e| e.usable(*input, bound).is_some()));
            let Some(input) = (if bound.is_empty() {
                Some(0)
            } else {
                linked.or_else(|| free().next())
            }) else {
                break;
            };
            let mut step = Step {
                input,
                build: vec![],
                probe: vec![],
                keys: vec![],
                checks: vec![],
            };
            equalities.retain(|equality| {
                let Some((build, probe)) = equality.usable(input, bound) else {
                    return true;
                };
                step.build.push(build.bind(layouts));
                step.probe.push(probe.bind(layouts));
                step.keys.push(equality.whole.source().into());
                false
            });
            bound = bound.union([input].into_iter().collect());
            // An equality that was no key by now never becomes one: all of its inputs are bound.
            equalities.retain(|equality| {
                let known = equality.whole.inputs().is_subset(bound);
                if known {
                    step.checks.push(bind(&equality.whole));
                }
                !known
            });
            others.retain(|other| {
                let known = other.inputs().is_subset(bound);
                if known {
                    step.checks.push(bind(other));
                }
                !known
            });
            steps.push(step);
        }
        let mut step_of = vec![0; inputs];
        for (at, step) in steps.iter().enumerate() {
            step_of[step.input] = at;
        }
        let in_order = steps.iter().enumerate().all(|(at, step)| step.input == at);
        Plan {
            arrival,
            steps,
            step_of,
            in_order,
        }
    }
}

impl Equality {
    /// The side about `input` alone and the side about inputs that are bound, if that is how it is.
    fn usable(&self, input: usize, bound: InputSet) -> Option<(&Expr, &Expr)> {
        let [left, right] = &self.sides;
        [(left, right), (right, left)].into_iter().find(|(build, probe)| {
            build.inputs() == [input].into_iter().collect()
                && !probe.inputs().is_empty()
                && probe.inputs().is_subset(bound)
        })
    }
}
