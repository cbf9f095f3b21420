//! Components whose messages go on one by one: maps, relays, look-ups in Tables, triggers.
//!
//! There is little to excuse here: what a life has been handed says what it sends, to the row and in which order. So
//! [`oracle`] follows each life, and `judge` compares every delivery and every ack with it.

mod broker;
pub mod case;
mod judge;
mod oracle;
mod recipients;
mod world;

use crate::Stats;

/// Runs a seed, and says what happens if `trace`.
pub(crate) fn run(seed: u64, trace: bool) -> Result<Stats, String> {
    world::World::new(&case::Case::draw(seed), seed, trace)?.run()
}
