//! The project's own chores: generated files, test set-up, checks. `cargo xtask --help` lists them.

mod bench;
mod binaries;
mod cluster;
mod crds;
mod e2e;
mod faults;
mod fuzz;
mod images;
mod lines;
mod redis;
mod sdk;
mod setup;
mod shell;
mod simulate;
mod tiers;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the streaming-runtime workspace")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up what the tests need, then run every tier. This is what CI runs.
    Test {
        /// Run only these tiers, by name (see `--list`).
        tiers: Vec<String>,
        /// Print the tiers with their time budgets, and run nothing.
        #[arg(long)]
        list: bool,
    },
    /// Install what the tests need, or say exactly what is missing.
    Setup,
    /// Write crds/, manifests/install.yaml and docs/resources.md from the types in crates/api.
    Crds {
        /// Write nothing; fail if a file differs from what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Build the container images, with buildah or Docker, and an archive of each.
    Images {
        #[arg(long, default_value = "latest")]
        tag: String,
        /// Also build those of the examples' brokers, out of this machine's Debian packages.
        #[arg(long)]
        brokers: bool,
    },
    /// A Kubernetes control plane to test with, or to try things on.
    Cluster {
        #[command(subcommand)]
        action: cluster::Action,
    },
    /// Apply manifests to a cluster with a node and see that they do what they say.
    E2e(e2e::Run),
    /// Measure the sidecar between real brokers, or state on disk, and put the figures into docs/performance.md or
    /// docs/state.md.
    Bench {
        #[arg(value_enum, default_value = "sidecar")]
        what: Measured,
        /// Only the bridges between brokers whose names have this in them, as `redis to mqtt`; writes nothing.
        #[arg(long, value_name = "TEXT")]
        bridges: Option<String>,
    },
    /// Kill, stop, cut off and stuff sidecars between real brokers, and put what came of it into docs/reliability.md.
    Faults(faults::Run),
    /// Fuzz the expression compiler and evaluator; the end of a long run is docs/fuzz-expr.log.
    Fuzz {
        /// How long to fuzz, in seconds.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Run random pipelines under faults on virtual time, each judged by an oracle.
    Simulate(simulate::Run),
    /// Fail if a source file has more than 400 lines that are not tests.
    Lines,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Measured {
    /// The sidecar between real brokers.
    Sidecar,
    /// Windows larger than memory.
    State,
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Test { tiers, list: false } => tiers::run(&tiers),
        Command::Test { list: true, .. } => {
            tiers::list();
            Ok(())
        }
        Command::Setup => setup::run(),
        Command::Crds { check } => crds::run(check),
        Command::Images { tag, brokers } => images::run(&tag, brokers),
        Command::Cluster { action } => cluster::run(&action),
        Command::E2e(run) => e2e::run(&run),
        Command::Bench {
            what: Measured::Sidecar,
            bridges,
        } => bench::run(bridges.as_deref()),
        Command::Bench {
            what: Measured::State,
            bridges,
        } => {
            ensure!(
                bridges.is_none(),
                "bridges are measured with `cargo xtask bench sidecar`"
            );
            bench::state()
        }
        Command::Faults(run) => faults::run(&run),
        Command::Fuzz { seconds } => fuzz::run(seconds),
        Command::Simulate(run) => simulate::run(&run),
        Command::Lines => lines::run(),
    }
}
