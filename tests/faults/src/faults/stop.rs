//! One of two pods stands still, its connections open. The other takes over what comes, and what the first one held as soon as its
//! broker gives it away: Redis after `processingTimeout`, `RabbitMQ` when heartbeats are missing, mosquitto never, since what it has
//! given to a session stays in it.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::broker::Kind;
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 200;

pub(super) async fn run(world: &World, kind: Kind, time: Duration) -> Result<Outcome> {
    let broker = world.broker(kind)?;
    let setup = Setup {
        properties: match kind {
            Kind::Redis => &[("processingTimeout", "3s"), ("redeliverInterval", "1s")],
            Kind::Rabbitmq => &[("heartBeat", "2s")],
            Kind::Mqtt => &[],
        },
        ..Setup::new(Shape::Pair, kind, broker.port())
    };
    let scene = Scene::new(world, setup).await?;
    let second = scene.pod("pod-1")?;
    let pods = [scene.station.start_ready().await?, second.start_ready().await?];
    let feed = scene
        .feed(broker.port(), Load::of(PACE, world.seed_of("stop", kind)))
        .await?;
    ensure!(
        scene.until_rows(PACE).await,
        "no rows come\n{}",
        scene.station.last_words()
    );
    pods[0].freeze();
    let before = (feed.pairs(), scene.rows());
    sleep(time).await;
    let (sent, came) = (feed.pairs() - before.0, scene.rows() - before.1);
    pods[0].thaw();
    let mut outcome = scene.end(feed, pods.into()).await?;
    if came == 0 {
        let what = "the peer delivered nothing while the other stood still";
        outcome.wrong.push(what.to_owned());
    }
    Ok(outcome.done(format!("{} s; meanwhile {came} of {sent}", time.as_secs())))
}
