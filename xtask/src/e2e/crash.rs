//! The joiner's process is killed again and again while messages with unique numbers come from both brokers: each of them
//! must be in some window that is delivered.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::log::{Batch, batches, gaps};
use super::{Cluster, path, until};

/// As the manifests have it.
const LAST: u64 = 1000;
const MANIFESTS: &str = "tests/cluster/manifests/crash";
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) fn run(cluster: &Cluster) -> Result<()> {
    let kills = if cluster.short { 3 } else { 10 };
    let kubectl = &cluster.kubectl;
    kubectl.run(&["apply", "-k", &path(MANIFESTS)])?;
    cluster.say("a joiner of numbered messages, to be killed");
    let mut killed = String::new();
    for kill in 1..=kills {
        // In the middle of what it does, so only once it has done something since it was started.
        let before = delivered(cluster)?.len();
        until("another window is delivered", PATIENCE, || {
            let now = delivered(cluster)?.len();
            Ok(if now > before {
                Ok(())
            } else {
                Err(format!("there are {now}"))
            })
        })?;
        let pods = kubectl.pods("app=numbers-joiner")?;
        let pod = pods.first().context("there is no pod of numbers-joiner")?;
        // Not always at the same moment of a window.
        std::thread::sleep(Duration::from_millis(130 * kill));
        killed = cluster.kill(&pod.name, &killed)?;
        cluster.say(&format!("kill -9, {kill} of {kills}"));
    }
    until("the last message is delivered", 2 * PATIENCE, || {
        let left = gaps(&delivered(cluster)?, "left");
        let done = left.last == LAST && left.missing.is_empty();
        Ok(if done {
            Ok(())
        } else {
            Err(format!("from Redis: {left:?}"))
        })
    })?;
    let found = delivered(cluster)?;
    let (left, right) = (gaps(&found, "left"), gaps(&found, "right"));
    ensure!(right.missing.is_empty(), "lost from RabbitMQ: {right:?}");
    if cluster.node.is_some() {
        let restarts = kubectl
            .pods("app=numbers-joiner")?
            .iter()
            .map(|pod| pod.restarts)
            .sum::<u32>();
        ensure!(
            u64::from(restarts) == kills,
            "killed {kills} times, but started again {restarts} times"
        );
    }
    cluster.say(&format!(
        "none lost: {} to {} from Redis, {} to {} from RabbitMQ, in {} windows",
        left.first,
        left.last,
        right.first,
        right.last,
        found.len()
    ));
    kubectl.run(&["delete", "-k", &path(MANIFESTS)])?;
    Ok(())
}

fn delivered(cluster: &Cluster) -> Result<Vec<Batch>> {
    match cluster
        .kubectl
        .run(&["logs", "--selector", "app=numbers-proc", "--tail=-1"])
    {
        Ok(log) => batches(&log),
        // Its container isn't there yet.
        Err(_) => Ok(Vec::new()),
    }
}
