//! `x-kubernetes-validations`: the schema's CEL rules, evaluated by the engine that evaluates everyone's expressions.

use std::collections::HashMap;

use serde_json::Value;
use streaming_engine::expr::{self, Context, Program, Scope};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;

use super::Finding;
use super::check::join;
use crate::reason;

/// Compiled rules by their text.
#[derive(Default)]
pub(super) struct Rules(HashMap<String, Option<Program>>);

impl Rules {
    /// Adds a finding for every rule of `schema` and what lies below it that `value` breaks.
    pub(super) fn check(&mut self, schema: &Value, value: &Value, path: &str, found: &mut Vec<Finding>) {
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let text = rule["rule"].as_str().unwrap_or_default();
            if !self.holds(text, value) {
                let message = rule["message"].as_str().unwrap_or(text).to_owned();
                let field = if text.contains("self.metadata.name") {
                    "metadata.name"
                } else {
                    path
                };
                found.push(Finding {
                    field: field.to_owned(),
                    reason: reason::INVALID,
                    message,
                    help: None,
                });
            }
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let Some(property) = schema["properties"].get(name) {
                        self.check(property, field, &join(path, name), found);
                    }
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{path}[{at}]"), found);
                }
            }
            _ => {}
        }
    }

    #[cfg(test)]
    pub(super) fn compiles(&mut self, rule: &str) -> bool {
        self.get(rule).is_some()
    }

    fn get(&mut self, rule: &str) -> Option<&Program> {
        if !self.0.contains_key(rule) {
            self.0.insert(rule.to_owned(), compile(rule));
        }
        self.0.get(rule)?.as_ref()
    }

    /// Whether a rule is true of a value. An error of the rule counts as false, as on an API server.
    fn holds(&mut self, rule: &str, value: &Value) -> bool {
        let Some(program) = self.get(rule) else {
            return false;
        };
        let text = value.to_string();
        let field = match value {
            Value::String(text) => Field::Str(text),
            Value::Bool(value) => Field::Bool(*value),
            Value::Number(number) => Field::Number(number.as_f64().unwrap_or_default()),
            Value::Null => Field::Null,
            Value::Array(_) | Value::Object(_) => Field::Json(&text),
        };
        let row = [field];
        program.test(&Context::new(&[&row])).unwrap_or(false)
    }
}

/// The rule, over one input `self` whose only slot is the whole value.
fn compile(rule: &str) -> Option<Program> {
    let scope = Scope::new(&["self"]).ok()?;
    let whole: [Box<str>; 0] = [];
    let layout = Layout::new([whole.as_slice()]);
    Some(expr::compile_bool(rule, &scope).ok()?.bind(&[&layout]))
}
