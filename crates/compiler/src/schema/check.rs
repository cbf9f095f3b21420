//! Walks a value along its schema. Recursion is as deep as the schema, never as deep as the value.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::rules::Rules;
use super::{Finding, pattern, words};
use crate::reason;

/// Checks values against schemas; keeps what it has compiled for the next resource.
#[derive(Default)]
pub(crate) struct Checker {
    patterns: pattern::Patterns,
    rules: Rules,
}

impl Checker {
    /// Everything about `value` that the schema does not accept, in the order of the schema's rules: fields first, and
    /// if all of them are fine by themselves, what must hold between them.
    pub(crate) fn check(&mut self, schema: &Value, value: &Value) -> Vec<Finding> {
        let mut walk = Walk {
            patterns: &mut self.patterns,
            root: schema,
            found: Vec::new(),
        };
        walk.node(schema, value, "");
        let mut found = walk.found;
        if found.is_empty() {
            self.rules.check(schema, value, "", &mut found);
        }
        found
    }
}

struct Walk<'w> {
    patterns: &'w mut pattern::Patterns,
    root: &'w Value,
    found: Vec<Finding>,
}

/// The path of a field below another.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

impl Walk<'_> {
    fn add(&mut self, field: &str, reason: &'static str, message: impl Into<String>, help: Option<String>) {
        self.found.push(Finding {
            field: field.to_owned(),
            reason,
            message: message.into(),
            help,
        });
    }

    fn node(&mut self, schema: &Value, value: &Value, path: &str) {
        if schema["x-kubernetes-int-or-string"] == true {
            if !(value.is_string() || value.is_i64() || value.is_u64()) {
                let message = format!("must be an integer or a string, not {}", words::what(value));
                self.add(path, reason::WRONG_TYPE, message, None);
            } else if let Some(text) = value.as_str() {
                self.string(schema, text, path);
            }
            return;
        }
        let Some(wanted) = schema["type"].as_str() else {
            return;
        };
        if !words::is_a(value, wanted) {
            // A property's value may be a password, and messages end up in logs and conditions.
            let (found, help) = if path == "spec.properties" || path.starts_with("spec.properties.") {
                let help = match value {
                    Value::Number(_) | Value::Bool(_) => Some("put it in quotes".to_owned()),
                    Value::Array(_) => words::retype(value, wanted, schema, path),
                    _ => None,
                };
                (words::kind(value).to_owned(), help)
            } else {
                (words::what(value), words::retype(value, wanted, schema, path))
            };
            let message = format!("must be {}, not {found}", words::article(wanted));
            return self.add(path, reason::WRONG_TYPE, message, help);
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, path),
            Value::Array(items) => self.array(schema, items, path),
            Value::String(text) => self.string(schema, text, path),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or_default(), path),
            _ => {}
        }
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        if let Some(most) = schema["maxProperties"]
            .as_u64()
            .filter(|most| fields.len() as u64 > *most)
        {
            self.add(
                path,
                reason::TOO_MANY,
                format!("has {} entries; at most {most} are possible", fields.len()),
                None,
            );
            return;
        }
        if let Some(values) = schema.get("additionalProperties") {
            for (name, value) in fields {
                let field = join(path, name);
                if let Some(keys) = schema["x-keys"]
                    .as_str()
                    .filter(|keys| !self.patterns.matches(keys, name))
                {
                    let message = format!("`{name}` can't be a key here");
                    self.add(
                        &field,
                        reason::INVALID_FORMAT,
                        message,
                        Some(pattern::words(keys, name)),
                    );
                }
                self.node(values, value, &field);
            }
            return;
        }
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !fields.contains_key(name) {
                let help = properties.get(name).and_then(words::purpose);
                self.add(
                    &join(path, name),
                    reason::REQUIRED,
                    format!("`{name}` is required"),
                    help,
                );
            }
        }
        for (name, value) in fields {
            let field = join(path, name);
            if let Some(property) = properties.get(name) {
                self.node(property, value, &field);
            } else {
                let place = if path.is_empty() { "a resource" } else { path };
                let message = format!("{place} has no field `{name}`");
                let help = words::field_help(self.root, properties, path, name);
                self.add(&field, reason::UNKNOWN_FIELD, message, Some(help));
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], path: &str) {
        let count = items.len() as u64;
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| count > *most) {
            let message = format!(
                "has {count} items; at most {most} {} possible",
                if most == 1 { "is" } else { "are" }
            );
            return self.add(path, reason::TOO_MANY, message, words::count_help(path));
        }
        if let Some(least) = schema["minItems"].as_u64().filter(|least| count < *least) {
            let has = match count {
                0 => "is empty".to_owned(),
                1 => "has 1 item".to_owned(),
                _ => format!("has {count} items"),
            };
            let message = format!(
                "{has}; at least {least} {} needed",
                if least == 1 { "is" } else { "are" }
            );
            self.add(path, reason::TOO_FEW, message, words::count_help(path));
        }
        for (at, item) in items.iter().enumerate() {
            self.node(&schema["items"], item, &format!("{path}[{at}]"));
        }
        self.repeats(schema, items, path);
    }

    /// Lists that are sets, or maps by a key, must not repeat themselves.
    fn repeats(&mut self, schema: &Value, items: &[Value], path: &str) {
        let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if keys.is_empty() && schema["x-kubernetes-list-type"] != "set" {
            return;
        }
        let mut seen = HashSet::new();
        for (at, item) in items.iter().enumerate() {
            let identity = match keys.first() {
                Some(_) => keys.iter().map(|key| item[*key].to_string()).collect(),
                None => item.to_string(),
            };
            if !seen.insert(identity) {
                let message = "repeats an item of the list".to_owned();
                self.add(
                    &format!("{path}[{at}]"),
                    reason::DUPLICATE,
                    message,
                    Some("remove it".into()),
                );
            }
        }
    }

    fn string(&mut self, schema: &Value, text: &str, path: &str) {
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            if !values.contains(&text) {
                let message = format!("`{}` is not possible here", words::shortened(text));
                let help = words::one_of(text, &values);
                self.add(path, reason::NOT_ONE_OF, message, Some(help));
            }
            return;
        }
        let length = text.chars().count() as u64;
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            let message = format!("has {length} characters; at most {most} are possible");
            return self.add(path, reason::TOO_LONG, message, None);
        }
        if text.is_empty() && schema["minLength"].as_u64().is_some_and(|least| least > 0) {
            return self.add(
                path,
                reason::TOO_SHORT,
                "must not be empty",
                words::purpose(schema),
            );
        }
        if let Some(expected) = schema["pattern"].as_str() {
            self.pattern(expected, text, path);
        } else if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
            let message = format!("has {length} characters; at least {least} are needed");
            self.add(path, reason::TOO_SHORT, message, None);
        }
    }

    fn pattern(&mut self, expected: &str, text: &str, path: &str) {
        if expected == streaming_api::pattern::DURATION {
            let error = match streaming_api::parse_micros(text) {
                Err(error) => error.to_string(),
                Ok(_) if self.patterns.matches(expected, text) => return,
                Ok(_) => {
                    "is finer than a millisecond: s, m and h may have three decimals, ms none".to_owned()
                }
            };
            self.add(
                path,
                reason::INVALID_DURATION,
                format!("`{}` {error}", words::shortened(text)),
                Some("examples: 500ms, 20s, 1m30s, 2h".into()),
            );
        } else if !self.patterns.matches(expected, text) {
            let (reason, what) = if expected == streaming_api::pattern::QUANTITY {
                (reason::INVALID_QUANTITY, "is no quantity")
            } else {
                (
                    reason::INVALID_FORMAT,
                    "does not have the form that is needed here",
                )
            };
            let message = format!("`{}` {what}", words::shortened(text));
            self.add(path, reason, message, Some(pattern::words(expected, text)));
        }
    }

    fn number(&mut self, schema: &Value, number: f64, path: &str) {
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("from {least} to {most}"),
                (Some(least), None) => format!("{least} or more"),
                (None, Some(most)) => format!("{most} or less"),
                (None, None) => String::new(),
            };
            self.add(
                path,
                reason::OUT_OF_RANGE,
                format!("is {number}; it must be {range}"),
                words::purpose(schema),
            );
        } else if schema["format"] == "int32" && number.abs() > f64::from(i32::MAX) {
            self.add(path, reason::OUT_OF_RANGE, format!("{number} is too large"), None);
        }
    }
}
