//! The simulation: `tests/simulation` with seeds, on all cores.

use anyhow::Result;

use crate::shell;

/// Which seeds.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// How many seeds to run.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one, with what it is about.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
}

/// Runs them, optimised: so many take long.
pub(crate) fn run(run: &Run) -> Result<()> {
    let which = match run.seed {
        Some(seed) => format!("--seed {seed}"),
        None => format!("--seeds {} --from {}", run.seeds, run.from),
    };
    shell::sh(&format!(
        "cargo run --release --package simulation --locked --quiet -- {which}"
    ))
}

/// The tier: few seeds, always the same, in the build that the other tiers have.
pub(crate) fn short() -> Result<()> {
    shell::sh("cargo run --package simulation --locked --quiet -- --seeds 400")
}
