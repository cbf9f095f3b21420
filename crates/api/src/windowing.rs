//! The fields about windows that Joiners and Channels share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::StateSpec;
use crate::text::{Duration, Expression, StreamRef};

/// How events are grouped in time and how the groups leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Windowing {
    /// Starts a new window this often, so that windows overlap (a hopping window). At most `window`. Without it
    /// windows follow each other (tumbling). Example: `window: 1m` with `slide: 10s` looks at the last minute every
    /// ten seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slide: Option<Duration>,
    /// Closes a window after this long without an event (a session window); `window` is then the longest that a
    /// session may last. Excludes `slide`. Example: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Duration>,
    /// CEL expressions whose values form the groups that aggregates are computed over; without it all rows of a
    /// window are one group. Example: `[panels.Panel_id]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub group_by: Vec<Expression>,
    /// CEL condition on a group, aggregates included; groups for which it is not true are left out. Example:
    /// `count() >= 2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub having: Option<Expression>,
    /// How a window's rows leave: `Batch` (the default), one JSON array a window; `Each`, one message a row;
    /// `Updates`, early results that later ones replace. A window without rows sends nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emit: Option<Emit>,
    /// Where events go that come after their window has closed: a Stream's name, or `clusterStream/topic`. Without
    /// it they are dropped and counted. Only event time (a Stream's `timestamp`) has late events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_to: Option<StreamRef>,
    /// Where messages go that can't be used (undecodable, or `select` fails on them): a Stream's name, or
    /// `clusterStream/topic`, or a topic of the input's own ClusterStream. Default: the input Stream's `deadLetter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<StreamRef>,
    /// Keeps the messages of open windows on disk: they are acked as soon as they are durable there, so that a window
    /// may be longer than a broker waits for an ack, and are back after a crash. Without it they stay with their
    /// brokers until the window's results are delivered. Example: `{storage: 1Gi}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateSpec>,
}

/// How a window's rows leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // the field that holds it says what each means
pub enum Emit {
    #[default]
    Batch,
    Each,
    Updates,
}
