//! The operator on a real API server, with the permissions that manifests/install.yaml gives it and no others.
//!
//! Each test has a namespace of its own; one operator serves them all. There is no Deployment controller, so a test that
//! needs a finished rollout says so in its place ([`Space::roll_out`]).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod conflicts;
mod credentials;
mod datacenter;
mod edits;
mod install;
mod problems;
mod restart;
mod space;
mod steady;
mod tear_down;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use control_plane::{Assets, ControlPlane};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use streaming_operator::Settings;
use tokio::net::TcpListener;

pub(crate) use space::Space;

/// The image that the operator is told to use.
pub(crate) const SIDECAR: &str = "registry.example/streaming-sidecar:test";

/// Who the operator is.
pub(crate) const OPERATOR: &str = "system:serviceaccount:streaming-system:streaming-operator";

/// One for all tests, and the operator running. A static is never dropped; the watchdog ends it.
pub(crate) static CONTROL_PLANE: LazyLock<ControlPlane> = LazyLock::new(|| {
    let control_plane = installed();
    let kubeconfig = control_plane.kubeconfig();
    std::thread::spawn(move || {
        let ended = operate(&kubeconfig, &mut |_| {}, std::future::pending());
        panic!("the operator ended: {ended:?}");
    });
    control_plane
});

/// A control plane that everything is installed on as the README says.
pub(crate) fn installed() -> ControlPlane {
    let assets = Assets::find().unwrap_or_else(|why| panic!("{why:#}"));
    let control_plane = ControlPlane::start(&assets).unwrap_or_else(|why| panic!("{why:#}"));
    let mut apply = control_plane.kubectl();
    output(
        apply
            .arg("apply")
            .arg("-f")
            .arg(root().join("manifests/install.yaml")),
    );
    let mut wait = control_plane.kubectl();
    output(wait.args([
        "wait",
        "crd",
        "--all",
        "--for=condition=Established",
        "--timeout=60s",
    ]));
    control_plane
}

/// Runs the operator as its service account until `shutdown`, and tells where it serves its own HTTP.
pub(crate) fn operate(
    kubeconfig: &Path,
    serves: &mut dyn FnMut(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        for user in &mut kubeconfig.auth_infos {
            if let Some(user) = &mut user.auth_info {
                user.impersonate = Some(OPERATOR.into());
            }
        }
        let options = KubeConfigOptions::default();
        let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await?)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        serves(listener.local_addr()?);
        let settings = Settings {
            sidecar_image: SIDECAR.into(),
        };
        streaming_operator::run(client, settings, listener, shutdown).await
    })
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command prints; it must succeed and say nothing on standard error, where kubectl's warnings go.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{command:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}
