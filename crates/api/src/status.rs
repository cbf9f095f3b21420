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
    /// What the edges promise, in one line. Components only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub guarantees: Option<String>,
    /// The last window that the operator has seen a component close, written twice a minute at most: why there are no
    /// rows, if there are none. Components with windows only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_window: Option<LastWindow>,
}

/// What became of one window's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastWindow {
    /// The first moment of the window, RFC 3339.
    #[schemars(length(max = 64))]
    pub start: String,
    /// The first moment after it, RFC 3339.
    #[schemars(length(max = 64))]
    pub end: String,
    /// Rows that came out of it.
    #[schemars(range(min = 0))]
    pub rows: i64,
    /// Evaluations of expressions that failed.
    #[schemars(range(min = 0))]
    pub errors: i64,
    /// By input, in the order of `from`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub inputs: Vec<LastWindowInput>,
    /// By conjunct of `on` and `where`.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub conditions: Vec<LastWindowCondition>,
    /// Why these are not all of its rows: `JoinTooLarge` or `ResultOverBudget`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub cut_short: Option<String>,
}

/// One input's part of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastWindowInput {
    /// The input's name in expressions.
    #[schemars(length(max = 256))]
    pub name: String,
    /// Messages that arrived for the window.
    #[schemars(range(min = 0))]
    pub received: i64,
    /// Of these, how many a condition on this input alone kept out.
    #[schemars(range(min = 0))]
    pub filtered: i64,
    /// Of these, how many are in a row together with messages of other inputs.
    #[schemars(range(min = 0))]
    pub matched: i64,
    /// Messages, since the window before this one closed, that came when all of their windows had closed.
    #[schemars(range(min = 0))]
    pub late: i64,
}

/// What one conjunct of `on` or `where` did in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastWindowCondition {
    /// Its text; of a long one, the beginning.
    #[schemars(length(max = 1024))]
    pub condition: String,
    /// Messages, or combinations of messages, for which it was not true; of an equality that is looked up, lookups
    /// that found nothing.
    #[schemars(range(min = 0))]
    pub turned_away: i64,
    /// Of these, how many because it could not be evaluated.
    #[schemars(range(min = 0))]
    pub failed: i64,
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
    /// The setting that would improve it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub improve: Option<String>,
}
