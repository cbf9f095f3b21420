//! Building the programs of a cluster: minutes the first time, then nothing until what is pinned changes.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::parts;
use control_plane::Assets;
use control_plane::assets::{self, Part, built};

use crate::shell;

/// Builds what isn't there, and waits. With `node`, also what a node needs besides the control plane.
pub(super) fn run(node: bool) -> Result<()> {
    for part in needed(node)? {
        eprintln!(
            "building {}, which takes minutes the first time",
            part.programs.join(", ")
        );
        part.unmark_built();
        shell::run(&mut go_build(&part)?)?;
        if part.programs.contains(&"etcd") {
            // Go names it after its folder.
            fs::rename(built().join("server"), built().join("etcd"))?;
        }
        part.mark_built()?;
    }
    Ok(())
}

/// A build in the background; dropped, it is given up.
pub(crate) struct Build(Child);

impl Drop for Build {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // All of its group: Go's compilers are not to go on beside the next build.
            let group = format!("-{}", self.0.id());
            Command::new("kill").args(["-KILL", "--", &group]).status().ok();
        }
        self.0.wait().ok();
    }
}

/// Starts building in the background what isn't there; its messages go to a log.
pub(crate) fn start_build(node: bool) -> Result<Option<Build>> {
    if needed(node)?.is_empty() {
        return Ok(None);
    }
    fs::create_dir_all(built())?;
    // One package at a time, and the lower priority: the workspace's own build is what people wait for.
    let mut build = shell::command("nice -n 10");
    build
        .arg(std::env::current_exe()?)
        .args(["cluster", "build"])
        .args(node.then_some("--node"));
    let flags = std::env::var("GOFLAGS").unwrap_or_default();
    build.env("GOFLAGS", format!("{flags} -p=1").trim_start());
    let log = File::create(log())?;
    build.stdout(log.try_clone()?).stderr(log).process_group(0);
    Ok(Some(Build(build.spawn().context("cannot start nice")?)))
}

/// Waits until what is needed is there; the build may go on with what is not.
pub(crate) fn wait_for_build(build: &mut Build, node: bool) -> Result<()> {
    while !needed(node)?.is_empty() {
        if let Some(status) = build.0.try_wait()? {
            if status.success() && needed(node)?.is_empty() {
                break;
            }
            let log = fs::read_to_string(log()).unwrap_or_default();
            bail!("the cluster's programs could not be built, {status}:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// The parts that are to be built.
fn needed(node: bool) -> Result<Vec<Part>> {
    let mut all = Vec::new();
    if Assets::given()?.is_none() {
        all.push(assets::control_plane());
    }
    if node {
        all.extend(parts::all());
    }
    all.retain(|part| !part.is_built());
    Ok(all)
}

fn log() -> PathBuf {
    built().join("build.log")
}

fn go_build(part: &Part) -> Result<Command> {
    fs::create_dir_all(built())?;
    let mut command = shell::command("go build -trimpath");
    command.current_dir(&part.module).env("CGO_ENABLED", "0");
    let mut linker = vec!["-s -w".to_owned()];
    if part.module == assets::module() {
        // Without a version, kubectl and the server would take each other for ancient.
        let version = kubernetes_version()?;
        let minor = version.split('.').nth(1).context("a version without a minor")?;
        let package = "k8s.io/component-base/version";
        linker.push(format!(
            "-X {package}.gitVersion={version} -X {package}.gitMajor=1 -X {package}.gitMinor={minor}"
        ));
    }
    command.arg(format!("-ldflags={}", linker.join(" ")));
    // File systems that nobody here has; btrfs's would need C.
    command.args(["-tags", "no_btrfs no_devmapper no_zfs no_aufs"]);
    command.arg("-o").arg(built().join("")).args(part.packages);
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
