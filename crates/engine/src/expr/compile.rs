//! A tree into operations: names to fields, calls to functions, constants to values; and every mistake that is
//! certain before a message arrives.

use crate::value::{Kind as ValueKind, Value};

use super::ast::{Binary, Kind, NodeId, Tree, Unary};
use super::code::{Access, Op, OpId, Unit};
use super::diagnostic::{Fault, Span};
use super::limits::MAX_FOLD_COST;
use super::machine::Machine;
use super::scope::Scope;
use super::types::Types;

mod call;
mod container;
mod group;
mod macros;
mod name;
mod nesting;
mod overload;

pub(super) use group::{GroupScope, Key};

/// An operation and the types that its value can have.
pub(super) type Typed = (OpId, Types);

/// A compiled tree.
pub(super) struct Compiled {
    pub(super) unit: Unit,
    pub(super) root: OpId,
    pub(super) types: Types,
    /// How deep its values can nest.
    pub(super) nesting: u32,
}

/// Compiles a tree that is about messages.
pub(super) fn compile(source: &str, tree: &Tree, scope: &Scope) -> Result<Compiled, Fault> {
    Compiler::new(source, tree, scope, None).root()
}

/// Compiles a tree that is about a group of messages. What it aggregates is added to the group's scope.
pub(super) fn compile_group<'c>(
    source: &str,
    tree: &'c Tree,
    scope: &'c Scope,
    group: GroupScope<'c>,
) -> (Result<Compiled, Fault>, GroupScope<'c>) {
    let mut compiler = Compiler::new(source, tree, scope, Some(group));
    let made = compiler.root();
    (made, compiler.group.take().unwrap_or_default())
}

struct Compiler<'c> {
    tree: &'c Tree,
    scope: &'c Scope,
    unit: Unit,
    /// The variables of the macros around a node, outermost first.
    locals: Vec<Box<str>>,
    /// How deep the values of these variables can nest.
    local_nestings: Vec<u32>,
    /// How deep the values of the unit's operations can nest.
    nestings: Vec<u32>,
    /// What the expression is about, if that is a group of messages.
    group: Option<GroupScope<'c>>,
    /// Variables of macros that can't be read here: an aggregate is computed before the macro runs.
    hidden: Vec<Box<str>>,
}

