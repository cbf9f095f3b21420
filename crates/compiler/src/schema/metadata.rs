//! `apiVersion`, `kind` and `metadata`: a CRD's schema leaves them out, because the API server knows them itself.

use serde_json::{Value, json};

use super::pattern::LABEL_KEY;

/// Adds to a CRD's root schema what the API server checks by itself.
pub(super) fn with_metadata(mut schema: Value) -> Value {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".into(), json!({ "type": "string" }));
        properties.insert("kind".into(), json!({ "type": "string" }));
        properties.insert("metadata".into(), metadata());
        // A status is written by the operator; what a manifest carries of one is ignored.
        properties.insert(
            "status".into(),
            json!({ "x-kubernetes-preserve-unknown-fields": true }),
        );
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("required".into(), json!(["metadata", "spec"]));
    }
    schema
}

/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
fn metadata() -> Value {
    let anything = json!({ "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "type": "object",
        "description": "The resource's name and namespace, with labels and annotations.",
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string",
                "description": "Name of the resource, unique for its kind within the namespace. Example: `tenants`.",
                "minLength": 1,
                "maxLength": 253,
                "pattern": streaming_api::pattern::RESOURCE_NAME,
            },
            "namespace": { "type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
            "labels": {
                "type": "object",
                "x-keys": LABEL_KEY,
                "additionalProperties": {
                    "type": "string",
                    "maxLength": 63,
                    "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
                },
            },
            "annotations": {
                "type": "object",
                "x-keys": LABEL_KEY,
                "additionalProperties": { "type": "string", "maxLength": 262_144 },
            },
            "generateName": { "type": "string" },
            "uid": { "type": "string" },
            "resourceVersion": { "type": "string" },
            "selfLink": { "type": "string" },
            "generation": { "type": "integer" },
            "creationTimestamp": anything,
            "deletionTimestamp": anything,
            "deletionGracePeriodSeconds": anything,
            "finalizers": anything,
            "ownerReferences": anything,
            "managedFields": anything,
        },
    })
}
