//! `Joiner`: joins Streams over a time window.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::target::Target;
use crate::text::{Duration, Expression, InputRef};
use crate::windowing::Windowing;
use crate::workload::Workload;

/// Joins two or more Streams over a time window.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "streaming.vivien.io",
    version = "v1alpha1",
    kind = "Joiner",
    namespaced,
    status = "Status",
    shortname = "jn",
    category = "streaming",
    derive = "PartialEq",
    doc = "A Joiner joins the messages of two or more Streams that fall into the same time window.",
    printcolumn(
        name = "Window",
        type_ = "string",
        json_path = ".spec.window",
        description = "Length of the window"
    ),
    printcolumn(
        name = "From",
        type_ = "string",
        json_path = ".spec.stream.from",
        description = "Streams that are joined"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the Joiner runs as it says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it does or doesn't",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    ),
    printcolumn(
        name = "Guarantees",
        type_ = "string",
        json_path = ".status.guarantees",
        description = "What each hop promises, and the setting that would improve it",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.slide) || !has(self.gap)",
        "message": "slide and gap exclude each other: a window hops or follows sessions",
    },
    {
        "rule": "has(self.window) || (!has(self.slide) && !has(self.gap))",
        "message": "slide and gap need window",
    },
    {
        "rule": "!has(self.slide) || !has(self.window) || duration(self.slide) <= duration(self.window)",
        "message": "slide must not be longer than window, or events between windows would be lost",
    },
    {
        "rule": "!has(self.gap) || !has(self.window) || duration(self.gap) <= duration(self.window)",
        "message": "gap must not be longer than window, which is the longest that a session lasts",
    },
]))]
pub struct JoinerSpec {
    /// Port on which the component serves health, metrics and what other components post to it.
    #[schemars(range(min = 1, max = 65535))]
    pub service_port: i32,
    /// Length of the time window. Messages join only within one window; bounds are multiples of it since
    /// 1970-01-01T00:00:00Z. Only a Joiner of one Stream with Tables does without, and looks each message up as it comes.
    /// Example: `20s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// What is joined, how, and where the rows go.
    pub stream: JoinerStream,
    /// Which rows the join gives: `inner` (the default), those that match; `left`, `right` and `full`, also the
    /// unmatched of that side; `anti`, only the unmatched of the first.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub join_type: Option<JoinType>,
    #[allow(missing_docs)]
    #[serde(flatten)]
    pub windowing: Windowing,
    #[allow(missing_docs)]
    #[serde(flatten)]
    pub workload: Workload,
}

/// What a Joiner reads, computes and sends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinerStream {
    /// What to join, two or more: each the name of a Stream or a Table, or failing that the topic of exactly one Stream.
    /// `name as alias` gives another name to use in expressions, and lets a Stream join itself. In expressions every
    /// character outside `[A-Za-z0-9_]` of a name becomes `_`. Example: `[tenants, poweruse]`.
    #[schemars(length(min = 2, max = 16))]
    pub from: Vec<InputRef>,
    /// Recipients; every one of them gets every result.
    #[schemars(length(min = 1, max = 32))]
    pub to: Vec<Target>,
    /// CEL expression for an output row. Default: an object with each input's message under its name. Example:
    /// `{"tenant": tenants.tenant_id, "kwh": poweruse.kwh_use}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Expression>,
    /// CEL condition on a row of one message from each input. Without `on`, what it says about two inputs is the
    /// join. Default: true, so that every combination is a row. Example: `tenants.tenant_id == poweruse.tenant_id`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expression>,
    /// CEL condition that joins; `where` then filters what was joined, as in SQL. Write the key in quotes, because
    /// YAML 1.1 takes a bare `on` for `true`. Example: `"on": a.id == b.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Expression>,
}

/// Which rows a join gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the field that holds it says what each means
pub enum JoinType {
    #[default]
    Inner,
    Left,
    Right,
    Full,
    Anti,
}
