//! The second front end: evalexpr's syntax into the same tree as CEL's, so that everything after it is the same.
//!
//! The evalexpr crate parses; this module caps what it gets to see, finds the places of names and literals in the
//! source (the crate keeps none) and translates its operators.

use evalexpr::{EvalexprError, Node, Operator, Value, build_operator_tree};

use super::ast::{Binary, Kind, NodeId, Tree, Unary, too_deep};
use super::diagnostic::{Fault, Span};
use super::limits::MAX_DEPTH;

mod call;
mod scan;

/// What an expression in evalexpr's syntax starts with.
const PREFIX: &str = "evalexpr:";

/// Where the expression starts in a source that asks for this front end. No CEL expression starts so.
pub(super) fn body_start(source: &str) -> Option<usize> {
    let indent = source.len() - source.trim_start().len();
    source
        .trim_start()
        .starts_with(PREFIX)
        .then_some(indent + PREFIX.len())
}

/// Parses the part of a source that starts at `start`.
pub(super) fn parse(source: &str, start: usize) -> Result<Tree, Fault> {
    let body = source.get(start..).unwrap_or_default();
    let whole = Span::new(
        start + body.len() - body.trim_start().len(),
        start + body.trim_end().len(),
    );
    if body.trim().is_empty() {
        return Err(Fault::new(
            "Empty",
            Span::new(0, source.len()),
            "the expression is empty",
        ));
    }
    let leaves = scan::scan(body, start)?;
    let root = build_operator_tree(body).map_err(|error| refused(&error, whole))?;
    let mut translator = Translator {
        tree: Tree::new(),
        leaves: leaves.into_iter(),
        whole,
    };
    let root = translator.node(&root, 0)?;
    translator.tree.root = root;
    Ok(translator.tree)
}

/// What the crate says of a source that it does not take.
fn refused(error: &EvalexprError, whole: Span) -> Fault {
    let message = match error {
        EvalexprError::AppendedToLeafNode | EvalexprError::MissingOperatorOutsideOfBrace => {
            "an operator is missing between two values".to_owned()
        }
        EvalexprError::UnmatchedPartialToken { .. } => {
            let fault = Fault::new("UnknownOperator", whole, "a single & or | is no operator");
            return fault.help("and is written &&, or is written ||");
        }
        other => format!("this is no expression of evalexpr: {other}"),
    };
    Fault::new("UnexpectedToken", whole, message)
}

struct Translator {
    tree: Tree,
    /// The places of names and literals, in source order: the order in which the tree has them, too.
    leaves: std::vec::IntoIter<Span>,
    whole: Span,
}

impl Translator {
    fn leaf(&mut self) -> Span {
        self.leaves.next().unwrap_or(self.whole)
    }

    fn span(&self, from: NodeId, to: NodeId) -> Span {
        self.tree.get(from).span.to(self.tree.get(to).span)
    }

    fn node(&mut self, node: &Node, depth: u16) -> Result<NodeId, Fault> {
        let depth = depth + 1;
        if depth > 2 * MAX_DEPTH {
            return Err(too_deep(self.whole));
        }
        match (node.operator(), node.children()) {
            (Operator::RootNode, [inner]) => self.node(inner, depth),
            (Operator::RootNode, _) => {
                let fault = Fault::new(
                    "UnexpectedToken",
                    self.whole,
                    "a value is missing in this expression",
                );
                Err(fault.help("every ( ) and every place between commas needs a value"))
            }
            (Operator::Const { value }, _) => self.constant(value),
            (Operator::VariableIdentifierRead { identifier }, _) => self.name(identifier),
            (Operator::FunctionIdentifier { identifier }, [argument]) => {
                let at = self.leaf();
                self.call(identifier, at, argument, depth)
            }
            (Operator::Tuple, items) => {
                let items = self.nodes(items, depth)?;
                let span = match (items.first(), items.last()) {
                    (Some(first), Some(last)) => self.span(*first, *last),
                    _ => self.whole,
                };
                self.tree.add(Kind::List(items), span)
            }
            (Operator::Neg | Operator::Not, [operand]) => {
                let op = if *node.operator() == Operator::Not {
                    Unary::Not
                } else {
                    Unary::Negate
                };
                let operand = self.node(operand, depth)?;
                let span = self.tree.get(operand).span;
                self.tree.add(Kind::Unary { op, operand }, span)
            }
            (Operator::And | Operator::Or, [_, _]) => self.logic(node, depth),
            (Operator::Exp, [left, right]) => {
                let args = vec![self.node(left, depth)?, self.node(right, depth)?];
                self.math("pow", args)
            }
            (operator, [left, right]) => {
                let op = binary(operator).ok_or_else(|| unsupported(operator, self.whole))?;
                let left = self.node(left, depth)?;
                let right = self.node(right, depth)?;
                let span = self.span(left, right);
                self.tree.add(
                    Kind::Binary {
                        op,
                        at: span,
                        left,
                        right,
                    },
                    span,
                )
            }
            (operator, _) => Err(unsupported(operator, self.whole)),
        }
    }

