//! The sidecar: broker to source to engine to recipient. One process runs one component's plan.

pub mod broker;
