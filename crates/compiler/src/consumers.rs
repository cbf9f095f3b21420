//! Who must have a queue before anything is published: on brokers that keep a message only for the queues that are
//! there, every plan carries all of them, so that whoever publishes first declares them.
//!
//! What a component reads counts even while the component itself has a problem or is suspended: its messages wait
//! for it. Dead letters that nobody reads get a queue too, in which they wait for a person.

use std::collections::{BTreeMap, BTreeSet};

use streaming_plan::{ClusterStream, Consumer, Plan, Protocol, Topic};

use crate::catalog::Catalog;
use crate::document::{Kind, Resource, Spec};
use crate::inputs;
use crate::problem::Report;
use crate::streams::{Resolved, Streams, is_read_by};

/// The group whose queue keeps dead letters that no component reads. The same whichever component they come from, so
/// that there is one queue to look into.
const KEEPER: &str = "dead-letter";

/// The consumers of each `ClusterStream`, by namespace and name.
pub(crate) struct Consumers(BTreeMap<(String, String), BTreeSet<Consumer>>);

impl Consumers {
    /// Finds all subscriptions, and the dead letters of `plans` that none of them reads.
    pub(crate) fn new(
        resources: &[Resource],
        catalog: &Catalog<'_>,
        streams: &Streams<'_>,
        plans: &[Plan],
    ) -> Consumers {
        let mut consumers = Consumers(BTreeMap::new());
        for resource in resources.iter().filter(|resource| resource.kind.is_component()) {
            for stream in reads(resource, catalog, streams) {
                if forgets(crate::component::protocol(stream.cluster.protocol)) {
                    consumers.add(&resource.namespace, &stream.topic, &resource.name);
                }
            }
        }
        for plan in plans {
            for to in plan.inputs.iter().filter_map(|input| input.dead_letter.as_ref()) {
                let namespace = &plan.component.namespace;
                let connection = plan.cluster_streams.get(&to.cluster_stream);
                if connection
                    .is_some_and(|c| forgets(c.protocol) && !consumers.is_read(namespace, to, c.protocol))
                {
                    consumers.add(namespace, to, KEEPER);
                }
            }
        }
        consumers
    }

    /// Those of a `ClusterStream`, sorted.
    pub(crate) fn fill(&self, namespace: &str, name: &str, connection: &mut ClusterStream) {
        if let Some(consumers) = self.0.get(&(namespace.to_owned(), name.to_owned())) {
            connection.consumers = consumers.iter().cloned().collect();
        }
    }

    fn add(&mut self, namespace: &str, topic: &Topic, group: &str) {
        let key = (namespace.to_owned(), topic.cluster_stream.clone());
        self.0.entry(key).or_default().insert(Consumer {
            topic: topic.topic.clone(),
            group: group.to_owned(),
        });
    }

    fn is_read(&self, namespace: &str, topic: &Topic, protocol: Protocol) -> bool {
        let key = (namespace.to_owned(), topic.cluster_stream.clone());
        let protocol = match protocol {
            Protocol::Redis => streaming_api::Protocol::Redis,
            Protocol::RabbitMq => streaming_api::Protocol::RabbitMq,
            Protocol::Mqtt => streaming_api::Protocol::Mqtt,
        };
        let read = |consumer: &Consumer| is_read_by(protocol, &topic.topic, &consumer.topic);
        self.0.get(&key).is_some_and(|known| known.iter().any(read))
    }
}

/// Whether a broker of this protocol forgets what is published to a topic that no queue is bound to.
fn forgets(protocol: Protocol) -> bool {
    match protocol {
        Protocol::RabbitMq | Protocol::Mqtt => true,
        Protocol::Redis => false,
    }
}

/// The Streams that a component reads. What is wrong with it is reported where its plan is built.
fn reads<'s, 'r>(
    resource: &Resource,
    catalog: &Catalog<'r>,
    streams: &'s Streams<'r>,
) -> Vec<&'s Resolved<'r>> {
    let from = match &resource.spec {
        Some(Spec::Joiner(spec)) => &spec.stream.from,
        Some(Spec::Channel(spec)) => &spec.stream.from,
        Some(_) if resource.kind == Kind::Processor => {
            return streams.received_by(&resource.namespace, &resource.name).collect();
        }
        _ => return Vec::new(),
    };
    let found = inputs::resolve(resource, from, catalog, streams, &mut Report::default());
    found
        .resolved
        .into_iter()
        .flatten()
        .map(|input| input.stream)
        .collect()
}
