//! The broker goes, as abruptly as it can without forgetting what it has confirmed, and is there again after a while.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::broker::{Kind, Server};
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 300;

pub(super) async fn run(world: &World, kind: Kind, times: u32) -> Result<Outcome> {
    let mut broker = block_in_place(|| Server::start(kind))?;
    let scene = Scene::new(world, Setup::new(Shape::Join, kind, broker.port())).await?;
    let mut random = SmallRng::seed_from_u64(world.seed_of("restart", kind));
    let sidecar = scene.station.start_ready().await?;
    let feed = scene.feed(broker.port(), Load::of(PACE, random.random())).await?;
    block_in_place(|| broker.settle())?;
    for time in 0..=times {
        let rows = scene.rows() + random.random_range(1..PACE);
        let came = scene.until_rows(rows).await;
        ensure!(
            came,
            "after {time} times no rows come\n{}",
            scene.station.last_words()
        );
        if time < times {
            block_in_place(|| broker.down());
            sleep(Duration::from_millis(random.random_range(0..500))).await;
            block_in_place(|| broker.up())?;
        }
    }
    let outcome = scene.end(feed, vec![sidecar]).await?;
    Ok(outcome.done(format!("{times} times")))
}
