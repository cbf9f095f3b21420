//! The tree of an expression as it was written: what both front ends produce and the compiler reads.
//!
//! Nodes live in one vector and refer to each other by position, so that dropping and sharing a tree costs the
//! same however deep it is.

use super::diagnostic::{Fault, Span};
use super::limits::MAX_DEPTH;

/// A node's position in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// With the parentheses around it.
    pub(super) span: Span,
    depth: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
    /// A name; `absolute` if written with a leading dot.
    Ident {
        name: Box<str>,
        absolute: bool,
    },
    Select {
        operand: NodeId,
        field: Box<str>,
        /// Where the field's name stands.
        at: Span,
    },
    Index {
        operand: NodeId,
        index: NodeId,
    },
    /// A function, macro, or member function if there is a target.
    Call {
        target: Option<NodeId>,
        name: Box<str>,
        /// Where the function's name stands.
        at: Span,
        args: Vec<NodeId>,
    },
    Unary {
        op: Unary,
        operand: NodeId,
    },
    Binary {
        op: Binary,
        /// Where the operator stands.
        at: Span,
        left: NodeId,
        right: NodeId,
    },
    /// `&&` of two or more.
    And(Vec<NodeId>),
    /// `||` of two or more.
    Or(Vec<NodeId>),
    Conditional {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
    },
    List(Vec<NodeId>),
    Map(Vec<(NodeId, NodeId)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
}

impl Binary {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::In => "in",
        }
    }
}

/// A whole expression.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    pub(super) root: NodeId,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree {
            nodes: Vec::new(),
            root: NodeId(0),
        }
    }

    pub(super) fn get(&self, id: NodeId) -> &Node {
        const NONE: &Node = &Node {
            kind: Kind::Null,
            span: Span { start: 0, end: 0 },
            depth: 0,
        };
        self.nodes.get(id.0 as usize).unwrap_or(NONE)
    }

    /// `a.b` or `a["b"]`, taken apart.
    pub(super) fn member(&self, id: NodeId) -> Option<(NodeId, &str)> {
        match &self.get(id).kind {
            Kind::Select { operand, field, .. } => Some((*operand, field)),
            Kind::Index { operand, index } => match &self.get(*index).kind {
                Kind::Str(name) => Some((*operand, name)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Adds a node above its children; refuses one that would make the tree too deep.
    pub(super) fn add(&mut self, kind: Kind, span: Span) -> Result<NodeId, Fault> {
        let mut deepest = 0;
        kind.children(|child| deepest = deepest.max(self.get(child).depth));
        let depth = deepest + 1;
        if depth > MAX_DEPTH {
            return Err(too_deep(span));
        }
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node { kind, span, depth });
        Ok(id)
    }

    /// Widens a node to the parentheses around it.
    pub(super) fn widen(&mut self, id: NodeId, span: Span) {
        if let Some(node) = self.nodes.get_mut(id.0 as usize) {
            node.span = span;
        }
    }
}

impl Kind {
    fn children(&self, mut each: impl FnMut(NodeId)) {
        match self {
            Kind::Select { operand, .. } | Kind::Unary { operand, .. } => each(*operand),
            Kind::Index { operand: a, index: b }
            | Kind::Binary {
                left: a, right: b, ..
            } => {
                each(*a);
                each(*b);
            }
            Kind::Call { target, args, .. } => target.iter().chain(args).for_each(|id| each(*id)),
            Kind::And(items) | Kind::Or(items) | Kind::List(items) => items.iter().for_each(|id| each(*id)),
            Kind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                each(*condition);
                each(*then);
                each(*otherwise);
            }
            Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
                each(*key);
                each(*value);
            }),
            _ => {}
        }
    }
}

pub(super) fn too_deep(span: Span) -> Fault {
    let message = format!("the expression nests more than {MAX_DEPTH} levels deep");
    Fault::new("TooDeep", span, message)
        .help("every operator, call, member and bracket is a level; split the work")
}
