//! The sidecar as a process, between real brokers: a join over Redis and `RabbitMQ`, its end under load, and ten deaths.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests may, as tests do

mod common;
#[path = "common/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use common::{Recipient, feeds, http_until, input, join, plan, publish, send, take};
use process::{Setting, cluster_streams, command};
use serde_json::{Value, json};
use streaming_plan::Plan;
use streaming_sidecar::broker::open;
use test_brokers::{RabbitMq, Redis};

/// A join of `t` on Redis and `p` on `RabbitMQ` over windows of so many milliseconds.
fn joiner(redis: &Redis, rabbitmq: &RabbitMq, window: u64, emit: &str) -> Plan {
    let queues = json!([{"topic": "p", "group": "c"}]);
    let role = join(
        ["t", "p"],
        window,
        emit,
        [Some("t.k == p.k"), Some("{\"t\": t.n, \"p\": p.n}")],
    );
    let inputs = json!([input("t", "a", "t"), input("p", "b", "p")]);
    plan(
        &role,
        &inputs,
        &json!({"clusterStreams": cluster_streams(redis, rabbitmq, &queues)}),
    )
}

async fn ready(sidecar: &process::Sidecar) {
    sidecar.listens().await;
    http_until(&format!("http://{}/readyz", sidecar.admin), |status, _| {
        status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_over_redis_and_rabbitmq_survives_a_termination_under_load() {
    let (redis, rabbitmq) = (Redis::start().unwrap(), RabbitMq::start().unwrap());
    let plan = joiner(&redis, &rabbitmq, 1000, "Each");
    let (a, b) = feeds(&plan).await;
    let recipient = Recipient::start().await;
    let setting = Setting::new(&plan, recipient.address);
    let mut sidecar = setting.start();
    ready(&sidecar).await;
    // Every tenant comes often, so that each reading finds one in its window; but not all find all, which would be more
    // rows than a busy machine delivers one by one.
    let feed = tokio::spawn(async move {
        for n in 0_u64.. {
            let k = n % 4;
            send(&*a, "t", [json!({"k": k, "n": n})]).await;
            send(&*b, "p", (0..5).map(|i| json!({"k": k, "n": n * 5 + i}))).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    recipient.until(|got| got.len() > 100).await;
    let status = sidecar.terminate();
    assert_eq!(status.code(), Some(0), "{}", setting.log());
    sidecar = setting.start();
    let all: BTreeSet<u64> = (0..500).collect();
    assert!(
        recipient.until_all(|got| seen(got, "p").is_superset(&all)).await,
        "{}",
        setting.log()
    );
    feed.abort();
    assert_eq!(sidecar.terminate().code(), Some(0), "{}", setting.log());
    let log = setting.log();
    assert!(
        log.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{log}"
    );
    assert!(!log.contains("guest:guest"), "{log}");
}

/// The window's messages are taken back several times before it ends, and come again each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_rabbitmq_does_not_wait_for_loses_nothing() {
    // What is unacked is taken back about every 2 s, later on a busy machine.
    const WINDOW: u64 = 10_000;
    let rabbitmq = RabbitMq::with_consumer_timeout(1500).unwrap();
    let role = join(["t", "p"], WINDOW, "Batch", [Some("t.k == p.k"), Some("t.k")]);
    let broker = json!({"a": {"protocol": "rabbitmq", "properties": {"host": rabbitmq.url()}}});
    let inputs = json!([input("t", "a", "t"), input("p", "a", "p")]);
    let plan = plan(&role, &inputs, &json!({"clusterStreams": broker}));
    let recipient = Recipient::start().await;
    let setting = Setting::new(&plan, recipient.address);
    let sidecar = setting.start();
    ready(&sidecar).await;
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let left = WINDOW - u64::try_from(since).unwrap() % WINDOW;
    tokio::time::sleep(Duration::from_millis(left)).await;
    let broker = open("a", &plan.cluster_streams["a"]).unwrap();
    for topic in ["t", "p"] {
        publish(&*broker, topic, (0..100).map(|k| json!({"k": k}))).await;
    }
    recipient.until(|got| !got.is_empty()).await;
    let rows: Vec<u64> = (0..100).collect();
    assert_eq!(recipient.got()[0].body, json!(rows), "{}", setting.log());
    assert_eq!(sidecar.terminate().code(), Some(0), "{}", setting.log());
    let log = setting.log();
    let taken_back = log
        .lines()
        .filter(|line| line.contains("ConsumerTimeout"))
        .count();
    assert!(taken_back > 1 && log.contains("raise consumer_timeout"), "{log}");
    for topic in ["t", "p"] {
        assert_eq!(take(&*broker, topic, "c", 0).await, [Value::Null; 0], "acked");
    }
}

/// The numbers that rows have at a field.
fn seen(got: &[common::Got], field: &str) -> BTreeSet<u64> {
    let rows = got.iter().flat_map(|g| match &g.body {
        Value::Array(rows) => rows.clone(),
        row => vec![row.clone()],
    });
    rows.map(|row| row[field].as_u64().unwrap()).collect()
}

#[test]
fn a_bad_plan_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let good = plan(
        &json!({"kind": "map", "where": "m.x >", "select": null}),
        &json!([input("m", "a", "t")]),
        &json!({}),
    );
    let mut streams = serde_json::to_value(&good).unwrap();
    streams["clusterStreams"]["a"]["properties"]["redisHost"] = json!("r:6379");
    streams["clusterStreams"]["b"]["properties"]["host"] = json!("amqp://r");
    let mut unknown = streams.clone();
    unknown["colour"] = json!(1);
    let mut version = streams.clone();
    version["version"] = json!(99);
    for (name, text, says) in [
        ("nothing", String::new(), "is not a plan"),
        ("unknown", unknown.to_string(), "unknown field `colour`"),
        ("version", version.to_string(), "is of version 99"),
        ("expression", streams.to_string(), "can't be run: c:"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let zero = "127.0.0.1:0";
        let output = command(&file)
            .args([
                "--deliver",
                zero,
                "--publish",
                zero,
                "--publish-grpc",
                zero,
                "--admin",
                zero,
            ])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
    }
    let output = command(&folder.path().join("missing")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("No such file") && said.contains("--plan"), "{said}");
}

/// Spans that nobody will see are better missed at the start.
#[cfg(not(feature = "otlp"))]
#[tokio::test]
async fn a_build_without_spans_says_that_they_were_asked_for() {
    let container = Recipient::start().await;
    let more = json!({"container": {"port": container.address.port()}, "outputs": [], "clusterStreams": {}});
    let plan = plan(&json!({"kind": "relay", "concurrency": 1}), &json!([]), &more);
    let setting = Setting::new(&plan, container.address);
    let sidecar = setting.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]);
    sidecar.listens().await;
    let status = tokio::task::spawn_blocking(move || sidecar.terminate()).await;
    assert_eq!(status.unwrap().code(), Some(0), "{}", setting.log());
    assert_eq!(
        setting.log().matches("--features otlp").count(),
        1,
        "{}",
        setting.log()
    );
}

/// Time until the first delivery, of a process that finds its brokers up. Shown, not judged: machines differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_delivery_follows_the_start() {
    let redis = Redis::start().unwrap();
    let host =
        json!({"protocol": "redis", "properties": {"redisHost": format!("127.0.0.1:{}", redis.port())}});
    let role = json!({"kind": "map", "where": null, "select": null});
    let plan = plan(
        &role,
        &json!([input("m", "a", "t")]),
        &json!({"clusterStreams": {"a": host}}),
    );
    let a = open("a", &plan.cluster_streams["a"]).unwrap();
    let recipient = Recipient::start().await;
    let setting = Setting::new(&plan, recipient.address);
    publish(&*a, "t", [json!({"n": 1})]).await;
    let start = SystemTime::now();
    let sidecar = setting.start();
    recipient.until(|got| !got.is_empty()).await;
    println!("first delivery after {:?}", start.elapsed().unwrap());
    assert_eq!(sidecar.terminate().code(), Some(0), "{}", setting.log());
    assert_eq!(take(&*a, "t", "c", 0).await, [Value::Null; 0], "it was acked");
}
