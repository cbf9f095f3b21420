//! A Kubernetes control plane for tests and for trying things: built from Go modules, started and ended here.
//!
//! Tests start their own, through the same library; `up` is for a person at a shell.

mod build;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use control_plane::{Assets, ControlPlane, Kept, assets};

pub(crate) use build::{finish_build, start_build};

/// What to do with it.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Build etcd, kube-apiserver and kubectl, unless they are there or `KUBEBUILDER_ASSETS` names them.
    Build,
    /// Start a control plane and print what `env` prints.
    Up,
    /// End it and remove everything that it wrote.
    Down,
    /// Print the shell's variables for it: eval "$(cargo xtask cluster env)".
    Env,
}

pub(crate) fn run(action: &Action) -> Result<()> {
    match action {
        Action::Build => build::run(),
        Action::Up => up(),
        Action::Down => down(),
        Action::Env => env(),
    }
}

fn up() -> Result<()> {
    if note().exists() {
        bail!("a control plane is up already; cargo xtask cluster down ends it");
    }
    let control_plane = ControlPlane::start(&Assets::find()?)?;
    fs::create_dir_all(note().parent().context("the note has no folder")?)?;
    let Kept { folder, processes } = control_plane.keep();
    let mut lines = vec![folder.display().to_string()];
    lines.extend(processes.iter().map(ToString::to_string));
    fs::write(note(), lines.join("\n"))?;
    env()
}

fn down() -> Result<()> {
    let Some((folder, processes)) = noted()? else {
        println!("no control plane is up");
        return Ok(());
    };
    for process in processes {
        control_plane::end(process, &folder)?;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::remove_file(note())?;
    Ok(())
}

fn env() -> Result<()> {
    let Some((folder, _)) = noted()? else {
        bail!("no control plane is up; cargo xtask cluster up starts one");
    };
    println!("export KUBECONFIG={}", quoted(&folder.join("kubeconfig")));
    println!("export PATH={}:\"$PATH\"", quoted(Assets::find()?.folder()));
    Ok(())
}

/// Where `up` notes what it started: the folder, then a process a line.
fn note() -> PathBuf {
    assets::target().join("control-plane/up")
}

fn noted() -> Result<Option<(PathBuf, Vec<u32>)>> {
    if !note().exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(note())?;
    let mut lines = text.lines();
    let folder = PathBuf::from(lines.next().context("an empty note")?);
    let processes = lines.map(str::parse).collect::<Result<_, _>>()?;
    Ok(Some((folder, processes)))
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
