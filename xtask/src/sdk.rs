//! Dapr's Python SDK: a test of the sidecar has a generator that publishes with it.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{setup, shell};

/// Its version, and that of all that it needs.
const REQUIREMENTS: &str = "sidecar/tests/dapr/requirements.txt";

/// Installs it into a virtual environment of its own, unless it is there.
pub(crate) fn install() -> Result<()> {
    let folder = shell::target().join("tools/dapr");
    let installed = folder.join("requirements.txt");
    let wanted = std::fs::read_to_string(shell::root().join(REQUIREMENTS))?;
    if std::fs::read_to_string(&installed).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    println!("installing Dapr's Python SDK into {}", folder.display());
    let can_make_environments = ["-c", "import ensurepip, venv"];
    let mut python = shell::command("python3");
    if shell::run(python.args(can_make_environments)).is_err() {
        setup::apt(&["python3-venv"]).context(
            "a test needs Python with its module venv.\nOn Debian or Ubuntu: sudo apt-get install python3-venv",
        )?;
    }
    shell::run(shell::command("python3 -m venv --clear").arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.current_dir(shell::root()).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        REQUIREMENTS,
    ]);
    shell::run(&mut pip).context("Dapr's Python SDK could not be installed from PyPI")?;
    std::fs::write(installed, wanted)?;
    Ok(())
}
