//! The programs that a node consists of, and the Go modules that pin them.

use std::path::Path;

use control_plane::assets::{Part, module};

/// What a node needs besides the control plane's own part.
#[must_use]
pub fn all() -> [Part; 4] {
    let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    [
        Part {
            name: "node-kubernetes",
            module: module(),
            packages: &[
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-scheduler",
                "k8s.io/kubernetes/cmd/kubelet",
                "k8s.io/kubernetes/cmd/kube-proxy",
            ],
            programs: &[
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
            ],
        },
        Part {
            name: "node-containers",
            module: go.join("node"),
            packages: &["tool"],
            programs: &[
                "containerd",
                "containerd-shim-runc-v2",
                "ctr",
                "bridge",
                "loopback",
                "host-local",
                "portmap",
            ],
        },
        Part {
            name: "node-dns",
            module: go.join("coredns"),
            packages: &["."],
            programs: &["coredns"],
        },
        Part {
            name: "node-pause",
            module: go.join("pause"),
            packages: &["."],
            programs: &["pause"],
        },
    ]
}
