//! Streams resolved: which topic each one is, where its dead letters go, and which Streams are dead letters themselves.

use std::collections::BTreeMap;

use streaming_api::{ClusterStreamSpec, Protocol, StreamSpec};
use streaming_plan::Topic;

use crate::catalog::{Catalog, Lookup, stream_spec};
use crate::document::{Kind, Resource, Spec};
use crate::problem::{Problem, Report};
use crate::targets::{self, Bare};
use crate::{connection, expression, properties, reason, suggest, unsupported};

/// A Stream whose topic is known.
pub(crate) struct Resolved<'r> {
    pub(crate) resource: &'r Resource,
    pub(crate) spec: &'r StreamSpec,
    pub(crate) cluster: &'r ClusterStreamSpec,
    pub(crate) topic: Topic,
    /// Where messages go that can't be used; `None` if this Stream is itself a dead letter.
    pub(crate) dead_letter: Option<Topic>,
}

/// All Streams by namespace and name. A Stream that is refused, or whose `ClusterStream` is, is not among them.
pub(crate) struct Streams<'r>(BTreeMap<&'r str, BTreeMap<&'r str, Resolved<'r>>>);

impl<'r> Streams<'r> {
    /// Resolves every Stream of the catalog.
    pub(crate) fn new(resources: &'r [Resource], catalog: &Catalog<'r>, report: &mut Report) -> Streams<'r> {
        let mut streams: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for resource in resources.iter().filter(|resource| catalog.leads_to(resource)) {
            let Some(spec) = stream_spec(resource) else {
                continue;
            };
            if let Some(resolved) = resolve(resource, spec, catalog, report) {
                streams
                    .entry(resource.namespace.as_str())
                    .or_default()
                    .insert(resource.name.as_str(), resolved);
            }
        }
        let mut streams = Streams(streams);
        streams.end_dead_letters(resources, catalog, report);
        streams
    }

    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Resolved<'r>> {
        self.0.get(namespace)?.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Resolved<'r>> {
        self.0.values().flat_map(BTreeMap::values)
    }

    /// The Streams that name a component as recipient.
    pub(crate) fn received_by(
        &self,
        namespace: &str,
        component: &str,
    ) -> impl Iterator<Item = &Resolved<'r>> {
        self.0
            .get(namespace)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(move |stream| stream.spec.recipients.iter().any(|name| **name == *component))
    }

    /// Failures of a Stream that is a dead letter are retried and never dead-lettered again.
    fn end_dead_letters(&mut self, resources: &[Resource], catalog: &Catalog<'r>, report: &mut Report) {
        let mut ends: Vec<(String, Topic, String)> = Vec::new();
        for stream in self.iter() {
            let resource = stream.resource;
            ends.extend(stream.dead_letter.iter().map(|to| {
                (
                    resource.namespace.clone(),
                    to.clone(),
                    format!("Stream `{}`", resource.name),
                )
            }));
        }
        for resource in resources {
            let given = match &resource.spec {
                Some(Spec::Joiner(spec)) => spec.windowing.dead_letter.as_ref(),
                Some(Spec::Channel(spec)) => spec.windowing.dead_letter.as_ref(),
                _ => None,
            };
            if let Some(Ok(to)) = given.map(|given| {
                targets::stream(
                    resource,
                    "spec.deadLetter",
                    given,
                    Bare::ClusterStreamOfThatName,
                    catalog,
                )
            }) {
                ends.push((
                    resource.namespace.clone(),
                    to,
                    format!("{} `{}`", resource.kind, resource.name),
                ));
            }
        }
        for stream in self.0.values_mut().flat_map(BTreeMap::values_mut) {
            let resource = stream.resource;
            let Some((_, _, whose)) = ends.iter().find(|(namespace, topic, whose)| {
                *namespace == resource.namespace
                    && *topic == stream.topic
                    && *whose != format!("Stream `{}`", resource.name)
            }) else {
                continue;
            };
            // What is named on purpose may close a cycle, and that is reported; otherwise it just has no effect.
            if stream.spec.dead_letter.is_none() {
                stream.dead_letter = None;
            } else {
                let message = format!(
                    "this Stream is itself the dead letter of {whose}, so that its failures are retried"
                );
                let warning = resource.at("spec.deadLetter", reason::NO_EFFECT, message);
                report.warning(resource, warning.help("remove deadLetter"));
            }
        }
    }
}

fn resolve<'r>(
    resource: &'r Resource,
    spec: &'r StreamSpec,
    catalog: &Catalog<'r>,
    report: &mut Report,
) -> Option<Resolved<'r>> {
    let cluster = match cluster_stream(resource, "spec.clusterStream", &spec.cluster_stream, catalog) {
        Ok(cluster) => cluster,
        Err(problem) => {
            report.problem(resource, problem);
            return None;
        }
    };
    properties::stream(resource, spec, cluster.protocol, report);
    let supported = unsupported::stream_is_supported(resource, spec, report);
    let timed = spec.timestamp.as_ref().filter(|source| !source.trim().is_empty());
    let timed = timed.is_none_or(|source| {
        expression::of_message(resource, "spec.timestamp", source, &resource.name, report)
    });
    let topic = Topic {
        cluster_stream: spec.cluster_stream.0.clone(),
        topic: spec.topic.0.clone(),
    };
    if let Err(problem) = has_exchange(resource, &topic, cluster) {
        report.problem(resource, problem);
        return None;
    }
    let dead_letter = match &spec.dead_letter {
        None => default_dead_letter(&topic, cluster.protocol),
        Some(given) => {
            match targets::stream(
                resource,
                "spec.deadLetter",
                given,
                Bare::TopicOf(&topic.cluster_stream),
                catalog,
            ) {
                Ok(to) => to,
                Err(problem) => {
                    report.problem(resource, problem);
                    return None;
                }
            }
        }
    };
    if is_read_by(cluster.protocol, &dead_letter.topic, &topic.topic)
        && dead_letter.cluster_stream == topic.cluster_stream
    {
        let message = "its dead letters would come back to it, and fail again".to_owned();
        let problem = resource.at("spec.deadLetter", reason::DEAD_LETTER_CYCLE, message);
        report.problem(
            resource,
            problem.help("name a topic that this Stream does not read"),
        );
        return None;
    }
    (supported && timed).then_some(Resolved {
        resource,
        spec,
        cluster,
        topic,
        dead_letter: Some(dead_letter),
    })
}

