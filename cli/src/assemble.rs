//! The second step: documents into plans, generators and findings. What `run`, `check` and `test` all start from.

use std::collections::{BTreeMap, BTreeSet};

use streaming_compiler::{Compilation, Problem, Stream, reason};
use streaming_plan::{ClusterStream, Edge, Plan};

use crate::load::{Document, Loaded};
use crate::local::TopicName;
use crate::locate;
use crate::report::{Finding, Severity};
use crate::workload::{self, Workloads};

/// Everything that is known about a pipeline before it runs.
#[derive(Default)]
pub(crate) struct Assembly {
    /// What runs.
    pub(crate) plans: Vec<Plan>,
    /// What each hop promises.
    pub(crate) edges: Vec<Edge>,
    /// The Streams whose topic is known.
    pub(crate) streams: Vec<Stream>,
    /// Generators and processors.
    pub(crate) workloads: Workloads,
    /// What is wrong, or perhaps not meant.
    pub(crate) findings: Vec<Finding>,
    /// `ClusterStreams` by namespace and name, with their protocols.
    cluster_streams: BTreeSet<(String, String)>,
    /// Those of them that have no problems, by namespace and name.
    pub(crate) connections: BTreeMap<(String, String), ClusterStream>,
}

/// Compiles documents.
pub(crate) fn assemble(loaded: Loaded) -> Assembly {
    let Loaded {
        documents,
        mut findings,
    } = loaded;
    let compiled: Vec<streaming_compiler::Document> = documents
        .iter()
        .enumerate()
        .map(|(origin, d)| streaming_compiler::Document {
            value: d.value.clone(),
            origin,
        })
        .collect();
    let Compilation {
        plans,
        problems,
        warnings,
        edges,
        streams,
        cluster_streams,
        ..
    } = streaming_compiler::compile(&compiled);
    let defined: BTreeSet<(String, String)> = documents
        .iter()
        .filter(|d| d.value["kind"] == "ClusterStream")
        .filter_map(|d| {
            Some((
                d.namespace().to_owned(),
                d.value["metadata"]["name"].as_str()?.to_owned(),
            ))
        })
        .collect();
    let known = |namespace: &str, name: &str| defined.contains(&(namespace.to_owned(), name.to_owned()));
    let mut workloads = workload::find(&documents, &known);
    findings.extend(problems.iter().map(|p| finding(p, &documents, Severity::Error)));
    findings.append(&mut workloads.findings);
    findings.extend(warnings.iter().map(|p| finding(p, &documents, Severity::Warning)));
    // As a reader meets them; what has no place comes first.
    findings.sort_by_cached_key(|f| {
        let place = f
            .place
            .as_ref()
            .map(|p| (p.source.name.clone(), p.mark.line, p.mark.column));
        (f.severity, place)
    });
    let connections = cluster_streams
        .into_iter()
        .map(|c| ((c.namespace, c.name), c.connection));
    Assembly {
        connections: connections.collect(),
        plans,
        edges,
        streams,
        workloads,
        findings,
        cluster_streams: defined,
    }
}

fn finding(problem: &Problem, documents: &[Document], severity: Severity) -> Finding {
    let Some(document) = documents.get(problem.origin) else {
        return Finding {
            severity,
            ..Finding::error(problem.reason, &problem.message)
        };
    };
    if let Some((diagnostic, source)) = &problem.diagnostic {
        return Finding {
            severity,
            ..locate::expression(document, &problem.field, source, diagnostic)
        };
    }
    let place = if problem.reason == reason::UNKNOWN_FIELD {
        document.key_place(&problem.field)
    } else {
        document.place(&problem.field)
    };
    let subject = if problem.kind.is_empty() {
        "document".to_owned()
    } else {
        document.subject()
    };
    Finding {
        severity,
        help: problem.help.clone(),
        ..Finding::error(problem.reason, &problem.message)
            .about(subject, &problem.field)
            .at(place)
    }
}

impl Assembly {
    /// The topic that `CLUSTERSTREAM/TOPIC` or a Stream's name means.
    pub(crate) fn topic(&self, name: &str) -> Result<TopicName, String> {
        let Some((cluster_stream, topic)) = name.split_once('/') else {
            return self.stream(name);
        };
        let mut namespaces = self
            .cluster_streams
            .iter()
            .filter(|(_, n)| n == cluster_stream)
            .map(|(ns, _)| ns);
        match (namespaces.next(), namespaces.next()) {
            (Some(namespace), None) => Ok(TopicName {
                namespace: namespace.clone(),
                cluster_stream: cluster_stream.to_owned(),
                topic: topic.to_owned(),
            }),
            (Some(_), Some(_)) => Err(format!(
                "several namespaces have a ClusterStream `{cluster_stream}`"
            )),
            _ => Err(format!(
                "there is no ClusterStream `{cluster_stream}`{}",
                or_list(self.cluster_streams.iter().map(|(_, name)| name.as_str()))
            )),
        }
    }

    /// The topic of a Stream: by its name, or by `namespace/name` where several namespaces have one; or failing
    /// that the one Stream with that topic, as a component's `from` finds it.
    pub(crate) fn stream(&self, name: &str) -> Result<TopicName, String> {
        let (namespace, bare) = name.split_once('/').map_or((None, name), |(ns, n)| (Some(ns), n));
        let inside = |s: &&Stream| namespace.is_none_or(|ns| s.namespace == ns);
        let named: Vec<&Stream> = self
            .streams
            .iter()
            .filter(inside)
            .filter(|s| s.name == bare)
            .collect();
        let with_topic = || {
            self.streams
                .iter()
                .filter(inside)
                .filter(|s| s.topic.topic == bare)
                .collect()
        };
        let found: Vec<&Stream> = if named.is_empty() { with_topic() } else { named };
        match found.as_slice() {
            [stream] => Ok(TopicName {
                namespace: stream.namespace.clone(),
                cluster_stream: stream.topic.cluster_stream.clone(),
                topic: stream.topic.topic.clone(),
            }),
            [] => Err(format!(
                "there is no Stream `{name}`{}",
                or_list(self.streams.iter().map(|stream| stream.name.as_str()))
            )),
            several => Err(format!(
                "`{name}` could be {}",
                several
                    .iter()
                    .map(|s| format!("{}/{}", s.namespace, s.name))
                    .collect::<Vec<_>>()
                    .join(" or ")
            )),
        }
    }

    /// Whether any component subscribes to a topic.
    pub(crate) fn is_read(&self, topic: &TopicName) -> bool {
        self.plans.iter().any(|plan| {
            plan.component.namespace == topic.namespace
                && plan.inputs.iter().any(|input| {
                    input.source.cluster_stream == topic.cluster_stream
                        && (input.source.topic == topic.topic
                            || self.is_wildcard(&TopicName {
                                topic: input.source.topic.clone(),
                                ..topic.clone()
                            }))
                })
        })
    }

    /// Whether a topic is a filter that nothing can be published to.
    pub(crate) fn is_wildcard(&self, topic: &TopicName) -> bool {
        let name = (topic.namespace.clone(), topic.cluster_stream.clone());
        self.connections
            .get(&name)
            .is_some_and(|connection| connection.protocol.wildcard(&topic.topic).is_some())
    }
}

fn or_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect::<BTreeSet<_>>().into_iter().take(20).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; there is {}", names.join(", "))
    }
}
