//! A component in this process, with brokers in this process: what it does with messages, recipients, the container
//! and its end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests may, as tests do

mod beside;
#[path = "../common/mod.rs"]
mod common;
mod credentials;
mod dapr_sdk;
mod delivery;
mod end;
mod inbound;
mod publish;
mod readiness;
mod session;
