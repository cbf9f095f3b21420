//! Macros: calls that are not functions, because they name variables or ask without reading.

use crate::expr::ast::{Kind, NodeId};
use crate::expr::code::{Loop, LoopKind, Op};
use crate::expr::diagnostic::{Fault, Span};
use crate::expr::types::Types;
use crate::value::Value;

use super::{Compiler, Typed};

/// A macro over a list or map, by its name and number of arguments.
struct Shape {
    kind: LoopKind,
    pair: bool,
    /// Whether a filter stands before the body.
    filtered: bool,
    body: bool,
    result: Types,
}

fn shape(name: &str, args: usize) -> Option<Shape> {
    let shape = |kind, pair, filtered, body, result| {
        Some(Shape {
            kind,
            pair,
            filtered,
            body,
            result,
        })
    };
    match (name, args) {
        ("all", 2 | 3) => shape(LoopKind::All, args == 3, false, true, Types::BOOL),
        ("exists", 2 | 3) => shape(LoopKind::Exists, args == 3, false, true, Types::BOOL),
        ("exists_one" | "existsOne", 2 | 3) => {
            shape(LoopKind::ExistsOne, args == 3, false, true, Types::BOOL)
        }
        ("filter", 2) => shape(LoopKind::List, false, true, false, Types::LIST),
        ("map", 2 | 3) => shape(LoopKind::List, false, args == 3, true, Types::LIST),
        ("transformList", 3 | 4) => shape(LoopKind::List, true, args == 4, true, Types::LIST),
        ("transformMap", 3 | 4) => shape(LoopKind::Map, true, args == 4, true, Types::MAP),
        ("transformMapEntry", 3 | 4) => shape(LoopKind::Entries, true, args == 4, true, Types::MAP),
        _ => None,
    }
}

/// How a macro is written, for messages.
pub(super) fn usage(name: &str) -> Option<&'static str> {
    Some(match name {
        "has" => "has(a.b)",
        "all" => "list.all(x, condition)",
        "exists" => "list.exists(x, condition)",
        "exists_one" | "existsOne" => "list.exists_one(x, condition)",
        "filter" => "list.filter(x, condition)",
        "map" => "list.map(x, value) or list.map(x, condition, value)",
        "transformList" => "list.transformList(i, x, value)",
        "transformMap" => "map.transformMap(k, v, value)",
        "transformMapEntry" => "map.transformMapEntry(k, v, {key: value})",
        "bind" => "cel.bind(name, value, expression)",
        _ => return None,
    })
}

