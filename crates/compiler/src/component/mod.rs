//! Components built: from a Joiner, Channel or Processor and the Streams it names to the plan that runs it.

mod channel;
mod held;
mod joiner;
mod processor;
mod relation;
mod state;
mod window;

use std::collections::BTreeMap;

use streaming_api::{StreamRef, Target, Windowing, Workload};
use streaming_plan::{ClusterStream, ComponentRef, Input, Output, Plan, Role, Topic, VERSION, Windows};

use crate::catalog::{Catalog, Lookup};
use crate::document::{Resource, Spec};
use crate::problem::Report;
use crate::streams::{Resolved, Streams};
use crate::targets::{self, Bare};
use crate::{connection, inputs, quantity, reason};

/// What a component may hold in memory where no limit says otherwise: 128 MiB.
const DEFAULT_BUDGET: u64 = 128 << 20;

/// What the other resources are.
pub(crate) struct World<'w, 'r> {
    pub(crate) catalog: &'w Catalog<'r>,
    pub(crate) streams: &'w Streams<'r>,
}

/// Builds a component's plan, or reports why there is none.
pub(crate) fn build(
    resource: &Resource,
    spec: &Spec,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Plan> {
    match spec {
        Spec::Joiner(spec) => joiner::build(resource, spec, world, report)
            .and_then(|plan| state::keep(resource, spec.windowing.state.as_ref(), plan, report)),
        Spec::Channel(spec) => channel::build(resource, spec, world, report)
            .and_then(|plan| state::keep(resource, spec.windowing.state.as_ref(), plan, report)),
        Spec::Processor(spec) => processor::build(resource, spec, world, report),
        Spec::ClusterStream(_) | Spec::Stream(_) | Spec::Table(_) => None,
    }
}

/// What a Joiner or Channel has come to.
struct Built<'b, 's, 'r> {
    /// `None` if not all are there.
    inputs: Option<Vec<inputs::Input<'s, 'r>>>,
    /// `None` if something is wrong with it.
    role: Option<Role>,
    /// What it collects messages over, if it does.
    windows: Option<Windows>,
    to: &'b [Target],
    windowing: &'b Windowing,
    workload: &'b Workload,
}

/// Looks at what Joiners and Channels have in common, and puts the plan together if all is well.
fn finish(
    resource: &Resource,
    built: Built<'_, '_, '_>,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Plan> {
    let outputs = targets::all(resource, "spec.stream.to", built.to, world.catalog, report);
    let memory_budget = memory_budget(resource, built.workload, report);
    container_has_no_effect(resource, built.workload, report);
    let runs = runs(resource, built.workload.suspend, report);
    let query = match &built.role {
        Some(Role::Window(query)) => Some(query),
        _ => None,
    };
    let late_to = window::late_to(resource, built.windowing, query, world, report);
    let resolved = built.inputs?;
    // What is kept is acked long before.
    if let Some(windows) = built.windows.filter(|_| built.windowing.state.is_none()) {
        for input in resolved.iter().filter(|input| input.table.is_none()) {
            held::outlives(resource, windows, input.stream, report);
        }
    }
    let dead_letter = built.windowing.dead_letter.as_ref();
    let inputs = plan_inputs(resource, resolved, dead_letter, world, report)?;
    let (role, outputs, late_to) = (built.role?, outputs?, late_to.ok()?);
    if !runs {
        return None;
    }
    let parts = Parts {
        inputs,
        role,
        outputs,
        late_to,
        publishes: Vec::new(),
        memory_budget,
    };
    Some(plan(resource, parts, world.catalog))
}

/// What differs from plan to plan.
struct Parts {
    inputs: Vec<Input>,
    role: Role,
    outputs: Vec<Output>,
    late_to: Option<Topic>,
    publishes: Vec<String>,
    memory_budget: u64,
}

/// A suspended component has no plan: nothing of it runs.
fn runs(resource: &Resource, suspend: Option<bool>, report: &mut Report) -> bool {
    if suspend == Some(true) {
        let warning = resource.at("spec.suspend", reason::SUSPENDED, "is suspended and does not run");
        report.warning(resource, warning.help("remove suspend to run it"));
    }
    suspend != Some(true)
}

