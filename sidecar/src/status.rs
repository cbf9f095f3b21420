//! What the process is still waiting for: what `/readyz` says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Metrics;

/// The connections that a component needs, and why some are not there.
#[derive(Debug)]
pub(crate) struct Status {
    missing: Mutex<BTreeMap<Connection, String>>,
    metrics: Arc<Metrics>,
}

/// One use of a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Connection {
    /// Reading a topic.
    Read { cluster_stream: String, topic: String },
    /// Publishing.
    Publish { cluster_stream: String },
    /// The component's own storage.
    State,
}

impl std::fmt::Display for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Connection::Read {
                cluster_stream,
                topic,
            } => write!(f, "reading {cluster_stream}/{topic}"),
            Connection::Publish { cluster_stream } => write!(f, "publishing to {cluster_stream}"),
            Connection::State => f.write_str("keeping state"),
        }
    }
}

impl Status {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Status {
        Status {
            missing: Mutex::default(),
            metrics,
        }
    }

    /// A connection is there.
    pub(crate) fn connected(&self, connection: &Connection) {
        self.missing().remove(connection);
        self.metrics.connected(connection, true);
    }

    /// A connection is not there, or no more.
    pub(crate) fn missing_because(&self, connection: &Connection, why: &str) {
        self.missing().insert(connection.clone(), why.to_owned());
        self.metrics.connected(connection, false);
    }

    /// What is not there, a line each. Empty if the component can work.
    pub(crate) fn report(&self) -> Vec<String> {
        let missing = self.missing();
        missing
            .iter()
            .map(|(what, why)| format!("{what}: {why}"))
            .collect()
    }

    fn missing(&self) -> std::sync::MutexGuard<'_, BTreeMap<Connection, String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
