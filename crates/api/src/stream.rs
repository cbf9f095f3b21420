//! `Stream`: a topic on a broker, and who receives it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cluster_stream::Properties;
use crate::status::Status;
use crate::text::{Duration, Expression, ResourceName, Route, StreamRef, TopicName};

/// A topic and who receives it.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "streaming.vivien.io",
    version = "v1alpha1",
    kind = "Stream",
    namespaced,
    status = "Status",
    shortname = "st",
    category = "streaming",
    derive = "PartialEq",
    doc = "A Stream is a topic on a ClusterStream: what its messages look like and who receives them.",
    printcolumn(
        name = "ClusterStream",
        type_ = "string",
        json_path = ".spec.clusterStream",
        description = "Broker connection"
    ),
    printcolumn(
        name = "Topic",
        type_ = "string",
        json_path = ".spec.topic",
        description = "Topic on the broker"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the Stream can be used"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it can or can't",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.timestamp) || (!has(self.outOfOrderness) && !has(self.idleTimeout))",
    "message": "outOfOrderness and idleTimeout need timestamp",
}]))]
pub struct StreamSpec {
    /// Name of the ClusterStream, in the same namespace, that the topic is on.
    pub cluster_stream: ResourceName,
    /// Name of the topic: a Redis stream key, a RabbitMQ exchange or an MQTT topic filter. Example: `poweruse`.
    pub topic: TopicName,
    /// Components that receive the messages. A Processor named here gets each message posted to its route. Joiners
    /// and Channels take what their own `stream.from` names, whether or not they are listed here. Without recipients
    /// (and without a Joiner or Channel that reads it) the Stream delivers to nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub recipients: Vec<ResourceName>,
    /// HTTP route that messages are posted to on every Processor in `recipients`. Default: the Processor's own
    /// `serviceRoute`, or else the topic. Example: `/greetings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Settings of the subscription that differ from the ClusterStream's, by the same names. Example:
    /// `prefetchCount: "50"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Properties>,
    /// CEL expression for the time at which an event happened; it turns windows over this Stream from receipt time
    /// to event time. The message is known by the Stream's name, as in a Joiner. It gives a timestamp, an RFC 3339
    /// string, or a number of milliseconds since the epoch. Example: `panelinfo.time_data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Expression>,
    /// How far behind the newest event another may come and still be in time. Needs `timestamp`. Example: `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_orderness: Option<Duration>,
    /// After this long without a message the Stream no longer holds back windows that other Streams fill. Needs
    /// `timestamp`. Example: `1m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// Where messages go that can't be used: a Stream's name, `clusterStream/topic`, or a topic of this Stream's own
    /// ClusterStream. Default: `<topic>.dead-letter` on the same ClusterStream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<StreamRef>,
    /// How often one message is delivered to a Processor before it goes to the dead letter. 0, the default, never
    /// gives up: a recipient that is down for an hour gets its messages when it is back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_deliveries: Option<i32>,
    /// What a payload is: `json` (the default), one JSON value; `jsonArray`, an array whose elements are a message
    /// each; `csv`; `text`, one string; `bytes`; `binary`, a binary record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the field that holds it says what each means
pub enum Format {
    #[default]
    Json,
    JsonArray,
    Csv,
    Text,
    Bytes,
    Binary,
}
