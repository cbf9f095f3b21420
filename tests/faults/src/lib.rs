//! Faults as tests: sidecars between real brokers are killed, stopped, cut off and stuffed, and what comes out is judged.
//!
//! A run is a [`scene`]: a broker ([`broker`]), a Joiner or a Channel whose plan and promise the compiler made ([`pipeline`]), the
//! sidecars that run it ([`sidecar`]), a container that gets the rows ([`container`]) and a load of events with ids that are
//! unique ([`feed`]). One of the [`faults`] happens to it, if need be through a [`proxy`]; then the [`oracle`], which knows nothing of
//! all that but which numbers were sent and which came, says what is lost and what came twice. [`report`] makes the table.

pub mod broker;
pub mod container;
pub mod faults;
pub mod feed;
pub mod oracle;
pub mod pipeline;
pub mod proxy;
pub mod report;
pub mod scene;
pub mod sidecar;
