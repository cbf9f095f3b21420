//! A Channel's plan.

use streaming_api::{ChannelSpec, Emit};
use streaming_engine::expr::Scope;
use streaming_plan::{Plan, Role};

use super::World;
use crate::document::Resource;
use crate::problem::Report;
use crate::{expression, inputs, reason, targets, unsupported};

pub(super) fn build(
    resource: &Resource,
    spec: &ChannelSpec,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Plan> {
    let supported = unsupported::channel_is_supported(resource, spec, report);
    let inputs = inputs::resolve(resource, &spec.stream.from, world.catalog, world.streams, report);
    let compiled = inputs.variables.as_ref().and_then(|variables| {
        let names: Vec<&str> = variables.iter().map(String::as_str).collect();
        let scope = Scope::new(&names).ok()?.with_message();
        expression::compile(
            resource,
            spec.stream.filter.as_ref(),
            spec.stream.select.as_ref(),
            &scope,
            report,
        )
    });
    let outputs = targets::all(resource, "spec.stream.to", &spec.stream.to, world.catalog, report);
    let budget = super::memory_budget(resource, &spec.workload, report);
    super::container_has_no_effect(resource, &spec.workload, report);
    if spec.windowing.emit.is_some_and(|emit| emit != Emit::Updates) && spec.window.is_none() {
        let warning = resource.at(
            "spec.emit",
            reason::NO_EFFECT,
            "emit is about windows, and this Channel has none",
        );
        report.warning(resource, warning.help("remove emit"));
    }
    let runs = super::runs(resource, spec.workload.suspend, report);

    let inputs = super::plan_inputs(
        resource,
        inputs.resolved?,
        spec.windowing.dead_letter.as_ref(),
        world,
        report,
    )?;
    let (compiled, outputs) = (compiled?, outputs?);
    if !(supported && runs) {
        return None;
    }
    let role = Role::Map {
        r#where: compiled.filter,
        select: compiled.select,
    };
    Some(super::plan(
        resource,
        inputs,
        role,
        outputs,
        Vec::new(),
        budget,
        world.catalog,
    ))
}
