//! Components with windows that close: joins and groups of rows.
//!
//! [`oracle`] says by nested loops what has to come out of all messages, and `judge` compares with that whatever came in
//! all lives together. Much may be otherwise after a death, and [`judge`] has to know what.

pub mod case;
mod judge;
mod lateness;
mod oracle;
mod recipients;

use streaming_engine::component::{Config, InputConfig, Role};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::Emit;

use crate::Stats;
use crate::world::{Setting, World};
use case::{Case, NAMES};
use judge::Windows;

/// Runs a seed, and says what happens if `trace`.
pub(crate) fn run(seed: u64, trace: bool) -> Result<Stats, String> {
    let case = Case::draw(seed);
    let setting = Setting {
        config: config(&case)?,
        brokers: &case.brokers,
        names: &NAMES,
        messages: &case.messages,
        crashes: &case.crashes,
        kept: case.kept,
        event_time: case.event_time,
        dated: !case.event_time,
        prompt: false,
        tight: case.budget.is_some(),
        pace: if case.emit == Emit::Updates {
            1_500_000
        } else {
            2_000
        },
    };
    World::new(setting, Windows::new(&case), seed ^ 0x5eed, trace)?.run()
}

fn config(case: &Case) -> Result<Config, String> {
    let spec = JoinSpec::compile(&case.query()).map_err(|errors| format!("does not compile: {errors:?}"))?;
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    let mut config = Config::new(
        "uid",
        "/simulation",
        Role::Join(Box::new(spec)),
        vec![input; case.brokers.len()],
        case.outputs,
    );
    config.late = case.keeps_late;
    config.memory_budget = case.budget.unwrap_or(config.memory_budget);
    Ok(config)
}
