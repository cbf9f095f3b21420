//! Kubernetes' own types inside ours: their published schemas, with descriptions cut to their first sentence (a CRD
//! must stay small enough for `kubectl apply`) and with the limits that they leave out.

use k8s_openapi::api::core::v1::{
    Affinity, Container, LocalObjectReference, ResourceRequirements, Toleration, TopologySpreadConstraint,
    Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

pub(crate) fn container(g: &mut SchemaGenerator) -> Schema {
    let mut schema = embedded::<Container>(g);
    // Too new for the oldest supported cluster, or of no use behind a sidecar.
    for field in [
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "volumeDevices",
    ] {
        remove_property(&mut schema, field);
    }
    for (path, values) in [
        (
            "/properties/imagePullPolicy",
            json!(["Always", "IfNotPresent", "Never"]),
        ),
        (
            "/properties/terminationMessagePolicy",
            json!(["File", "FallbackToLogsOnError"]),
        ),
    ] {
        if let Some(field) = schema.pointer_mut(path).and_then(Value::as_object_mut) {
            field.insert("enum".into(), values);
        }
    }
    // A whole data set may be handed to a container in one variable; Linux takes 128 KiB for one.
    if let Some(value) = schema
        .pointer_mut("/properties/env/items/properties/value")
        .and_then(Value::as_object_mut)
    {
        value.insert("maxLength".into(), json!(131_072));
    }
    schema
}

pub(crate) fn resources(g: &mut SchemaGenerator) -> Schema {
    let mut schema = embedded::<ResourceRequirements>(g);
    remove_property(&mut schema, "claims");
    schema
}

pub(crate) fn volumes(g: &mut SchemaGenerator) -> Schema {
    const ALLOWED: [&str; 8] = [
        "name",
        "configMap",
        "secret",
        "emptyDir",
        "persistentVolumeClaim",
        "projected",
        "csi",
        "downwardAPI",
    ];
    let mut schema = embedded::<Volume>(g);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| ALLOWED.contains(&name.as_str()));
    }
    list_of(&schema)
}

pub(crate) fn image_pull_secrets(g: &mut SchemaGenerator) -> Schema {
    list_of(&embedded::<LocalObjectReference>(g))
}

pub(crate) fn tolerations(g: &mut SchemaGenerator) -> Schema {
    list_of(&embedded::<Toleration>(g))
}

pub(crate) fn affinity(g: &mut SchemaGenerator) -> Schema {
    embedded::<Affinity>(g)
}

pub(crate) fn topology_spread_constraints(g: &mut SchemaGenerator) -> Schema {
    list_of(&embedded::<TopologySpreadConstraint>(g))
}

/// The API conventions' condition list, with the limits that they give.
pub(crate) fn conditions(g: &mut SchemaGenerator) -> Schema {
    let mut schema = embedded::<Condition>(g);
    for (field, limits) in [
        ("status", json!({ "enum": ["True", "False", "Unknown"] })),
        ("type", json!({ "maxLength": 316 })),
        (
            "reason",
            json!({ "minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" }),
        ),
        ("message", json!({ "maxLength": 32768 })),
        ("observedGeneration", json!({ "minimum": 0 })),
    ] {
        let property = schema
            .pointer_mut(&format!("/properties/{field}"))
            .and_then(Value::as_object_mut);
        if let (Some(property), Value::Object(limits)) = (property, limits) {
            property.extend(limits);
        }
    }
    list_of(&schema)
}

/// Labels, by Kubernetes' limits for them.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    map_of(
        &json!({ "type": "string", "maxLength": 63, "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$" }),
    )
}

pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    map_of(&json!({ "type": "string", "maxLength": 16384 }))
}

fn map_of(values: &Value) -> Schema {
    json_schema!({ "type": "object", "maxProperties": 64, "additionalProperties": values })
}

fn list_of(items: &Schema) -> Schema {
    json_schema!({ "type": "array", "maxItems": 32, "items": items })
}

fn remove_property(schema: &mut Schema, name: &str) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove(name);
    }
}

fn embedded<T: JsonSchema>(g: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(g);
    if let Some(object) = schema.as_object_mut() {
        tighten(object);
    }
    schema
}

/// Adds a limit to every string, list and map that has none, and cuts descriptions, all the way down.
fn tighten(schema: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = first_sentence(text);
    }
    // Of the types used here only quantities are either.
    if schema.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        schema.insert("pattern".into(), json!(crate::text::pattern::QUANTITY));
        schema.insert("maxLength".into(), json!(64));
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") if schema.get("format").is_none() && schema.get("enum").is_none() => {
            schema.entry("maxLength").or_insert(json!(4096));
        }
        Some("array") => {
            schema.entry("maxItems").or_insert(json!(256));
        }
        Some("object") if schema.contains_key("additionalProperties") => {
            schema.entry("maxProperties").or_insert(json!(64));
        }
        _ => {}
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            tighten(inner);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            if let Value::Object(inner) = property {
                tighten(inner);
            }
        }
    }
}

/// Up to the first full stop that ends a sentence (`e.g. ` does not).
fn first_sentence(text: &str) -> String {
    let text = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    let mut from = 0;
    while let Some(at) = text[from..].find(". ").map(|at| from + at) {
        if !(text[..at].ends_with("e.g") || text[..at].ends_with("i.e") || text[..at].ends_with("etc")) {
            return text[..=at].to_owned();
        }
        from = at + 2;
    }
    text
}
