//! The two ends of an example's pipeline: what makes messages up, and what logs those that arrive.
//!
//! message-gen publishes through the sidecar of its pod, message-proc gets its messages from it; both speak plain HTTP to
//! localhost, as any container of a user would. `streamctl run` does the same within its own process, with the same
//! [`Recipe`], [`Schedule`] and [`mod@received`].

pub mod clock;
mod publish;
mod received;
mod recipe;
mod schedule;
mod settings;

pub use publish::Publisher;
pub use received::{printable, received};
pub use recipe::{Recipe, RecipeError};
pub use schedule::Schedule;
pub use settings::Settings;
