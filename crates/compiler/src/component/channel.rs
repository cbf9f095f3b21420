//! A Channel's plan.

use streaming_api::{ChannelMode, ChannelSpec, Emit};
use streaming_engine::expr::Scope;
use streaming_plan::{Plan, Role};

use super::window::{self, Fields};
use super::{Built, World};
use crate::document::Resource;
use crate::inputs::{self, Inputs};
use crate::problem::Report;
use crate::{expression, reason, unsupported};

pub(super) fn build(
    resource: &Resource,
    spec: &ChannelSpec,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Plan> {
    let inputs = inputs::resolve(resource, &spec.stream.from, world.catalog, world.streams, report);
    let collects = spec.window.is_some() || spec.mode == Some(ChannelMode::Aggregate);
    let good = reads_a_stream(resource, &inputs, report) & collects_until(resource, spec, collects, report);
    let fields = Fields {
        window: spec.window.as_ref(),
        windowing: &spec.windowing,
        join: None,
        on: None,
        filter: spec.stream.filter.as_ref(),
        select: spec.stream.select.as_ref(),
        trigger: spec.trigger.as_ref(),
    };
    let role = if collects {
        let supported = unsupported::window_is_supported(resource, &spec.workload, report);
        let query = window::query(resource, &fields, &inputs, report);
        query.filter(|_| supported).map(Role::Window)
    } else {
        map(resource, spec, &inputs, report)
    };
    let built = Built {
        inputs: inputs.resolved,
        role: role.filter(|_| good),
        windows: window::windows(&fields).filter(|_| collects),
        to: &spec.stream.to,
        windowing: &spec.windowing,
        workload: &spec.workload,
    };
    super::finish(resource, built, world, report)
}

/// Message by message.
fn map(
    resource: &Resource,
    spec: &ChannelSpec,
    inputs: &Inputs<'_, '_>,
    report: &mut Report,
) -> Option<Role> {
    let names: Vec<&str> = inputs.variables.as_ref()?.iter().map(String::as_str).collect();
    let scope = Scope::new(&names).ok()?.with_message();
    let (filter, select) = (spec.stream.filter.as_ref(), spec.stream.select.as_ref());
    let compiled = expression::compile(resource, filter, select, &scope, report)?;
    Some(Role::Map {
        r#where: compiled.filter,
        select: compiled.select,
    })
}

/// A Table has no messages of its own to send.
fn reads_a_stream(resource: &Resource, inputs: &Inputs<'_, '_>, report: &mut Report) -> bool {
    let mut all = inputs.resolved.iter().flatten();
    let Some(stream) = all.find_map(|input| input.table.map(|table| &table.stream)) else {
        return true;
    };
    let message = "a Channel reads a Stream; a Table is what a Joiner looks messages up in";
    let found = resource.at("spec.stream.from[0]", reason::NOT_A_LOOKUP, message);
    report.problem(
        resource,
        found.help(format!("read the Table's own Stream, `{stream}`")),
    );
    false
}

/// What is collected is sent by a window's end or a trigger, and what asks for a collection has one.
fn collects_until(resource: &Resource, spec: &ChannelSpec, collects: bool, report: &mut Report) -> bool {
    let windowing = &spec.windowing;
    if collects {
        let trigger = spec.trigger.as_ref().filter(|source| !source.trim().is_empty());
        if spec.window.is_some() || trigger.is_some() {
            return true;
        }
        let message = "messages are collected, and neither a window nor a trigger ever sends them";
        let found = resource.at("spec.mode", reason::WINDOW_NEEDED, message);
        report.problem(
            resource,
            found.help("add `window: 30s`, or `trigger: count() >= 100`"),
        );
        return false;
    }
    let needing = [
        (!windowing.group_by.is_empty(), "groupBy"),
        (windowing.having.is_some(), "having"),
        (windowing.emit == Some(Emit::Updates), "emit"),
    ];
    let mut good = true;
    for (_, field) in needing.iter().filter(|(is_set, _)| *is_set) {
        good = false;
        let message = format!("`{field}` is about what a window collects, and this Channel has none");
        let found = resource.at(format!("spec.{field}"), reason::WINDOW_NEEDED, message);
        report.problem(resource, found.help("add one, as in `window: 30s`"));
    }
    for (is_set, field) in [
        (matches!(windowing.emit, Some(Emit::Batch | Emit::Each)), "emit"),
        (windowing.late_to.is_some(), "lateTo"),
    ] {
        if is_set {
            let message = format!("{field} is about windows, and this Channel has none");
            let warning = resource.at(format!("spec.{field}"), reason::NO_EFFECT, message);
            report.warning(resource, warning.help(format!("remove {field}")));
        }
    }
    good
}
