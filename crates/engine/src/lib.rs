//! The engine: what a message goes through between a broker and its recipients, as pure state machines.
//!
//! No I/O, no clock, no environment: time and randomness are arguments, results are effects. A message
//! meets [`component`] (which drives all else), [`json`], [`row`], [`expr`], [`map`] or [`join`], [`event`],
//! [`delivery`] and, once all that was made of it is accepted, the ack.

mod ack;
pub mod aggregate;
pub mod component;
pub mod counters;
pub mod delivery;
pub mod durable;
pub mod event;
pub mod expr;
pub mod field;
mod id;
pub mod join;
pub mod json;
pub mod layout;
pub mod map;
pub mod query;
pub mod row;
mod spill;
pub mod state;
pub mod time;
mod tokens;
pub mod value;
pub mod window;
