//! What a component tells of the last window that it closed: from the sidecar to the operator, and so into the status of
//! the resource.

use serde::{Deserialize, Serialize};

/// Path on a sidecar's admin port. It answers 200 with a [`ClosedWindow`] as JSON, or 204 before the first.
pub const LAST_WINDOW: &str = "/lastwindow";

/// One window, in numbers. Fields that a reader does not know are not its business: the two may be of different releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedWindow {
    /// Its bounds, RFC 3339.
    pub start: String,
    /// The first moment that is not in it any more.
    pub end: String,
    /// Rows that came out of it.
    pub rows: u64,
    /// Evaluations of expressions that failed.
    pub errors: u64,
    /// By input, in the order of `from`.
    pub inputs: Vec<WindowInput>,
    /// By conjunct of its conditions.
    pub conditions: Vec<WindowCondition>,
    /// Why it is not all of its rows, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
}

/// One input's part of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowInput {
    /// The input's variable.
    pub name: String,
    /// Messages that arrived for the window.
    pub received: u64,
    /// Of these, how many a condition on this input alone kept out.
    pub filtered: u64,
    /// Of these, how many are in a row.
    pub matched: u64,
    /// Messages, since the window before this one closed, that came when all of their windows had closed.
    pub late: u64,
}

/// What one conjunct did in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowCondition {
    /// Its text.
    pub condition: String,
    /// Messages, or combinations of messages, for which it was not true.
    pub turned_away: u64,
    /// Of these, how many because it could not be evaluated.
    pub failed: u64,
}
