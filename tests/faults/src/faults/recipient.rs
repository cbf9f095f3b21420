//! The container is in a mood, now and then.

use anyhow::Result;

use super::duplicates::sent;
use crate::broker::Kind;
use crate::container::Mood;
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 200;
/// One request in so many meets the mood. What is tried again does not.
const EVERY: u64 = 25;

pub(super) async fn run(world: &World, kind: Kind, mood: Mood, times: u64) -> Result<Outcome> {
    let broker = world.broker(kind)?;
    let bad = move |request: u64| request % EVERY == EVERY / 2 && request < times * EVERY;
    let container = move |request| if bad(request) { mood } else { Mood::Well };
    let setup = Setup::new(Shape::Join, kind, broker.port());
    let scene = Scene::with(world, setup, container).await?;
    let sidecar = scene.station.start_ready().await?;
    let load = Load {
        most: Some((times + 1) * EVERY),
        ..Load::of(PACE, world.seed_of("recipient", kind))
    };
    let feed = scene.feed(broker.port(), load).await?;
    sent(&feed).await;
    let outcome = scene.end(feed, vec![sidecar]).await?;
    Ok(outcome.done(format!("{times} times")))
}