impl Compiler<'_> {
    /// The call as a macro, if it is one.
    pub(super) fn macro_call(
        &mut self,
        target: Option<NodeId>,
        name: &str,
        at: Span,
        args: &[NodeId],
        span: Span,
    ) -> Result<Option<Typed>, Fault> {
        let wrong = |usage: &str| {
            let message = format!(
                "`{name}` does not take {} argument{}",
                args.len(),
                plural(args.len())
            );
            Fault::new("WrongArgumentCount", at, message).help(format!("write {usage}"))
        };
        let Some(target) = target else {
            return match (name, args) {
                ("has", [arg]) => self.has(*arg, span).map(Some),
                ("has", _) => Err(wrong("has(a.b)")),
                _ => Ok(None),
            };
        };
        let cel = matches!(&self.tree.get(target).kind, Kind::Ident { name, .. } if **name == *"cel");
        if name == "bind" && cel {
            return match args {
                [variable, value, body] => self.bind(*variable, *value, *body, span).map(Some),
                _ => Err(wrong("cel.bind(name, value, expression)")),
            };
        }
        let Some(shape) = shape(name, args.len()) else {
            return match usage(name).filter(|_| !matches!(name, "has" | "bind")) {
                Some(usage) => Err(wrong(usage)),
                None => Ok(None),
            };
        };
        self.comprehension(target, &shape, args, span).map(Some)
    }

    fn comprehension(
        &mut self,
        target: NodeId,
        shape: &Shape,
        args: &[NodeId],
        span: Span,
    ) -> Result<Typed, Fault> {
        let at = self.tree.get(target).span;
        let (range, types) = self.node(target)?;
        if !types.meets(Types::LIST.or(Types::MAP)) {
            let message = format!("only lists and maps can be walked, but this is {types}");
            return Err(Fault::new("NoSuchOverload", at, message));
        }
        let local = self.locals.len();
        let mut rest = args.iter();
        for _ in 0..=usize::from(shape.pair) {
            let variable = rest.next().map(|id| self.variable(*id)).transpose()?;
            self.locals.extend(variable);
            self.local_nestings.push(self.nesting_of(range).saturating_sub(1));
        }
        if shape.pair && self.locals.last() == self.locals.iter().rev().nth(1) {
            let second = args.get(1).map_or(span, |id| self.tree.get(*id).span);
            return Err(Fault::new(
                "RepeatedName",
                second,
                "the two variables need different names",
            ));
        }
        let filter = if shape.filtered {
            rest.next().map(|id| self.condition(*id)).transpose()?
        } else {
            None
        };
        let body = match rest.next().filter(|_| shape.body) {
            Some(id) if shape.result == Types::BOOL => Some(self.condition(*id)?),
            Some(id) if shape.kind == LoopKind::Entries => Some(self.entry(*id)?),
            Some(id) => Some(self.node(*id)?.0),
            None => None,
        };
        self.locals.truncate(local);
        self.local_nestings.truncate(local);
        let op = Op::Loop(Box::new(Loop {
            kind: shape.kind,
            range,
            local,
            pair: shape.pair,
            filter,
            body,
        }));
        let made = (self.push(op, span), shape.result);
        self.check_nesting(made)
    }

    fn variable(&self, id: NodeId) -> Result<Box<str>, Fault> {
        let node = self.tree.get(id);
        if let Kind::Ident {
            name,
            absolute: false,
        } = &node.kind
        {
            return Ok(name.clone());
        }
        let fault = Fault::new("NotAName", node.span, "a variable's name was expected here");
        Err(fault.help("the first argument names the element, as in list.exists(x, x > 1)"))
    }

    /// A part that has to be true or false.
    fn condition(&mut self, id: NodeId) -> Result<crate::expr::code::OpId, Fault> {
        let at = self.tree.get(id).span;
        let (op, types) = self.node(id)?;
        if types.meets(Types::BOOL) {
            return Ok(op);
        }
        Err(Fault::new(
            "NoSuchOverload",
            at,
            format!("a condition is true or false, but this is {types}"),
        ))
    }

    fn entry(&mut self, id: NodeId) -> Result<crate::expr::code::OpId, Fault> {
        let at = self.tree.get(id).span;
        let (op, types) = self.node(id)?;
        if types.meets(Types::MAP) {
            return Ok(op);
        }
        let fault = Fault::new(
            "NoSuchOverload",
            at,
            format!("a map was expected here, but this is {types}"),
        );
        Err(fault.help("write the new entry as {key: value}"))
    }

    fn bind(&mut self, variable: NodeId, value: NodeId, body: NodeId, span: Span) -> Result<Typed, Fault> {
        let name = self.variable(variable)?;
        let (value, _) = self.node(value)?;
        let local = self.locals.len();
        self.locals.push(name);
        self.local_nestings.push(self.nesting_of(value));
        let (body, types) = self.node(body)?;
        self.locals.truncate(local);
        self.local_nestings.truncate(local);
        Ok((self.push(Op::Bind { local, value, body }, span), types))
    }

    fn has(&mut self, arg: NodeId, span: Span) -> Result<Typed, Fault> {
        let tree = self.tree;
        let node = tree.get(arg);
        if !matches!(node.kind, Kind::Select { .. }) {
            let fault = Fault::new("InvalidHas", node.span, "`has` asks for a field, as in has(a.b)");
            return Err(match &node.kind {
                Kind::Index { .. } => fault.help("whether a map has a key is \"key\" in map"),
                _ => fault.help("a variable itself is always there"),
            });
        }
        if let Some((key, _)) = self.group_key(arg) {
            let (null, _) = self.constant(Value::Null, span);
            let op = Op::Equal {
                left: key,
                right: null,
                negated: true,
            };
            return Ok((self.push(op, span), Types::BOOL));
        }
        let chain = self.chain(arg);
        if chain.is_some() && self.is_about_group() {
            self.check_grouped(arg)?;
        } else if let Some(chain) = chain {
            let access = self.access(chain, node.span.of(&self.unit.source).to_owned());
            return Ok((self.push(Op::HasField(access), span), Types::BOOL));
        }
        let mut path = Vec::new();
        let mut at = arg;
        while let Some((operand, name)) = tree.member(at).filter(|_| self.key_at(at).is_none()) {
            path.push(name.into());
            at = operand;
        }
        path.reverse();
        let (operand, types) = self.node(at)?;
        if !types.meets(Types::MAP) {
            let message = format!("{types} has no fields");
            return Err(Fault::new("NoSuchOverload", tree.get(at).span, message));
        }
        let constant = self.is_constant(operand);
        Ok(self.fold(
            Op::Has {
                operand,
                path: path.into(),
            },
            Types::BOOL,
            span,
            constant,
        ))
    }
}

pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
