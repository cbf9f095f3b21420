//! The engine: what a message goes through between a broker and its recipients, as pure state machines.
//!
//! No I/O, no clock, no environment: time and randomness are arguments, results are effects. The modules stand
//! in the order in which a message meets them.

pub mod expr;
pub mod field;
pub mod layout;
pub mod time;
pub mod value;
