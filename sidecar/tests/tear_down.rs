//! `--tear-down` on real brokers: what a component had is gone, what others have stays, and a broker that can't be reached
//! is told of in time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests may, as tests do

mod common;
#[path = "common/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use common::{input, plan, publish, take};
use process::command;
use redis::Commands as _;
use serde_json::{Value, json};
use streaming_plan::Plan;
use streaming_sidecar::broker::{Broker, Outgoing, Received, Subscription, open};
use test_brokers::{Mosquitto, RabbitMq, Redis};

/// Pods whose names seat each of three elsewhere.
const PODS: [&str; 3] = ["one", "two", "pod-a"];

fn three(streams: &Value) -> Plan {
    let role = json!({"kind": "map", "where": null, "select": null});
    let inputs = json!([input("x", "r", "t"), input("y", "q", "t"), input("z", "m", "t/+")]);
    plan(&role, &inputs, &json!({"clusterStreams": streams}))
}

/// Makes sure that a group is there, by what comes to it.
async fn has_come(broker: &dyn Broker, topic: &str, group: &str) {
    let mut taking = std::pin::pin!(take(broker, topic, group, 1));
    let publishing = async {
        loop {
            publish(broker, &topic.replace('+', "1"), [json!({"n": 1})]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        _ = &mut taking => {}
        () = publishing => {}
    }
}

async fn tear_down(plan: &Plan, timeout: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    std::fs::write(&file, serde_json::to_vec(plan).unwrap()).unwrap();
    let run = move |file: &Path, timeout: &str| {
        command(file)
            .args(["--tear-down", "--timeout", timeout])
            .output()
            .unwrap()
    };
    let timeout = timeout.to_owned();
    tokio::task::spawn_blocking(move || {
        let output = run(&file, &timeout);
        drop(folder);
        output
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tear_down_takes_what_is_the_component_s_and_nothing_else() {
    let (redis, rabbitmq, mosquitto) = (
        Redis::start().unwrap(),
        RabbitMq::start().unwrap(),
        Mosquitto::start().unwrap(),
    );
    let host = format!("127.0.0.1:{}", redis.port());
    let plan = three(&json!({
        "r": {"protocol": "redis", "properties": {"redisHost": host}},
        "q": {"protocol": "rabbitmq", "properties": {"host": rabbitmq.url()}},
        "m": {"protocol": "mqtt", "properties": {"url": mosquitto.url()}},
    }));
    let brokers: BTreeMap<&str, _> = plan
        .cluster_streams
        .iter()
        .map(|(name, stream)| (&**name, open(name, stream).unwrap()))
        .collect();
    for (name, topic) in [("r", "t"), ("q", "t"), ("m", "t/+")] {
        for group in ["c", "other"] {
            has_come(&*brokers[name], topic, group).await;
        }
    }

    let output = tear_down(&plan, "20s").await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");

    let mut client = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let groups: redis::streams::StreamInfoGroupsReply = client.xinfo_groups("t").unwrap();
    let groups: Vec<&str> = groups.groups.iter().map(|group| &*group.name).collect();
    assert_eq!(groups, ["other"]);
    for (name, topic) in [("r", "t"), ("q", "t"), ("m", "t/+")] {
        // Not acked, so it is here still.
        let waits = take(&*brokers[name], topic, "other", 1).await;
        assert_eq!(waits[0], json!({"n": 1}), "{name}");
    }
    // A session that begins anew has nothing waiting for it.
    for (name, topic) in [("q", "t"), ("m", "t/+")] {
        assert_eq!(
            take(&*brokers[name], topic, "c", 0).await,
            [Value::Null; 0],
            "{name}"
        );
    }
    // And once more, where there is less to take away.
    assert_eq!(tear_down(&plan, "20s").await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tear_down_says_what_is_left_on_a_broker_that_cannot_be_reached() {
    let redis = Redis::start().unwrap();
    let host = format!("127.0.0.1:{}", redis.port());
    let plan = three(&json!({
        "r": {"protocol": "redis", "properties": {"redisHost": host}},
        "q": {"protocol": "rabbitmq", "properties": {"host": "amqp://127.0.0.1:1"}},
        "m": {"protocol": "mqtt", "properties": {"url": "mqtt://127.0.0.1:1"}},
    }));
    let r = open("r", &plan.cluster_streams["r"]).unwrap();
    assert_eq!(take(&*r, "t", "c", 0).await, [Value::Null; 0]);
    let output = tear_down(&plan, "1s").await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("q/t: ") && said.contains("m/t/+: ") && !said.contains("r/t: "),
        "{said}"
    );
    let mut client = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let groups: redis::streams::StreamInfoGroupsReply = client.xinfo_groups("t").unwrap();
    assert!(groups.groups.is_empty());
}

#[tokio::test]
async fn the_sessions_of_all_pods_that_share_a_topic_go_and_of_those_that_did() {
    let mosquitto = Mosquitto::start().unwrap();
    let mut plan = three(&json!({
        "r": {"protocol": "redis", "properties": {"redisHost": "127.0.0.1:1"}},
        "q": {"protocol": "rabbitmq", "properties": {"host": "amqp://127.0.0.1:1"}},
        "m": {"protocol": "mqtt", "properties": {"url": mosquitto.url()}},
    }));
    // There were more of them once, and before that one alone.
    plan.shared = Some(1);
    plan.inputs.retain(|input| input.source.cluster_stream == "m");
    let broker = open("m", &plan.cluster_streams["m"]).unwrap();
    let brokers = [("m".to_owned(), Arc::clone(&broker))].into();
    let join = async |pod: &str, shared: Option<u32>| {
        let subscription = Subscription {
            topic: "t/+".into(),
            group: "c".into(),
            consumer: pod.into(),
            shared,
            properties: BTreeMap::new(),
            in_flight: Some(9),
        };
        let (mut source, acker) = broker.subscribe(subscription).await.unwrap();
        assert!(matches!(source.receive().await, Ok(Received::Recovered)));
        (source, acker)
    };
    let sink = broker.sink(&[]).await.unwrap();
    let say = async |what: &'static str| {
        let message = Outgoing {
            topic: "t/a".into(),
            id: what.into(),
            content_type: "application/json",
            trace: None,
            payload: what.into(),
        };
        for outcome in sink.publish(vec![message; 12]).await {
            outcome.unwrap();
        }
    };
    let joined = async || {
        let mut joined = vec![join("c", None).await];
        for pod in PODS {
            joined.push(join(pod, Some(3)).await);
        }
        joined
    };
    drop(joined().await);
    say("1").await;
    let left = streaming_sidecar::tear_down(&plan, &brokers, common::PATIENCE).await;
    assert_eq!(left, []);
    let mut anew = joined().await;
    say("2").await;
    for (source, _) in &mut anew {
        let first = tokio::time::timeout(common::PATIENCE, source.receive())
            .await
            .unwrap();
        assert!(matches!(first, Ok(Received::Messages(messages)) if &messages[0].payload[..] == b"2"));
    }
}
