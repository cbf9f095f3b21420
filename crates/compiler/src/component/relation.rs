//! Whether conditions say which messages of a component's inputs belong together.

use streaming_engine::expr::{Expr, InputSet};

use crate::document::Resource;
use crate::problem::Report;
use crate::reason;

/// Warns where no condition relates some inputs to the others, so that all their combinations are rows.
pub(super) fn all(
    resource: &Resource,
    field: &str,
    names: &[&str],
    conditions: &[Expr],
    report: &mut Report,
) {
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
        resource.at(field, reason::CROSS_JOIN, message).help(help),
    );
}
