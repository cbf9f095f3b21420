//! The graph as text: from where to where, what each hop promises, and what became of each join's condition.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use streaming_engine::join::{Explanation, JoinSpec};
use streaming_engine::time::Time;
use streaming_plan::{Plan, Role, Windows};

use super::query;
use crate::assemble::Assembly;
use crate::report::printable;
use crate::style::Style;
use crate::test::seconds;

/// Everything below the findings; empty where nothing is connected.
pub(crate) fn graph(assembly: &Assembly, style: Style) -> String {
    let mut out = String::new();
    if assembly.edges.is_empty() {
        return out;
    }
    let _ = writeln!(out, "{}", style.bold("graph"));
    tree(&mut out, assembly, style);
    let _ = writeln!(out, "\n{}", style.bold("guarantees"));
    for edge in &assembly.edges {
        let (from, to) = (printable(&edge.from), printable(&edge.to));
        let _ = writeln!(out, "  {from} -> {to}\n    {}", edge.guarantee);
    }
    for plan in &assembly.plans {
        let Role::Window(query) = &plan.role else {
            continue;
        };
        let verb = if query.inputs.len() > 1 {
            "joins"
        } else {
            "collects"
        };
        let title = style.bold(&format!("how {} {verb}", plan.component.name));
        let mut lines = query::lines(query);
        if let Some(explanation) = explanation(plan) {
            lines.extend(explanation.to_string().lines().map(str::to_owned));
        }
        let _ = writeln!(out, "\n{title}");
        for line in lines {
            let _ = writeln!(out, "  {}", printable(&line));
        }
    }
    out
}

/// What was made of a join's condition.
pub(crate) fn explanation(plan: &Plan) -> Option<Explanation> {
    let Role::Window(query) = &plan.role else {
        return None;
    };
    JoinSpec::compile(query).ok().map(|spec| spec.explain())
}

/// Each source with all that it leads to; what was shown above is only named.
fn tree(out: &mut String, assembly: &Assembly, style: Style) {
    let mut next: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let generators = assembly
        .workloads
        .generators
        .iter()
        .map(|g| (g.name.clone(), format!("{}/{}", g.cluster_stream, g.topic)));
    for (from, to) in generators.chain(assembly.edges.iter().map(|e| (e.from.clone(), e.to.clone()))) {
        if !next.contains_key(&from) {
            order.push(from.clone());
        }
        let all = next.entry(from).or_default();
        if !all.contains(&to) {
            all.push(to);
        }
    }
    // What is delivered to a Processor's route goes on from the Processor.
    for plan in &assembly.plans {
        let name = &plan.component.name;
        let routes: BTreeSet<String> = next
            .values()
            .flatten()
            .filter(|to| to.split_once('/').is_some_and(|(c, _)| c == name))
            .cloned()
            .collect();
        if matches!(plan.role, Role::Relay { .. })
            && let Some(own) = next.get(name).cloned()
        {
            order.retain(|from| from != name || routes.is_empty());
            for route in routes {
                next.insert(route, own.clone());
            }
        }
    }
    let reached: BTreeSet<&String> = next.values().flatten().collect();
    let mut roots: Vec<&String> = order.iter().filter(|from| !reached.contains(from)).collect();
    // A circle has no beginning.
    roots.extend(order.iter().filter(|from| reached.contains(from)));
    let mut drawing = Drawing {
        next: &next,
        assembly,
        shown: BTreeSet::new(),
        out,
        style,
    };
    for root in roots {
        if !drawing.shown.contains(root.as_str()) {
            drawing.node(root, "  ", "  ");
        }
    }
}

struct Drawing<'a> {
    next: &'a BTreeMap<String, Vec<String>>,
    assembly: &'a Assembly,
    shown: BTreeSet<&'a str>,
    out: &'a mut String,
    style: Style,
}

impl<'a> Drawing<'a> {
    fn node(&mut self, name: &'a str, lead: &str, indent: &str) {
        let children = self.next.get(name).map_or(&[][..], Vec::as_slice);
        let again = !self.shown.insert(name) && !children.is_empty();
        let note = if again {
            self.style.dim(" (see above)")
        } else {
            self.note(name)
        };
        let _ = writeln!(self.out, "{lead}{}{note}", printable(name));
        if again {
            return;
        }
        for (index, child) in children.iter().enumerate() {
            let last = index + 1 == children.len();
            let (branch, bar) = if last {
                ("└─> ", "    ")
            } else {
                ("├─> ", "│   ")
            };
            self.node(child, &format!("{indent}{branch}"), &format!("{indent}{bar}"));
        }
    }

    fn note(&self, name: &str) -> String {
        let Some(plan) = self
            .assembly
            .plans
            .iter()
            .find(|plan| plan.component.name == name)
        else {
            return String::new();
        };
        let kind = &plan.component.kind;
        let text = match &plan.role {
            Role::Window(query) => match query.windows {
                Windows::Tumbling { length } => {
                    format!(" ({kind}, window {} s)", seconds(Time(length)))
                }
                Windows::Hopping { length, slide } => {
                    let (length, slide) = (seconds(Time(length)), seconds(Time(slide)));
                    format!(" ({kind}, window {length} s every {slide} s)")
                }
                Windows::Session { gap, max } => {
                    let (gap, max) = (seconds(Time(gap)), seconds(Time(max)));
                    format!(" ({kind}, sessions with gaps below {gap} s, of at most {max} s)")
                }
                Windows::Unbounded => format!(" ({kind})"),
            },
            Role::Map { .. } | Role::Relay { .. } => format!(" ({kind})"),
        };
        self.style.dim(&text)
    }
}
