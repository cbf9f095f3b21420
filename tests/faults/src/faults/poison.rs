//! Messages that nothing can be made of, by the thousand, beside events at an even pace. They all become dead letters; the events come
//! as fast as they do without them.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use super::duplicates::sent;
use crate::broker::Kind;
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 250;
/// Messages that are none, a second.
const POISON: u64 = 4_000;
/// Seconds that a run takes at least.
const LEAST: u64 = 4;
/// What is on its way when the last one was sent may take so long.
const UNDER_WAY: Duration = Duration::from_millis(250);
/// How long dead letters may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The healthy rate is to be at least so many percent of what it is without poison.
pub(super) async fn run(world: &World, kind: Kind, poison: u64, least: f64) -> Result<Outcome> {
    let seconds = (poison / POISON).max(LEAST);
    let (alone, _) = rate(world, kind, seconds, 0).await?;
    let (beside, mut outcome) = rate(world, kind, seconds, poison / seconds).await?;
    let percent = beside * 100.0 / alone;
    if percent < least {
        outcome.wrong.push(format!(
            "the healthy rate is {percent:.1} % of what it is without poison"
        ));
    }
    let letters = outcome.sent.poison;
    Ok(outcome.done(format!(
        "{letters} dead letters, {percent:.1} % of the healthy rate"
    )))
}

/// Rows a second, and what came of it all.
async fn rate(world: &World, kind: Kind, seconds: u64, poison: u64) -> Result<(f64, Outcome)> {
    let broker = world.broker(kind)?;
    let scene = Scene::new(world, Setup::new(Shape::Filter, kind, broker.port())).await?;
    let sidecar = scene.station.start_ready().await?;
    let load = Load {
        most: Some(PACE * seconds),
        poison,
        ..Load::of(PACE, world.seed_of("poison", kind))
    };
    let feed = scene.feed(broker.port(), load).await?;
    let begun = Instant::now();
    sent(&feed).await;
    sleep(UNDER_WAY).await;
    let end = Instant::now();
    // Counts of messages are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let (came, expected) = (scene.rows() as f64, feed.poison() as f64);
    let rate = came / (end - begun).as_secs_f64();
    let mut letters = 0.0;
    while letters < expected && end.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20)).await;
        letters = sidecar
            .metric("streaming_dead_lettered_total")
            .await
            .unwrap_or_default();
    }
    let mut outcome = scene.end(feed, vec![sidecar]).await?;
    if (letters - expected).abs() > 0.5 {
        outcome.wrong.push(format!(
            "{letters} dead letters of {expected} messages that are none"
        ));
    }
    Ok((rate, outcome))
}
