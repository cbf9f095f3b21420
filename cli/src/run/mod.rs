//! `run`: the pipeline on the wall's clock.

mod brokers;
mod engine;
mod explain;
mod feed;
mod printer;
mod signals;
mod status;
mod summary;

use std::process::ExitCode;
use std::time::Instant;

use crate::args;
use crate::assemble::assemble;
use crate::clock::{Clock, micros};
use crate::exit;
use crate::load::load;
use crate::report;
use crate::style::Style;
use engine::Runner;
use explain::Explainer;
use printer::Printer;

/// Runs the command.
pub(crate) fn run(args: &args::Run) -> anyhow::Result<ExitCode> {
    let assembly = assemble(load(&args.paths));
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
    if !args.broker.is_empty() {
        let printer = Printer::new(args.json, assembly.workloads.processors.clone(), None);
        return brokers::run(&args.broker, assembly, inputs, args.limit, printer);
    }
    let clock = Clock::start();
    let limit = args.limit.map(|limit| clock.now().plus(micros(limit)));
    let until = args.limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut printer = Printer::new(args.json, assembly.workloads.processors.clone(), until);
    if args.explain_windows {
        printer.explain(Explainer::new(&assembly.plans));
    }
    Runner::new(assembly, inputs, clock, limit, printer)?.run()
}
