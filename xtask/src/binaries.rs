//! The programs that people and images get: optimised, and linked statically, so that an image needs nothing else.
//!
//! All are built together, so that they share what they have in common, here and in CI.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::shell;

const PACKAGES: [&str; 4] = [
    "streamctl",
    "streaming-operator",
    "streaming-sidecar",
    "streaming-containers",
];

/// Linked statically, and made small. The program is placed anywhere in memory, so it has 30,000 addresses to be adjusted
/// when it starts: packed, they take a thirtieth of the room. A panic ends the process, so nobody walks its stack.
const FLAGS: &str =
    "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs -C force-unwind-tables=no";

/// Builds them and gives their folder.
pub(crate) fn build() -> Result<PathBuf> {
    let host = shell::first_line("rustc --print host-tuple").context("rustc names no host")?;
    let mut build = shell::command("cargo build --profile dist --locked");
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    // With a target named, these flags are for the programs only, not for what runs while they are built.
    build.arg("--target").arg(&host);
    shell::run(build.env("RUSTFLAGS", FLAGS))?;
    Ok(shell::target().join(host).join("dist"))
}
