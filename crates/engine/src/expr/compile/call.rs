//! Calls: to functions and member functions, and what an unknown one probably meant.

use crate::expr::aggregates::Aggregate;
use crate::expr::ast::{Kind, NodeId};
use crate::expr::code::Op;
use crate::expr::diagnostic::{Fault, Span};
use crate::expr::functions::{FUNCTIONS, Form, Function, pattern};
use crate::expr::scope::closest;
use crate::expr::types::Types;

use super::macros::{plural, usage};
use super::{Compiler, Typed};

/// Functions that other languages have under another name.
const ELSEWHERE: [(&str, &str); 33] = [
    ("len", "size(x)"),
    ("length", "size(x)"),
    ("count", "size(x)"),
    ("toLowerCase", "text.lowerAscii()"),
    ("lower", "text.lowerAscii()"),
    ("lowercase", "text.lowerAscii()"),
    ("toUpperCase", "text.upperAscii()"),
    ("upper", "text.upperAscii()"),
    ("uppercase", "text.upperAscii()"),
    ("includes", "text.contains(part), or item in list"),
    ("has_key", "\"key\" in map, or has(a.b)"),
    ("hasOwnProperty", "has(a.b)"),
    ("exists_field", "has(a.b)"),
    ("match", "text.matches(\"pattern\")"),
    ("test", "text.matches(\"pattern\")"),
    ("strip", "text.trim()"),
    ("str", "string(x)"),
    ("toString", "string(x)"),
    ("float", "double(x)"),
    ("number", "double(x)"),
    ("Number", "double(x)"),
    ("parseInt", "int(x)"),
    ("parseFloat", "double(x)"),
    ("boolean", "bool(x)"),
    ("typeof", "type(x)"),
    ("min", "math.least(a, b)"),
    ("max", "math.greatest(a, b)"),
    ("math.min", "math.least(a, b)"),
    ("math.max", "math.greatest(a, b)"),
    ("pow", "math.pow(x, y)"),
    ("any", "list.exists(x, condition)"),
    ("some", "list.exists(x, condition)"),
    ("every", "list.all(x, condition)"),
];

impl Compiler<'_> {
    pub(super) fn call(
        &mut self,
        target: Option<NodeId>,
        name: &str,
        at: Span,
        args: &[NodeId],
        span: Span,
    ) -> Result<Typed, Fault> {
        if let Some(made) = self.macro_call(target, name, at, args, span)? {
            return Ok(made);
        }
        if target.is_none()
            && let Some(aggregate) = Aggregate::named(name)
            && (self.group.is_some() || aggregate.takes(args.len()))
        {
            return self.aggregate(aggregate, args, at, span);
        }
        if target.is_none() && name == "previous" {
            return self.previous(args, at, span);
        }
        if let Some(target) = target
            && let Kind::Ident { name: space, .. } = &self.tree.get(target).kind
        {
            let qualified = format!("{space}.{name}");
            let known = |f: &Function| f.name == qualified;
            let spaces = ["math", "strings"];
            if FUNCTIONS.iter().any(known) {
                let whole = self.tree.get(target).span.to(at);
                return self.function(&qualified, None, whole, args, span);
            }
            if spaces.contains(&&**space) && self.scope.input(space).is_none() && !self.locals.contains(space)
            {
                let whole = self.tree.get(target).span.to(at);
                return Err(unknown_function(&qualified, Form::Global, whole));
            }
        }
        self.function(name, target, at, args, span)
    }

    /// A call of a function whose name is known by now.
    fn function(
        &mut self,
        name: &str,
        target: Option<NodeId>,
        at: Span,
        args: &[NodeId],
        span: Span,
    ) -> Result<Typed, Fault> {
        let form = if target.is_some() {
            Form::Member
        } else {
            Form::Global
        };
        let overloads: Vec<&'static Function> = FUNCTIONS
            .iter()
            .filter(|f| f.name == name && (f.form == form || f.form == Form::Both))
            .collect();
        if overloads.is_empty() {
            if self.is_about_group()
                && let Some(fault) = Self::meant_aggregate(name, at)
            {
                return Err(fault);
            }
            return Err(unknown_function(name, form, at));
        }
        let nodes: Vec<NodeId> = target.into_iter().chain(args.iter().copied()).collect();
        let Some(function) = overloads.iter().find(|f| f.takes(nodes.len())) else {
            return Err(wrong_count(&overloads, form, args.len(), at));
        };
        let mut operands = Vec::with_capacity(nodes.len());
        let mut types = Vec::with_capacity(nodes.len());
        for (place, node) in nodes.iter().enumerate() {
            let (operand, found) = self.node(*node)?;
            let wanted = function.argument(place);
            if !found.meets(wanted) {
                return Err(wrong_type(
                    function,
                    self.tree.get(*node).span,
                    self.unit.text(operand),
                    wanted,
                    found,
                ));
            }
            operands.push(operand);
            types.push(found);
        }
        if name == "size"
            && let Some(size) = operands
                .first()
                .and_then(|operand| self.size_of_collected(*operand, span))
        {
            return Ok(size);
        }
        if name == "matches"
            && let [text, regex] = *operands
            && let Some(source) = self.constant_text(regex)
        {
            let pattern_at = nodes.last().map_or(at, |id| self.tree.get(*id).span);
            let compiled = pattern(source).map_err(|error| {
                let fault = Fault::new("InvalidPattern", pattern_at, error);
                fault.help("patterns have RE2's syntax; a raw string spares doubling backslashes: r\"\\d+\"")
            })?;
            let op = Op::Matches {
                text,
                pattern: Box::new(compiled),
            };
            return Ok(self.fold(op, Types::BOOL, span, self.is_constant(text)));
        }
        let constant = operands.iter().all(|id| self.is_constant(*id));
        let result = function.result_of(&types);
        let (id, types) = self.fold(
            Op::Call {
                function,
                args: operands.into(),
            },
            result,
            span,
            constant,
        );
        if constant && matches!(name, "duration" | "timestamp") && !self.is_constant(id) {
            let text = nodes.last().map_or(span, |id| self.tree.get(*id).span);
            return Err(invalid_literal(name, text, &self.unit.source));
        }
        Ok((id, types))
    }
}

