//! Expressions: what `where`, `select` and their like are compiled to when a component starts, and what runs for
//! every message after it was decoded.
//!
//! Text goes through `lexer` and `parser` (or `evalexpr`, the second front end) into a tree, and through `compile`,
//! which resolves names, checks types as far as they are certain and folds constants, into operations; [`Program`] is
//! the result bound to the slots of decoded messages, and `machine` evaluates it.

mod aggregates;
mod ast;
mod code;
mod compile;
mod diagnostic;
mod error;
mod evalexpr;
mod functions;
mod grouped;
mod lexer;
mod limits;
mod literal;
mod machine;
mod mistakes;
mod parser;
mod program;
mod rename;
mod scope;
mod template;
mod token;
mod types;

use std::sync::Arc;

use crate::layout::Layout;
use crate::value::Value;

use ast::Binary;
use code::{Op, OpId, Unit};
use types::Types;

pub(crate) use aggregates::{Gather, Reading};
pub use code::Access;
pub use diagnostic::Diagnostic;
pub use error::EvalError;
pub use grouped::{Grouped, compile_grouped, has_aggregate};
pub(crate) use grouped::{Numbers, Programs};
pub use limits::MAX_SOURCE;
pub(crate) use program::GroupValues;
pub use program::{Context, MissingRow, NoRow, Program, Row};
pub use rename::rename;
pub use scope::{Scope, ScopeError};

/// A compiled expression, or a part of one. Cheap to clone and to split.
#[derive(Clone, Debug)]
pub struct Expr {
    unit: Arc<Unit>,
    root: OpId,
    types: Types,
    accesses: Arc<[Access]>,
}

/// Compiles an expression. Everything that is certainly wrong with it is found here.
pub fn compile(source: &str, scope: &Scope) -> Result<Expr, Diagnostic> {
    let compiled = parse(source).and_then(|tree| compile::compile(source, &tree, scope));
    match compiled {
        Ok(made) => Ok(Expr::new(Arc::new(made.unit), made.root, made.types)),
        Err(fault) => Err(fault.locate(source)),
    }
}

/// The tree of a source in either syntax.
fn parse(source: &str) -> Result<ast::Tree, diagnostic::Fault> {
    match evalexpr::body_start(source) {
        Some(start) => evalexpr::parse(source, start),
        None => parser::parse(source),
    }
}

/// Compiles an expression that has to be true or false; refuses one that certainly is neither.
pub fn compile_bool(source: &str, scope: &Scope) -> Result<Expr, Diagnostic> {
    require_bool(compile(source, scope)?, source)
}

fn require_bool(expr: Expr, source: &str) -> Result<Expr, Diagnostic> {
    if expr.types.meets(Types::BOOL) {
        return Ok(expr);
    }
    let span = expr
        .unit
        .spans
        .get(expr.root.0 as usize)
        .copied()
        .unwrap_or_default();
    let message = format!("a condition is true or false, but this is {}", expr.types);
    let fault = diagnostic::Fault::new("NotABool", span, message);
    let help = match expr.unit.op(expr.root) {
        Op::Const(_) => "compare a field of a message with it, as in `name.field == ...`",
        _ if expr.types.meets(Types::NUMBER) => "compare it with a number: ==, !=, <, <=, >, >=",
        _ if expr.types.meets(Types::STRING) => {
            "compare it with a text: == or !=, or startsWith, contains, matches"
        }
        _ if expr.types.meets(Types::LIST.or(Types::MAP)) => {
            "ask for what is in it: `size(...) > 0`, `x in ...`, or exists(x, condition)"
        }
        _ => "compare it with something: ==, !=, <, <=, >, >=, in",
    };
    Err(fault.help(help).locate(source))
}

/// A comparison by order: `lower < upper`, or `lower <= upper`.
#[derive(Clone, Debug)]
pub(crate) struct OrderExpr {
    pub(crate) lower: Expr,
    pub(crate) upper: Expr,
    pub(crate) or_equal: bool,
    /// Whether the lower side stands on the left.
    pub(crate) lower_first: bool,
}

/// A set of inputs, by their places in the scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InputSet(u64);

impl InputSet {
    /// Whether an input is in the set.
    pub fn contains(self, input: usize) -> bool {
        input < 64 && self.0 & (1 << input) != 0
    }

