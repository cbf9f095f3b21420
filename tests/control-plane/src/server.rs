//! Starting etcd and kube-apiserver, and waiting until the API serves.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::assets::Assets;
use crate::client::Client;
use crate::process::Process;
use crate::watchdog::Watchdog;

const TOKEN: &str = "for-tests-only";
const PATIENCE: Duration = Duration::from_mins(1);

/// A control plane that ends with this value.
pub struct ControlPlane {
    assets: Assets,
    client: Client,
    kubectl_proxy: Process,
    kube_apiserver: Process,
    etcd: Process,
    // Declared after the processes and so dropped after them: the folder when nobody writes to it any more, and then
    // the watchdog.
    folder: TempDir,
    watchdog: Watchdog,
}

/// A control plane that goes on without the program that started it.
pub struct Kept {
    /// Where its data, certificates, kubeconfig and logs are.
    pub folder: PathBuf,
    /// The ids of its processes.
    pub processes: Vec<u32>,
}

impl ControlPlane {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// Where it doesn't start within a minute; with the end of the log of what failed.
    pub fn start(assets: &Assets) -> Result<ControlPlane> {
        // A port that was free a moment ago can be taken; then there are others.
        let mut attempts = 1..3;
        loop {
            match ControlPlane::attempt(assets) {
                Err(why) if format!("{why:#}").contains("address already in use") => {
                    attempts.next().ok_or(why)?;
                }
                result => return result,
            }
        }
    }

    fn attempt(assets: &Assets) -> Result<ControlPlane> {
        let deadline = Instant::now() + PATIENCE;
        let folder = tempfile::Builder::new().prefix("control-plane-").tempdir()?;
        let path = folder.path();
        let mut watchdog = Watchdog::start(path)?;
        let [client_port, peer_port, api_port] = free_ports()?;

        let mut command = Command::new(assets.program("etcd"));
        etcd_arguments(&mut command, path, client_port, peer_port);
        let mut etcd = Process::start("etcd", &mut command, path, &mut watchdog)?;

        fs::write(
            path.join("tokens.csv"),
            format!("{TOKEN},admin,admin,system:masters\n"),
        )?;
        let mut command = Command::new(assets.program("kube-apiserver"));
        api_arguments(&mut command, path, client_port, api_port);
        let mut kube_apiserver = Process::start("kube-apiserver", &mut command, path, &mut watchdog)?;

        // It makes its certificate first, and writes the key last.
        let key = path.join("certificates/apiserver.key");
        wait(deadline, &mut [&mut etcd, &mut kube_apiserver], |_| {
            Ok(fs::metadata(&key).is_ok_and(|file| file.len() > 0))
        })?;
        fs::write(path.join("kubeconfig"), kubeconfig(path, api_port))?;

        // kubectl's proxy speaks TLS and sends the token, so that the tests need plain HTTP only.
        let mut command = Command::new(assets.program("kubectl"));
        command.args(["proxy", "--port=0", "--kubeconfig=kubeconfig"]);
        let mut kubectl_proxy = Process::start("kubectl-proxy", &mut command, path, &mut watchdog)?;
        let mut address = None;
        wait(deadline, &mut [&mut kubectl_proxy], |processes| {
            address = processes[0].log().lines().find_map(served_address);
            Ok(address.is_some())
        })?;
        let client = Client::new(&address.context("kubectl proxy says no address")?);
        wait(deadline, &mut [&mut etcd, &mut kube_apiserver], |_| {
            Ok(client.is_up("/readyz") && client.is_up("/api/v1/namespaces/default"))
        })?;
        Ok(ControlPlane {
            assets: assets.clone(),
            client,
            kubectl_proxy,
            kube_apiserver,
            etcd,
            folder,
            watchdog,
        })
    }

    /// The API over HTTP, as an administrator.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// `kubectl` as an administrator; the caller adds arguments.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.assets.program("kubectl"));
        command
            .env("KUBECONFIG", self.kubeconfig())
            // It caches what the server can do, by address; another server may have had this one.
            .env("KUBECACHEDIR", self.folder.path().join("kubectl-cache"));
        command
    }

    /// Lets it go on without this program, until somebody calls [`end`](crate::end) for each process.
    #[must_use]
    pub fn keep(self) -> Kept {
        drop(self.kubectl_proxy);
        let processes = [self.kube_apiserver.keep(), self.etcd.keep()];
        drop(self.watchdog);
        Kept {
            folder: self.folder.keep(),
            processes: processes.into_iter().flatten().collect(),
        }
    }
}

/// Asks for something every few milliseconds while the processes live.
fn wait(
    deadline: Instant,
    processes: &mut [&mut Process],
    mut condition: impl FnMut(&[&mut Process]) -> Result<bool>,
) -> Result<()> {
    while !condition(processes)? {
        for process in processes.iter_mut() {
            process.check()?;
        }
        if Instant::now() > deadline {
            let log = processes.last().map(|process| process.log()).unwrap_or_default();
            bail!(
                "the control plane isn't up after {} s:\n{log}",
                PATIENCE.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// From `Starting to serve on 127.0.0.1:40123`.
fn served_address(line: &str) -> Option<String> {
    line.strip_prefix("Starting to serve on ")
        .map(|address| address.trim().to_owned())
}

fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        // All are held until all are known, so that no two are the same.
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn etcd_arguments(command: &mut Command, folder: &Path, client_port: u16, peer_port: u16) {
    let client = format!("http://127.0.0.1:{client_port}");
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .arg("--listen-peer-urls")
        .arg(format!("http://127.0.0.1:{peer_port}"))
        // Nothing in it is to outlive it.
        .args(["--unsafe-no-fsync", "--log-level", "warn"]);
}

fn api_arguments(command: &mut Command, folder: &Path, etcd_port: u16, port: u16) {
    let key = folder.join("certificates/apiserver.key");
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
        .arg(format!("--secure-port={port}"))
        .arg("--cert-dir")
        .arg(folder.join("certificates"))
        .arg("--service-account-key-file")
        .arg(&key)
        .arg("--service-account-signing-key-file")
        .arg(&key)
        .arg("--token-auth-file")
        .arg(folder.join("tokens.csv"))
        .args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            // There is nobody to reach it through the Service `kubernetes`.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            // Without the controller manager nobody makes the service account that it asks for.
            "--disable-admission-plugins=ServiceAccount",
        ]);
}

fn kubeconfig(folder: &Path, port: u16) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": folder.join("certificates/apiserver.crt"),
        }}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    })
    .to_string()
}
