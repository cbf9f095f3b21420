//! The sidecar under load, between real brokers, and state on disk: the figures of docs/performance.md and docs/state.md,
//! and short forms for CI.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{binaries, setup, shell};

/// Measures the sidecar as images have it, and puts the figures into docs/performance.md; or only some bridges.
pub(crate) fn run(bridges: Option<&str>) -> Result<()> {
    setup::programs(setup::BROKERS)?;
    let measured = binaries::build()?;
    shell::sh("cargo build --release --locked --package pipeload")?;
    let docs = shell::root().join("docs/performance.md");
    let mut load = load(&shell::target().join("release"), &measured);
    match bridges {
        Some(some) => shell::run(load.arg("--bridges").arg(some)),
        None => shell::run(load.arg("--docs").arg(docs)),
    }
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

/// What is asked of state on disk: ten million events of a million keys in an hour's window and 64 MiB, a million messages of
/// each of two inputs joined in as much, a Table some twenty times as large as what it may take of memory and the same in
/// memory, and what a group takes when a hundred million events have gone into a thousand.
const STATE: [&str; 5] = [
    "spilled 10000000 1000000 64",
    "joined 1000000 64",
    "tables 500000 16",
    "tables 500000 512",
    "groups 100000000 1000",
];
const STATE_SHORT: [&str; 3] = ["spilled 200000 50000 2", "joined 50000 2", "tables 32000 2"];

/// Measures windows larger than memory, and puts the figures into docs/state.md.
pub(crate) fn state() -> Result<()> {
    shell::sh("cargo build --release --locked --package streaming-store --example state")?;
    let program = shell::target().join("release/examples/state");
    let docs = shell::root().join("docs/state.md");
    for load in STATE {
        println!("{load}");
        let output = Command::new(&program).args(load.split(' ')).output()?;
        let row = String::from_utf8(output.stdout)?;
        print!("{row}");
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{load}: {}", complaint.trim());
        let text = fs::read_to_string(&docs)?;
        fs::write(&docs, replaced(&text, load, &row)?)?;
    }
    Ok(())
}

/// The same with less of it: that no result is wrong, and that the budget holds.
pub(crate) fn state_short() -> Result<()> {
    for load in STATE_SHORT {
        shell::sh(&format!(
            "cargo run --profile bench --locked --package streaming-store --example state -- {load}"
        ))?;
    }
    Ok(())
}

/// A text with the row that follows the mark of a load replaced.
fn replaced(text: &str, load: &str, row: &str) -> Result<String> {
    let mark = format!("<!-- state {load} -->\n");
    let (before, rest) = text
        .split_once(&mark)
        .context("docs/state.md has no place for this load")?;
    // Two lines of the table's head, then the row.
    let mut lines = rest.splitn(4, '\n');
    let head: Vec<&str> = lines.by_ref().take(2).collect();
    let after = lines.nth(1).unwrap_or_default();
    Ok(format!("{before}{mark}{}\n{row}{after}", head.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_the_place_of_the_last_one() {
        let text = "a\n<!-- state x -->\n| head |\n| --- |\n| old |\nb\n";
        let new = replaced(text, "x", "| new |\n").unwrap();
        assert_eq!(new, text.replace("old", "new"));
        assert!(replaced(text, "y", "").is_err());
    }
}
