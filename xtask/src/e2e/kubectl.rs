//! kubectl, bound to one cluster and one namespace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use control_plane::Assets;

/// Where the tests apply their manifests; gone at their end.
pub(super) const NAMESPACE: &str = "streaming-e2e";

pub(super) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

/// A line of `kubectl get pods`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) ready: String,
    pub(super) status: String,
    pub(super) restarts: u32,
}

impl Kubectl {
    pub(super) fn new(kubeconfig: &Path) -> Kubectl {
        // Whoever brings a cluster has a kubectl that fits it.
        let program =
            Assets::find().map_or_else(|_| PathBuf::from("kubectl"), |assets| assets.program("kubectl"));
        Kubectl {
            program,
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", crate::shell::target().join("kubernetes/kubectl"))
            .stdin(Stdio::null());
        command
    }

    /// Its output, about the tests' namespace; an error has what it said.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        self.outside(&[&["--namespace", NAMESPACE], arguments].concat())
    }

    /// The same for what is in other namespaces, or in none.
    pub(super) fn outside(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(arguments)
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The pods with a label, or all.
    pub(super) fn pods(&self, selector: &str) -> Result<Vec<Pod>> {
        let table = self.run(&["get", "pods", "--no-headers", "--selector", selector])?;
        table
            .lines()
            .map(|line| pod(line).with_context(|| format!("not a line about a pod: {line}")))
            .collect()
    }

    /// What there is of some kinds, as `kind/name`.
    pub(super) fn names(&self, kinds: &str) -> Result<Vec<String>> {
        let listing = self.run(&["get", kinds, "--output", "name"])?;
        Ok(listing.lines().map(ToOwned::to_owned).collect())
    }

    /// Prints all that could say why a test failed.
    pub(super) fn dump(&self) {
        for arguments in [
            &["get", "pods", "--all-namespaces", "--output", "wide"][..],
            &[
                "get",
                "streaming,deployments,services,configmaps",
                "--all-namespaces",
                "--output",
                "wide",
            ],
            &[
                "get",
                "streaming",
                "--all-namespaces",
                "--output",
                "jsonpath={range .items[*]}{.kind}/{.metadata.name}: {.status}{\"\\n\"}{end}",
            ],
            &["events", "--all-namespaces"],
        ] {
            println!("\n--- kubectl {}", arguments.join(" "));
            self.command(arguments).status().ok();
        }
        let pods = self.outside(&[
            "get",
            "pods",
            "--all-namespaces",
            "--output",
            "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}",
        ]);
        for line in pods.unwrap_or_default().lines() {
            let Some((namespace, name)) = line.split_once(' ') else {
                continue;
            };
            println!("\n--- logs of {namespace}/{name}");
            let arguments = [
                "logs",
                "--namespace",
                namespace,
                name,
                "--all-containers",
                "--prefix",
                "--tail=100",
            ];
            self.command(&arguments).status().ok();
            // Of those that crashed, what they said before they did.
            self.command(&[&arguments[..], &["--previous"]].concat())
                .stderr(Stdio::null())
                .status()
                .ok();
        }
    }
}

/// `billable-proc-7d9c-x8k2p   2/2   Running   1 (3s ago)   10s`
fn pod(line: &str) -> Option<Pod> {
    let mut words = line.split_whitespace();
    Some(Pod {
        name: words.next()?.to_owned(),
        ready: words.next()?.to_owned(),
        status: words.next()?.to_owned(),
        restarts: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_was_started_again_is_read_too() {
        let found = pod("join-x-7d9c-x8k2p   1/1     Running   3 (12s ago)   40s").unwrap();
        assert_eq!(found.ready, "1/1");
        assert_eq!(found.restarts, 3);
    }
}
