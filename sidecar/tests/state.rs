//! Deaths of a component with state: what was acked before its window ended is back after each, and once only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests may, as tests do

mod common;
#[path = "common/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Recipient, http_until, input, join, plan, publisher, send};
use process::Setting;
use redis::streams::StreamPendingReply;
use serde_json::{Value, json};
use streaming_sidecar::broker::{Sink, open};
use test_brokers::Redis;

/// All that happens before the end happens within a part of it.
const WINDOW: Duration = Duration::from_secs(10);
const KEYS: u64 = 10;

/// Waits until a window has just begun.
async fn aligned() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let into = Duration::from_millis(u64::try_from(now.as_millis() % WINDOW.as_millis()).unwrap());
    if into > WINDOW / 10 {
        tokio::time::sleep(WINDOW.saturating_sub(into)).await;
    }
}

/// Publishes these numbers to both topics.
async fn feed(sink: &dyn Sink, numbers: std::ops::Range<u64>) {
    for topic in ["t", "p"] {
        let message = |n| json!({"k": n % KEYS, "n": n});
        send(sink, topic, numbers.clone().map(message)).await;
    }
}

/// Waits until the broker holds nothing back for the component.
async fn all_acked(connection: &mut redis::aio::MultiplexedConnection, read: usize) {
    for topic in ["t", "p"] {
        loop {
            let groups: redis::streams::StreamInfoGroupsReply = redis::cmd("XINFO")
                .arg("GROUPS")
                .arg(topic)
                .query_async(connection)
                .await
                .unwrap();
            let pending: StreamPendingReply = redis::cmd("XPENDING")
                .arg(topic)
                .arg("c")
                .query_async(connection)
                .await
                .unwrap();
            let all_read = groups.groups[0].entries_read.is_some_and(|count| count >= read);
            if all_read && pending.count() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_outlives_three_deaths() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let role = join(
        ["t", "p"],
        u64::try_from(WINDOW.as_millis()).unwrap(),
        "Batch",
        [Some("t.k == p.k"), Some("[t.n, p.n]")],
    );
    let inputs = json!([input("t", "a", "t"), input("p", "a", "p")]);
    let properties = json!({"redisHost": format!("127.0.0.1:{}", redis.port())});
    let more = json!({
        "clusterStreams": {"a": {"protocol": "redis", "properties": properties}},
        "state": {"path": folder.path()},
    });
    let plan = plan(&role, &inputs, &more);
    let sink = publisher(&*open("a", &plan.cluster_streams["a"]).unwrap(), "t").await;
    let recipient = Recipient::start().await;
    let setting = Setting::new(&plan, recipient.address);
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();

    let first = setting.start();
    first.listens().await;
    http_until(&format!("http://{}/readyz", first.admin), |status, _| {
        status == 200
    })
    .await;
    aligned().await;
    feed(&*sink, 0..100).await;
    all_acked(&mut connection, 100).await;
    assert_eq!(recipient.count(), 0, "acked while the window is open");
    first.kill();
    // In the middle of taking these in.
    let second = setting.start();
    feed(&*sink, 100..400).await;
    second.kill();
    let third = setting.start();
    feed(&*sink, 400..500).await;
    all_acked(&mut connection, 500).await;
    assert_eq!(recipient.count(), 0, "the window took longer than all of this");
    third.kill();

    let last = setting.start();
    assert!(
        recipient.until_all(|got| !got.is_empty()).await,
        "{}",
        setting.log()
    );
    let got = recipient.got();
    let rows = got[0].body.as_array().unwrap();
    let pairs: BTreeSet<(u64, u64)> = rows
        .iter()
        .map(|row| (row[0].as_u64().unwrap(), row[1].as_u64().unwrap()))
        .collect();
    let expected: BTreeSet<(u64, u64)> = (0..500)
        .flat_map(|t| {
            (0..500)
                .filter(move |p| t % KEYS == p % KEYS)
                .map(move |p| (t, p))
        })
        .collect();
    assert_eq!(rows.len(), pairs.len(), "nothing twice");
    assert_eq!(pairs, expected, "nothing lost");
    assert_eq!(last.terminate().code(), Some(0), "{}", setting.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_cannot_be_used_is_told_and_tried_again() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("state.redb");
    std::fs::write(&damaged, "no state").unwrap();
    let role = join(["t", "p"], 1000, "Each", [None, None]);
    let inputs: Value = json!([input("t", "a", "t"), input("p", "a", "p")]);
    let properties = json!({"redisHost": format!("127.0.0.1:{}", redis.port())});
    let more = json!({
        "clusterStreams": {"a": {"protocol": "redis", "properties": properties}},
        "state": {"path": folder.path()},
    });
    let recipient = Recipient::start().await;
    let setting = Setting::new(&plan(&role, &inputs, &more), recipient.address);
    let sidecar = setting.start();
    sidecar.listens().await;
    let ready = format!("http://{}/readyz", sidecar.admin);
    let told = |status: u16, text: &str| {
        status == 503 && text.contains("keeping state") && text.contains("is damaged")
    };
    http_until(&ready, told).await;
    std::fs::remove_file(&damaged).unwrap();
    http_until(&ready, |status, _| status == 200).await;
    assert_eq!(sidecar.terminate().code(), Some(0), "{}", setting.log());
}
