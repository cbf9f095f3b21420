//! A Processor's plan: what is delivered to the user's container, and where the container's own messages may go.

use std::fmt::Write as _;

use streaming_api::{ProcessorSpec, Route};
use streaming_plan::{Container, Output, Plan, Role};

use super::World;
use crate::catalog::Lookup;
use crate::document::{Kind, Resource};
use crate::problem::Report;
use crate::streams::{self, Resolved};
use crate::{properties, reason, targets};

pub(super) fn build(
    resource: &Resource,
    spec: &ProcessorSpec,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Plan> {
    let inputs = world
        .streams
        .received_by(&resource.namespace, &resource.name)
        .map(|stream| super::plan_input(stream.resource.name.clone(), stream, Some(route(stream, spec))))
        .collect();
    let mut outputs = targets::all(resource, "spec.to", &spec.to, world.catalog, report);
    target(resource, spec, outputs.as_mut(), world, report);
    let publishes = publishes(resource, spec, world, report);
    let runs = super::runs(resource, spec.suspend, report);
    port(resource, spec, report);

    let (outputs, publishes) = (outputs?, publishes?);
    if !runs {
        return None;
    }
    let concurrency = spec
        .concurrency
        .and_then(|most| u32::try_from(most).ok())
        .unwrap_or(1);
    let role = Role::Relay { concurrency };
    let parts = super::Parts {
        inputs,
        role,
        outputs,
        late_to: None,
        publishes,
        memory_budget: super::DEFAULT_BUDGET,
    };
    let mut plan = super::plan(resource, parts, world.catalog);
    // Of a port that the schema accepted; a Processor without problems has one.
    plan.container = u16::try_from(spec.service_port)
        .ok()
        .map(|port| Container { port });
    Some(plan)
}

/// Where the sidecar listens, in the same pod: publishing by HTTP and gRPC, health, deliveries.
const SIDECAR: [i32; 4] = [3500, 50001, 3501, 3600];

/// A container can't listen where its sidecar does already, and would get what is meant for the sidecar.
fn port(resource: &Resource, spec: &ProcessorSpec, report: &mut Report) {
    if SIDECAR.contains(&spec.service_port) {
        let message = format!(
            "the sidecar in the same pod listens on port {} itself",
            spec.service_port
        );
        let problem = resource.at("spec.servicePort", reason::PORT_TAKEN, message);
        report.problem(
            resource,
            problem.help(
                "let the container listen on another port; 3500, 3501, 3600 and 50001 are the sidecar's",
            ),
        );
    }
}

/// Where a Stream's messages are posted: its own route, else the Processor's, else its topic (as Dapr subscriptions
/// without a route have it). Without the leading slash.
fn route(stream: &Resolved<'_>, spec: &ProcessorSpec) -> String {
    let given = |route: &Option<Route>| {
        route
            .as_deref()
            .filter(|route| !route.is_empty())
            .map(str::to_owned)
    };
    let route = given(&stream.spec.route).or_else(|| given(&spec.service_route));
    let route = route.unwrap_or_else(|| as_path(&stream.topic.topic));
    route.strip_prefix('/').unwrap_or(&route).to_owned()
}

/// A topic as the path of a URL: what a path can't hold is percent-encoded (RFC 3986, 3.3).
fn as_path(topic: &str) -> String {
    let mut path = String::with_capacity(topic.len());
    for byte in topic.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// `target` comes from manifests of earlier runtimes, where it did nothing: one that leads nowhere is no problem.
fn target(
    resource: &Resource,
    spec: &ProcessorSpec,
    outputs: Option<&mut Vec<Output>>,
    world: &World<'_, '_>,
    report: &mut Report,
) {
    let Some(target) = &spec.target else { return };
    match targets::component(resource, "spec.target", target, world.catalog, report) {
        Ok(output) => {
            if let Some(outputs) = outputs.filter(|outputs| !outputs.contains(&output)) {
                outputs.push(output);
            }
        }
        Err(problem) => report.warning(resource, problem),
    }
}

/// The `ClusterStream`s that the container may publish to: all of the namespace unless it says which.
fn publishes(
    resource: &Resource,
    spec: &ProcessorSpec,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Vec<String>> {
    let Some(named) = &spec.publishes else {
        let mut all = Vec::new();
        let mut secret = Vec::new();
        for cluster in world.catalog.all(&resource.namespace, Kind::ClusterStream) {
            if let Lookup::Found(spec) = world.catalog.cluster_stream(&resource.namespace, &cluster.name) {
                all.push(cluster.name.clone());
                if properties::has_credentials(spec) {
                    secret.push(format!("`{}`", cluster.name));
                }
            }
        }
        if !secret.is_empty() {
            let message = format!(
                "its sidecar gets the credentials of {}, whether or not it publishes there",
                secret.join(", ")
            );
            let warning = resource.at("spec.publishes", reason::PUBLISHES_TO_ALL, message);
            report.warning(
                resource,
                warning.help("list the ClusterStreams that it publishes to: `publishes: []` for none"),
            );
        }
        return Some(all);
    };
    let mut complete = true;
    for (at, name) in named.iter().enumerate() {
        let field = format!("spec.publishes[{at}]");
        if let Err(problem) = streams::cluster_stream(resource, &field, name, world.catalog) {
            complete = false;
            report.problem(resource, problem);
        }
    }
    complete.then(|| named.iter().map(|name| name.0.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::as_path;

    #[test]
    fn topics_become_paths() {
        assert_eq!(as_path("orders/eu"), "orders/eu");
        assert_eq!(as_path("a/#"), "a/%23");
        assert_eq!(as_path("größe?"), "gr%C3%B6%C3%9Fe%3F");
    }
}
