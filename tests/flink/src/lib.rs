//! The same events through Flink SQL and through the engine: the rows must be equal.
//!
//! [`queries`] says each question twice, [`event`] has the events, recorded or drawn, [`mod@reference`] asks Flink in a process of
//! its own (`java/`), [`manifest`] compiles ours, [`engine`] asks the engine, and [`table`] writes down in docs/windows.md what came out.

pub mod engine;
pub mod event;
pub mod manifest;
pub mod queries;
pub mod reference;
pub mod rows;
pub mod table;
