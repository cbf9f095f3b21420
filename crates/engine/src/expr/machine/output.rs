//! Results as JSON, written while they are evaluated: a `select` that spells out a map makes no map.

use crate::expr::code::{Op, OpId};
use crate::expr::error::EvalError;
use crate::value::Value;

use super::Machine;

impl Machine<'_> {
    pub(in crate::expr) fn write_json(&mut self, id: OpId, out: &mut Vec<u8>) -> Result<(), EvalError> {
        match self.unit.op(id) {
            Op::Map(entries) if self.distinct_names(entries) => {
                self.spend(1)?;
                out.push(b'{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    if let Op::Const(key) = self.unit.op(*key) {
                        key.write_key(out);
                    }
                    out.push(b':');
                    self.write_json(*value, out)?;
                }
                out.push(b'}');
                Ok(())
            }
            Op::List(items) => {
                self.spend(1)?;
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.write_json(*item, out)?;
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
                self.write_json(id, out)
            }
            _ => {
                let value = self.eval(id)?;
                let before = out.len();
                value.write_json(out)?;
                self.spend_bytes(out.len() - before)
            }
        }
    }

    /// Whether the keys are constant text. The compiler has refused repeated ones.
    fn distinct_names(&self, entries: &[(OpId, OpId)]) -> bool {
        entries
            .iter()
            .all(|(key, _)| matches!(self.unit.op(*key), Op::Const(Value::Str(_))))
    }
}
