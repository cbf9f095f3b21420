//! The resources that users write: `ClusterStream`, `Stream`, `Table`, `Channel`, `Joiner` and `Processor`, group
//! `streaming.vivien.io/v1alpha1`, one kind a file.
//!
//! This is where a pipeline starts, before any message moves: a manifest is checked against the schemas that
//! [`definitions`] gives (by an API server, or by the compiler on a laptop), then read into these types. Nothing
//! here does I/O or knows a client.

// Doc comments on fields become what `kubectl explain` prints, where backticks around every kind would be noise.
#![allow(clippy::doc_markdown)]
// Every printer column names its type and path, which is no duplicate.
#![allow(clippy::duplicated_attributes)]

mod channel;
mod cluster_stream;
mod duration;
mod embed;
mod joiner;
mod processor;
mod schema;
mod state;
mod status;
mod stream;
mod table;
mod target;
mod text;
mod windowing;
mod workload;

pub use channel::{Channel, ChannelMode, ChannelSpec, ChannelStream};
pub use cluster_stream::{
    ClusterStream, ClusterStreamSpec, KeySelector, Properties, PropertyFrom, Protocol, Tls,
};
pub use duration::{DurationError, parse_micros};
pub use joiner::{JoinType, Joiner, JoinerSpec, JoinerStream};
pub use processor::{Processor, ProcessorSpec};
pub use schema::definitions;
pub use state::StateSpec;
pub use status::{Edge, LastWindow, LastWindowCondition, LastWindowInput, Status};
pub use stream::{Format, Stream, StreamSpec};
pub use table::{Table, TableSpec};
pub use target::Target;
pub use text::{
    ComponentRef, Duration, Expression, InputRef, Quantity, ResourceName, Route, StreamRef, TopicName,
    pattern,
};
pub use windowing::{Emit, Windowing};
pub use workload::{ContainerTemplate, PodTemplate, Workload};

/// API group of every kind.
pub const GROUP: &str = "streaming.vivien.io";
/// The one version that there is.
pub const VERSION: &str = "v1alpha1";
/// Every kind, in the order in which a message meets them.
pub const KINDS: [&str; 6] = [
    "ClusterStream",
    "Stream",
    "Table",
    "Channel",
    "Joiner",
    "Processor",
];
