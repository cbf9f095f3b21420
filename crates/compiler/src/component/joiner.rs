//! A Joiner's plan.

use streaming_api::{JoinType, JoinerSpec};
use streaming_plan::{Plan, Role};

use super::window::{self, Fields};
use super::{Built, World};
use crate::document::Resource;
use crate::inputs::{self, Input};
use crate::problem::Report;
use crate::{reason, unsupported};

pub(super) fn build(
    resource: &Resource,
    spec: &JoinerSpec,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Plan> {
    let supported = unsupported::window_is_supported(resource, &spec.workload, report);
    let inputs = inputs::resolve(resource, &spec.stream.from, world.catalog, world.streams, report);
    let usable = inputs
        .resolved
        .as_ref()
        .is_none_or(|inputs| looks_up(resource, spec, inputs, report));
    let fields = Fields {
        window: spec.window.as_ref(),
        windowing: &spec.windowing,
        join: spec.join_type,
        on: spec.stream.on.as_ref(),
        filter: spec.stream.filter.as_ref(),
        select: spec.stream.select.as_ref(),
        trigger: None,
    };
    let query = usable
        .then(|| window::query(resource, &fields, &inputs, report))
        .flatten();
    let built = Built {
        inputs: inputs.resolved,
        role: query.map(Role::Window),
        windows: window::windows(&fields),
        to: &spec.stream.to,
        windowing: &spec.windowing,
        workload: &spec.workload,
    };
    let plan = super::finish(resource, built, world, report);
    plan.filter(|_| supported)
}

/// A Table gives its rows to others, and needs one that they are looked up for: a Stream, alone where there is no window.
fn looks_up(resource: &Resource, spec: &JoinerSpec, inputs: &[Input<'_, '_>], report: &mut Report) -> bool {
    let tables = inputs.iter().filter(|input| input.table.is_some()).count();
    let streams = inputs.len() - tables;
    let found = if streams == 0 {
        let message = "nothing but Tables: a row is made when a message of a Stream comes";
        let found = resource.at("spec.stream.from", reason::NOT_A_LOOKUP, message);
        found.help("name a Stream too, or the Streams that the Tables are made of")
    } else if spec.window.is_none() && (tables == 0 || streams > 1) {
        let message = "messages of several Streams are joined within a window, and there is none";
        let found = resource.at("spec.window", reason::WINDOW_NEEDED, message);
        found.help("add one, as in `window: 20s`; only a Stream with Tables is joined without")
    } else if spec.window.is_none() && aggregates(spec) {
        let message = "groups are computed over a window, and there is none";
        let found = resource.at("spec.window", reason::WINDOW_NEEDED, message);
        found.help("add one, as in `window: 20s`")
    } else if tables > 0 && !matches!(spec.join_type, None | Some(JoinType::Inner | JoinType::Left)) {
        let message = "a Table has no messages of its own that could be left over, or have a match";
        let found = resource.at("spec.type", reason::NOT_A_LOOKUP, message);
        found.help("write `left` to keep what has no row in the Table, or `inner` to leave it out")
    } else {
        return true;
    };
    report.problem(resource, found);
    false
}

fn aggregates(spec: &JoinerSpec) -> bool {
    let select = spec.stream.select.as_deref();
    !spec.windowing.group_by.is_empty()
        || spec.windowing.having.is_some()
        || select.is_some_and(streaming_engine::expr::has_aggregate)
}
