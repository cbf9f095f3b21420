//! Joins: the messages of a window, by input, and the rows that they make together.
//!
//! `on` and `where` are taken apart once ([`plan`]): what concerns one input is checked when a message arrives, where
//! the type of the join allows that, equalities between inputs become keys of an index that is built on arrival
//! ([`index`]), and the rest is checked when the window closes ([`matching`]), on combinations whose keys agree. So
//! the work grows with the messages and the rows, not with the product of the inputs. What an outer join keeps
//! without a match is found by what [`matched`] remembers. Messages that outgrow memory wait in the store ([`spilled`]).

mod bound;
mod chains;
mod clauses;
mod distance;
mod early;
mod emit;
mod encode;
mod explain;
mod grouping;
mod index;
mod innermost;
mod matched;
mod matching;
mod narrow;
mod open;
mod plan;
mod progress;
mod ranges;
mod rows;
mod session;
mod spec;
mod spilled;
mod store;
mod table;
mod timing;

pub use explain::{Explanation, StepExplanation};
pub use spec::{Clause, JoinSpec, SpecError};

pub(crate) use bound::Single;
pub(crate) use clauses::{compile_condition, compile_select};
pub(crate) use early::Fired;
pub(crate) use emit::{Closed, Closing, FailedRow, Output};
pub(crate) use open::{Arrival, OpenWindow};
pub(crate) use spec::layout;
pub(crate) use table::Table;
pub(crate) use timing::{InputTime, TimeError, watermark};
