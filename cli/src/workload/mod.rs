//! What runs in this process besides the components: generators and processors, found in the manifests by their
//! containers' images. What can't run here is named.

mod env;
mod image;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::generate::Recipe;
use crate::load::Document;
use crate::report::Finding;

/// All that the manifests ask for besides streams and components.
#[derive(Debug, Default)]
pub(crate) struct Workloads {
    /// Containers of the image message-gen.
    pub(crate) generators: Vec<GeneratorSpec>,
    /// What stands behind each Processor, by namespace and name.
    pub(crate) processors: BTreeMap<(String, String), Stand>,
    /// One line for each thing that does not run here.
    pub(crate) left_out: Vec<String>,
    /// What is wrong with the generators.
    pub(crate) findings: Vec<Finding>,
}

/// One generator.
#[derive(Debug)]
pub(crate) struct GeneratorSpec {
    /// Name of its Deployment (or what else bears the pod).
    pub(crate) name: String,
    /// Its namespace, and the `ClusterStream`'s.
    pub(crate) namespace: String,
    /// How many copies run.
    pub(crate) replicas: u32,
    /// Where it publishes.
    pub(crate) cluster_stream: String,
    /// The topic there.
    pub(crate) topic: String,
    /// What it publishes.
    pub(crate) recipe: Recipe,
    /// How often, in microseconds.
    pub(crate) delay: i64,
    /// How many messages; `None` for no end.
    pub(crate) count: Option<u64>,
}

/// What stands behind a Processor here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// message-proc: logs what it gets.
    Logger,
    /// Another image: accepts and does nothing.
    StandIn,
}

/// Finds them. `known` says whether a `ClusterStream` is there, by namespace and name.
pub(crate) fn find(documents: &[Document], known: &dyn Fn(&str, &str) -> bool) -> Workloads {
    let mut found = Workloads::default();
    for document in documents {
        let kind = document.value["kind"].as_str().unwrap_or_default();
        let Some(version) = document.value["apiVersion"].as_str() else {
            continue;
        };
        let streaming = version.starts_with(streaming_api::GROUP);
        match (streaming, kind) {
            (true, "Processor") => processor(document, known, &mut found),
            (true, _) => {}
            (false, _) => match pod_path(kind) {
                Some(path) => pod(document, path, known, &mut found),
                None => found
                    .left_out
                    .push(format!("{} has no meaning here", document.subject())),
            },
        }
    }
    found
}

/// Where a kind has its pod's spec.
fn pod_path(kind: &str) -> Option<&'static str> {
    match kind {
        "Pod" => Some("spec"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            Some("spec.template.spec")
        }
        "CronJob" => Some("spec.jobTemplate.spec.template.spec"),
        _ => None,
    }
}

fn pod(document: &Document, path: &str, known: &dyn Fn(&str, &str) -> bool, found: &mut Workloads) {
    let containers = path.split('.').fold(&document.value, |value, key| &value[key])["containers"].as_array();
    let mut others = Vec::new();
    for (index, container) in containers.into_iter().flatten().enumerate() {
        let field = format!("{path}.containers[{index}]");
        match image::of(container) {
            Some("message-gen") if document.value["kind"] != "CronJob" => {
                // No replicas said means one; zero means that it rests.
                let replicas = document
                    .value
                    .pointer("/spec/replicas")
                    .and_then(Value::as_u64)
                    .unwrap_or(1);
                env::generator(
                    document,
                    container,
                    &field,
                    u32::try_from(replicas).unwrap_or(1),
                    known,
                    found,
                );
            }
            _ => others.push(
                container["image"]
                    .as_str()
                    .unwrap_or("without an image")
                    .to_owned(),
            ),
        }
    }
    if !others.is_empty() {
        found.left_out.push(format!(
            "{} ({}) doesn't run here: only message-gen and message-proc do, and ClusterStreams are embedded",
            document.subject(),
            others.join(", ")
        ));
    }
}

fn processor(document: &Document, known: &dyn Fn(&str, &str) -> bool, found: &mut Workloads) {
    let container = &document.value["spec"]["container"];
    let name = document.value["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let stand = match image::of(container) {
        Some("message-proc") => Stand::Logger,
        Some("message-gen") => {
            // A Processor's 0 replicas mean 1, as they always did.
            let replicas = document
                .value
                .pointer("/spec/replicas")
                .and_then(Value::as_u64)
                .unwrap_or(1)
                .max(1);
            env::generator(
                document,
                container,
                "spec.container",
                u32::try_from(replicas).unwrap_or(1),
                known,
                found,
            );
            Stand::StandIn
        }
        _ => {
            found.left_out.push(format!(
                "{} ({}) doesn't run here: a stand-in accepts what is delivered to it",
                document.subject(),
                container["image"].as_str().unwrap_or("without an image"),
            ));
            Stand::StandIn
        }
    };
    found
        .processors
        .insert((document.namespace().to_owned(), name), stand);
}
