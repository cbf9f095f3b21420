//! A Kubernetes control plane, or a cluster with a node, for tests and for trying things: built from Go modules, started
//! and ended here.
//!
//! Tests start their own, through the same libraries; `up` is for a person at a shell.

mod build;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use cluster::Node;
use control_plane::{Assets, ControlPlane, Kept, assets};

use crate::images;

pub(crate) use build::{start_build, wait_for_build};

/// What to do with it.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Build etcd, kube-apiserver and kubectl, unless they are there or `KUBEBUILDER_ASSETS` names them.
    Build {
        /// Also build what a node needs: kubelet, containerd and the like.
        #[arg(long)]
        node: bool,
    },
    /// Start a control plane and print what `env` prints.
    Up {
        /// Also start a node, on which pods run. Needs root.
        #[arg(long)]
        node: bool,
    },
    /// Build the project's images and those of the brokers, and give them to the node.
    Load,
    /// End it and remove everything that it wrote.
    Down,
    /// Print the shell's variables for it: eval "$(cargo xtask cluster env)".
    Env,
}

pub(crate) fn run(action: &Action) -> Result<()> {
    match action {
        Action::Build { node } => {
            build::run(*node)?;
            println!("the programs are in {}", assets::built().display());
            Ok(())
        }
        Action::Up { node: true } => up_with_node(),
        Action::Up { node: false } => up(),
        Action::Load => match node()? {
            Some(node) => load(&node),
            None => bail!("no node is up; cargo xtask cluster up --node starts one"),
        },
        Action::Down => down(),
        Action::Env => env(),
    }
}

/// The node that `up --node` started, if it still runs.
pub(crate) fn node() -> Result<Option<Node>> {
    Node::kept(&node_folder())
}

/// Builds what a node needs and starts one, with all that it writes in a folder of the target folder.
pub(crate) fn start_node(folder: &str) -> Result<Node> {
    build::run(true)?;
    Node::start(&assets::target().join(folder), &images::pause()?)
}

/// Builds all images and gives them to a node.
pub(crate) fn load(node: &Node) -> Result<()> {
    for archive in images::ours("latest")?.iter().chain(&images::brokers()?) {
        node.import(archive)?;
    }
    Ok(())
}

fn up_with_node() -> Result<()> {
    if node()?.is_some() || note().exists() {
        bail!("a cluster is up already; cargo xtask cluster down ends it");
    }
    start_node(NODE)?.keep();
    env()
}

fn up() -> Result<()> {
    if node()?.is_some() || note().exists() {
        bail!("a control plane is up already; cargo xtask cluster down ends it");
    }
    let control_plane = ControlPlane::start(&Assets::find()?)?;
    fs::create_dir_all(note().parent().context("the note has no folder")?)?;
    // Whoever can't note it must not keep it.
    fs::write(note(), "")?;
    let Kept { folder, processes } = control_plane.keep();
    let mut lines = vec![folder.display().to_string()];
    lines.extend(processes.iter().map(ToString::to_string));
    fs::write(note(), lines.join("\n"))?;
    env()
}

fn down() -> Result<()> {
    let mut anything = node_folder().exists();
    Node::end(&node_folder())?;
    if let Some((folder, processes)) = noted()? {
        anything = true;
        for process in processes {
            control_plane::end(process, &folder)?;
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::remove_file(note())?;
    }
    if !anything {
        println!("no cluster is up");
    }
    Ok(())
}

fn env() -> Result<()> {
    let kubeconfig = match (node()?, noted()?) {
        (Some(node), _) => node.kubeconfig(),
        (None, Some((folder, _))) => folder.join("kubeconfig"),
        (None, None) => bail!("no cluster is up; cargo xtask cluster up starts one"),
    };
    println!("export KUBECONFIG={}", quoted(&kubeconfig));
    println!("export PATH={}:\"$PATH\"", quoted(Assets::find()?.folder()));
    Ok(())
}

/// The folder of the node that goes on.
const NODE: &str = "kubernetes/node";

fn node_folder() -> PathBuf {
    assets::target().join(NODE)
}

/// Where `up` notes what it started: the folder, then a process a line.
fn note() -> PathBuf {
    assets::target().join("kubernetes/up")
}

fn noted() -> Result<Option<(PathBuf, Vec<u32>)>> {
    if !note().exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(note())?;
    if text.is_empty() {
        return Ok(None);
    }
    let mut lines = text.lines();
    let folder = PathBuf::from(lines.next().context("an empty note")?);
    let processes = lines.map(str::parse).collect::<Result<_, _>>()?;
    Ok(Some((folder, processes)))
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
