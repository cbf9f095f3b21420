//! message-poll: a file on the web that grows, read again and again, and a message of each of its new rows.
//!
//! A tick of the [`Follow`] asks for the file of the day ([`Files`]), goes through its rows ([`Source`]: their times, which
//! of them are new, what becomes of them), and hands the new ones on. It touches the outside only by way of [`Outside`].

mod fetch;
mod follow;
mod rows;
mod settings;
mod times;
mod topic;

pub use fetch::{Files, Trouble};
pub use follow::{Follow, Outside};
pub use rows::{Mark, Message, Source, Step, Steps};
pub use settings::{Address, Settings};
pub use times::Times;
pub use topic::{Topic, TopicError};