impl<'c> Compiler<'c> {
    fn new(source: &str, tree: &'c Tree, scope: &'c Scope, group: Option<GroupScope<'c>>) -> Compiler<'c> {
        Compiler {
            tree,
            scope,
            unit: Unit {
                source: source.into(),
                ops: Vec::new(),
                spans: Vec::new(),
                accesses: Vec::new(),
                paths: Vec::new(),
            },
            locals: Vec::new(),
            local_nestings: Vec::new(),
            nestings: Vec::new(),
            group,
            hidden: Vec::new(),
        }
    }

    fn root(&mut self) -> Result<Compiled, Fault> {
        let (root, types) = self.node(self.tree.root)?;
        let empty = Unit {
            source: Box::default(),
            ops: Vec::new(),
            spans: Vec::new(),
            accesses: Vec::new(),
            paths: Vec::new(),
        };
        Ok(Compiled {
            nesting: self.nesting_of(root),
            unit: std::mem::replace(&mut self.unit, empty),
            root,
            types,
        })
    }

    fn push(&mut self, op: Op, span: Span) -> OpId {
        let id = OpId(u32::try_from(self.unit.ops.len()).unwrap_or(u32::MAX));
        let nesting = self.nesting(&op);
        self.nestings.push(nesting);
        self.unit.ops.push(op);
        self.unit.spans.push(span);
        id
    }

    fn constant(&mut self, value: Value<'static>, span: Span) -> Typed {
        let types = Types::of(value.kind());
        (self.push(Op::Const(value), span), types)
    }

    fn is_constant(&self, id: OpId) -> bool {
        matches!(self.unit.op(id), Op::Const(_))
    }

    /// The text of a constant string.
    fn constant_text(&self, id: OpId) -> Option<&str> {
        match self.unit.op(id) {
            Op::Const(Value::Str(text)) => Some(text),
            _ => None,
        }
    }

    /// Adds an operation whose operands are constants as its value, if it has one. An error is left for run time,
    /// where `||` and the like may make it harmless.
    fn fold(&mut self, op: Op, types: Types, span: Span, constant: bool) -> Typed {
        let id = self.push(op, span);
        if constant
            && let Ok(value) = Machine::constant(&self.unit, MAX_FOLD_COST).eval(id)
            && let Some(value) = value.into_static()
        {
            let mut folded = self.constant(value, span);
            let nesting = self.nesting_of(id);
            self.set_nesting(nesting);
            if types == Types::ANY && matches!(self.unit.op(id), Op::Call { .. }) {
                // Of all functions only `dyn` gives anything: it asks not to know.
                folded.1 = Types::ANY;
            }
            return folded;
        }
        (id, types)
    }

    fn node(&mut self, id: NodeId) -> Result<Typed, Fault> {
        let tree = self.tree;
        let node = tree.get(id);
        let span = node.span;
        if let Some(key) = self.group_key(id) {
            return Ok(key);
        }
        match &node.kind {
            Kind::Null => Ok(self.constant(Value::Null, span)),
            Kind::Bool(b) => Ok(self.constant(Value::Bool(*b), span)),
            Kind::Int(n) => Ok(self.constant(Value::Int(*n), span)),
            Kind::Uint(n) => Ok(self.constant(Value::Uint(*n), span)),
            Kind::Double(n) => Ok(self.constant(Value::Double(*n), span)),
            Kind::Str(text) => Ok(self.constant(Value::string(text.to_string()), span)),
            Kind::Bytes(bytes) => Ok(self.constant(Value::Bytes(bytes.clone().into()), span)),
            Kind::Ident { .. } | Kind::Select { .. } => self.name_or_member(id),
            Kind::Index { operand, index } => self.index(id, *operand, *index),
            Kind::Call {
                target,
                name,
                at,
                args,
            } => self.call(*target, name, *at, args, span),
            Kind::Unary { op, operand } => self.unary(*op, *operand, span),
            Kind::Binary { op, at, left, right } => self.binary(*op, *at, *left, *right, span),
            Kind::And(items) => self.logic(items, span, "&&"),
            Kind::Or(items) => self.logic(items, span, "||"),
            Kind::Conditional {
                condition,
                then,
                otherwise,
            } => self.conditional(*condition, *then, *otherwise, span),
            Kind::List(items) => self.list(items, span),
            Kind::Map(entries) => self.map(entries, span),
        }
    }

    fn unary(&mut self, op: Unary, operand: NodeId, span: Span) -> Result<Typed, Fault> {
        let at = self.tree.get(operand).span;
        let (operand, types) = self.node(operand)?;
        let constant = self.is_constant(operand);
        match op {
            Unary::Not if types.meets(Types::BOOL) => {
                Ok(self.fold(Op::Not(operand), Types::BOOL, span, constant))
            }
            Unary::Not => {
                let fault = Fault::new(
                    "NoSuchOverload",
                    at,
                    format!("`!` takes true or false, but this is {types}"),
                );
                Err(fault.help("compare it with something instead: x == 0, x == \"\", has(a.b)"))
            }
            Unary::Negate => {
                let result = types.and(Types::INT.or(Types::DOUBLE).or(Types::DURATION));
                if result.is_empty() {
                    let message = format!("`-` takes an int, a double or a duration, but this is {types}");
                    return Err(Fault::new("NoSuchOverload", at, message));
                }
                Ok(self.fold(Op::Negate(operand), result, span, constant))
            }
        }
    }

    fn binary(
        &mut self,
        op: Binary,
        at: Span,
        left: NodeId,
        right: NodeId,
        span: Span,
    ) -> Result<Typed, Fault> {
        let (left, left_types) = self.node(left)?;
        let (right, right_types) = self.node(right)?;
        let types = Types::binary(op, left_types, right_types);
        if types.is_empty() {
            return Err(self.no_overload(op, at, span, (left, left_types), (right, right_types)));
        }
        let constant = self.is_constant(left) && self.is_constant(right);
        let made = match op {
            Binary::Equal => Op::Equal {
                left,
                right,
                negated: false,
            },
            Binary::NotEqual => Op::Equal {
                left,
                right,
                negated: true,
            },
            Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => {
                Op::Order { op, left, right }
            }
            Binary::In => Op::In {
                item: left,
                container: right,
            },
            _ => Op::Arithmetic { op, left, right },
        };
        Ok(self.fold(made, types, span, constant))
    }

    fn logic(&mut self, nodes: &[NodeId], span: Span, symbol: &str) -> Result<Typed, Fault> {
        let mut items = Vec::with_capacity(nodes.len());
        let mut constant = true;
        for node in nodes {
            let at = self.tree.get(*node).span;
            let (item, types) = self.node(*node)?;
            if !types.meets(Types::BOOL) {
                let message = format!("`{symbol}` takes true or false, but this is {types}");
                let fault = Fault::new("NoSuchOverload", at, message);
                return Err(fault.help("compare it with something: ==, !=, <, <=, >, >=, in"));
            }
            constant &= self.is_constant(item);
            match (self.unit.op(item), symbol) {
                // What parentheses group is part of the same chain: && and || are associative.
                (Op::And(inner), "&&") | (Op::Or(inner), "||") => items.extend(inner.iter().copied()),
                _ => items.push(item),
            }
        }
        let items = items.into_boxed_slice();
        let op = if symbol == "&&" {
            Op::And(items)
        } else {
            Op::Or(items)
        };
        Ok(self.fold(op, Types::BOOL, span, constant))
    }

    fn conditional(
        &mut self,
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
        span: Span,
    ) -> Result<Typed, Fault> {
        let at = self.tree.get(condition).span;
        let (condition, types) = self.node(condition)?;
        if !types.meets(Types::BOOL) {
            let message = format!("a condition is true or false, but this is {types}");
            return Err(Fault::new("NoSuchOverload", at, message));
        }
        let (then, then_types) = self.node(then)?;
        let (otherwise, otherwise_types) = self.node(otherwise)?;
        let constant = [condition, then, otherwise]
            .iter()
            .all(|id| self.is_constant(*id));
        let op = Op::Conditional {
            condition,
            then,
            otherwise,
        };
        Ok(self.fold(op, then_types.or(otherwise_types), span, constant))
    }

    fn access(&mut self, access: Access, path: String) -> usize {
        if let Some(known) = self.unit.accesses.iter().position(|a| *a == access) {
            return known;
        }
        self.unit.accesses.push(access);
        self.unit.paths.push(path.into());
        self.unit.accesses.len() - 1
    }

    fn kind_named(name: &str) -> Option<ValueKind> {
        ValueKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
