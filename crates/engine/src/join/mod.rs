//! Joins: the messages of a window, by input, and the rows that they make together.
//!
//! `where` is taken apart once ([`plan`]): what concerns one input is checked when a message arrives, equalities
//! between inputs become keys of an index that is built on arrival ([`index`]), and the rest is checked when the
//! window closes ([`matching`]), on combinations whose keys agree. So the work grows with the messages and the
//! rows, not with the product of the inputs.

mod chains;
mod emit;
mod encode;
mod explain;
mod index;
mod matching;
mod open;
mod plan;
mod session;
mod spec;
mod store;
mod timing;

pub use explain::{Explanation, StepExplanation};
pub use spec::{Clause, JoinSpec, SpecError};

pub(crate) use emit::{Closed, Closing, FailedRow};
pub(crate) use matching::Single;
pub(crate) use open::{Arrival, OpenWindow};
pub(crate) use spec::{compile_select, compile_where, layout};
pub(crate) use timing::{InputTime, TimeError, watermark};
