//! End-to-end tests: the manifests that users apply, on a cluster that runs them, looked at as users would, by kubectl.

mod crash;
mod datacenter;
mod kubectl;
mod log;
mod power_grid;
mod setup;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use cluster::Node;

use crate::{cluster as programs, shell};
use kubectl::Kubectl;

/// Tests, and where they run.
#[derive(Args)]
pub(crate) struct Run {
    /// One after the other.
    #[arg(required = true)]
    tests: Vec<Test>,
    /// Run on the cluster that this file's current context names, instead of one that is started and ended here. It must
    /// be a cluster for tests: the definitions and the operator are installed and removed again. Its nodes must have the
    /// images (`cargo xtask images --brokers`; then, for instance, `kind load image-archive`). The environment's
    /// KUBECONFIG is never used. After a failure everything is left as it is, to be looked at.
    #[arg(long, value_name = "FILE", env = "STREAMING_E2E_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Fewer repetitions, as in CI.
    #[arg(long)]
    short: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Test {
    /// Two brokers, a join, edits, crashes, and nothing left at the end.
    Datacenter,
    /// A poller of a recorded file, MQTT with a password from a Secret, retained results, and no session left at the end.
    PowerGrid,
}

impl Run {
    /// What CI runs.
    pub(crate) fn in_short() -> Run {
        Run {
            tests: vec![Test::Datacenter, Test::PowerGrid],
            kubeconfig: None,
            short: true,
        }
    }
}

/// The cluster that a test runs on.
struct Cluster {
    kubectl: Kubectl,
    /// `None` where it is somebody else's.
    node: Option<Node>,
    short: bool,
    started: Instant,
}

pub(crate) fn run(run: &Run) -> Result<()> {
    let cluster = Cluster::find(run)?;
    if let Some(node) = &cluster.node {
        cluster.say("a node is ready; building and importing images");
        programs::load(node)?;
    }
    let result = all(&cluster, &run.tests);
    match &result {
        Ok(()) => cluster.say("passed"),
        Err(_) => cluster.kubectl.dump(),
    }
    result
}

fn all(cluster: &Cluster, tests: &[Test]) -> Result<()> {
    setup::install(cluster)?;
    for test in tests {
        match test {
            Test::Datacenter => datacenter::run(cluster)?,
            Test::PowerGrid => power_grid::run(cluster)?,
        }
    }
    setup::uninstall(cluster)
}

impl Cluster {
    fn find(run: &Run) -> Result<Cluster> {
        let started = Instant::now();
        if let Some(file) = &run.kubeconfig {
            let file = file
                .canonicalize()
                .with_context(|| format!("there is no {}", file.display()))?;
            return Ok(Cluster {
                kubectl: Kubectl::new(&file),
                node: None,
                short: run.short,
                started,
            });
        }
        let node = match programs::node()? {
            Some(node) => node,
            None => programs::start_node("kubernetes/e2e")?,
        };
        Ok(Cluster {
            kubectl: Kubectl::new(&node.kubeconfig()),
            node: Some(node),
            short: run.short,
            started,
        })
    }

    /// Prints what is being done, with the seconds since the start.
    fn say(&self, what: &str) {
        println!("{:6.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    /// Kills the process of a pod's container, as a crash would. Gives the container, which is not to be killed twice:
    /// after a restart the old one is still told of for a while.
    fn kill(&self, pod: &str, last: &str) -> Result<String> {
        let Some(node) = &self.node else {
            // Somebody else's node: the nearest that the API offers.
            self.kubectl
                .run(&["delete", "pod", pod, "--grace-period=0", "--force"])?;
            return Ok(String::new());
        };
        let path = "jsonpath={.status.containerStatuses[?(@.state.running)].containerID}";
        until("the container is told of", Duration::from_mins(1), || {
            let told = self.kubectl.run(&["get", "pod", pod, "--output", path])?;
            let id = told.trim_start_matches("containerd://");
            if id.is_empty() || id == last {
                return Ok(Err(format!("the API server tells of {told:?}")));
            }
            let killed = node.kill(id).map(|()| id.to_owned());
            Ok(killed.map_err(|why| format!("{why:#}")))
        })
    }
}

/// Asks again and again until there is an answer; `condition` says what is still in the way.
fn until<T>(
    what: &str,
    patience: Duration,
    mut condition: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match condition()? {
            Ok(value) => return Ok(value),
            Err(why) if Instant::now() > deadline => {
                bail!("not within {} s: {what}; {why}", patience.as_secs())
            }
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// A file or folder of the workspace, as kubectl takes it.
fn path(relative: &str) -> String {
    shell::root().join(relative).display().to_string()
}
