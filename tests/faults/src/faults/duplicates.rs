//! Events that are published twice, with the ids that they had: half of them at once, the others a while later.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::broker::Kind;
use crate::feed::{Feed, Load};
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 500;

pub(super) async fn run(world: &World, kind: Kind, percent: u64, pairs: u64) -> Result<Outcome> {
    let broker = world.broker(kind)?;
    let scene = Scene::new(world, Setup::new(Shape::Join, kind, broker.port())).await?;
    let sidecar = scene.station.start_ready().await?;
    let load = Load {
        most: Some(pairs),
        duplicates: percent,
        ..Load::of(PACE, world.seed_of("duplicates", kind))
    };
    let feed = scene.feed(broker.port(), load).await?;
    sent(&feed).await;
    let outcome = scene.end(feed, vec![sidecar]).await?;
    let duplicates = outcome.sent.duplicates;
    Ok(outcome.done(format!("{duplicates} twice")))
}

/// Waits until a load has sent all that it was to send.
pub(super) async fn sent(feed: &Feed) {
    while !feed.is_done() {
        sleep(Duration::from_millis(5)).await;
    }
}
