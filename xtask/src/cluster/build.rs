//! Building the control plane: minutes the first time, then nothing until what is pinned changes.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use control_plane::{Assets, assets};

use crate::shell;

/// Builds it with all cores, its messages on the terminal, and waits.
pub(super) fn run() -> Result<()> {
    if is_needed()? {
        println!("building etcd, kube-apiserver and kubectl, which takes minutes the first time");
        assets::unmark_built();
        shell::run(&mut go_build("go build")?)?;
        finish()?;
    }
    println!("the control plane is in {}", Assets::find()?.folder().display());
    Ok(())
}

fn is_needed() -> Result<bool> {
    Ok(Assets::given()?.is_none() && !assets::is_built())
}

/// `go build`, with the words before and after that the command line has, for all tools of the module.
fn go_build(line: &str) -> Result<Command> {
    fs::create_dir_all(assets::built())?;
    let version = kubernetes_version()?;
    let minor = version.split('.').nth(1).context("a version without a minor")?;
    let package = "k8s.io/component-base/version";
    let mut command = shell::command(line);
    command
        .current_dir(assets::module())
        .env("CGO_ENABLED", "0")
        .arg("-trimpath")
        // Without a version, kubectl and the server would take each other for ancient.
        .arg(format!(
            "-ldflags=-s -w -X {package}.gitVersion={version} -X {package}.gitMajor=1 -X {package}.gitMinor={minor}"
        ))
        .arg("-o")
        .arg(assets::built().join(""))
        .arg("tool");
    Ok(command)
}

/// The release that the module pins, as `v1.2.3`.
fn kubernetes_version() -> Result<String> {
    let module = fs::read_to_string(assets::module().join("go.mod"))?;
    let required = module
        .lines()
        .find_map(|line| line.strip_prefix("require k8s.io/kubernetes "));
    let version = required.and_then(|version| version.split_whitespace().next());
    Ok(version
        .context("go.mod requires no k8s.io/kubernetes")?
        .to_owned())
}

/// Go names etcd after its folder.
fn finish() -> Result<()> {
    fs::rename(assets::built().join("server"), assets::built().join("etcd"))?;
    assets::mark_built()
}
