//! SIGTERM under load, again and again, as a Deployment does it: a Channel's successor is ready before the one before it is told to
//! end; a Joiner's starts when it is gone, since two of them would share out what belongs together.

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::broker::Kind;
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};
use crate::sidecar::Station;

/// Pairs a second.
const PACE: u64 = 300;
/// Rows that a pod delivers before its end, at most.
const ROWS: u64 = 200;

pub(super) async fn run(world: &World, kind: Kind, shape: Shape, times: u32) -> Result<Outcome> {
    let broker = world.broker(kind)?;
    let scene = Scene::new(world, Setup::new(shape, kind, broker.port())).await?;
    let mut random = SmallRng::seed_from_u64(world.seed_of("roll", kind));
    let mut sidecar = scene.station.start_ready().await?;
    let feed = scene.feed(broker.port(), Load::of(PACE, random.random())).await?;
    // Pods of a Deployment have names of their own, and a Joiner's name doesn't matter.
    let mut stations: Vec<Station> = Vec::new();
    for time in 1..=times {
        let rows = scene.rows() + random.random_range(1..ROWS);
        let came = scene.until_rows(rows).await;
        ensure!(
            came,
            "before time {time} no rows come\n{}",
            scene.station.last_words()
        );
        let station = scene.pod(&format!("pod-{time}"))?;
        if shape == Shape::Join {
            scene.terminate(sidecar).await?;
            sidecar = station.start()?;
        } else {
            let successor = station.start_ready().await?;
            scene
                .terminate(std::mem::replace(&mut sidecar, successor))
                .await?;
        }
        stations.push(station);
    }
    let outcome = scene.end(feed, vec![sidecar]).await?;
    Ok(outcome.done(format!("{times} times")))
}
