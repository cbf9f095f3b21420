//! One publisher for each `ClusterStream`, shared by results, dead letters and the container's own messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::broker::{Broker, BrokerError, Consumer, Outgoing, Sink};
use crate::retry::Retry;
use crate::status::{Connection, Status};

/// Publishes to one `ClusterStream`, once it is connected.
#[derive(Clone)]
pub(crate) struct Publisher {
    name: Arc<str>,
    sink: watch::Receiver<Option<Arc<dyn Sink>>>,
    /// Why its broker seems to be gone.
    lost: watch::Sender<Option<BrokerError>>,
    patience: Duration,
}

/// Reasons for which a broker, and not a message, is to blame.
const LOST: [&str; 3] = ["Unreachable", "ConnectionLost", "Timeout"];

impl Publisher {
    /// Publishes one message, and waits until the broker has it.
    ///
    /// # Errors
    /// What the broker said, or that it said nothing in time.
    pub(crate) async fn publish(&self, message: Outgoing) -> Result<(), BrokerError> {
        let mut results = self.publish_all(vec![message]).await;
        results.pop().unwrap_or_else(|| Err(self.no_answer()))
    }

    /// Publishes messages in order, and waits until the broker has them all. A result for each.
    pub(crate) async fn publish_all(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let count = batch.len();
        let publish = async {
            let mut sink = self.sink.clone();
            let connected = sink.wait_for(Option::is_some).await.map(|sink| sink.clone());
            let Ok(Some(sink)) = connected else {
                return vec![Err(self.error("ShuttingDown", "the sidecar is shutting down")); count];
            };
            let mut results = sink.publish(batch).await;
            results.resize_with(count, || Err(self.no_answer()));
            results
        };
        let results = timeout(self.patience, publish).await.unwrap_or_else(|_| {
            let what = "the broker did not answer in time; is it up, and reachable from here?";
            vec![Err(self.error("Timeout", what)); count]
        });
        let mut errors = results.iter().filter_map(|result| result.as_ref().err());
        if let Some(error) = errors.find(|error| LOST.contains(&error.reason)) {
            self.lost.send_replace(Some(error.clone()));
        }
        results
    }

    fn no_answer(&self) -> BrokerError {
        self.error("NoAnswer", "the broker did not say whether it took the message")
    }

    fn error(&self, reason: &'static str, what: &str) -> BrokerError {
        BrokerError {
            broker: Arc::clone(&self.name),
            reason,
            what: what.to_owned(),
            transient: true,
        }
    }
}

/// Starts a publisher for each of these `ClusterStreams`. They connect in the background, for as long as it takes.
pub(crate) fn connect(
    brokers: Vec<(String, Arc<dyn Broker>, Vec<Consumer>)>,
    patience: Duration,
    status: &Arc<Status>,
    tasks: &mut JoinSet<()>,
) -> BTreeMap<String, Publisher> {
    let mut publishers = BTreeMap::new();
    for (name, broker, consumers) in brokers {
        let (sender, sink) = watch::channel(None);
        let (lost, mut faults) = watch::channel(None);
        let connection = Connection::Publish {
            cluster_stream: name.clone(),
        };
        status.missing_because(&connection, "connecting");
        let publisher = Publisher {
            name: name.as_str().into(),
            sink,
            lost,
            patience,
        };
        publishers.insert(name.clone(), publisher);
        let status = Arc::clone(status);
        tasks.spawn(async move {
            let mut retry = Retry::new(&name);
            loop {
                match broker.sink(&consumers).await {
                    Ok(sink) => {
                        sender.send_replace(Some(sink));
                        status.connected(&connection);
                        tracing::info!(clusterStream = %name, "ready to publish");
                        // What failed before is of the past.
                        faults.mark_unchanged();
                        // The publishers' half ends with the last of them.
                        let Ok(()) = faults.changed().await else {
                            return;
                        };
                        // A sink connects again by itself, but only when it is to publish: who looks at the status
                        // may wait for that before anything is published.
                        if let Some(error) = &*faults.borrow_and_update() {
                            status.missing_because(&connection, &error.to_string());
                            tracing::warn!(%error, reason = error.reason, "can't publish any more; trying again");
                        }
                        retry.reset();
                        sleep(retry.next()).await;
                    }
                    Err(error) => {
                        status.missing_because(&connection, &error.to_string());
                        tracing::warn!(%error, reason = error.reason, "can't publish yet; trying again");
                        sleep(retry.next()).await;
                    }
                }
            }
        });
    }
    publishers
}
