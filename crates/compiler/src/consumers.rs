//! Who must have a queue before anything is published: on brokers that keep a message only for the queues that are
//! there, every plan carries all of them, so that whoever publishes first declares them.
//!
//! What a component reads counts even while the component itself has a problem or is suspended: its messages wait
//! for it. Dead letters and late events that nobody reads get a queue too, in which they wait for a person.

use std::collections::{BTreeMap, BTreeSet};

use streaming_api::Protocol;
use streaming_plan::{ClusterStream, Consumer, Plan, Topic};

use crate::catalog::{Catalog, Lookup};
use crate::component::shares;
use crate::document::{Kind, Resource, Spec};
use crate::inputs;
use crate::problem::Report;
use crate::streams::{Resolved, Streams, is_read_by};
use crate::targets::{self, Bare};

/// The group whose queue keeps dead letters that no component reads. The same whichever component they come from, so
/// that there is one queue to look into.
const KEEPER: &str = "dead-letter";
/// The same for events that came too late.
const LATE_KEEPER: &str = "late";

/// The consumers of each `ClusterStream`, by namespace and name.
pub(crate) struct Consumers {
    known: BTreeMap<(String, String), BTreeSet<Consumer>>,
    /// Topics that are shared by a component's pods, whose sessions nobody but they can begin.
    shared: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Consumers {
    /// Finds all subscriptions, and the dead letters that none of them reads. Nothing here hangs on whether a component
    /// has a plan: a mistake in one would otherwise change the plans of all others on its brokers.
    pub(crate) fn new(resources: &[Resource], catalog: &Catalog<'_>, streams: &Streams<'_>) -> Consumers {
        let mut consumers = Consumers {
            known: BTreeMap::new(),
            shared: BTreeMap::new(),
        };
        let mut kept = Vec::new();
        for resource in resources.iter().filter(|resource| resource.kind.is_component()) {
            for stream in reads(resource, catalog, streams) {
                if shares(resource, stream.cluster.protocol).is_some() {
                    let key = (resource.namespace.clone(), stream.topic.cluster_stream.clone());
                    let shared = consumers.shared.entry(key).or_default();
                    shared.insert(stream.topic.topic.clone());
                } else if forgets(stream.cluster.protocol) {
                    consumers.add(&resource.namespace, &stream.topic, &resource.name);
                }
                let to = dead_letter(resource, stream, catalog);
                kept.extend(to.map(|to| (&resource.namespace, to, KEEPER)));
            }
            let late = late_to(resource, catalog);
            kept.extend(late.map(|to| (&resource.namespace, to, LATE_KEEPER)));
        }
        for (namespace, to, keeper) in kept {
            if let Lookup::Found(cluster) = catalog.cluster_stream(namespace, &to.cluster_stream)
                && forgets(cluster.protocol)
                && !consumers.is_read(namespace, &to, cluster.protocol)
            {
                consumers.add(namespace, &to, keeper);
            }
        }
        consumers
    }

    /// Those of what a plan may publish to, on each of its brokers: its outputs and dead letters, and everything where its
    /// container publishes. Others come and go without a new plan.
    pub(crate) fn fill_plan(&self, plan: &mut Plan) {
        let topics: Vec<Topic> = plan
            .inputs
            .iter()
            .filter_map(|input| input.dead_letter.as_ref())
            .chain(plan.published())
            .cloned()
            .collect();
        for (name, connection) in &mut plan.cluster_streams {
            self.fill(&plan.component.namespace, name, connection);
            if plan.publishes.contains(name) {
                continue;
            }
            let protocol = connection.protocol;
            connection.consumers.retain(|consumer| {
                topics
                    .iter()
                    .any(|to| to.cluster_stream == *name && protocol.is_read_by(&to.topic, &consumer.topic))
            });
        }
    }

    /// Those of a `ClusterStream`, sorted.
    pub(crate) fn fill(&self, namespace: &str, name: &str, connection: &mut ClusterStream) {
        if let Some(consumers) = self.known.get(&(namespace.to_owned(), name.to_owned())) {
            connection.consumers = consumers.iter().cloned().collect();
        }
    }

    fn add(&mut self, namespace: &str, topic: &Topic, group: &str) {
        let key = (namespace.to_owned(), topic.cluster_stream.clone());
        self.known.entry(key).or_default().insert(Consumer {
            topic: topic.topic.clone(),
            group: group.to_owned(),
        });
    }

    fn is_read(&self, namespace: &str, topic: &Topic, protocol: Protocol) -> bool {
        let key = (namespace.to_owned(), topic.cluster_stream.clone());
        let known = self
            .known
            .get(&key)
            .into_iter()
            .flatten()
            .map(|consumer| &consumer.topic);
        let shared = self.shared.get(&key).into_iter().flatten();
        known
            .chain(shared)
            .any(|filter| is_read_by(protocol, &topic.topic, filter))
    }
}

/// Whether a broker of this protocol forgets what is published to a topic that no queue is bound to.
fn forgets(protocol: Protocol) -> bool {
    match protocol {
        Protocol::RabbitMq | Protocol::Mqtt => true,
        Protocol::Redis => false,
    }
}

/// Where a component's messages of a Stream go that can't be used: where it says, or else where the Stream says.
fn dead_letter(resource: &Resource, stream: &Resolved<'_>, catalog: &Catalog<'_>) -> Option<Topic> {
    let to = stream.dead_letter.as_ref()?;
    let own = match &resource.spec {
        Some(Spec::Joiner(spec)) => spec.windowing.dead_letter.as_ref(),
        Some(Spec::Channel(spec)) => spec.windowing.dead_letter.as_ref(),
        _ => None,
    };
    let Some(own) = own else {
        return Some(to.clone());
    };
    let bare = Bare::TopicOf(&stream.topic.cluster_stream);
    targets::stream(resource, "spec.deadLetter", own, bare, catalog).ok()
}

/// Where a component's events go that come too late.
fn late_to(resource: &Resource, catalog: &Catalog<'_>) -> Option<Topic> {
    let to = match &resource.spec {
        Some(Spec::Joiner(spec)) => spec.windowing.late_to.as_ref(),
        Some(Spec::Channel(spec)) => spec.windowing.late_to.as_ref(),
        _ => None,
    };
    targets::stream(
        resource,
        "spec.lateTo",
        to?,
        Bare::ClusterStreamOfThatName,
        catalog,
    )
    .ok()
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
