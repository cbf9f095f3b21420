//! The connection to the broker is reset and refused for a while, or goes silent: nothing comes, nothing arrives, and nobody says so.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::broker::Kind;
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::proxy::{Line, Proxy};
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 100;

pub(super) async fn run(world: &World, kind: Kind, line: Line, time: Duration) -> Result<Outcome> {
    let broker = world.broker(kind)?;
    let proxy = Proxy::start(broker.port()).await?;
    let scene = Scene::new(world, Setup::new(Shape::Join, kind, proxy.port())).await?;
    let sidecar = scene.station.start_ready().await?;
    let feed = scene
        .feed(broker.port(), Load::of(PACE, world.seed_of("line", kind)))
        .await?;
    ensure!(
        scene.until_rows(PACE).await,
        "no rows come\n{}",
        scene.station.last_words()
    );
    proxy.set(line);
    sleep(time).await;
    proxy.set(Line::Open);
    let (rows, open) = (scene.rows(), Instant::now());
    let came = scene.until_rows(rows + 1).await;
    ensure!(
        came,
        "no rows come although the line is open\n{}",
        scene.station.last_words()
    );
    let back = open.elapsed();
    let outcome = scene.end(feed, vec![sidecar]).await?;
    Ok(outcome.done(format!("rows again {:.1} s later", back.as_secs_f64())))
}
