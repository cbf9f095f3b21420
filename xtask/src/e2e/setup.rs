//! What each test begins and ends with: the operator and an empty namespace, and the check that nothing is left in it.

use std::time::Duration;

use anyhow::Result;

use super::kubectl::NAMESPACE;
use super::{Cluster, path, until};

/// Installs the operator, and makes the tests' namespace.
pub(super) fn install(cluster: &Cluster) -> Result<()> {
    cluster.say("kubectl apply -f manifests/install.yaml");
    let kubectl = &cluster.kubectl;
    kubectl.outside(&["apply", "--server-side", "-f", &path("manifests/install.yaml")])?;
    kubectl.outside(&[
        "wait",
        "deployment/streaming-operator",
        "--namespace=streaming-system",
        "--for=condition=Available",
        "--timeout=120s",
    ])?;
    // An earlier run that failed may have left it.
    kubectl.outside(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
    kubectl.outside(&["create", "namespace", NAMESPACE])?;
    Ok(())
}

/// Applies a folder with what is not ours, as brokers, and waits for it.
pub(super) fn servers(cluster: &Cluster, folder: &str) -> Result<()> {
    cluster.say(&format!("kubectl apply -k {folder}"));
    cluster.kubectl.run(&["apply", "-k", &path(folder)])?;
    cluster.kubectl.run(&[
        "wait",
        "deployment",
        "--all",
        "--for=condition=Available",
        "--timeout=180s",
    ])?;
    Ok(())
}

/// The namespace is as it was.
pub(super) fn nothing_is_left(cluster: &Cluster) -> Result<()> {
    until("the namespace is as it was", Duration::from_mins(2), || {
        let kinds = "streaming,all,configmaps,secrets,jobs,leases,poddisruptionbudgets,networkpolicies,serviceaccounts,roles,rolebindings";
        let mut left = cluster.kubectl.names(kinds)?;
        left.retain(|name| name != "configmap/kube-root-ca.crt" && name != "serviceaccount/default");
        Ok(if left.is_empty() {
            Ok(())
        } else {
            Err(format!("there are {left:?}"))
        })
    })?;
    cluster.say("nothing is left in the namespace");
    Ok(())
}

/// Removes what `install` has made.
pub(super) fn uninstall(cluster: &Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    kubectl.outside(&["delete", "namespace", NAMESPACE])?;
    kubectl.outside(&["delete", "-f", &path("manifests/install.yaml")])?;
    cluster.say("the operator is gone too");
    Ok(())
}
