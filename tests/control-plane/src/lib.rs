//! A real Kubernetes API for tests: etcd and kube-apiserver, without nodes and without controllers.
//!
//! [`ControlPlane::start`] takes about three seconds, uses free ports and a temporary folder, and leaves nothing behind,
//! however the program that started it ends. What runs is what `cargo xtask cluster build` built, or what the
//! environment's `KUBEBUILDER_ASSETS` names ([`assets`]).
//!
//! Nothing here is for production: the API server trusts a token that stands in this source, on 127.0.0.1.

pub mod assets;
mod client;
mod process;
mod server;
mod watchdog;

pub use assets::Assets;
pub use client::{Answer, Client};
pub use process::end;
pub use server::{ControlPlane, Kept};
pub use watchdog::Watchdog;
