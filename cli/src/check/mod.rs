//! `check`: everything that can be said about manifests without running them.

mod graph;
mod query;

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};
use streaming_plan::Role;

use crate::args::{self, Output};
use crate::assemble::{Assembly, assemble};
use crate::exit;
use crate::load::load;
use crate::report::{self, Finding, Severity};
use crate::style::Style;

/// Runs the command.
pub(crate) fn check(args: &args::Check) -> anyhow::Result<ExitCode> {
    let assembly = assemble(load(&args.paths));
    let text = match args.output {
        Output::Json => format!("{:#}\n", as_json(&assembly)),
        Output::Text => {
            let style = Style::of(&std::io::stderr());
            for finding in &assembly.findings {
                say_text!("{}", finding.render(style));
            }
            for line in &assembly.workloads.left_out {
                say!("{} {}", style.dim("note:"), report::printable(line));
            }
            if let Some(tally) = report::tally(&assembly.findings) {
                say!("{tally}");
            }
            graph::graph(&assembly, Style::of(&std::io::stdout()))
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => return Err(e.into()),
        _ => {}
    }
    Ok(if report::any_error(&assembly.findings) {
        exit::PROBLEMS
    } else {
        exit::OK
    })
}

/// The shape that docs/streamctl.md describes.
fn as_json(assembly: &Assembly) -> Value {
    let of = |severity| -> Vec<Value> {
        assembly
            .findings
            .iter()
            .filter(|f| f.severity == severity)
            .map(Finding::to_json)
            .collect()
    };
    json!({
        "problems": of(Severity::Error),
        "warnings": of(Severity::Warning),
        "components": assembly.plans.iter().map(|plan| json!({
            "kind": plan.component.kind,
            "namespace": plan.component.namespace,
            "name": plan.component.name,
            "query": match &plan.role {
                Role::Window(query) => json!(query),
                Role::Map { .. } | Role::Relay { .. } => Value::Null,
            },
            "where": graph::explanation(plan).map(|e| json!({
                "arrival": e.arrival.iter().map(|(variable, checks)| json!({
                    "variable": variable, "filters": checks,
                })).collect::<Vec<_>>(),
                "steps": e.steps.iter().map(|step| json!({
                    "variable": step.variable, "keys": step.keys, "ranges": step.ranges, "checks": step.checks,
                })).collect::<Vec<_>>(),
            })),
        })).collect::<Vec<_>>(),
        "edges": assembly.edges.iter().map(|edge| json!({
            "from": edge.from,
            "to": edge.to,
            "guarantee": edge.guarantee,
            "text": edge.guarantee.to_string(),
        })).collect::<Vec<_>>(),
        "generators": assembly.workloads.generators.iter().map(|g| json!({
            "namespace": g.namespace,
            "name": g.name,
            "to": format!("{}/{}", g.cluster_stream, g.topic),
            "replicas": g.replicas,
        })).collect::<Vec<_>>(),
        "notRunHere": assembly.workloads.left_out,
    })
}
