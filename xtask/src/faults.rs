//! Faults: `tests/faults` with the sidecar that images have, and in short with the one of the other tiers.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{binaries, setup, shell};

/// Which, and drawn by what.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// Draws what is drawn, as a run before this one said.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these sorts: kill, restart, stop, line, duplicates, recipient, backlog, roll, poison.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these brokers: redis, rabbitmq, mqtt.
    #[arg(long, value_delimiter = ',')]
    broker: Vec<String>,
}

/// Makes them happen as often as it takes to believe it, and puts what came of it into docs/reliability.md.
pub(crate) fn run(run: &Run) -> Result<()> {
    setup::programs(setup::BROKERS)?;
    let programs = binaries::build()?;
    let mut faults = faults(&programs)?;
    faults
        .arg("--docs")
        .arg(shell::root().join("docs/reliability.md"));
    if let Some(seed) = run.seed {
        faults.arg("--seed").arg(seed.to_string());
    }
    for (flag, values) in [("--only", &run.only), ("--broker", &run.broker)] {
        if !values.is_empty() {
            faults.arg(flag).arg(values.join(","));
        }
    }
    shell::run(&mut faults)
}

/// The tier: each for seconds, in the build that the other tiers have.
pub(crate) fn short() -> Result<()> {
    shell::sh("cargo build --locked --package streaming-sidecar")?;
    let mut faults = faults(&shell::target().join("debug"))?;
    shell::run(faults.arg("--short"))
}

fn faults(programs: &Path) -> Result<Command> {
    shell::sh("cargo build --locked --package faults")?;
    let mut command = Command::new(shell::target().join("debug/faults"));
    command.current_dir(shell::root());
    command.arg("--sidecar").arg(programs.join("streaming-sidecar"));
    Ok(command)
}
