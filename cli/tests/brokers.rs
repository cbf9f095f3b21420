//! `run --broker` on real brokers, as a user meets it.
#![allow(clippy::expect_used)]

mod common;

use std::process::Stdio;

use common::{PREAMBLE, channel, first_lines, folder, generator, path, run, spawn};
use serde_json::{Value, json};
use test_brokers::{RabbitMq, Redis};

#[test]
fn what_was_not_acked_is_there_for_the_next_run() {
    let redis = Redis::start().expect("a Redis");
    let broker = format!("redis={}", redis.url());
    let manifest = channel("raw.n > 1", "{'n': raw.n}");
    let dir = folder(&[
        ("p.yaml", &manifest),
        ("in", "{\"n\": 1}\n{\"n\": 2}\nno JSON\n{\"n\": 3}\n"),
    ]);
    let input = format!("raw={}", path(&dir, "in"));
    let args = [
        "run",
        &path(&dir, "p.yaml"),
        "--broker",
        &broker,
        "--input",
        &input,
        "--json",
    ];
    let mut lines = Vec::new();
    let said = first_lines(spawn(&args, Stdio::null()), |line| {
        lines.push(line.clone());
        lines.len() == 3
    });
    let mut rows: Vec<&Value> = lines.iter().filter(|line| line["to"] == "sink/out").collect();
    rows.sort_by_key(|row| row["data"]["n"].as_i64());
    assert_eq!(rows.len(), 2, "{lines:?}");
    assert_eq!(
        (&rows[0]["data"], &rows[0]["from"]),
        (&json!({"n": 2}), &json!("ch"))
    );
    let letter = lines
        .iter()
        .find(|line| line["to"] == "redis/raw.dead-letter")
        .expect("a dead letter");
    assert_eq!(letter["deadLetter"]["reason"], "InvalidJson", "{letter}");
    assert!(said.contains("published 4, delivered 3"), "{said}");

    // Nothing is left over: what comes next is new.
    let dir = folder(&[("p.yaml", &manifest), ("in", "{\"n\": 9}\n")]);
    let input = format!("raw={}", path(&dir, "in"));
    let args = [
        "run",
        &path(&dir, "p.yaml"),
        "--broker",
        &broker,
        "--input",
        &input,
        "--json",
    ];
    first_lines(spawn(&args, Stdio::null()), |line| {
        assert_eq!(line["data"], json!({"n": 9}));
        true
    });
}

#[test]
fn a_join_reads_two_brokers_and_one_in_the_process() {
    let (redis, rabbit) = (
        Redis::start().expect("a Redis"),
        RabbitMq::start().expect("a RabbitMQ"),
    );
    let more = "---
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: rabbit}
spec: {protocol: rabbitmq, properties: {host: 'amqp://rabbit:5672'}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: local}
spec: {protocol: redis, properties: {redisHost: 'elsewhere:6379'}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: other}
spec: {clusterStream: rabbit, topic: other}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: joined}
spec: {clusterStream: local, topic: joined, recipients: [sink]}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Joiner
metadata: {name: j}
spec:
  servicePort: 8080
  window: 1s
  stream:
    from: [raw as a, other as b]
    to: [{stream: local/joined}]
    where: a.n == b.n
    select: a.n
";
    let other = generator("[{'n': id}]", "0", "20ms")
        .replace("name: gen}", "name: gen-other}")
        .replace("value: redis}", "value: rabbit}")
        .replace("value: raw}", "value: other}");
    let manifest = [PREAMBLE, more, &generator("[{'n': id}]", "0", "20ms"), &other].concat();
    let dir = folder(&[("p.yaml", &manifest)]);
    let brokers = [
        format!("redis={}", redis.url()),
        format!("rabbit={}", rabbit.url()),
    ];
    let file = path(&dir, "p.yaml");
    let args = [
        "run",
        &file,
        "--broker",
        &brokers[0],
        "--broker",
        &brokers[1],
        "--json",
    ];
    let mut rows = 0;
    let said = first_lines(spawn(&args, Stdio::null()), |line| {
        // Published to the topic in the process, and taken off it there by the Processor.
        if line["from"] == "local/joined" {
            rows += line["data"].as_array().expect("a batch").len();
        }
        rows > 20
    });
    assert!(rows > 20, "{said}");
}

#[test]
fn a_broker_that_cannot_be_used_is_said_before_anything_runs() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let file = path(&dir, "p.yaml");
    for (broker, code, expected) in [
        ("redis=redis://:s3cret@127.0.0.1:1", 1, "can't reach Redis"),
        (
            "redis=amqp://u:s3cret@127.0.0.1:1",
            2,
            "that is no URL as redis://",
        ),
        (
            "rabbit=amqp://u:s3cret@127.0.0.1:1",
            2,
            "there is no such ClusterStream; there is redis",
        ),
        ("s3cret", 2, "must be CLUSTERSTREAM=URL"),
    ] {
        let said = run(&["run", &file, "--broker", broker]);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.err.contains(expected), "{said:?}");
        assert!(!said.err.contains("s3cret"), "{said:?}");
    }
}
