//! Lists and maps that an expression spells out, and their elements.

use crate::expr::ast::NodeId;
use crate::expr::code::{Op, OpId};
use crate::expr::diagnostic::{Fault, Span};
use crate::expr::types::Types;
use crate::value::write_string;

use super::{Compiler, Typed};

impl Compiler<'_> {
    pub(super) fn list(&mut self, nodes: &[NodeId], span: Span) -> Result<Typed, Fault> {
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            items.push(self.node(*node)?.0);
        }
        let constant = items.iter().all(|id| self.is_constant(*id));
        let made = self.fold(Op::List(items.into()), Types::LIST, span, constant);
        self.check_nesting(made)
    }

    pub(super) fn map(&mut self, nodes: &[(NodeId, NodeId)], span: Span) -> Result<Typed, Fault> {
        let mut entries: Vec<(OpId, OpId)> = Vec::with_capacity(nodes.len());
        let keys = Types::BOOL.or(Types::INT).or(Types::UINT).or(Types::STRING);
        let mut seen = std::collections::HashSet::new();
        for (key_node, value) in nodes {
            let at = self.tree.get(*key_node).span;
            let (key, types) = self
                .node(*key_node)
                .map_err(|fault| quote_key(fault, at, &self.unit.source))?;
            if !types.meets(keys) {
                let message = format!("a key is a string, an int, a uint or a bool, but this is {types}");
                return Err(Fault::new("InvalidKey", at, message));
            }
            if let Some(text) = self.constant_text(key)
                && !seen.insert(text.to_owned())
            {
                let message = format!("the key {} is there twice", at.of(&self.unit.source));
                return Err(Fault::new("RepeatedKey", at, message));
            }
            let (value, _) = self.node(*value)?;
            entries.push((key, value));
        }
        let constant = entries
            .iter()
            .all(|(k, v)| self.is_constant(*k) && self.is_constant(*v));
        let names = self.names(&entries);
        let op = Op::Map {
            entries: entries.into(),
            names,
        };
        let made = self.fold(op, Types::MAP, span, constant);
        self.check_nesting(made)
    }

    /// A map's keys as JSON is going to have them, if all are constant text. They are written once, not for each row.
    fn names(&self, entries: &[(OpId, OpId)]) -> Option<Box<[Box<[u8]>]>> {
        let name = |(at, (key, _)): (usize, &(OpId, OpId))| {
            let mut out = vec![if at == 0 { b'{' } else { b',' }];
            write_string(self.constant_text(*key)?, &mut out);
            out.push(b':');
            Some(out.into_boxed_slice())
        };
        entries.iter().enumerate().map(name).collect()
    }

    pub(super) fn index(&mut self, id: NodeId, operand: NodeId, index: NodeId) -> Result<Typed, Fault> {
        if let Some(field) = self.field(id)? {
            return Ok(field);
        }
        let (span, at) = (self.tree.get(id).span, self.tree.get(index).span);
        let (operand, types) = self.node(operand)?;
        if !types.meets(Types::LIST.or(Types::MAP)) {
            let fault = Fault::new(
                "NoSuchOverload",
                span,
                format!("only lists and maps have elements, not {types}"),
            );
            return Err(if types == Types::STRING {
                fault.help("a character of a string is text.charAt(0), a part text.substring(0, 2)")
            } else {
                fault
            });
        }
        let (index, index_types) = self.node(index)?;
        let keys = Types::BOOL.or(Types::NUMBER).or(Types::STRING);
        if !index_types.meets(if types == Types::LIST { Types::NUMBER } else { keys }) {
            let message = format!("{types} has no element at {index_types}");
            return Err(Fault::new("NoSuchOverload", at, message));
        }
        let constant = self.is_constant(operand) && self.is_constant(index);
        Ok(self.fold(Op::Index { operand, index }, Types::ANY, span, constant))
    }
}

/// A name where a map's key stands was probably meant as a string, as JavaScript has it.
fn quote_key(fault: Fault, key: Span, source: &str) -> Fault {
    if fault.is("UnknownName", key) {
        let name = key.of(source);
        return fault.help(format!("a key that is text is written in quotes: \"{name}\""));
    }
    fault
}
