//! What a windowed component is to do, as text: what a resource says, before any of it is compiled.
//!
//! A [`Query`] reads one or more inputs, gathers their messages into windows of time, joins them, filters the rows,
//! and sends them as they are or in groups. [`JoinSpec::compile`](crate::join::JoinSpec::compile) makes of it what
//! runs; a plan carries it from the compiler to there.

use serde::{Deserialize, Serialize};

/// A windowed query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Query {
    /// What is read, in the order of `from`.
    pub inputs: Vec<QueryInput>,
    /// Which messages come together.
    pub windows: Windows,
    /// Which rows a join gives.
    pub join: JoinKind,
    /// What joins; without it the conjuncts of `filter` over two or more inputs do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Which rows go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// What groups rows that aggregates are computed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// Which groups go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub having: Option<String>,
    /// What is made of a row or group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// How the results leave.
    pub emit: Emit,
    /// What sends a group before its window ends, and starts it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
}

/// One input of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QueryInput {
    /// Its name in expressions.
    pub variable: String,
    /// When its events happened. `None` means that they happen when they are received. Inputs that are no tables
    /// agree in whether they have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<EventTime>,
    /// The key of its messages, if only the latest of each key counts: then it is a table, and has no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// When the events of an input happened, and how long others are waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EventTime {
    /// A timestamp, an RFC 3339 string or milliseconds since the epoch, out of the input's variable.
    pub timestamp: String,
    /// Microseconds that an event may come after one that happened later.
    pub out_of_orderness: i64,
    /// Microseconds without a message after which the input holds nothing back. `None`: it always does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<i64>,
}

/// How time is divided. All lengths are in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Windows {
    /// One that never ends: what is in it leaves by a trigger, or message by message.
    #[default]
    Unbounded,
    /// Back to back, at multiples of their length since the epoch.
    Tumbling {
        /// Of each.
        length: i64,
    },
    /// Of a length, one starting at each multiple of `slide` since the epoch.
    Hopping {
        /// Of each.
        length: i64,
        /// From the start of one to that of the next; at most `length`.
        slide: i64,
    },
    /// From an event to the first pause.
    Session {
        /// How long a pause ends it.
        gap: i64,
        /// The longest that it lasts.
        max: i64,
    },
}

/// Which rows a join gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    /// Those that match.
    #[default]
    Inner,
    /// And those of the inputs before that match nothing.
    Left,
    /// And those of the next input that match nothing.
    Right,
    /// And both.
    Full,
    /// Only those of the first input that match nothing.
    Anti,
}

/// How a window's results leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Emit {
    /// One event a window: a JSON array of all results.
    #[default]
    Batch,
    /// One event a result.
    Each,
    /// One event a group, early, and again when the group has changed.
    Updates,
}
