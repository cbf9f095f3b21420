//! What there was, at the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::status::Totals;
use crate::local::Pipeline;

/// A line for each component, and one for each reason for which something went wrong.
pub(super) fn summary(pipeline: &Pipeline) -> String {
    let mut out = String::new();
    // A Processor that only gets results of other components takes nothing off a topic.
    for part in pipeline
        .parts()
        .iter()
        .filter(|part| !part.plan.inputs.is_empty())
    {
        let counters = part.engine.counters();
        let mut totals = Totals::default();
        totals.add(part);
        let _ = write!(
            out,
            "{} {}: received {}, matched {}, filtered {}, errors {}, dead-lettered {}, delivered {}",
            part.plan.component.kind,
            part.plan.component.name,
            totals.received,
            totals.matched,
            totals.filtered,
            totals.errored,
            totals.dead_lettered,
            totals.delivered,
        );
        for (what, number) in [("late", totals.late), ("repeats dropped", totals.repeats)] {
            if number > 0 {
                let _ = write!(out, ", {what} {number}");
            }
        }
        out.push('\n');
        reasons(&mut out, "expression errors", &counters.expression_errors);
        reasons(&mut out, "dead letters", &counters.dead_lettered);
    }
    out
}

fn reasons(out: &mut String, what: &str, counts: &BTreeMap<&'static str, u64>) {
    if !counts.is_empty() {
        let all: Vec<String> = counts.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let _ = writeln!(out, "  {what}: {}", all.join(", "));
    }
}
