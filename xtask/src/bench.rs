//! The sidecar under load, between real brokers: the figures of docs/performance.md, and a short form for CI.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{binaries, setup, shell};

/// Measures the sidecar as images have it, and puts the figures into docs/performance.md.
pub(crate) fn run() -> Result<()> {
    setup::programs(setup::BROKERS)?;
    let measured = binaries::build()?;
    shell::sh("cargo build --release --locked --package pipeload")?;
    let docs = shell::root().join("docs/performance.md");
    let mut load = load(&shell::target().join("release"), &measured);
    shell::run(load.arg("--docs").arg(docs))
}

/// Puts a light load on a debug build, for the sake of the rows alone.
pub(crate) fn short() -> Result<()> {
    shell::sh("cargo build --locked --package streaming-sidecar --package pipeload")?;
    let built = shell::target().join("debug");
    shell::run(load(&built, &built).arg("--light"))
}

fn load(built: &Path, measured: &Path) -> Command {
    let mut command = Command::new(built.join("pipeload"));
    command.current_dir(shell::root());
    command.arg("--sidecar").arg(measured.join("streaming-sidecar"));
    command
}
