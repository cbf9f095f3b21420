//! The sidecar: broker to source to engine to recipient. One process runs one component's plan.
//!
//! A message comes from a [`broker`] through `intake` into a `session`, which drives the engine; what the engine
//! makes of it goes to a `recipient`, and then the message is acked. What other components' sidecars send comes in
//! through `inbound`, and what the component's own container sends goes out through `publish`. `admin` says how it
//! all goes, [`traces`] how it went with each message. [`run`](run()) starts and ends it. When the component itself is gone, [`tear_down`](tear_down()) follows.

mod admin;
mod beside;
pub mod broker;
mod clock;
pub mod config;
mod delivering;
mod inbound;
mod intake;
mod last_window;
pub mod log;
mod metrics;
pub mod options;
pub mod plan;
mod publish;
mod publisher;
mod recipient;
pub mod repeats;
mod retry;
mod run;
mod server;
mod session;
mod status;
mod tear_down;
#[cfg(feature = "otlp")]
pub mod traces;
#[cfg(not(feature = "otlp"))]
#[path = "untraced.rs"]
pub mod traces;

pub use run::{Brokers, Listeners, Options, RunError, run};
pub use tear_down::{Left, tear_down};
