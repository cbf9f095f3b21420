//! The operator: the resources of a namespace become running components, and what became of them becomes their status.
//!
//! [`mod@run`] starts the [`watch`]es; each change makes [`reconcile`] look at one namespace, in five steps, a module each:
//! [`dereference`], [`validate`] (which makes each [`component`]), [`build`], [`apply`], [`status`]. Only `apply` and the
//! writing half of `status` have a client. The words of a status are in [`reason`]; what was written is kept in
//! [`memory`], because caches lag. What components say of themselves comes from [`last_windows`], and [`tear_down`] follows
//! those that are deleted.

mod apply;
mod args;
mod build;
mod component;
mod dereference;
#[cfg(test)]
mod fixtures;
mod labels;
mod last_windows;
mod memory;
mod metrics;
pub mod reason;
mod reconcile;
mod run;
mod serve;
mod status;
mod tear_down;
#[cfg(test)]
mod tests;
mod validate;
mod watch;

pub use args::Args;
pub use build::Settings;
pub use labels::MANAGER;
pub use run::run;
