//! A Joiner's plan.

use streaming_api::{Emit, JoinerSpec};
use streaming_engine::expr::{Expr, InputSet, Scope};
use streaming_plan::{self as plan, Plan, Query, QueryInput, Role, Windows};

use super::World;
use crate::document::Resource;
use crate::problem::Report;
use crate::streams::Resolved;
use crate::{expression, inputs, properties, reason, targets, unsupported};

pub(super) fn build(
    resource: &Resource,
    spec: &JoinerSpec,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Option<Plan> {
    let supported = unsupported::joiner_is_supported(resource, spec, report);
    let inputs = inputs::resolve(resource, &spec.stream.from, world.catalog, world.streams, report);
    // Expressions need the names only, so they are checked even where a Stream is missing.
    let compiled = inputs.variables.as_ref().and_then(|variables| {
        let names: Vec<&str> = variables.iter().map(String::as_str).collect();
        let scope = Scope::new(&names).ok()?.with_window();
        let compiled = expression::compile(
            resource,
            spec.stream.filter.as_ref(),
            spec.stream.select.as_ref(),
            &scope,
            report,
        )?;
        relates_all(resource, &names, &compiled.conditions, report);
        Some(compiled)
    });
    let outputs = targets::all(resource, "spec.stream.to", &spec.stream.to, world.catalog, report);
    let budget = super::memory_budget(resource, &spec.workload, report);
    super::container_has_no_effect(resource, &spec.workload, report);
    let runs = super::runs(resource, spec.workload.suspend, report);

    let micros = streaming_api::parse_micros(&spec.window).ok()?;
    let resolved = inputs.resolved?;
    let fits = resolved
        .iter()
        .filter(|input| !outlives(resource, micros, input.stream, report))
        .count()
        == resolved.len();
    let inputs = super::plan_inputs(
        resource,
        resolved,
        spec.windowing.dead_letter.as_ref(),
        world,
        report,
    )?;
    let (compiled, outputs) = (compiled?, outputs?);
    if !(supported && runs && fits) {
        return None;
    }
    let names = inputs.iter().map(|input| QueryInput {
        variable: input.variable.clone(),
        ..QueryInput::default()
    });
    let role = Role::Window(Query {
        inputs: names.collect(),
        windows: Windows::Tumbling { length: micros },
        filter: compiled.filter,
        select: compiled.select,
        emit: match spec.windowing.emit {
            Some(Emit::Each) => plan::Emit::Each,
            _ => plan::Emit::Batch,
        },
        ..Query::default()
    });
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

/// Warns where no condition relates some inputs to the others, so that all their combinations are rows.
fn relates_all(resource: &Resource, names: &[&str], conditions: &[Expr], report: &mut Report) {
    // What else is wrong may be why there is no condition. What is never true joins nothing, and has a warning of its own.
    if report.has_problem_of(resource)
        || conditions
            .iter()
            .any(|condition| condition.as_constant() == Some(false))
    {
        return;
    }
    let mut groups: Vec<InputSet> = (0..names.len())
        .map(|input| std::iter::once(input).collect())
        .collect();
    for condition in conditions {
        let inputs = condition.inputs();
        let (mut related, apart): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| group.iter().any(|input| inputs.contains(input)));
        groups = apart;
        groups.extend(related.drain(..).reduce(InputSet::union));
    }
    let [first, .., last] = groups.as_mut_slice() else {
        return;
    };
    let listed = |group: InputSet| -> Vec<String> {
        group
            .iter()
            .filter_map(|input| Some(format!("`{}`", names.get(input)?)))
            .collect()
    };
    // In the order of `from`.
    let (first, last) = match (first.iter().next(), last.iter().next()) {
        (Some(one), Some(other)) if other < one => (*last, *first),
        _ => (*first, *last),
    };
    let key = |group: InputSet| {
        group
            .iter()
            .next()
            .and_then(|input| names.get(input))
            .copied()
            .unwrap_or_default()
    };
    let message = format!(
        "nothing relates {} to {}: every message of one is joined with every message of the other, so 1,000 of each in \
         a window are 1,000,000 rows",
        listed(first).join(" and "),
        listed(last).join(" and "),
    );
    let help = format!(
        "say which belong together, as in `{}.id == {}.id`",
        key(first),
        key(last)
    );
    report.warning(
        resource,
        resource
            .at("spec.stream.where", reason::CROSS_JOIN, message)
            .help(help),
    );
}

/// `RabbitMQ` closes the channel of a consumer that leaves a message unacknowledged for `consumerTimeout`, and delivers
/// it again (<https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>). A window's messages are held unacknowledged
/// until its rows are delivered.
fn outlives(resource: &Resource, window: i64, stream: &Resolved<'_>, report: &mut Report) -> bool {
    const DEFAULT: i64 = 30 * 60 * 1_000_000;
    if stream.cluster.protocol != streaming_api::Protocol::RabbitMq {
        return false;
    }
    let given = properties::get(stream.cluster, Some(stream.spec), "consumerTimeout");
    // The broker's own setting is a number of milliseconds.
    let timeout = given.and_then(|given| {
        let millis = given.parse::<i64>().ok().map(|ms| ms.saturating_mul(1000));
        millis.or_else(|| streaming_api::parse_micros(given).ok())
    });
    let timeout = timeout.unwrap_or(DEFAULT);
    if window < timeout {
        return false;
    }
    let message = format!(
        "RabbitMQ takes back the messages of Stream `{}` after {}, before the window ends",
        stream.resource.name,
        given.unwrap_or("30m, its default consumerTimeout"),
    );
    let help = "shorten the window, or raise consumer_timeout on the broker and set the property consumerTimeout to the same";
    report.problem(
        resource,
        resource
            .at("spec.window", reason::WINDOW_TOO_LONG, message)
            .help(help),
    );
    true
}
