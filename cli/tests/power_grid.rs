//! `examples/power-grid` on a real broker: what a poller published is retained there, and so is the intensity.
#![allow(clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::spawn;
use serde_json::{Value, json};
use streaming_plan::{ClusterStream, Protocol};
use streaming_sidecar::broker::{Broker, Outgoing, Received, Subscription, open};
use test_brokers::Mosquitto;

#[test]
fn recorded_readings_become_a_retained_intensity() {
    let mosquitto = Mosquitto::start().expect("a mosquitto");
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let properties = [("url", mosquitto.url()), ("retain", "true".to_owned())];
    let cluster_stream = ClusterStream {
        protocol: Protocol::Mqtt,
        properties: properties.map(|(name, value)| (name.to_owned(), value)).into(),
        files: BTreeMap::new(),
        consumers: Vec::new(),
    };
    let broker = open("ny-power", &cluster_stream).expect("a broker");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/power-grid");
    let readings: Vec<Value> = fs::read_to_string(example.join("input/upstream.jsonl"))
        .expect("recorded readings")
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let (first, later): (Vec<&Value>, Vec<&Value>) = readings
        .iter()
        .partition(|reading| reading["data"]["ts"] == readings[0]["data"]["ts"]);
    assert_eq!(first.len(), 7);
    for reading in first {
        tokio.block_on(retain(&*broker, reading));
    }

    let named = format!("ny-power={}", mosquitto.url());
    // Without the plants.
    let pipeline = example.join("pipeline");
    let pipeline = pipeline.to_str().expect("a path");
    let mut run = spawn(&["run", pipeline, "--broker", &named, "--json"], Stdio::null());
    let mut lines = BufReader::new(run.stdout.take().expect("a pipe")).lines();
    let mut next = |to: &str| loop {
        let line = lines.next().expect("it goes on").expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        if line["to"] == to {
            break line;
        }
    };
    for _ in 0..7 {
        next("ny-power/ny-power/fuel-mix");
    }
    // A reading of five minutes later closes the window.
    tokio.block_on(retain(&*broker, later.first().expect("a later reading")));
    let intensity = json!({"ts": readings[0]["data"]["ts"], "value": 187.68, "units": "g / kWh"});
    let row = next("ny-power/ny-power/computed/co2");
    assert_eq!(row["data"], intensity);
    // Whoever comes later finds it.
    let event = tokio.block_on(retained(&*broker, "ny-power/computed/co2"));
    assert_eq!(event["data"], intensity);
    let interrupt = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status();
    assert!(interrupt.expect("kill").success());
    drop(lines);
    run.wait().expect("it ends");
}

/// Publishes a reading as the poller does.
async fn retain(broker: &dyn Broker, reading: &Value) {
    let message = Outgoing {
        topic: reading["topic"].as_str().expect("a topic").into(),
        id: "".into(),
        content_type: "application/json",
        trace: None,
        payload: reading["data"].to_string().into(),
    };
    let sink = broker.sink(&[]).await.expect("a publisher");
    for outcome in sink.publish(vec![message]).await {
        outcome.expect("published");
    }
}

/// What a new subscriber to a topic gets.
async fn retained(broker: &dyn Broker, topic: &str) -> Value {
    let subscription = Subscription {
        topic: topic.to_owned(),
        group: "later".to_owned(),
        consumer: "later".to_owned(),
        shared: None,
        properties: BTreeMap::new(),
        in_flight: None,
    };
    let (mut source, _acker) = broker.subscribe(subscription).await.expect("a subscription");
    loop {
        if let Received::Messages(messages) = source.receive().await.expect("a message") {
            break serde_json::from_slice(&messages[0].payload).expect("JSON");
        }
    }
}
