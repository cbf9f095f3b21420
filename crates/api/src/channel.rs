//! `Channel`: filters and maps one Stream.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::target::Target;
use crate::text::{Duration, Expression, InputRef};
use crate::windowing::Windowing;
use crate::workload::Workload;

/// Filters and maps one Stream, message by message.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "streaming.vivien.io",
    version = "v1alpha1",
    kind = "Channel",
    namespaced,
    status = "Status",
    shortname = "ch",
    category = "streaming",
    derive = "PartialEq",
    doc = "A Channel filters and maps the messages of one Stream and hands them on.",
    printcolumn(
        name = "From",
        type_ = "string",
        json_path = ".spec.stream.from",
        description = "Stream that is read"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the Channel runs as it says"
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
        "rule": "!has(self.trigger) || (has(self.mode) && self.mode == 'aggregate')",
        "message": "trigger needs mode: aggregate",
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
pub struct ChannelSpec {
    /// Port on which the component serves health, metrics and what other components post to it.
    #[schemars(range(min = 1, max = 65535))]
    pub service_port: i32,
    /// What is read, how it is filtered and mapped, and where it goes.
    pub stream: ChannelStream,
    /// `stream` (the default) handles each message by itself; `aggregate` collects messages until `trigger` is true or
    /// `window` ends, and sends what they add up to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ChannelMode>,
    /// CEL condition, with `mode: aggregate`, that sends what has been collected. Example: `count() >= 100`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Expression>,
    /// Length of the time window that messages are collected over; without it each message is handled by itself.
    /// Bounds are multiples of it since 1970-01-01T00:00:00Z. Example: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    #[allow(missing_docs)]
    #[serde(flatten)]
    pub windowing: Windowing,
    #[allow(missing_docs)]
    #[serde(flatten)]
    pub workload: Workload,
}

/// What a Channel reads, computes and sends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelStream {
    /// The Stream to read, exactly one: its name, or failing that the topic of exactly one Stream. `name as alias`
    /// gives another name to use in expressions. In expressions every character outside `[A-Za-z0-9_]` of a name
    /// becomes `_`. Example: `[greetings]`.
    #[schemars(length(min = 1, max = 1))]
    pub from: Vec<InputRef>,
    /// Recipients; every one of them gets every result.
    #[schemars(length(min = 1, max = 32))]
    pub to: Vec<Target>,
    /// CEL expression for the output. Default: the message as it came. Example: `{"text": greetings.greeting + "!"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Expression>,
    /// CEL condition; messages for which it is not true go no further. Default: true. Example:
    /// `int(greetings.id) % 5 == 0`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expression>,
}

/// How a Channel treats messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the field that holds it says what each means
pub enum ChannelMode {
    #[default]
    Stream,
    Aggregate,
}
