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

    /// Whether two nodes are the same expression, however it is spaced and bracketed; `a.b` and `a["b"]` are.
    pub(super) fn same(&self, id: NodeId, other: &Tree, other_id: NodeId) -> bool {
        let all = |a: &[NodeId], b: &[NodeId]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(*a, other, *b))
        };
        match (self.member(id), other.member(other_id)) {
            (Some((a, left)), Some((b, right))) => return left == right && self.same(a, other, b),
            (None, None) => {}
            _ => return false,
        }
        match (&self.get(id).kind, &other.get(other_id).kind) {
            (Kind::Ident { name: a, .. }, Kind::Ident { name: b, .. }) => a == b,
            (
                Kind::Call {
                    target, name, args, ..
                },
                Kind::Call {
                    target: other_target,
                    name: other_name,
                    args: other_args,
                    ..
                },
            ) => {
                name == other_name && all(target.as_slice(), other_target.as_slice()) && all(args, other_args)
            }
            (Kind::Unary { op: a, operand: x }, Kind::Unary { op: b, operand: y }) => {
                a == b && self.same(*x, other, *y)
            }
            (
                Kind::Binary {
                    op: a, left, right, ..
                },
                Kind::Binary {
                    op: b,
                    left: other_left,
                    right: other_right,
                    ..
                },
            ) => a == b && all(&[*left, *right], &[*other_left, *other_right]),
            (Kind::Index { operand: a, index: i }, Kind::Index { operand: b, index: j }) => {
                all(&[*a, *i], &[*b, *j])
            }
            (Kind::And(a), Kind::And(b)) | (Kind::Or(a), Kind::Or(b)) | (Kind::List(a), Kind::List(b)) => {
                all(a, b)
            }
            (
                Kind::Conditional {
                    condition,
                    then,
                    otherwise,
                },
                Kind::Conditional {
                    condition: other_condition,
                    then: other_then,
                    otherwise: other_otherwise,
                },
            ) => all(
                &[*condition, *then, *otherwise],
                &[*other_condition, *other_then, *other_otherwise],
            ),
            (Kind::Map(a), Kind::Map(b)) => {
                let flat = |entries: &[(NodeId, NodeId)]| -> Vec<NodeId> {
                    entries.iter().flat_map(|(key, value)| [*key, *value]).collect()
                };
                all(&flat(a), &flat(b))
            }
            // Only literals are left.
            (a, b) => a == b,
        }
    }

    /// Whether a name stands in a node or below it, where it could mean a macro's variable.
    pub(super) fn mentions(&self, id: NodeId, names: impl Fn(&str) -> bool + Copy) -> bool {
        let kind = &self.get(id).kind;
        if let Kind::Ident {
            name,
            absolute: false,
        } = kind
        {
            return names(name);
        }
        let mut found = false;
        kind.children(|child| found = found || self.mentions(child, names));
        found
    }

    /// Whether a node or one below it is a call that is not on a value, of one of these functions.
    pub(super) fn calls(&self, id: NodeId, named: impl Fn(&str, usize) -> bool + Copy) -> bool {
        let kind = &self.get(id).kind;
        let mut found =
            matches!(kind, Kind::Call { target: None, name, args, .. } if named(name, args.len()));
        kind.children(|child| found = found || self.calls(child, named));
        found
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
