//! Compiled expressions: names are resolved, literals folded, functions found. What the evaluator walks.

use std::sync::Arc;

use crate::value::Value;

use super::ast::Binary;
use super::diagnostic::Span;
use super::functions::{Function, Pattern};

/// An operation's position in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpId(pub(super) u32);

/// One compiled source: its operations and the fields that they read. Expressions that were split off share it.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) source: Box<str>,
    pub(super) ops: Vec<Op>,
    pub(super) spans: Vec<Span>,
    pub(super) accesses: Vec<Access>,
    /// The accesses' paths as a person would write them, for errors.
    pub(super) paths: Vec<Arc<str>>,
}

/// A field that an expression reads: an input and the path into its messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The input's place in the scope.
    pub input: usize,
    /// The names from the message's root; empty for the whole message.
    pub path: Vec<Box<str>>,
}

#[derive(Debug)]
pub(super) enum Op {
    Const(Value<'static>),
    /// A field, by its access' position.
    Field(usize),
    /// Whether a field is there.
    HasField(usize),
    Topic,
    Key,
    WindowStart,
    WindowEnd,
    /// What a group's messages come to, by its position among the aggregates of a component.
    Aggregate(usize),
    /// What a group's messages have in common, by its position in `groupBy`.
    GroupKey(usize),
    /// What an expression came to when the group had its last result.
    Previous {
        at: usize,
        default: Option<OpId>,
    },
    /// A macro's variable, by its position from the outermost.
    Local(usize),
    Select {
        operand: OpId,
        field: Box<str>,
    },
    /// Whether these members, one inside the other, are there.
    Has {
        operand: OpId,
        path: Box<[Box<str>]>,
    },
    Index {
        operand: OpId,
        index: OpId,
    },
    Not(OpId),
    Negate(OpId),
    Arithmetic {
        op: Binary,
        left: OpId,
        right: OpId,
    },
    Equal {
        left: OpId,
        right: OpId,
        negated: bool,
    },
    Order {
        op: Binary,
        left: OpId,
        right: OpId,
    },
    In {
        item: OpId,
        container: OpId,
    },
    And(Box<[OpId]>),
    Or(Box<[OpId]>),
    Conditional {
        condition: OpId,
        then: OpId,
        otherwise: OpId,
    },
    List(Box<[OpId]>),
    Map {
        entries: Box<[(OpId, OpId)]>,
        /// The keys as JSON, each with the comma or brace before it and the colon after it; if all are constant text.
        names: Option<Box<[Box<[u8]>]>>,
    },
    Call {
        function: &'static Function,
        args: Box<[OpId]>,
    },
    /// `matches` with a pattern that was known.
    Matches {
        text: OpId,
        pattern: Box<Pattern>,
    },
    Loop(Box<Loop>),
    /// `cel.bind`: a value under a name.
    Bind {
        local: usize,
        value: OpId,
        body: OpId,
    },
}

/// A macro over a list or map.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    pub(super) range: OpId,
    /// The first variable's position among the locals; a second one follows it.
    pub(super) local: usize,
    /// Whether there are two: index and element, or key and value.
    pub(super) pair: bool,
    pub(super) filter: Option<OpId>,
    pub(super) body: Option<OpId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    /// `map`, `filter`, `transformList`: a list of what the body gives, or of the elements.
    List,
    /// `transformMap`: a map with the same keys.
    Map,
    /// `transformMapEntry`: a map of the entries that the body gives.
    Entries,
}

impl Unit {
    pub(super) fn op(&self, id: OpId) -> &Op {
        const NONE: &Op = &Op::Const(Value::Null);
        self.ops.get(id.0 as usize).unwrap_or(NONE)
    }

    pub(super) fn text(&self, id: OpId) -> &str {
        self.spans
            .get(id.0 as usize)
            .map_or("", |span| span.of(&self.source))
    }

    /// The aggregates that an operation and all below it read, each once.
    pub(super) fn aggregates(&self, root: OpId) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            let op = self.op(id);
            if let Op::Aggregate(at) = op {
                found.push(*at);
            }
            op.children(|child| open.push(child));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The accesses of an operation and all below it, marked.
    pub(super) fn reads(&self, root: OpId) -> Vec<bool> {
        let mut reads = vec![false; self.accesses.len()];
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            let op = self.op(id);
            if let Op::Field(access) | Op::HasField(access) = op
                && let Some(read) = reads.get_mut(*access)
            {
                *read = true;
            }
            op.children(|child| open.push(child));
        }
        reads
    }
}

impl Op {
    fn children(&self, mut each: impl FnMut(OpId)) {
        match self {
            Op::Const(_)
            | Op::Field(_)
            | Op::HasField(_)
            | Op::Topic
            | Op::Key
            | Op::WindowStart
            | Op::WindowEnd
            | Op::Aggregate(_)
            | Op::GroupKey(_)
            | Op::Local(_) => {}
            Op::Previous { default, .. } => default.iter().for_each(|id| each(*id)),
            Op::Select { operand, .. } | Op::Has { operand, .. } | Op::Not(operand) | Op::Negate(operand) => {
                each(*operand);
            }
            Op::Matches { text, .. } => each(*text),
            Op::Index { operand: a, index: b }
            | Op::Arithmetic {
                left: a, right: b, ..
            }
            | Op::Equal {
                left: a, right: b, ..
            }
            | Op::Order {
                left: a, right: b, ..
            }
            | Op::In {
                item: a,
                container: b,
            }
            | Op::Bind {
                value: a, body: b, ..
            } => {
                each(*a);
                each(*b);
            }
            Op::And(items) | Op::Or(items) | Op::List(items) => items.iter().for_each(|id| each(*id)),
            Op::Call { args, .. } => args.iter().for_each(|id| each(*id)),
            Op::Conditional {
                condition,
                then,
                otherwise,
            } => {
                each(*condition);
                each(*then);
                each(*otherwise);
            }
            Op::Map { entries, .. } => entries.iter().for_each(|(key, value)| {
                each(*key);
                each(*value);
            }),
            Op::Loop(inner) => {
                each(inner.range);
                inner.filter.iter().chain(&inner.body).for_each(|id| each(*id));
            }
        }
    }
}