/// Looks up a `ClusterStream` that a field names.
pub(crate) fn cluster_stream<'r>(
    resource: &Resource,
    field: &str,
    name: &str,
    catalog: &Catalog<'r>,
) -> Result<&'r ClusterStreamSpec, Problem> {
    match catalog.cluster_stream(&resource.namespace, name) {
        Lookup::Found(cluster) => Ok(cluster),
        Lookup::Broken => {
            let message = format!("ClusterStream `{name}` has problems of its own");
            Err(resource.at(field, reason::NOT_READY, message))
        }
        Lookup::Missing => {
            let message = format!(
                "there is no ClusterStream `{name}` in namespace `{}`",
                resource.namespace
            );
            let names = catalog.names(&resource.namespace, &[Kind::ClusterStream]);
            let help = catalog
                .elsewhere(&resource.namespace, Kind::ClusterStream, name)
                .unwrap_or_else(|| suggest::or_list(name, names, "there is", "define one"));
            Err(resource
                .at(field, reason::CLUSTER_STREAM_NOT_FOUND, message)
                .help(help))
        }
    }
}

/// `<topic>.dead-letter` on the same `ClusterStream`. A filter can't be published to: of one with wildcards, the levels
/// (in AMQP: words) before the first are taken, with something behind them that the filter does not match.
pub(crate) fn default_dead_letter(topic: &Topic, protocol: Protocol) -> Topic {
    let name = &topic.topic;
    let name = match wildcard(protocol, name) {
        None => format!("{name}.dead-letter"),
        Some(at) => match name[..at].trim_end_matches(['/', '.']) {
            "" => "dead-letter".to_owned(),
            words if protocol == Protocol::RabbitMq => format!("{words}-dead-letter"),
            levels => format!("{levels}.dead-letter"),
        },
    };
    Topic {
        cluster_stream: topic.cluster_stream.clone(),
        topic: name,
    }
}

/// Where the first wildcard of a topic is.
pub(crate) fn wildcard(protocol: Protocol, topic: &str) -> Option<usize> {
    connection::protocol(protocol).wildcard(topic)
}

/// Whether what is published to `topic` is read by who subscribes to `filter`.
pub(crate) fn is_read_by(protocol: Protocol, topic: &str, filter: &str) -> bool {
    connection::protocol(protocol).is_read_by(topic, filter)
}

/// Patterns of `RabbitMQ` are those of one exchange, which must have a name.
fn has_exchange(resource: &Resource, topic: &Topic, cluster: &ClusterStreamSpec) -> Result<(), Problem> {
    let named = properties::get(cluster, None, "exchange").is_some();
    if cluster.protocol != Protocol::RabbitMq || named || wildcard(cluster.protocol, &topic.topic).is_none() {
        return Ok(());
    }
    let message = format!(
        "`{}` has wildcards, and on ClusterStream `{}` every topic is an exchange of its own",
        topic.topic, topic.cluster_stream
    );
    let help = "set the ClusterStream's property `exchange` to a topic exchange, as amq.topic, whose routing keys its topics then are";
    Err(resource
        .at("spec.topic", reason::WILDCARD_TOPIC, message)
        .help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_of_wildcards_are_topics_outside_of_them() {
        let of = |name: &str| {
            let topic = Topic {
                cluster_stream: "m".into(),
                topic: name.into(),
            };
            let to = default_dead_letter(&topic, Protocol::Mqtt).topic;
            (is_read_by(Protocol::Mqtt, &to, name), to)
        };
        assert_eq!(of("a/b"), (false, "a/b.dead-letter".into()));
        assert_eq!(of("a/+/c"), (false, "a.dead-letter".into()));
        assert_eq!(of("a/#"), (false, "a.dead-letter".into()));
        assert_eq!(of("+/x"), (false, "dead-letter".into()));
        assert_eq!(of("#"), (true, "dead-letter".into()));
    }

    #[test]
    fn of_a_pattern_of_rabbitmq_too() {
        let of = |name: &str| {
            let topic = Topic {
                cluster_stream: "r".into(),
                topic: name.into(),
            };
            let to = default_dead_letter(&topic, Protocol::RabbitMq).topic;
            (is_read_by(Protocol::RabbitMq, &to, name), to)
        };
        assert_eq!(of("a.b"), (false, "a.b.dead-letter".into()));
        assert_eq!(of("a.*.c"), (false, "a-dead-letter".into()));
        assert_eq!(of("a.#"), (false, "a-dead-letter".into()));
        assert_eq!(of("*.x"), (false, "dead-letter".into()));
    }
}