    fn nodes(&mut self, nodes: &[Node], depth: u16) -> Result<Vec<NodeId>, Fault> {
        nodes.iter().map(|node| self.node(node, depth)).collect()
    }

    /// A chain of one logical operator, which the crate nests to the left, as one node.
    fn logic(&mut self, node: &Node, depth: u16) -> Result<NodeId, Fault> {
        let mut operands = Vec::new();
        let mut at = node;
        while let (operator, [left, right]) = (at.operator(), at.children())
            && operator == node.operator()
        {
            operands.push(right);
            at = left;
        }
        operands.push(at);
        operands.reverse();
        let items: Vec<NodeId> = operands
            .into_iter()
            .map(|n| self.node(n, depth))
            .collect::<Result<_, _>>()?;
        let span = match (items.first(), items.last()) {
            (Some(first), Some(last)) => self.span(*first, *last),
            _ => self.whole,
        };
        let kind = if *node.operator() == Operator::And {
            Kind::And(items)
        } else {
            Kind::Or(items)
        };
        self.tree.add(kind, span)
    }

    fn constant(&mut self, value: &Value) -> Result<NodeId, Fault> {
        let span = self.leaf();
        let kind = match value {
            Value::String(text) => Kind::Str(text.as_str().into()),
            Value::Float(number) if number.is_finite() => Kind::Double(*number),
            Value::Float(_) => {
                return Err(Fault::new(
                    "NumberOutOfRange",
                    span,
                    "this is too large for a double",
                ));
            }
            Value::Int(number) => Kind::Int(*number),
            Value::Boolean(b) => Kind::Bool(*b),
            Value::Tuple(_) | Value::Empty => {
                return Err(Fault::new(
                    "UnexpectedToken",
                    span,
                    "a value is missing in this expression",
                ));
            }
        };
        self.tree.add(kind, span)
    }

    /// `stream.field.field`, which is one name to the crate.
    fn name(&mut self, identifier: &str) -> Result<NodeId, Fault> {
        let span = self.leaf();
        let mut names = identifier.split('.');
        let valid = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !identifier.split('.').all(valid) {
            let fault = Fault::new("UnknownName", span, format!("`{identifier}` is not a name"));
            return Err(
                fault.help("names are stream.field; what evalexpr has no syntax for is written in CEL")
            );
        }
        if identifier == "null" {
            return self.tree.add(Kind::Null, span);
        }
        let mut start = span.start as usize;
        let first = names.next().unwrap_or_default();
        let mut node = self.tree.add(
            Kind::Ident {
                name: first.into(),
                absolute: false,
            },
            Span::new(start, start + first.len()),
        )?;
        let from = start;
        start += first.len();
        for field in names {
            let at = Span::new(start + 1, start + 1 + field.len());
            start += 1 + field.len();
            node = self.tree.add(
                Kind::Select {
                    operand: node,
                    field: field.into(),
                    at,
                },
                Span::new(from, start),
            )?;
        }
        Ok(node)
    }
}

fn binary(operator: &Operator) -> Option<Binary> {
    Some(match operator {
        Operator::Add => Binary::Add,
        Operator::Sub => Binary::Subtract,
        Operator::Mul => Binary::Multiply,
        Operator::Div => Binary::Divide,
        Operator::Mod => Binary::Remainder,
        Operator::Eq => Binary::Equal,
        Operator::Neq => Binary::NotEqual,
        Operator::Gt => Binary::Greater,
        Operator::Lt => Binary::Less,
        Operator::Geq => Binary::GreaterEqual,
        Operator::Leq => Binary::LessEqual,
        _ => return None,
    })
}

fn unsupported(operator: &Operator, whole: Span) -> Fault {
    match operator {
        Operator::Chain => Fault::new("UnexpectedToken", whole, "`;` is not used here")
            .help("an expression is one value; combine conditions with && and ||"),
        Operator::Assign
        | Operator::AddAssign
        | Operator::SubAssign
        | Operator::MulAssign
        | Operator::DivAssign
        | Operator::ModAssign
        | Operator::ExpAssign
        | Operator::AndAssign
        | Operator::OrAssign => Fault::new("UnexpectedToken", whole, "an expression can't assign to names")
            .help("values are compared with =="),
        other => Fault::new(
            "UnexpectedEnd",
            whole,
            format!("an operand of `{}` is missing", other.to_string().trim()),
        ),
    }
}
