//! Ten deaths: whenever the process is killed, nothing of what the brokers had is lost, and what comes twice can be told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests may, as tests do

mod common;
#[path = "common/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Got, Recipient, feeds, http_until, input, join, plan, send};
use process::{Setting, cluster_streams};
use serde_json::{Value, json};
use test_brokers::{RabbitMq, Redis};

const KILLS: usize = 10;
/// Nothing of either topic.
const NOTHING: (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());

/// Each row's two numbers.
fn rows(got: &[Got]) -> impl Iterator<Item = (u64, u64)> {
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    got.iter()
        .map(move |g| (number(&g.body, "t"), number(&g.body, "p")))
}

/// Of the first so many messages, those of each topic that no row has.
fn missing(got: &[Got], published: u64) -> (Vec<u64>, Vec<u64>) {
    let t: BTreeSet<u64> = rows(got).map(|(t, _)| t).collect();
    let p: BTreeSet<u64> = rows(got).map(|(_, p)| p).collect();
    let lost = |seen: &BTreeSet<u64>| (0..published).filter(|n| !seen.contains(n)).collect();
    (lost(&t), lost(&p))
}

/// Waits until the first so many messages are all in some row.
async fn complete(recipient: &Recipient, published: u64, setting: &Setting) {
    if !recipient
        .until_all(|got| missing(got, published) == NOTHING)
        .await
    {
        let (rows, missing) = (recipient.count(), missing(&recipient.got(), published));
        panic!("{rows} rows lack of {published}: {missing:?}\n{}", setting.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_lose_nothing() {
    let (redis, rabbitmq) = (Redis::start().unwrap(), RabbitMq::start().unwrap());
    let queues = json!([{"topic": "p", "group": "c"}]);
    // Each message of one topic finds some of the other in its window, wherever the window's bounds are.
    let role = join(
        ["t", "p"],
        1000,
        "Each",
        [Some("t.k == p.k"), Some("{\"t\": t.n, \"p\": p.n}")],
    );
    let inputs = json!([input("t", "a", "t"), input("p", "b", "p")]);
    let plan = plan(
        &role,
        &inputs,
        &json!({"clusterStreams": cluster_streams(&redis, &rabbitmq, &queues)}),
    );
    let (a, b) = feeds(&plan).await;
    let recipient = Recipient::start().await;
    let setting = Setting::new(&plan, recipient.address);
    let published = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&published);
    let feed = tokio::spawn(async move {
        for n in 0_u64.. {
            let data = json!({"k": 1, "n": n});
            let event = json!({"specversion": "1.0", "type": "t", "source": "test", "id": n.to_string(), "data": data});
            send(&*a, "t", [event.clone()]).await;
            send(&*b, "p", [event]).await;
            count.store(n + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    for kill in 0..KILLS {
        let before = recipient.count();
        let sidecar = setting.start();
        sidecar.listens().await;
        if kill % 2 == 0 {
            // In the middle of a window's rows.
            recipient.until(|got| got.len() > before + 20).await;
        } else {
            // When a window is done with: it may be acked on one broker and not yet on the other.
            let metrics = format!("http://{}/metrics", sidecar.admin);
            let acked = |_, text: &str| {
                let line = text
                    .lines()
                    .find_map(|l| l.strip_prefix("streaming_acked_total{stream=\"t\"} "));
                line.is_some_and(|count| count != "0")
            };
            http_until(&metrics, acked).await;
        }
        sidecar.kill();
    }
    let sidecar = setting.start();
    // What is published meanwhile is company for the last of these.
    let published = published.load(Ordering::SeqCst);
    complete(&recipient, published, &setting).await;
    let got = recipient.got();
    feed.abort();
    // A row that comes again has the id that it had.
    let mut ids: BTreeMap<(u64, u64), BTreeSet<String>> = BTreeMap::new();
    for (row, g) in rows(&got).zip(&got) {
        ids.entry(row).or_default().insert(g.id().to_owned());
    }
    let repeats = got.len() - ids.len();
    assert!(ids.values().all(|ids| ids.len() == 1), "a repeat had another id");
    println!("{published} pairs, {} rows, {repeats} repeats", ids.len());
    assert_eq!(sidecar.terminate().code(), Some(0), "{}", setting.log());
}