/// The inputs of a Joiner or Channel for the plan, with their dead letters.
fn plan_inputs(
    resource: &Resource,
    inputs: Vec<inputs::Input<'_, '_>>,
    dead_letter: Option<&StreamRef>,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Vec<Input>> {
    let mut planned = Vec::new();
    for input in inputs {
        let mut planned_input = plan_input(input.variable, input.stream, None);
        if let (Some(given), Some(to)) = (dead_letter, &mut planned_input.dead_letter) {
            let bare = Bare::TopicOf(&input.stream.topic.cluster_stream);
            match targets::stream(resource, "spec.deadLetter", given, bare, world.catalog) {
                Ok(topic) => *to = topic,
                Err(problem) => {
                    report.problem(resource, problem);
                    return None;
                }
            }
        }
        planned.push(planned_input);
    }
    Some(planned)
}

fn plan_input(variable: String, stream: &Resolved<'_>, route: Option<String>) -> Input {
    Input {
        variable,
        stream: stream.resource.name.clone(),
        source: stream.topic.clone(),
        properties: stream
            .spec
            .properties
            .as_ref()
            .map(|own| own.0.clone())
            .unwrap_or_default(),
        dead_letter: stream.dead_letter.clone(),
        max_deliveries: stream
            .spec
            .max_deliveries
            .and_then(|most| u32::try_from(most).ok())
            .unwrap_or_default(),
        route,
    }
}

/// The plan, with the connections that its parts need.
fn plan(resource: &Resource, parts: Parts, catalog: &Catalog<'_>) -> Plan {
    let Parts {
        inputs,
        role,
        outputs,
        late_to,
        publishes,
        memory_budget,
    } = parts;
    let topics = inputs
        .iter()
        .flat_map(|input| [Some(&input.source), input.dead_letter.as_ref()])
        .flatten();
    let sent_to = outputs.iter().filter_map(|output| match output {
        Output::Stream(topic) => Some(topic),
        Output::Component { .. } => None,
    });
    let names = topics
        .chain(sent_to)
        .chain(&late_to)
        .map(|Topic { cluster_stream, .. }| cluster_stream)
        .chain(&publishes);
    let cluster_streams = names
        .filter_map(|name| Some((name.clone(), connected(resource, name, catalog)?)))
        .collect();
    let shared = inputs
        .iter()
        .filter_map(
            |input| match catalog.cluster_stream(&resource.namespace, &input.source.cluster_stream) {
                Lookup::Found(spec) => Some(spec.protocol),
                Lookup::Broken | Lookup::Missing => None,
            },
        )
        .find_map(|protocol| shares(resource, protocol));
    Plan {
        version: VERSION,
        component: ComponentRef {
            kind: resource.kind.name().to_owned(),
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
            uid: resource
                .uid
                .clone()
                .unwrap_or_else(|| format!("{}/{}/{}", resource.namespace, resource.kind, resource.name)),
        },
        cluster_streams,
        inputs,
        role,
        outputs,
        late_to,
        publishes,
        container: None,
        shared,
        memory_budget,
        state: None,
    }
}

/// How many pods of a component must say that they share what they read: MQTT gives each client everything unless it
/// does.
pub(crate) fn shares(resource: &Resource, protocol: streaming_api::Protocol) -> Option<u32> {
    let replicas = match &resource.spec {
        Some(Spec::Channel(spec)) => spec.workload.replicas,
        Some(Spec::Processor(spec)) => Some(spec.replicas),
        _ => None,
    };
    let replicas = replicas.and_then(|replicas| u32::try_from(replicas).ok());
    replicas.filter(|replicas| protocol == streaming_api::Protocol::Mqtt && *replicas > 1)
}

fn connected(resource: &Resource, name: &str, catalog: &Catalog<'_>) -> Option<ClusterStream> {
    match catalog.cluster_stream(&resource.namespace, name) {
        Lookup::Found(spec) => Some(connection::of(name, spec)),
        Lookup::Broken | Lookup::Missing => None,
    }
}

/// Half of the memory limit, so that the other half is left for decoding and delivery.
fn memory_budget(resource: &Resource, workload: &Workload, report: &mut Report) -> u64 {
    let (field, resources) = match &workload.resources {
        Some(own) => ("spec.resources", Some(own)),
        None => (
            "spec.container.resources",
            workload
                .container
                .as_ref()
                .and_then(|container| container.resources.as_ref()),
        ),
    };
    let limits: Option<&BTreeMap<_, _>> = resources.and_then(|resources| resources.limits.as_ref());
    let Some(limit) = limits.and_then(|limits| limits.get("memory")) else {
        return DEFAULT_BUDGET;
    };
    if let Some(bytes) = quantity::bytes(&limit.0) {
        return bytes / 2;
    }
    let message = format!("`{}` is less than one byte, so it limits nothing", limit.0);
    let warning = resource.at(format!("{field}.limits.memory"), reason::NO_EFFECT, message);
    report.warning(
        resource,
        warning.help("write bytes with a unit, as 256Mi or 1Gi; m is a thousandth"),
    );
    DEFAULT_BUDGET
}

/// The runtime brings its own engine, so a container of an earlier one is not run.
fn container_has_no_effect(resource: &Resource, workload: &Workload, report: &mut Report) {
    if workload
        .container
        .as_ref()
        .is_some_and(|container| container.image.is_some())
    {
        let message = format!(
            "the runtime brings its own engine for a {}, so this image is not run",
            resource.kind
        );
        report.warning(
            resource,
            resource
                .at("spec.container.image", reason::NO_EFFECT, message)
                .help("remove container"),
        );
    }
}
