//! Messages out of an expression: what the image message-gen does, inside `run` and as a command.

mod command;
mod recipe;
mod schedule;

pub(crate) use command::generate;
pub(crate) use recipe::{Recipe, RecipeError};
pub(crate) use schedule::Schedule;
