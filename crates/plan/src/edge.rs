//! What an edge of the pipeline promises.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One hop of a message between two named places, with what it promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// Where messages come from: `clusterStream/topic` or a component's name.
    pub from: String,
    /// Where they go: a component's name, `component/route` or `clusterStream/topic`.
    pub to: String,
    /// What is promised on the way.
    pub guarantee: Guarantee,
}

/// The promise of an edge, derived from protocol, settings and window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guarantee {
    /// Why a message may be lost; `None` if every message arrives at least once.
    pub loss: Option<String>,
    /// Why a message may arrive more than once or regroup; `None` if it can't.
    pub repeats: Option<String>,
    /// The setting that would improve the promise, if there is one.
    pub improve: Option<String>,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.loss {
            None => f.write_str("at least once")?,
            Some(why) => write!(f, "may be lost: {why}")?,
        }
        match &self.repeats {
            Some(why) => write!(f, "; repeats possible: {why}")?,
            None => f.write_str("; no repeats")?,
        }
        if let Some(setting) = &self.improve {
            write!(f, " (better with {setting})")?;
        }
        Ok(())
    }
}
