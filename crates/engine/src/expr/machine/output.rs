//! Results as JSON, written while they are evaluated: a `select` that spells out a map makes no map.

use crate::expr::code::{Op, OpId};
use crate::expr::error::EvalError;
use crate::field::Field;
use crate::value::{MAX_DEPTH, NotJson, write_number, write_string};

use super::Machine;

impl Machine<'_> {
    /// Appends an operation's value as JSON, inside so many lists and maps.
    pub(in crate::expr) fn write_json(
        &mut self,
        id: OpId,
        out: &mut Vec<u8>,
        depth: u32,
    ) -> Result<(), EvalError> {
        match self.unit.op(id) {
            Op::Field(access) => {
                self.spend(1)?;
                let before = out.len();
                // Most of what rows are made of, written without a value in between.
                match self.places.get(*access) {
                    Some(Some(place)) if place.exact => match self.cx.field(place.input, place.slot) {
                        Field::Str(text) => write_string(text, out),
                        Field::Number(number) => write_number(number, out),
                        _ => self.field(*access)?.write_json_at(out, depth)?,
                    },
                    _ => self.field(*access)?.write_json_at(out, depth)?,
                }
                self.spend_bytes(out.len() - before)
            }
            Op::Map {
                entries,
                names: Some(names),
            } if !entries.is_empty() => {
                self.enter(depth)?;
                for (name, (_, value)) in names.iter().zip(entries) {
                    out.extend_from_slice(name);
                    self.write_json(*value, out, depth + 1)?;
                }
                out.push(b'}');
                Ok(())
            }
            Op::List(items) => {
                self.enter(depth)?;
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.write_json(*item, out, depth + 1)?;
                }
                out.push(b']');
                Ok(())
            }
            Op::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let id = if self.truth(*condition, "? :")? {
                    *then
                } else {
                    *otherwise
                };
                self.write_json(id, out, depth)
            }
            _ => {
                let value = self.eval(id)?;
                let before = out.len();
                value.write_json_at(out, depth)?;
                self.spend_bytes(out.len() - before)
            }
        }
    }

    /// Before a list or map inside so many others.
    fn enter(&mut self, depth: u32) -> Result<(), EvalError> {
        if depth >= MAX_DEPTH {
            return Err(NotJson::TooDeep.into());
        }
        self.spend(1)
    }
}
