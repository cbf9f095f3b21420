//! The two ends of an example's pipeline: what makes messages up or reads them from the web, and what logs those that arrive.
//!
//! message-gen and message-poll publish through the sidecar of their pod, message-proc gets its messages from it; all speak
//! plain HTTP to localhost, as any container of a user would. `streamctl run` does what message-gen and message-proc do
//! within its own process, with the same [`Recipe`], [`Schedule`] and [`mod@received`].

pub mod clock;
mod environment;
pub mod poll;
mod process;
mod publish;
mod received;
mod recipe;
mod schedule;
mod settings;

pub use process::until_told;
pub use publish::Publisher;
pub use received::{printable, received};
pub use recipe::{Recipe, RecipeError};
pub use schedule::Schedule;
pub use settings::Settings;
