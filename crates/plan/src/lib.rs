//! The typed plan: what the compiler hands to whatever runs a component.
//!
//! One [`Plan`] describes one component (a Joiner, Channel or Processor) completely: where its messages come
//! from, what is done with them, where the results go, and what each edge guarantees. It is serialised as JSON,
//! carries a version, and holds no Kubernetes types, so a runner needs neither a client nor the resources.
//! Expressions travel as source text; the runner compiles them again with the same engine.

mod edge;
mod topic;
pub mod window;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use edge::{Edge, Guarantee};
pub use streaming_engine::query::{Emit, EventTime, JoinKind, Query, QueryInput, Windows};

/// Version of the plan's format. A runner refuses a plan of another version.
pub const VERSION: u32 = 2;

/// Everything that one component needs to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Always [`VERSION`].
    pub version: u32,
    /// The resource that this plan was compiled from.
    pub component: ComponentRef,
    /// Connections by `ClusterStream` name: all that inputs, outputs, dead letters and `publishes` use.
    pub cluster_streams: BTreeMap<String, ClusterStream>,
    /// The component's inputs, in the order of `stream.from` (for a Processor: by Stream name).
    pub inputs: Vec<Input>,
    /// What the component does with its inputs.
    pub role: Role,
    /// Where results go. Every output receives every result. A Relay has results only if its container hands some to
    /// its sidecar; what it relays goes to the container alone, at [`Input::route`].
    pub outputs: Vec<Output>,
    /// Where events go that are late for all of their windows; `None` drops them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_to: Option<Topic>,
    /// `ClusterStream`s that the component's own container may publish to.
    pub publishes: Vec<String>,
    /// The container that runs beside the component's sidecar; `None` where the component has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// How many pods run the component and share what comes in; only where a broker must be told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<u32>,
    /// Upper bound, in bytes, of what the component holds in memory.
    pub memory_budget: u64,
    /// Where the component keeps messages of open windows, so that it acks them when they are durable; `None` leaves
    /// them with their brokers until the windows' results are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

/// Where a component keeps what outlives its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    /// A directory of its own.
    pub path: String,
}

impl Plan {
    /// The topics that it publishes results and late events to.
    pub fn published(&self) -> impl Iterator<Item = &Topic> {
        let outputs = self.outputs.iter().filter_map(|output| match output {
            Output::Stream(topic) => Some(topic),
            Output::Component { .. } => None,
        });
        outputs.chain(&self.late_to)
    }
}

/// The user's own container, in the same pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    /// The port on which it takes messages by HTTP.
    pub port: u16,
}

/// Identifies a component, across restarts and in row ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentRef {
    /// `Joiner`, `Channel` or `Processor`.
    pub kind: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource; also the consumer group on brokers.
    pub name: String,
    /// The resource's uid, or `namespace/kind/name` where no API server gave one. Part of every row id.
    pub uid: String,
}

/// A broker connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterStream {
    /// The wire protocol.
    pub protocol: Protocol,
    /// Settings by the names of Dapr's pub/sub components.
    pub properties: BTreeMap<String, String>,
    /// Settings whose values are in files, which are read whenever something connects. They win over `properties`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, PropertyFile>,
    /// Who reads which of its topics, sorted; only where the broker forgets what is published before there is a
    /// queue. Whoever publishes declares these queues first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<Consumer>,
}

/// The file that a property's value is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PropertyFile {
    /// Where it is.
    pub path: String,
    /// Whether the property is just not set where there is no such file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// A group that reads a topic, whether or not it runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consumer {
    /// The topic.
    pub topic: String,
    /// The component's name.
    pub group: String,
}

/// Protocols that a `ClusterStream` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Redis Streams.
    Redis,
    /// `RabbitMQ`, AMQP 0-9-1.
    RabbitMq,
    /// MQTT 5, or 3.1.1 where the broker has no 5.
    Mqtt,
}

/// A topic on a `ClusterStream`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Topic {
    /// Name of the `ClusterStream`, a key of [`Plan::cluster_streams`].
    pub cluster_stream: String,
    /// Name of the topic on that broker.
    pub topic: String,
}

/// One input of a component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// The variable that expressions know it by.
    pub variable: String,
    /// Name of the Stream resource.
    pub stream: String,
    /// What is subscribed to.
    pub source: Topic,
    /// Settings of this subscription that differ from the `ClusterStream`'s.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Where messages that can't be used go. `None` where the input is itself a dead-letter stream: its failures are
    /// retried and never dead-lettered again.
    pub dead_letter: Option<Topic>,
    /// Deliveries of one message before it is dead-lettered; 0 means no limit.
    pub max_deliveries: u32,
    /// For a Processor: the HTTP route that this input's messages are posted to, without its leading slash.
    pub route: Option<String>,
}

/// What a component does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields,
    tag = "kind"
)]
pub enum Role {
    /// Gathers messages into windows, joins them, and sends rows or groups.
    Window(Query),
    /// Filters and maps one input, message by message.
    Map {
        /// The filter, CEL.
        r#where: Option<String>,
        /// The output, CEL.
        select: Option<String>,
    },
    /// Hands messages to the component's own container, as they are.
    Relay {
        /// Messages in flight per input.
        concurrency: u32,
    },
}

/// A recipient of results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields,
    tag = "kind"
)]
pub enum Output {
    /// `POST http://component.namespace:port/route`.
    Component {
        /// Name of the component.
        component: String,
        /// Route, without its leading slash.
        route: String,
        /// The component's `servicePort`.
        port: u16,
    },
    /// Publish to a topic.
    Stream(Topic),
}
