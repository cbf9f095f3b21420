//! The configuration that the node's programs read. Its folder is /mnt to them.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::link::Link;

/// What is known before the cluster's address is.
pub(crate) fn prepare(folder: &Path, pause: &Path) -> Result<()> {
    for name in ["assets", "built", "cni", "lib/cni", "logs"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::copy(pause, folder.join("pause.tar"))
        .with_context(|| format!("the image in {} is missing", pause.display()))?;
    // A pod's search domains are the cluster's only.
    fs::write(folder.join("resolv.conf"), "")?;
    fs::write(folder.join("cni/10-pods.conflist"), network().to_string())?;
    fs::write(folder.join("containerd.toml"), CONTAINERD)?;
    Ok(())
}

/// The rest; the last file is the one that the node waits for.
pub(crate) fn complete(folder: &Path, link: Link) -> Result<()> {
    let address = link.address();
    let token = token()?;
    fs::write(
        folder.join("tokens.csv"),
        format!("{token},admin,admin,system:masters\n"),
    )?;
    fs::write(
        folder.join("kubeconfig"),
        kubeconfig(&address, &token).to_string(),
    )?;
    fs::write(folder.join("kubelet.yaml"), kubelet(link).to_string())?;
    let corefile = format!(
        ". {{\n  bind {address}\n  kubernetes cluster.local {{\n    kubeconfig /mnt/kubeconfig\n  }}\n}}\n"
    );
    fs::write(folder.join("Corefile"), corefile)?;
    let waited_for = folder.join("address");
    let unfinished = folder.join("address.new");
    fs::write(&unfinished, address)?;
    fs::rename(unfinished, waited_for)?;
    Ok(())
}

/// Containers reach the API server's address too, so nothing that stands in this source opens it.
fn token() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// A path in it is relative to the file, so that it holds outside of the cluster as well.
fn kubeconfig(address: &str, token: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://{address}:6443"),
            "certificate-authority": "certificates/apiserver.crt",
        }}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    })
}

fn network() -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": "10.244.0.0/24"}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn kubelet(link: Link) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        // Only the cluster itself and this machine can reach it.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": control_group(link),
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "clusterDNS": [link.address()],
        "clusterDomain": "cluster.local",
        "resolvConf": "/mnt/resolv.conf",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        // A test looks at what happens after a crash; five minutes between two attempts would be most of it.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},
        "featureGates": {"KubeletCrashLoopBackOffMax": true},
    })
}

/// Where the control groups of all containers are.
pub(crate) fn control_group(link: Link) -> String {
    format!("/streaming{}", link.number())
}

const CONTAINERD: &str = r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/library/streaming-pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/mnt/built"]
  conf_dir = "/mnt/cni"
"#;
