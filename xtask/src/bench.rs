//! The sidecar under load, between real brokers: the figures of docs/performance.md, and a short form for CI.

use std::process::Command;

use anyhow::Result;

use crate::{setup, shell};

/// Measures the release build and puts the figures into docs/performance.md.
pub(crate) fn run() -> Result<()> {
    setup::programs(setup::BROKERS)?;
    // Each by itself: built together, one could get features of a library that only the other asks for.
    shell::sh("cargo build --release --locked --package streaming-sidecar")?;
    shell::sh("cargo build --release --locked --package pipeload")?;
    let docs = shell::root().join("docs/performance.md");
    shell::run(load("release").arg("--docs").arg(docs))
}

/// Puts a light load on a debug build, for the sake of the rows alone.
pub(crate) fn short() -> Result<()> {
    shell::sh("cargo build --locked --package streaming-sidecar --package pipeload")?;
    shell::run(load("debug").arg("--light"))
}

fn load(profile: &str) -> Command {
    let built = shell::target().join(profile);
    let mut command = Command::new(built.join("pipeload"));
    command.current_dir(shell::root());
    command.arg("--sidecar").arg(built.join("streaming-sidecar"));
    command
}
