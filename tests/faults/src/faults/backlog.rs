//! The container refuses everything while more is published than the sidecar may hold: it has to leave the rest with the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::duplicates::sent;
use crate::broker::Kind;
use crate::container::Mood;
use crate::feed::Load;
use crate::pipeline::Shape;
use crate::report::Outcome;
use crate::scene::{Scene, Setup, World};

/// Pairs a second.
const PACE: u64 = 4_000;
/// What an event of a pair says beside.
const PADDING: usize = 4 << 10;
/// A limit for the pod; half of it is the budget.
const MEMORY: &str = "128Mi";
/// How long the container refuses, after all is sent.
const AWAY: Duration = Duration::from_secs(3);

pub(super) async fn run(world: &World, kind: Kind, pairs: u64) -> Result<Outcome> {
    let broker = world.broker(kind)?;
    let away = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&away);
    let container = move |_| {
        if asked.load(Ordering::SeqCst) {
            Mood::Refuse
        } else {
            Mood::Well
        }
    };
    let setup = Setup {
        memory: Some(MEMORY),
        ..Setup::new(Shape::Join, kind, broker.port())
    };
    let scene = Scene::with(world, setup, container).await?;
    let sidecar = scene.station.start_ready().await?;
    let load = Load {
        most: Some(pairs),
        padding: PADDING,
        ahead: u64::MAX,
        ..Load::of(PACE, world.seed_of("backlog", kind))
    };
    let feed = scene.feed(broker.port(), load).await?;
    sent(&feed).await;
    sleep(AWAY).await;
    away.store(false, Ordering::SeqCst);
    let outcome = scene.end(feed, vec![sidecar]).await?;
    let size = 2 * outcome.sent.pairs * PADDING as u64;
    Ok(outcome.done(format!("{} MB waiting", size >> 20)))
}
