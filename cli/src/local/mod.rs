//! The pipeline in one process: an embedded broker, the components that the compiler planned, and what stands
//! behind their recipients, driven by a clock that is an argument.
//!
//! [`pipeline`] moves messages one step at a time; [`broker`] holds them; [`part`] is one component with its
//! subscriptions. `run` turns the clock with the wall's, `test` with its recording's.

mod broker;
mod part;
mod pipeline;

pub(crate) use broker::{Published, TopicId, TopicName};
pub(crate) use part::Part;
pub(crate) use pipeline::{Crash, Delivery, Observer, Pipeline, Step, Verdict};
