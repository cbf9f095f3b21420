//! Fuzzing, as fuzz/README.md describes it, for a given time.

use std::fs;

use anyhow::{Context, Result};

use crate::shell;

/// Fuzzes the expression compiler and evaluator; fails on the first finding.
pub(crate) fn run(seconds: u32) -> Result<()> {
    let folder = shell::root().join("fuzz");
    let corpus = shell::target().join("fuzz/corpus/expr");
    fs::create_dir_all(&corpus)?;
    let host = shell::first_line("rustc --print host-tuple").context("rustc names no host")?;
    let mut fuzz = shell::command("cargo run --release --locked --quiet --bin expr --target");
    fuzz.arg(host)
        .arg("--target-dir")
        .arg(shell::target().join("fuzz"))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .args([
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=4096",
            "-dict=expr.dict",
            "-print_final_stats=1",
        ])
        .arg(corpus)
        .arg("seeds/expr")
        .current_dir(folder);
    shell::run(&mut fuzz)
}
