//! What the operator reports back on every kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found when the resource was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The resource's state, by aspect. `Ready` sums the others up: `True` when the resource does what it says,
    /// `False` with a reason and a message that says what is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        schema_with = "crate::embed::conditions",
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this status was made from; an older one means that the latest edit has not
    /// been seen yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// What each hop of a component's messages promises, derived from protocol, settings and window. Components only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub edges: Vec<Edge>,
}

/// One hop of a message, and its promise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// Where messages come from: `clusterStream/topic`, or a component.
    #[schemars(length(max = 1024))]
    pub from: String,
    /// Where they go: a component, `component/route`, or `clusterStream/topic`.
    #[schemars(length(max = 1024))]
    pub to: String,
    /// Whether messages may be lost or repeated on the way, why, and the setting that would improve it.
    #[schemars(length(max = 4096))]
    pub guarantee: String,
}
