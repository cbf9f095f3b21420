//! Building the control plane: minutes the first time, then nothing until what is pinned changes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};
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

/// A build in the background; dropped, it is given up.
pub(crate) struct Build(Child);

impl Drop for Build {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts building it in the background, unless it is there; its messages go to a log.
pub(crate) fn start_build() -> Result<Option<Build>> {
    if !is_needed()? {
        return Ok(None);
    }
    assets::unmark_built();
    // One package at a time, and the lower priority: the workspace's own build is what people wait for.
    let mut build = go_build("nice -n 10 go build -p 1")?;
    let log = File::create(log())?;
    build.stdout(log.try_clone()?).stderr(log);
    Ok(Some(Build(build.spawn().context("cannot start go build")?)))
}

/// Waits for the build that [`start_build`] began.
pub(crate) fn finish_build(mut build: Build) -> Result<()> {
    let status = build.0.wait()?;
    if !status.success() {
        let log = fs::read_to_string(log()).unwrap_or_default();
        bail!("the control plane could not be built, {status}:\n{log}");
    }
    finish()
}

fn is_needed() -> Result<bool> {
    Ok(Assets::given()?.is_none() && !assets::is_built())
}

fn log() -> PathBuf {
    assets::built().join("build.log")
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
