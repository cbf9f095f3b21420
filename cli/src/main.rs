//! streamctl: the same manifests on a laptop. Also kubectl's plugin, when it is installed as `kubectl-streaming`.
//!
//! A command goes through these modules in this order: `args`, then `load` and `assemble` for those that take
//! manifests, then its own module, `local` where messages move, `report` for what is said.

#[macro_use]
mod say;

mod args;
mod assemble;
mod check;
mod dead_letters;
mod eval;
mod exit;
mod generate;
mod load;
mod local;
mod locate;
mod log;
mod report;
mod run;
mod style;
mod test;
mod workload;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use streaming_containers::clock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command().unwrap_or_else(|e| {
        say!("error: {e:#}");
        exit::PROBLEMS
    })
}

fn command() -> anyhow::Result<ExitCode> {
    let mut command = args::Cli::command();
    if args::is_plugin(std::env::args_os().next().as_deref()) {
        command = command.name("kubectl-streaming").bin_name("kubectl streaming");
    }
    let cli = args::Cli::from_arg_matches(&command.clone().get_matches()).unwrap_or_else(|e| e.exit());
    match &cli.command {
        args::Command::Run(args) => run::run(args),
        args::Command::Check(args) => check::check(args),
        args::Command::Test(args) => test::test(args),
        args::Command::Eval(args) => eval::eval(args),
        args::Command::Generate(args) => generate::generate(args),
        args::Command::Up(args) => run::up(args),
        args::Command::DeadLetters(command) => dead_letters::dead_letters(command),
        args::Command::Log => log::log(),
        args::Command::Completions { shell } => {
            let name = command.get_name().to_owned();
            // Into memory first: it panics where it can't write.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, name, &mut script);
            match std::io::stdout().write_all(&script) {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
                _ => Ok(exit::OK),
            }
        }
    }
}
