//! `dead-letters` on real brokers, as a user meets it.
#![allow(clippy::expect_used)]

mod common;

use std::process::{Command, Stdio};

use common::{channel, first_lines, folder, path, run, spawn};
use serde_json::{Value, json};
use test_brokers::{Mosquitto, RabbitMq, Redis};

/// Runs a Channel until so many deliveries were printed.
fn deliver(manifest: &str, broker: &str, input: &str, count: usize) -> Vec<Value> {
    let dir = folder(&[("p.yaml", manifest), ("in", input)]);
    let (manifest, input) = (path(&dir, "p.yaml"), format!("raw={}", path(&dir, "in")));
    let args = ["run", &manifest, "--broker", broker, "--input", &input, "--json"];
    let mut lines = Vec::new();
    first_lines(spawn(&args, Stdio::null()), |line| {
        lines.push(line.clone());
        lines.len() == count
    });
    lines
}

/// What can't be used is listed, shown as it came, and sent again; and it is there until that has worked.
fn there_and_back(cluster_stream: &str, url: &str) {
    let adapted = |select: &str| {
        let manifest = channel("has(raw.n)", select);
        manifest.replace(
            "{protocol: redis, properties: {redisHost: 'redis:6379'}}",
            cluster_stream,
        )
    };
    let manifest = adapted("{'n': raw.n * 2.0}");
    let broker = format!("redis={url}");
    let input = "{\"n\": 2}\nno JSON\n{\"n\":  \"x\"}\n";
    deliver(&manifest, &broker, input, 3);

    let dir = folder(&[("p.yaml", &manifest)]);
    let manifests = path(&dir, "p.yaml");
    let letters = |action: &str, more: &[&str]| {
        let args = ["dead-letters", action, &manifests, "--broker", &broker];
        let said = run(&[&args, more].concat());
        assert_eq!(said.code, 0, "{said:?}");
        said
    };
    let list = || letters("list", &["--output", "json"]).lines();
    let listed = list();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed, list(), "to look at them takes nothing away");
    let id = |source: &Value| source["id"].as_str().expect("an id").to_owned();
    let (text, other): (Vec<&Value>, Vec<&Value>) = listed
        .iter()
        .partition(|letter| letter["reason"] == "InvalidJson");
    let (text, other) = (text[0], other[0]);
    for letter in [text, other] {
        assert_eq!(letter["source"], "redis/raw");
        assert_eq!(letter["topic"], "redis/raw.dead-letter");
        assert_eq!(letter["count"], 1);
        assert!(letter["time"].as_str().expect("a time").ends_with('Z'));
    }

    let shown = letters("show", &["--id", &id(text)]).out;
    assert!(
        shown.contains("InvalidJson") && shown.contains("\nno JSON\n"),
        "{shown}"
    );
    let shown = letters("show", &["--id", &id(other)]).out;
    assert!(shown.contains("\n{\"n\":  \"x\"}\n"), "byte for byte: {shown}");

    let said = letters("replay", &["--id", &id(other)]);
    assert!(said.err.contains("sent 1, left 0"), "{said:?}");
    assert_eq!(list(), std::slice::from_ref(text));
    letters("replay", &["--all"]);
    assert_eq!(list(), Vec::<Value>::new());

    // A Channel that is mended gets both; what still can't be used is back.
    let lines = deliver(&adapted("raw"), &broker, "", 2);
    let row = lines.iter().find(|line| line["to"] == "sink/out").expect("a row");
    assert_eq!(row["data"], json!({"n": "x"}));
    let again = list();
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0]["reason"], "InvalidJson");
}

#[test]
fn dead_letters_on_redis_are_listed_shown_and_replayed() {
    let redis = Redis::start().expect("a Redis");
    there_and_back(
        "{protocol: redis, properties: {redisHost: 'redis:6379'}}",
        &redis.url(),
    );
}

#[test]
fn dead_letters_on_rabbitmq_are_listed_shown_and_replayed() {
    let rabbit = RabbitMq::start().expect("a RabbitMQ");
    there_and_back(
        "{protocol: rabbitmq, properties: {host: 'amqp://rabbit:5672'}}",
        &rabbit.url(),
    );
}

/// MQTT acks in order only: to send the second again puts the first behind it.
#[test]
fn dead_letters_on_mqtt_are_listed_shown_and_replayed() {
    let mosquitto = Mosquitto::start().expect("a mosquitto");
    there_and_back(
        "{protocol: mqtt, properties: {url: 'mqtt://mosquitto:1883'}}",
        &mosquitto.url(),
    );
}

#[test]
fn a_result_that_was_refused_goes_where_it_is_told_to() {
    let redis = Redis::start().expect("a Redis");
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let (manifest, broker) = (path(&dir, "p.yaml"), format!("redis={}", redis.url()));
    let letter = json!({"specversion": "1.0", "id": "0f", "source": "/default/channel/pick", "type": "t",
        "deadletterreason": "NotDelivered", "deadlettersource": "/default/channel/pick", "data": {"n": 7}});
    let add = Command::new("redis-cli")
        .args([
            "-p",
            &redis.port().to_string(),
            "xadd",
            "raw.dead-letter",
            "*",
            "data",
        ])
        .arg(letter.to_string())
        .output();
    assert!(add.expect("redis-cli").status.success());
    let replay = |more: &[&str]| {
        let args = ["dead-letters", "replay", &manifest, "--broker", &broker, "--all"];
        run(&[&args, more].concat())
    };
    let said = replay(&[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("name one with --to"), "{said:?}");
    let said = replay(&["--to", "elsewhere/raw"]);
    assert!(
        said.code == 1 && said.err.contains("no ClusterStream `elsewhere`"),
        "{said:?}"
    );
    let said = replay(&["--to", "redis/raw"]);
    assert!(
        said.code == 0 && said.err.contains("0f: sent to redis/raw"),
        "{said:?}"
    );
    let said = replay(&[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "nothing is left");
    let lines = deliver(&channel("true", "raw"), &broker, "", 1);
    assert_eq!(lines[0]["data"], json!({"n": 7}));
}

#[test]
fn what_dead_letters_are_meant_must_be_said() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let manifests = path(&dir, "p.yaml");
    let said = run(&["dead-letters", "list", &manifests, "--topic", "redis/other"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is redis/raw.dead-letter"), "{said:?}");
    let said = run(&["dead-letters", "replay", &manifests]);
    assert_eq!(said.code, 2, "{said:?}");
}
