//! A Kubernetes cluster of one node on this machine: real containers, Services and DNS, without Docker and without a
//! registry. `cargo xtask cluster up --node` starts one for people, `cargo xtask e2e` one for itself.
//!
//! All of it (etcd, the control plane, containerd, kubelet, kube-proxy, DNS and every container) runs in namespaces of its
//! own for processes, mounts and network, below one process. When that process ends, the kernel ends everything else and
//! takes bridges, firewall rules and mounts with it; what is left to remove is a folder and empty control groups.
//!
//! | file | what |
//! | --- | --- |
//! | `parts.rs` | the programs, each from a pinned Go module |
//! | `requirements.rs` | what a machine must have |
//! | `node.sh` | the process that all others are below |
//! | `files.rs` | the configuration that the programs read |
//! | `link.rs` | the one cable from this machine to the cluster |
//! | `node.rs` | from nothing to a node that is ready, and back |
//! | `remove.rs` | what is to be removed after it, or after one that died halfway |

mod files;
mod link;
mod node;
pub mod parts;
mod remove;
mod requirements;

pub use node::Node;
pub use requirements::missing;
