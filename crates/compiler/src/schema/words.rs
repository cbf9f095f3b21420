//! How a schema's complaints are put: in the words of the person who wrote the manifest.

use serde_json::{Map, Value};

use super::check::join;
use crate::suggest;

pub(super) fn is_a(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

pub(super) fn article(wanted: &str) -> &'static str {
    match wanted {
        "object" => "an object",
        "array" => "a list",
        "string" => "a string",
        "boolean" => "true or false",
        "integer" => "an integer",
        _ => "a number",
    }
}

/// What sort of value it is, without the value itself.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What was found, with the value where it is short.
pub(super) fn what(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {:?}", shortened(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// How to write the same value as the type that is wanted, where that is plain.
pub(super) fn retype(value: &Value, wanted: &str, schema: &Value, path: &str) -> Option<String> {
    match (wanted, value) {
        ("string", Value::Number(number)) if schema["pattern"] == streaming_api::pattern::DURATION => {
            Some(format!("write it with a unit: {number}s"))
        }
        ("object", Value::String(text))
            if path
                .rsplit_once('[')
                .is_some_and(|(list, _)| list.ends_with("to")) =>
        {
            Some(format!(
                "write `component: {0}` or `stream: {0}`",
                shortened(text)
            ))
        }
        ("string", Value::Bool(true)) if is_condition(path) => {
            Some("leave it out: without a condition everything matches".to_owned())
        }
        ("string", Value::Bool(false)) if is_condition(path) => {
            Some("nothing would ever match; `suspend: true` is what stops a component".to_owned())
        }
        ("string", Value::Number(number)) if is_condition(path) => {
            Some(format!("write a condition, as in `name.field == {number}`"))
        }
        ("string", Value::Number(_) | Value::Bool(_)) => Some(format!("put it in quotes: \"{value}\"")),
        ("integer" | "number", Value::String(text)) => text
            .trim()
            .parse::<i64>()
            .ok()
            .map(|number| format!("write it without quotes: {number}")),
        ("boolean", Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some("write it without quotes: true".to_owned()),
            "false" | "no" | "off" => Some("write it without quotes: false".to_owned()),
            _ => None,
        },
        ("array", Value::String(text)) => Some(format!("write a list: [{}]", shortened(text))),
        ("array", Value::Object(_)) => Some("begin each item with `- `".to_owned()),
        ("object", Value::Array(_)) => Some("write it without the leading `- `".to_owned()),
        _ => None,
    }
}

fn is_condition(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, field)| field == "where")
}

/// What a field is for: the first sentence of its description, and its example.
pub(super) fn purpose(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    let first = text
        .split_once(". ")
        .map_or(text.trim_end_matches('.'), |(first, _)| first);
    let example = text
        .rsplit_once("Example: ")
        .map(|(_, example)| example.trim_end_matches('.'));
    Some(match example {
        Some(example) if !first.contains(example) => format!("{}; example: {example}", lower_first(first)),
        _ => lower_first(first),
    })
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // A name such as `CEL` or `HTTP` stays as it is.
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

pub(super) fn one_of(text: &str, values: &[&str]) -> String {
    let all: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    let all = all.join(", ");
    match suggest::nearest(text, values.iter().copied()) {
        Some(value) => format!("did you mean `{value}`? possible are {all}"),
        None => format!("possible are {all}"),
    }
}

/// What an unknown field should have been: a slip, a field of another place, or a list of what there is.
pub(super) fn field_help(root: &Value, siblings: &Map<String, Value>, path: &str, name: &str) -> String {
    // YAML 1.1, which kubectl reads, takes a bare `on` for true.
    if name == "true" && siblings.contains_key("on") {
        return "YAML reads a bare `on` as true; put the key in quotes: \"on\"".to_owned();
    }
    let hint = match name {
        "target" => Some(
            "recipients belong at spec.stream.to, as `- component: name/route` or `- stream: clusterStream/topic`",
        ),
        "streams" | "streamPaths" | "inputs" => Some("inputs belong at spec.stream.from"),
        "filter" | "expression" => Some("a filter belongs at spec.stream.where"),
        "serviceRoute" => Some("it takes messages from Streams, not on a route of its own; remove it"),
        _ => None,
    };
    if let Some(hint) = hint.filter(|_| siblings.contains_key("stream")) {
        return hint.to_owned();
    }
    if let Some(near) = suggest::nearest(name, siblings.keys().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    let mut elsewhere = Vec::new();
    places(root, "", name, 0, &mut elsewhere);
    if let Some(place) = elsewhere.iter().find(|place| **place != join(path, name)) {
        return format!("`{name}` belongs at {place}");
    }
    let all: Vec<&str> = siblings.keys().map(String::as_str).collect();
    match all.len() {
        0..=12 => format!("the fields here are {}", all.join(", ")),
        _ => "kubectl explain and docs/resources.md list the fields".to_owned(),
    }
}

/// Where else in our own part of the schema a field has this name.
fn places(schema: &Value, path: &str, name: &str, depth: usize, found: &mut Vec<String>) {
    if depth > 3 || path.ends_with("container") || path.ends_with("template") || path.ends_with("metadata") {
        return;
    }
    for (field, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = join(path, field);
        if field == name && depth > 0 {
            found.push(place.clone());
        }
        places(property, &place, name, depth + 1, found);
    }
}

/// What to do about too few or too many items.
pub(super) fn count_help(path: &str) -> Option<String> {
    path.ends_with("stream.from").then(|| {
        "a Joiner joins two Streams or more, a Channel reads exactly one; for a self join give a Stream two aliases, as in \
         [readings as a, readings as b]"
            .to_owned()
    })
}

/// A value as it is shown in a message.
pub(super) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
