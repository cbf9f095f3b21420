//! From types to CustomResourceDefinitions: what kube's derive gives, made the way an API server and `kubectl
//! explain` want it.

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::{Channel, ClusterStream, Joiner, Processor, Stream, Table};

/// The CustomResourceDefinition of every kind as JSON, in the order of [`crate::KINDS`].
///
/// # Panics
/// Never on the types of this crate; a test calls it.
pub fn definitions() -> Vec<Value> {
    [
        ClusterStream::crd(),
        Stream::crd(),
        Table::crd(),
        Channel::crd(),
        Joiner::crd(),
        Processor::crd(),
    ]
    .iter()
    .filter_map(|crd| serde_json::to_value(crd).ok())
    .map(finish)
    .collect()
}

fn finish(mut crd: Value) -> Value {
    let kind = crd
        .pointer("/spec/names/kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(Value::Object(schema)) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        schema.remove("title");
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            describe_root(properties, &kind);
        }
        if matches!(kind.as_str(), "Channel" | "Joiner" | "Processor") {
            // A component's name becomes a Service's, so it must be a DNS label.
            schema.insert(
                "x-kubernetes-validations".into(),
                json!([{
                    "rule": "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",
                    "message": "a component's name becomes a Service's: at most 63 of a-z, 0-9 and -, beginning with a letter and ending with a letter or digit",
                }]),
            );
        }
        tidy(schema);
    }
    crd
}

/// Kubernetes describes `apiVersion`, `kind` and `metadata` itself; what is left are our two.
fn describe_root(properties: &mut Map<String, Value>, kind: &str) {
    for (name, text) in [
        ("spec", format!("What the {kind} is to be.")),
        (
            "status",
            format!("What was found when the {kind} was last looked at. Written by the operator."),
        ),
    ] {
        if let Some(Value::Object(property)) = properties.get_mut(name) {
            property.insert("description".into(), text.into());
        }
    }
}

/// Drops `nullable` and `default: null` (an API server prunes the nulls of fields that aren't nullable, which is what
/// an empty YAML value should mean), writes whole limits as integers and joins the lines of descriptions.
fn tidy(schema: &mut Map<String, Value>) {
    for key in ["nullable", "title", "default"] {
        schema.remove(key);
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text
            .split("\n\n")
            .map(|p| p.replace('\n', " "))
            .collect::<Vec<_>>()
            .join("\n\n");
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for key in ["minimum", "maximum"] {
        if let Some(limit) = schema.get_mut(key) {
            *limit = whole(limit);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            tidy(inner);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            if let Value::Object(inner) = property {
                tidy(inner);
            }
        }
    }
}

/// kube carries limits as doubles; all of ours are whole and small.
fn whole(limit: &Value) -> Value {
    match limit.as_f64() {
        #[allow(clippy::cast_possible_truncation)] // checked by the comparison
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => json!(number as i64),
        _ => limit.clone(),
    }
}
