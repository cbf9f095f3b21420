//! Recipients resolved: what an item of `to`, a dead letter or a `publishes` leads to.

use streaming_api::{Protocol, Target};
use streaming_plan::{Output, Topic};

use crate::catalog::{Catalog, Lookup, stream_spec};
use crate::document::{Kind, Resource, Spec};
use crate::problem::{Problem, Report};
use crate::{reason, streams, suggest};

/// What a bare name is that no Stream has.
#[derive(Clone, Copy)]
pub(crate) enum Bare<'b> {
    /// The topic of that name on the `ClusterStream` of that name.
    ClusterStreamOfThatName,
    /// The topic of that name on this `ClusterStream`.
    TopicOf(&'b str),
}

/// Resolves a list of recipients; what can't be resolved is reported, and the rest returned with whether it is all.
pub(crate) fn all(
    resource: &Resource,
    field: &str,
    targets: &[Target],
    catalog: &Catalog<'_>,
    report: &mut Report,
) -> Option<Vec<Output>> {
    let mut outputs: Vec<Output> = Vec::new();
    let mut complete = true;
    for (at, target) in targets.iter().enumerate() {
        let resolved = match (&target.component, &target.stream) {
            (Some(to), _) => component(resource, &format!("{field}[{at}].component"), to, catalog, report),
            (None, Some(to)) => stream(
                resource,
                &format!("{field}[{at}].stream"),
                to,
                Bare::ClusterStreamOfThatName,
                catalog,
            )
            .map(Output::Stream),
            // The schema's rule has already refused this.
            (None, None) => continue,
        };
        match resolved {
            Ok(output) if outputs.contains(&output) => {
                let warning = resource.at(
                    format!("{field}[{at}]"),
                    reason::DUPLICATE,
                    "this recipient is named already",
                );
                report.warning(resource, warning.help("remove it; it would get everything once"));
            }
            Ok(output) => outputs.push(output),
            Err(problem) => {
                complete = false;
                report.problem(resource, problem);
            }
        }
    }
    complete.then_some(outputs)
}

/// Resolves `component[/route]`.
pub(crate) fn component(
    resource: &Resource,
    field: &str,
    to: &str,
    catalog: &Catalog<'_>,
    report: &mut Report,
) -> Result<Output, Problem> {
    let (name, route) = to.split_once('/').unwrap_or((to, to));
    let namespace = &resource.namespace;
    let Some(found) = catalog.component(namespace, name) else {
        let message = format!("there is no component `{name}` in namespace `{namespace}`");
        let help = if catalog.get(namespace, Kind::Stream, name).is_some() {
            format!("`{name}` is a Stream: write `stream: {name}`")
        } else {
            let names = catalog.names(namespace, &[Kind::Processor]);
            suggest::or_list(
                name,
                names,
                "the Processors are",
                "define a Processor of that name",
            )
        };
        return Err(resource
            .at(field, reason::COMPONENT_NOT_FOUND, message)
            .help(help));
    };
    let processor = match &found.spec {
        Some(Spec::Processor(processor)) => processor,
        Some(_) => {
            let message = format!(
                "`{name}` is a {}, which takes messages from Streams only",
                found.kind
            );
            let help = format!("publish to a Stream that `{name}` reads, as `stream: ...`");
            return Err(resource.at(field, reason::NOT_SUPPORTED, message).help(help));
        }
        None => {
            let message = format!("{} `{name}` has problems of its own", found.kind);
            return Err(resource.at(field, reason::NOT_READY, message));
        }
    };
    let served = processor
        .service_route
        .as_deref()
        .unwrap_or_default()
        .trim_matches('/');
    if !served.is_empty() && served != route.trim_matches('/') {
        let message = format!(
            "results are posted to `/{route}`, but Processor `{name}` names `/{served}` as its serviceRoute"
        );
        let warning = resource.at(field, reason::ROUTE_MISMATCH, message);
        report.warning(
            resource,
            warning.help(format!("write `{name}/{served}` if that is where it listens")),
        );
    }
    let port = u16::try_from(processor.service_port).unwrap_or_default();
    Ok(Output::Component {
        component: name.to_owned(),
        route: route.to_owned(),
        port,
    })
}

/// Resolves `clusterStream/topic` or a bare name.
pub(crate) fn stream(
    resource: &Resource,
    field: &str,
    to: &str,
    bare: Bare<'_>,
    catalog: &Catalog<'_>,
) -> Result<Topic, Problem> {
    let topic = match to.split_once('/') {
        Some((cluster, topic)) => {
            let named = catalog.cluster_stream(&resource.namespace, cluster);
            match (named, bare) {
                // MQTT's topics have slashes of their own.
                (Lookup::Missing, Bare::TopicOf(own)) if has_levels(own, resource, catalog) => Topic {
                    cluster_stream: own.to_owned(),
                    topic: to.to_owned(),
                },
                _ => Topic {
                    cluster_stream: cluster.to_owned(),
                    topic: topic.to_owned(),
                },
            }
        }
        None => bare_name(resource, field, to, bare, catalog)?,
    };
    let cluster = streams::cluster_stream(resource, field, &topic.cluster_stream, catalog)?;
    if streams::wildcard(cluster.protocol, &topic.topic).is_some() {
        let message = format!(
            "`{}` has wildcards, so that nothing can be published to it",
            topic.topic
        );
        return Err(resource
            .at(field, reason::WILDCARD_TOPIC, message)
            .help("name one topic"));
    }
    Ok(topic)
}

/// Whether the topics of a `ClusterStream` are paths.
fn has_levels(cluster_stream: &str, resource: &Resource, catalog: &Catalog<'_>) -> bool {
    let found = catalog.cluster_stream(&resource.namespace, cluster_stream);
    matches!(found, Lookup::Found(spec) if spec.protocol == Protocol::Mqtt)
}

fn bare_name(
    resource: &Resource,
    field: &str,
    to: &str,
    bare: Bare<'_>,
    catalog: &Catalog<'_>,
) -> Result<Topic, Problem> {
    let namespace = &resource.namespace;
    if let Some(found) = catalog.get(namespace, Kind::Stream, to) {
        let spec = stream_spec(found).ok_or_else(|| {
            let message = format!("Stream `{to}` has problems of its own");
            resource.at(field, reason::NOT_READY, message)
        })?;
        return Ok(Topic {
            cluster_stream: spec.cluster_stream.0.clone(),
            topic: spec.topic.0.clone(),
        });
    }
    match bare {
        Bare::TopicOf(cluster) => Ok(Topic {
            cluster_stream: cluster.to_owned(),
            topic: to.to_owned(),
        }),
        Bare::ClusterStreamOfThatName if catalog.get(namespace, Kind::ClusterStream, to).is_some() => {
            Ok(Topic {
                cluster_stream: to.to_owned(),
                topic: to.to_owned(),
            })
        }
        Bare::ClusterStreamOfThatName => {
            let message =
                format!("there is no Stream `{to}` in namespace `{namespace}`, nor a ClusterStream");
            let help = if catalog.component(namespace, to).is_some() {
                format!("`{to}` is a component: write `component: {to}`")
            } else {
                let names = catalog.names(namespace, &[Kind::Stream]);
                catalog.elsewhere(namespace, Kind::Stream, to).unwrap_or_else(|| {
                    suggest::or_list(to, names, "there is", "define it, or write `clusterStream/topic`")
                })
            };
            Err(resource.at(field, reason::STREAM_NOT_FOUND, message).help(help))
        }
    }
}