fn invalid_literal(name: &str, at: Span, source: &str) -> Fault {
    let text = at.of(source);
    match name {
        "duration" => Fault::new("InvalidDuration", at, format!("{text} is no duration")).help(
            "durations look like \"20s\", \"1h30m\", \"1.5s\", \"100ms\"; the units are h, m, s, ms, us, ns",
        ),
        _ => Fault::new("InvalidTimestamp", at, format!("{text} is no timestamp"))
            .help("timestamps look like \"2026-11-23T08:30:00Z\" or \"2026-11-23T09:30:00.5+01:00\""),
    }
}

fn unknown_function(name: &str, form: Form, at: Span) -> Fault {
    let fault = Fault::new("UnknownFunction", at, format!("there is no function `{name}`"));
    if let Some(usage) = usage(name) {
        return fault.help(format!("it is written {usage}"));
    }
    let other = FUNCTIONS.iter().find(|f| f.name == name);
    if let Some(function) = other {
        let fault = Fault::new(
            "UnknownFunction",
            at,
            match form {
                Form::Member => format!("`{name}` is not called on a value"),
                _ => format!("`{name}` is called on a value"),
            },
        );
        return fault.help(format!("it is written {}", function.usage()));
    }
    if let Some((_, usage)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return fault.help(format!("use {usage}"));
    }
    if name == "now" {
        return fault.help("expressions have no clock; where there is a window, it has window.end");
    }
    if let Some(math) = FUNCTIONS
        .iter()
        .find(|f| f.name.strip_prefix("math.") == Some(name))
    {
        return fault.help(format!("it is written {}", math.usage()));
    }
    let names = FUNCTIONS
        .iter()
        .filter(|f| f.form == form || f.form == Form::Both)
        .map(|f| f.name);
    let macros = [
        "all",
        "exists",
        "exists_one",
        "filter",
        "map",
        "transformList",
        "transformMap",
    ];
    let names: Vec<&str> = if form == Form::Member {
        names.chain(macros).collect()
    } else {
        names.collect()
    };
    if let Some(meant) = closest(name, names) {
        return fault.help(format!("did you mean `{meant}`?"));
    }
    let meant = closest(name, ELSEWHERE.iter().map(|(other, _)| *other));
    match ELSEWHERE.iter().find(|(other, _)| Some(*other) == meant) {
        Some((_, usage)) => fault.help(format!("use {usage}")),
        None => fault.help("docs/expressions.md lists the functions that there are"),
    }
}

fn wrong_count(overloads: &[&'static Function], form: Form, found: usize, at: Span) -> Fault {
    let name = overloads.first().map_or("", |f| f.name);
    let message = format!("`{name}` does not take {found} argument{}", plural(found));
    let usages: Vec<String> = overloads.iter().map(|f| f.usage_as(form)).collect();
    Fault::new("WrongArgumentCount", at, message).help(format!("it is written {}", usages.join(" or ")))
}

fn wrong_type(function: &Function, at: Span, text: &str, wanted: Types, found: Types) -> Fault {
    let message = format!("`{}` takes {wanted} here, but this is {found}", function.name);
    let fault = Fault::new("NoSuchOverload", at, message);
    if wanted == Types::INT && found.meets(Types::DOUBLE) {
        return fault.help(format!(
            "the numbers in messages are doubles; convert it: int({text})"
        ));
    }
    if wanted == Types::STRING && !found.meets(Types::LIST.or(Types::MAP).or(Types::NULL)) {
        return fault.help(format!("convert it: string({text})"));
    }
    fault
}