    /// How many inputs are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether no input is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The inputs in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |input| self.contains(*input))
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: InputSet) -> InputSet {
        InputSet(self.0 | other.0)
    }

    /// Whether every input of this set is in the other.
    pub fn is_subset(self, other: InputSet) -> bool {
        self.0 & !other.0 == 0
    }
}

impl FromIterator<usize> for InputSet {
    fn from_iter<I: IntoIterator<Item = usize>>(inputs: I) -> InputSet {
        InputSet(
            inputs
                .into_iter()
                .filter(|input| *input < 64)
                .fold(0, |set, input| set | 1 << input),
        )
    }
}

impl Expr {
    fn new(unit: Arc<Unit>, root: OpId, types: Types) -> Expr {
        let reads = unit.reads(root);
        let accesses = unit
            .accesses
            .iter()
            .zip(reads)
            .filter(|(_, read)| *read)
            .map(|(a, _)| a.clone())
            .collect();
        Expr {
            unit,
            root,
            types,
            accesses,
        }
    }

    fn part(&self, root: OpId) -> Expr {
        Expr::new(Arc::clone(&self.unit), root, Types::ANY)
    }

    /// The fields that it reads, each once: for each the longest chain of names that is certain.
    pub fn accesses(&self) -> &[Access] {
        &self.accesses
    }

    /// The inputs whose messages it reads.
    pub fn inputs(&self) -> InputSet {
        self.accesses.iter().map(|access| access.input).collect()
    }

    /// Its conjuncts in source order: what `&&` joins at the top. One that is no conjunction is its own conjunct.
    pub fn conjuncts(self) -> Vec<Expr> {
        match self.unit.op(self.root) {
            Op::And(items) => items.iter().map(|id| self.part(*id)).collect(),
            _ => vec![self],
        }
    }

    /// The two sides of `left == right`, if that is what it is.
    pub fn as_equality(&self) -> Option<(Expr, Expr)> {
        match self.unit.op(self.root) {
            Op::Equal {
                left,
                right,
                negated: false,
            } => Some((self.part(*left), self.part(*right))),
            _ => None,
        }
    }

    /// The two sides of a comparison by order, if that is what it is.
    pub(crate) fn as_order(&self) -> Option<OrderExpr> {
        let Op::Order { op, left, right } = self.unit.op(self.root) else {
            return None;
        };
        let (left, right) = (self.part(*left), self.part(*right));
        let lower_first = matches!(op, Binary::Less | Binary::LessEqual);
        let (lower, upper) = if lower_first { (left, right) } else { (right, left) };
        Some(OrderExpr {
            lower,
            upper,
            or_equal: matches!(op, Binary::LessEqual | Binary::GreaterEqual),
            lower_first,
        })
    }

    /// The two sides of `left - right`, if that is what it is, or what it is the absolute value of; and whether it is
    /// the latter.
    pub(crate) fn as_difference(&self) -> Option<(Expr, Expr, bool)> {
        let (root, absolute) = match self.unit.op(self.root) {
            Op::Call { function, args } if function.is_absolute() => (*args.first()?, true),
            _ => (self.root, false),
        };
        match self.unit.op(root) {
            Op::Arithmetic {
                op: Binary::Subtract,
                left,
                right,
            } => Some((self.part(*left), self.part(*right), absolute)),
            _ => None,
        }
    }

    /// Whether it is true, or is false, whatever the messages are; `None` if that depends on them, or can't be told.
    pub fn as_constant(&self) -> Option<bool> {
        let parts = |items: &[OpId], decides: bool| {
            let all: Vec<_> = items.iter().map(|id| self.part(*id).as_constant()).collect();
            if all.contains(&Some(decides)) {
                return Some(decides);
            }
            all.iter().all(|part| *part == Some(!decides)).then_some(!decides)
        };
        match self.unit.op(self.root) {
            Op::Const(Value::Bool(value)) => Some(*value),
            Op::And(items) => parts(items, false),
            Op::Or(items) => parts(items, true),
            _ => None,
        }
    }

    /// Whether it is nothing but a field of a message, or a whole message.
    pub fn is_field(&self) -> bool {
        matches!(self.unit.op(self.root), Op::Field(_))
    }

    /// Its text, as it was written.
    pub fn source(&self) -> &str {
        self.unit.text(self.root)
    }

    /// Binds it to the layouts of the inputs, in the scope's order. A field that a layout lacks is always absent.
    pub fn bind(&self, layouts: &[&Layout]) -> Program {
        Program::new(&self.unit, self.root, layouts)
    }
}
