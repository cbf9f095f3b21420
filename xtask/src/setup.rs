//! What the tests need beyond Rust, installed where that is allowed and named where it is not.

use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};

use crate::{cluster, shell};

const DENY: &str = "0.20.2";
const GO_MINOR: u32 = 23;

/// Installs everything and waits for it.
pub(crate) fn run() -> Result<()> {
    programs()?;
    if let Some(child) = start_deny()? {
        finish_deny(child)?;
    }
    cluster::run(&cluster::Action::Build { node: true })?;
    println!("everything that the tests need is here");
    Ok(())
}

/// A C compiler (for the allocator) and Go (for the reference CEL), by Debian package where possible.
pub(crate) fn programs() -> Result<()> {
    let mut missing = Vec::new();
    if shell::first_line("cc --version").is_none() {
        missing.push(("gcc", "a C compiler called `cc`"));
    }
    if go_minor().is_none() {
        missing.push(("golang-go", "Go, called `go`"));
    }
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.iter().map(|(package, _)| *package).collect();
        if let Err(why) = apt(&packages) {
            let what: Vec<&str> = missing.iter().map(|(_, what)| *what).collect();
            bail!(
                "the tests need {}.\nOn Debian or Ubuntu: sudo apt-get install {}\n({why:#})",
                what.join(" and "),
                packages.join(" ")
            );
        }
    }
    match go_minor() {
        Some(minor) if minor >= GO_MINOR => Ok(()),
        found => bail!(
            "the tests need Go 1.{GO_MINOR} or later, to compare expressions with the reference CEL; found {}.\n\
             Install a current one from https://go.dev/dl/ and put it on PATH.",
            found.map_or("none".to_owned(), |minor| format!("1.{minor}"))
        ),
    }
}

fn go_minor() -> Option<u32> {
    let version = shell::first_line("go env GOVERSION")?;
    version.strip_prefix("go1.")?.split('.').next()?.parse().ok()
}

fn apt(packages: &[&str]) -> Result<()> {
    let root = shell::first_line("id -u").as_deref() == Some("0");
    if !root {
        bail!("not run as root, so nothing was installed");
    }
    println!("installing {}", packages.join(" "));
    shell::sh("apt-get update -qq")?;
    let mut install = shell::command("apt-get install -y -qq --no-install-recommends");
    shell::run(install.args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Where cargo-deny is, once built.
pub(crate) fn deny() -> PathBuf {
    shell::target().join(format!("tools/cargo-deny-{DENY}/bin/cargo-deny"))
}

/// Starts building cargo-deny in the background, unless it is there; its messages go to a log.
pub(crate) fn start_deny() -> Result<Option<Child>> {
    if deny().exists() {
        return Ok(None);
    }
    let tools = shell::target().join("tools");
    std::fs::create_dir_all(&tools)?;
    let log = std::fs::File::create(tools.join("cargo-deny.log"))?;
    let mut install: Command = shell::command("cargo install --locked --quiet cargo-deny --version");
    install
        .arg(DENY)
        .arg("--root")
        .arg(tools.join(format!("cargo-deny-{DENY}")));
    install.arg("--target-dir").arg(tools.join("build"));
    // One job, and the lower priority: the workspace's own build is what people wait for.
    install
        .env("CARGO_BUILD_JOBS", "1")
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(Some(install.spawn().context("cannot start cargo install")?))
}

/// Waits for the build that [`start_deny`] began.
pub(crate) fn finish_deny(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    if !status.success() || !deny().exists() {
        let log = shell::target().join("tools/cargo-deny.log");
        bail!(
            "cargo-deny could not be built:\n{}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
    }
    // The objects are of no further use, and large.
    std::fs::remove_dir_all(shell::target().join("tools/build")).ok();
    Ok(())
}
