//! `run`: the pipeline on the wall's clock.

mod brokers;
mod engine;
mod explain;
mod feed;
mod printer;
mod signals;
mod status;
mod summary;
mod up;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use streaming_plan::State;

use crate::args;
use crate::assemble::{Assembly, assemble};
use crate::clock::{Clock, micros};
use crate::exit;
use crate::load::load;
use crate::report;
use crate::style::Style;
use engine::Runner;
use explain::Explainer;
use printer::Printer;

pub(crate) use up::up;

/// Runs the command.
pub(crate) fn run(args: &args::Run) -> anyhow::Result<ExitCode> {
    start(args, assemble(load(&args.paths)))
}

fn start(args: &args::Run, assembly: Assembly) -> anyhow::Result<ExitCode> {
    let style = Style::of(&std::io::stderr());
    for finding in &assembly.findings {
        say_text!("{}", finding.render(style));
    }
    if report::any_error(&assembly.findings) {
        say!(
            "{}: {}",
            style.error("streamctl"),
            report::tally(&assembly.findings).unwrap_or_default()
        );
        return Ok(exit::PROBLEMS);
    }
    let inputs = match feed::resolve(&args.input, &assembly) {
        Ok(inputs) => inputs,
        Err(message) => {
            say!("{}: {message}", style.error("error"));
            return Ok(exit::usage());
        }
    };
    for line in &assembly.workloads.left_out {
        say!("{} {line}", style.dim("note:"));
    }
    if assembly.workloads.generators.is_empty() && inputs.is_empty() {
        say!(
            "{} nothing sends messages: there is no generator and no --input",
            style.dim("note:")
        );
    }
    let clock = Clock::start();
    let limit = args.limit.map(|limit| clock.now().plus(micros(limit)));
    let until = args.limit.and_then(|limit| Instant::now().checked_add(limit));
    let real = !args.broker.is_empty();
    let processors = assembly.workloads.processors.clone();
    let mut printer = Printer::new(args.json, processors, until.filter(|_| !real));
    if args.explain_windows {
        printer.explain(Explainer::new(&assembly.plans));
    }
    if real {
        let assembly = place(assembly, args.state.as_deref());
        return brokers::run(&args.broker, assembly, inputs, args.limit, printer);
    }
    Runner::new(assembly, inputs, clock, limit, printer)?.run()
}

/// Puts the state of each component that has any where the user wants it, which is not where the operator would.
/// Without such a place messages stay with their brokers.
fn place(mut assembly: Assembly, directory: Option<&Path>) -> Assembly {
    for plan in &mut assembly.plans {
        let component = &plan.component;
        let own = |directory: &Path| directory.join(&component.namespace).join(&component.name);
        let path = directory.map(|directory| own(directory).display().to_string());
        plan.state = plan.state.take().and(path).map(|path| State { path });
    }
    assembly
}
