//! evalexpr's functions, as the calls of CEL that do the same.

use evalexpr::{Node, Operator};

use crate::expr::ast::{Kind, NodeId};
use crate::expr::diagnostic::{Fault, Span};
use crate::expr::scope::closest;

use super::Translator;

/// How a function is called in CEL.
#[derive(Clone, Copy)]
enum Form {
    /// `name(a, b)`
    Global(&'static str),
    /// `math.name(a, b)`
    Math(&'static str),
    /// `a.name(b)`
    Member(&'static str),
    /// `a ? b : c`
    If,
    /// `b in a`
    Contains,
}

const FUNCTIONS: [(&str, usize, Form); 31] = [
    ("if", 3, Form::If),
    ("contains", 2, Form::Contains),
    ("len", 1, Form::Global("size")),
    ("typeof", 1, Form::Global("type")),
    ("min", 0, Form::Math("least")),
    ("max", 0, Form::Math("greatest")),
    ("floor", 1, Form::Math("floor")),
    ("round", 1, Form::Math("round")),
    ("ceil", 1, Form::Math("ceil")),
    ("math::abs", 1, Form::Math("abs")),
    ("math::sqrt", 1, Form::Math("sqrt")),
    ("math::pow", 2, Form::Math("pow")),
    ("math::is_nan", 1, Form::Math("isNaN")),
    ("math::is_finite", 1, Form::Math("isFinite")),
    ("math::is_infinite", 1, Form::Math("isInf")),
    ("str::from", 1, Form::Global("string")),
    ("str::trim", 1, Form::Member("trim")),
    ("str::to_lowercase", 1, Form::Member("lowerAscii")),
    ("str::to_uppercase", 1, Form::Member("upperAscii")),
    ("str::regex_matches", 2, Form::Member("matches")),
    ("str::substring", 0, Form::Member("substring")),
    ("bitand", 2, Form::Math("bitAnd")),
    ("bitor", 2, Form::Math("bitOr")),
    ("bitxor", 2, Form::Math("bitXor")),
    ("bitnot", 1, Form::Math("bitNot")),
    ("shl", 2, Form::Math("bitShiftLeft")),
    ("shr", 2, Form::Math("bitShiftRight")),
    ("int", 1, Form::Global("int")),
    ("double", 1, Form::Global("double")),
    ("timestamp", 1, Form::Global("timestamp")),
    ("duration", 1, Form::Global("duration")),
];

impl Translator {
    pub(super) fn call(
        &mut self,
        name: &str,
        at: Span,
        argument: &Node,
        depth: u16,
    ) -> Result<NodeId, Fault> {
        let Some((_, count, form)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            if name.contains('.') {
                let message = format!("there is no operator between `{name}` and what follows");
                return Err(Fault::new("UnexpectedToken", at, message));
            }
            let fault = Fault::new("UnknownFunction", at, format!("there is no function `{name}`"));
            return Err(match closest(name, FUNCTIONS.iter().map(|(known, ..)| *known)) {
                Some(meant) => fault.help(format!("did you mean `{meant}`?")),
                None => fault.help("docs/expressions.md lists the functions of evalexpr that are there"),
            });
        };
        let args = self.nodes(arguments(argument), depth)?;
        if *count > 0 && args.len() != *count {
            let message = format!(
                "`{name}` does not take {} argument{}",
                args.len(),
                plural(args.len())
            );
            let fault = Fault::new("WrongArgumentCount", at, message);
            return Err(fault.help(format!("it takes {count}")));
        }
        let end = args.last().map_or(at, |last| self.tree.get(*last).span);
        let span = at.to(end);
        let kind = match (form, args.as_slice()) {
            (Form::If, [condition, then, otherwise]) => Kind::Conditional {
                condition: *condition,
                then: *then,
                otherwise: *otherwise,
            },
            (Form::Contains, [list, item]) => Kind::Binary {
                op: crate::expr::ast::Binary::In,
                at,
                left: *item,
                right: *list,
            },
            (Form::Math(function), _) => return self.math_at(function, args, at, span),
            (Form::Member(function), [target, rest @ ..]) => Kind::Call {
                target: Some(*target),
                name: (*function).into(),
                at,
                args: rest.to_vec(),
            },
            (Form::Global(function), _) => Kind::Call {
                target: None,
                name: (*function).into(),
                at,
                args,
            },
            _ => {
                let message = format!("`{name}` does not take {} arguments", args.len());
                return Err(Fault::new("WrongArgumentCount", at, message));
            }
        };
        self.tree.add(kind, span)
    }

    /// A function of the math extension.
    pub(super) fn math(&mut self, function: &str, args: Vec<NodeId>) -> Result<NodeId, Fault> {
        let span = match (args.first(), args.last()) {
            (Some(first), Some(last)) => self.span(*first, *last),
            _ => self.whole,
        };
        self.math_at(function, args, span, span)
    }

    fn math_at(&mut self, function: &str, args: Vec<NodeId>, at: Span, span: Span) -> Result<NodeId, Fault> {
        let space = self.tree.add(
            Kind::Ident {
                name: "math".into(),
                absolute: true,
            },
            at,
        )?;
        self.tree.add(
            Kind::Call {
                target: Some(space),
                name: function.into(),
                at,
                args,
            },
            span,
        )
    }
}

/// The arguments in what follows a function's name: one value, or several in parentheses.
fn arguments(argument: &Node) -> &[Node] {
    match (argument.operator(), argument.children()) {
        (Operator::RootNode, [inner]) if *inner.operator() == Operator::Tuple => inner.children(),
        _ => std::slice::from_ref(argument),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
