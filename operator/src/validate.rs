//! Step 2, validate: what the compiler says about each resource of a namespace. Pure.

use std::collections::BTreeSet;

use serde_json::Value;
use streaming_compiler::{Compilation, Connection, Document, Kept, Problem, compile, reason};
use streaming_plan::{Edge, Output, Plan, Role, Topic};

use crate::component::Component;
use crate::dereference::Resource;

/// What is known about one resource without looking at its pods.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// What keeps it from running.
    pub(crate) problems: Vec<Problem>,
    /// What runs, but perhaps not as meant.
    pub(crate) warnings: Vec<Problem>,
    /// What runs; `None` for a `ClusterStream`, Stream or Table, and where there are problems.
    pub(crate) component: Option<Component>,
    /// Whether it is to stand still.
    pub(crate) suspended: bool,
    /// What its hops promise.
    pub(crate) edges: Vec<Edge>,
    /// Who uses it, as `Kind name`, and how.
    pub(crate) users: Vec<String>,
}

/// Compiles the resources of a namespace together; one verdict each, in their order.
pub(crate) fn validate(resources: &[Resource]) -> Vec<Verdict> {
    let documents: Vec<Document> = resources.iter().enumerate().map(document).collect();
    let Compilation {
        plans,
        problems,
        warnings,
        edges,
        cluster_streams,
        ..
    } = compile(&documents);
    let mut verdicts: Vec<Verdict> = resources
        .iter()
        .map(|resource| Verdict {
            suspended: is_suspended(resource),
            users: users(resource, &plans),
            ..Verdict::default()
        })
        .collect();
    for problem in problems {
        if let Some(verdict) = verdicts.get_mut(problem.origin) {
            verdict.problems.push(problem);
        }
    }
    for warning in warnings {
        if let Some(verdict) = verdicts.get_mut(warning.origin) {
            verdict.warnings.push(warning);
        }
    }
    for plan in &plans {
        let Some(at) = resources.iter().position(|resource| resource.is(&plan.component)) else {
            continue;
        };
        let (resource, verdict) = (&resources[at], &mut verdicts[at]);
        verdict.edges = edges_of(&resource.name, &edges);
        let credentials = credentials(plan, &cluster_streams);
        match Component::new(resource, plan, credentials, verdict.suspended) {
            Ok(component) => verdict.component = Some(component),
            Err(error) => verdict.problems.push(unreadable(at, resource, &error)),
        }
    }
    verdicts
}

/// A suspended component is compiled like any other: what is wrong with it is told while it stands still, and what it
/// reads keeps its queue.
fn document((origin, resource): (usize, &Resource)) -> Document {
    let mut value = resource.document.clone();
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("suspend");
    }
    Document { value, origin }
}

fn is_suspended(resource: &Resource) -> bool {
    resource.document.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

/// The edges of one component's plan. Those into it come from topics, which have a slash; those out of it bear its name.
fn edges_of(name: &str, edges: &[Edge]) -> Vec<Edge> {
    let enters = |edge: &Edge| {
        let component = edge.to.split('/').next().unwrap_or_default();
        edge.from.contains('/') && component == name
    };
    let its = edges.iter().filter(|edge| edge.from == name || enters(edge));
    its.cloned().collect()
}

fn unreadable(origin: usize, resource: &Resource, error: &serde_json::Error) -> Problem {
    let message = format!("the operator cannot read this spec: {error}");
    Problem {
        origin,
        kind: resource.kind().to_owned(),
        namespace: resource.namespace.clone(),
        name: resource.name.clone(),
        field: "spec".to_owned(),
        reason: reason::NOT_A_RESOURCE,
        message,
        help: Some("apply the definitions of the operator's own version".to_owned()),
        diagnostic: None,
    }
}

/// Where the files come from that a plan reads properties from.
fn credentials(plan: &Plan, cluster_streams: &[Connection]) -> Vec<Kept> {
    let used = cluster_streams
        .iter()
        .filter(|found| plan.cluster_streams.contains_key(&found.name));
    used.flat_map(|found| &found.kept).cloned().collect()
}

/// Who uses a `ClusterStream`, a Stream or a Table.
fn users(resource: &Resource, plans: &[Plan]) -> Vec<String> {
    let text = |field: &str| {
        let value = resource.document.pointer(&format!("/spec/{field}"));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut users = BTreeSet::new();
    match resource.kind() {
        "Stream" => {
            let topic = Topic {
                cluster_stream: text("clusterStream"),
                topic: text("topic"),
            };
            for plan in plans {
                let who = format!("{} `{}`", plan.component.kind, plan.component.name);
                if plan.inputs.iter().any(|input| input.stream == resource.name) {
                    users.insert(format!("{who} reads it"));
                }
                if plan.outputs.contains(&Output::Stream(topic.clone())) {
                    users.insert(format!("{who} publishes to it"));
                }
                if plan.late_to.as_ref() == Some(&topic) {
                    users.insert(format!("{who} sends late events to it"));
                }
                if plan
                    .inputs
                    .iter()
                    .any(|input| input.dead_letter.as_ref() == Some(&topic))
                {
                    users.insert(format!("{who} sends dead letters to it"));
                }
            }
        }
        "Table" => {
            let stream = text("stream");
            for plan in plans {
                let Role::Window(query) = &plan.role else { continue };
                let mut inputs = plan.inputs.iter().zip(&query.inputs);
                if inputs.any(|(input, read)| input.stream == stream && read.table.is_some()) {
                    users.insert(format!(
                        "{} `{}` looks up in it",
                        plan.component.kind, plan.component.name
                    ));
                }
            }
        }
        "ClusterStream" => {
            for plan in plans {
                if plan.cluster_streams.contains_key(&resource.name) {
                    users.insert(format!(
                        "{} `{}` connects to it",
                        plan.component.kind, plan.component.name
                    ));
                }
            }
        }
        _ => {}
    }
    users.into_iter().collect()
}
