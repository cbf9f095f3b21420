//! Messages out of an expression: what the image message-gen does, inside `run` and as a command.

mod command;

pub(crate) use command::generate;
pub(crate) use streaming_containers::{Recipe, RecipeError, Schedule};
