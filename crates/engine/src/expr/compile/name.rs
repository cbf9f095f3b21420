//! Names and chains of names: to fields of messages, a macro's variables, a window's bounds or types.

use crate::expr::ast::{Kind, NodeId};
use crate::expr::code::{Access, Op};
use crate::expr::diagnostic::Fault;
use crate::expr::scope::closest;
use crate::expr::types::Types;
use crate::value::Value;

use super::{Compiler, Typed};

impl Compiler<'_> {
    /// A name, or a member of what a name or another expression stands for.
    pub(super) fn name_or_member(&mut self, id: NodeId) -> Result<Typed, Fault> {
        if let Some(field) = self.field(id)? {
            return Ok(field);
        }
        let tree = self.tree;
        let node = tree.get(id);
        match &node.kind {
            Kind::Ident { name, absolute } => self.name(id, name, *absolute),
            Kind::Select { operand, field, at } => {
                if let Some(named) = self.qualified(*operand, field, id)? {
                    return Ok(named);
                }
                let (operand, types) = self.node(*operand)?;
                if !types.meets(Types::MAP) {
                    let fault = Fault::new("NoSuchOverload", *at, format!("{types} has no fields"));
                    return Err(if **field == *"length" {
                        fault.help("the length is size(x)")
                    } else {
                        fault
                    });
                }
                let constant = self.is_constant(operand);
                let op = Op::Select {
                    operand,
                    field: field.clone(),
                };
                Ok(self.fold(op, Types::ANY, node.span, constant))
            }
            _ => self.node(id),
        }
    }

    /// The chain of names below a node, if it starts at a message: `a.b["c"]` is input `a` and the path `b`, `c`.
    pub(super) fn chain(&self, id: NodeId) -> Option<Access> {
        let mut names: Vec<Box<str>> = Vec::new();
        let mut at = id;
        while let Some((operand, name)) = self.tree.member(at) {
            names.push(name.into());
            at = operand;
        }
        match &self.tree.get(at).kind {
            Kind::Ident { name, absolute } if *absolute || !self.is_local(name) => {
                let input = self.scope.input(name)?;
                names.reverse();
                Some(Access { input, path: names })
            }
            _ => None,
        }
    }

    /// The node as a field of a message, if it is one.
    pub(super) fn field(&mut self, id: NodeId) -> Result<Option<Typed>, Fault> {
        let Some(chain) = self.chain(id) else {
            return Ok(None);
        };
        if self.is_about_group() {
            return self.check_grouped(id).map(|()| None);
        }
        let span = self.tree.get(id).span;
        // A whole message is whatever it is; a member of it can be any JSON, too.
        let path = span.of(&self.unit.source).to_owned();
        let access = self.access(chain, path);
        Ok(Some((self.push(Op::Field(access), span), Types::JSON)))
    }

    /// Whether a name is a macro's variable here, be it one that can't be read.
    pub(super) fn is_local(&self, name: &str) -> bool {
        self.locals
            .iter()
            .chain(&self.hidden)
            .any(|local| **local == *name)
    }

    /// `window.start`, `google.protobuf.Timestamp`: names with a dot that are no members.
    fn qualified(&mut self, operand: NodeId, field: &str, id: NodeId) -> Result<Option<Typed>, Fault> {
        let tree = self.tree;
        let span = tree.get(id).span;
        match &tree.get(operand).kind {
            Kind::Ident { name, .. } if **name == *"window" && !self.locals.contains(name) => {
                let op = match field {
                    "start" => Op::WindowStart,
                    "end" => Op::WindowEnd,
                    _ => {
                        let fault = Fault::new("UnknownName", span, format!("a window has no `{field}`"));
                        return Err(fault.help("it has window.start and window.end"));
                    }
                };
                if !self.scope.has_window() {
                    let fault = Fault::new("UnknownName", span, "there is no window here");
                    return Err(fault.help("window.start and window.end are known where a window is set"));
                }
                Ok(Some((self.push(op, span), Types::TIMESTAMP)))
            }
            Kind::Select {
                operand: root,
                field: middle,
                ..
            } if **middle == *"protobuf" => {
                let google = matches!(&tree.get(*root).kind, Kind::Ident { name, .. } if **name == *"google");
                let kind = Self::kind_named(&format!("google.protobuf.{field}"));
                Ok(kind
                    .filter(|_| google)
                    .map(|kind| self.constant(Value::Type(kind), span)))
            }
            _ => Ok(None),
        }
    }

    fn name(&mut self, id: NodeId, name: &str, absolute: bool) -> Result<Typed, Fault> {
        let span = self.tree.get(id).span;
        if !absolute && let Some(local) = self.locals.iter().rposition(|local| **local == *name) {
            return Ok((self.push(Op::Local(local), span), Types::ANY));
        }
        if !absolute && self.is_local(name) {
            let message =
                format!("`{name}` is a macro's variable, and an aggregate is computed before macros run");
            let fault = Fault::new("VariableInAggregate", span, message);
            return Err(fault.help("run the macro over what is collected: collect(a.b).map(x, ...)"));
        }
        if self.is_about_group() && self.scope.has_message() && matches!(name, "topic" | "key") {
            self.check_grouped(id)?;
        }
        if self.scope.has_message() && name == "topic" {
            return Ok((self.push(Op::Topic, span), Types::STRING));
        }
        if self.scope.has_message() && name == "key" {
            return Ok((self.push(Op::Key, span), Types::STRING.or(Types::NULL)));
        }
        if let Some(kind) = Self::kind_named(name) {
            return Ok(self.constant(Value::Type(kind), span));
        }
        Err(self.unknown(name, id))
    }

    fn unknown(&self, name: &str, id: NodeId) -> Fault {
        let fault = Fault::new(
            "UnknownName",
            self.tree.get(id).span,
            format!("there is no `{name}` here"),
        );
        let mut names: Vec<&str> = self.locals.iter().map(AsRef::as_ref).collect();
        names.extend(self.scope.names());
        match name {
            "topic" | "key" => {
                return fault.help("topic and key are known where an expression is about one message");
            }
            "window" if self.scope.has_window() => return fault.help("it has window.start and window.end"),
            "undefined" | "None" | "nil" | "NULL" | "Null" => return fault.help("nothing is written null"),
            "True" | "TRUE" => return fault.help("write true"),
            "False" | "FALSE" => return fault.help("write false"),
            "NaN" | "Infinity" => return fault.help(format!("write double(\"{name}\")")),
            "now" => {
                return fault.help("expressions have no clock; where there is a window, it has window.end");
            }
            _ => {}
        }
        if let Some(meant) = closest(name, names.iter().copied()) {
            return fault.help(format!("did you mean `{meant}`? {}", possible(&names)));
        }
        if names.is_empty() {
            fault.help("no names are known here")
        } else {
            fault.help(possible(&names))
        }
    }
}

fn possible(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    let more = if names.len() > SHOWN {
        format!(" and {} more", names.len() - SHOWN)
    } else {
        String::new()
    };
    format!("the names here are: {}{more}", shown.join(", "))
}
