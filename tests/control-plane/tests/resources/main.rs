//! Our definitions and manifests on a real API server, and that it says what `streamctl check` says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod bad;
mod definitions;
mod good;
mod manifest;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use control_plane::{Assets, ControlPlane};

/// One for all tests, with our definitions established. A static is never dropped; the watchdog ends it.
static CONTROL_PLANE: LazyLock<ControlPlane> = LazyLock::new(|| {
    let assets = Assets::find().unwrap_or_else(|why| panic!("{why:#}"));
    let control_plane = ControlPlane::start(&assets).unwrap_or_else(|why| panic!("{why:#}"));
    let crds = root().join("crds");
    let mut apply = control_plane.kubectl();
    output(apply.args(["apply", "--server-side", "-f"]).arg(crds));
    let mut wait = control_plane.kubectl();
    output(wait.args([
        "wait",
        "crd",
        "--all",
        "--for=condition=Established",
        "--timeout=30s",
    ]));
    control_plane
});

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command prints; it must succeed and say nothing on standard error, where kubectl's warnings go.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{command:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// `kubectl` with a line of arguments.
fn kubectl(line: &str) -> String {
    output(CONTROL_PLANE.kubectl().args(line.split_whitespace()))
}
