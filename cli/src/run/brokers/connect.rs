//! Which broker a `ClusterStream` is on: the one that `--broker` names, or one inside this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use streaming_plan::{ClusterStream, Protocol};
use streaming_sidecar::broker::embedded::Embedded;
use streaming_sidecar::broker::{Broker, BrokerError, Consumer, Sink, open, reached_at};

use crate::assemble::Assembly;

/// A broker for every `ClusterStream`, by namespace and name.
pub(super) struct Connections {
    brokers: BTreeMap<(String, String), (Arc<dyn Broker>, ClusterStream)>,
    /// Those that are somewhere else.
    real: Vec<(String, String)>,
}

impl Connections {
    /// Takes in `CLUSTERSTREAM=URL` arguments; connects to nothing yet.
    pub(super) fn new(args: &[String], assembly: &Assembly) -> Result<Connections, String> {
        let mut brokers = BTreeMap::new();
        let mut real = Vec::new();
        for arg in args {
            // The URL may have a password: it is never repeated.
            let (name, url) = arg.split_once('=').ok_or("--broker: must be CLUSTERSTREAM=URL")?;
            let known = assembly
                .connections
                .iter()
                .filter(|((_, known), _)| known == name);
            let known: Vec<_> = known.collect();
            if known.is_empty() {
                let names: Vec<&str> = assembly
                    .connections
                    .keys()
                    .map(|(_, name)| name.as_str())
                    .collect();
                return Err(format!(
                    "--broker {name}: there is no such ClusterStream; there is {}",
                    names.join(", ")
                ));
            }
            for (key, cluster_stream) in known {
                let at =
                    reached_at(cluster_stream, url).map_err(|error| format!("--broker {name}: {error}"))?;
                let broker = open(name, &at).map_err(|error| error.to_string())?;
                brokers.insert(key.clone(), (broker, at));
                real.push(key.clone());
            }
        }
        for (key, cluster_stream) in &assembly.connections {
            brokers.entry(key.clone()).or_insert_with(|| {
                let broker: Arc<dyn Broker> = Arc::new(Embedded::new(&key.1));
                (broker, cluster_stream.clone())
            });
        }
        for plan in &assembly.plans {
            for input in &plan.inputs {
                let topic = &input.source;
                let (namespace, name) = (&plan.component.namespace, &topic.cluster_stream);
                let stream = brokers.get(&(namespace.clone(), name.clone()));
                let mqtt = stream.is_some_and(|(_, stream)| stream.protocol == Protocol::Mqtt);
                let is_real = real.contains(&(namespace.clone(), name.clone()));
                if mqtt && !is_real && topic.topic.contains(['+', '#']) {
                    return Err(format!(
                        "`{}` on `{name}` has wildcards: with --broker, name a broker for `{name}` too",
                        topic.topic
                    ));
                }
            }
        }
        Ok(Connections { brokers, real })
    }

    /// The broker of a `ClusterStream`.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<dyn Broker>> {
        let found = self.brokers.get(&(namespace.to_owned(), name.to_owned()));
        found.map(|(broker, _)| Arc::clone(broker))
    }

    /// A publisher to a `ClusterStream`, for those who are known to read it.
    pub(super) async fn sink(&self, namespace: &str, name: &str) -> Result<Arc<dyn Sink>, BrokerError> {
        let Some((broker, stream)) = self.brokers.get(&(namespace.to_owned(), name.to_owned())) else {
            return Err(BrokerError {
                broker: name.into(),
                reason: "UnknownClusterStream",
                what: "there is no ClusterStream of this name".to_owned(),
                transient: false,
            });
        };
        let consumer = |consumer: &streaming_plan::Consumer| Consumer {
            topic: consumer.topic.clone(),
            group: consumer.group.clone(),
        };
        broker
            .sink(&stream.consumers.iter().map(consumer).collect::<Vec<_>>())
            .await
    }

    /// Whether all real brokers can be reached: better said at once than tried for ever.
    pub(super) async fn check(&self) -> Result<(), BrokerError> {
        for (namespace, name) in &self.real {
            self.sink(namespace, name).await?;
        }
        Ok(())
    }
}
