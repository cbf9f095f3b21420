//! Components whose messages go on one by one (maps, relays, look-ups in Tables), that wait for a trigger, or that are
//! looked up in Tables when their window closes.
//!
//! There is little to excuse here: what a life has been handed says what it sends, to the row and in which order. So
//! [`oracle`] follows each life, and `judge` compares every delivery and every ack with it.

pub mod case;
mod judge;
pub mod kind;
mod oracle;
mod recipients;

use streaming_engine::component::{Config, InputConfig};

use crate::Stats;
use crate::world::{Setting, World};
use case::Case;
use judge::Flow;
use kind::NAMES;

/// Runs a seed, and says what happens if `trace`.
pub(crate) fn run(seed: u64, trace: bool) -> Result<Stats, String> {
    let case = Case::draw(seed);
    let config = config(&case)?;
    let judge = Flow::new(&case, config.backoff);
    let setting = Setting {
        config,
        brokers: &case.brokers,
        names: &NAMES,
        messages: &case.messages,
        crashes: &case.crashes,
        kept: case.kept,
        event_time: case.bound.is_some(),
        dated: case.is_dated(),
        prompt: true,
        tight: case.budget.is_some(),
        pace: 2_000,
    };
    World::new(setting, judge, seed ^ 0xf1_05eed, trace)?.run()
}

fn config(case: &Case) -> Result<Config, String> {
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: case.max_deliveries,
    };
    let inputs = vec![input; case.brokers.len()];
    let mut config = Config::new("uid", "/simulation", case.role()?, inputs, case.outputs);
    config.outputs = vec![case.in_flight; case.outputs];
    config.memory_budget = case.budget.unwrap_or(config.memory_budget);
    Ok(config)
}
