//! SIGKILL at points that are drawn: most in the middle of a window's rows, some while the sidecar starts and is given again what
//! its predecessor had.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::sleep;

use crate::broker::Kind;
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 300;
/// Two windows have so many rows.
const ROWS: u64 = 100;
/// A sidecar of a debug build has begun to deliver by then.
const START: u64 = 300;

pub(super) async fn run(world: &World, kind: Kind, kills: u32) -> Result<Outcome> {
    let broker = world.broker(kind)?;
    let scene = Scene::new(world, Setup::new(Shape::Join, kind, broker.port())).await?;
    let mut random = SmallRng::seed_from_u64(world.seed_of("kill", kind));
    let mut sidecar = scene.station.start_ready().await?;
    let feed = scene.feed(broker.port(), Load::of(PACE, random.random())).await?;
    ensure!(
        scene.until_rows(1).await,
        "no rows come\n{}",
        scene.station.last_words()
    );
    for kill in 0..kills {
        if random.random_ratio(1, 4) {
            sleep(Duration::from_millis(random.random_range(0..START))).await;
        } else {
            let rows = scene.rows() + random.random_range(1..=ROWS);
            let came = scene.until_rows(rows).await;
            ensure!(
                came,
                "after kill {kill} no rows come\n{}",
                scene.station.last_words()
            );
        }
        scene.kill(sidecar);
        sidecar = scene.station.start()?;
    }
    let outcome = scene.end(feed, vec![sidecar]).await?;
    Ok(outcome.done(format!("{kills} kills")))
}
