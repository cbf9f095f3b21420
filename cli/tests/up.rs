//! `up`, as a user meets it.
#![allow(clippy::expect_used)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{channel, first_lines, folder, path, spawn, streamctl};
use serde_json::json;

const OTHERS: &str = "---
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: rabbit}
spec: {protocol: rabbitmq, properties: {host: 'amqp://rabbit:5672'}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: mosquitto}
spec: {protocol: mqtt, properties: {url: 'mqtt://mosquitto:1883'}}
";

fn gone(port: u16) -> bool {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        if start.elapsed() > Duration::from_secs(30) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The port in `NAME is at scheme://...:PORT`.
fn port(said: &str, name: &str) -> u16 {
    let line = said
        .lines()
        .find(|line| line.starts_with(&format!("{name} is at ")));
    let port = line.and_then(|line| line.rsplit(':').next());
    port.and_then(|port| port.parse().ok()).expect(said)
}

#[test]
fn a_folder_of_manifests_runs_on_brokers_of_its_own() {
    let manifest = channel("true", "raw") + OTHERS;
    let dir = folder(&[("p/p.yaml", &manifest), ("in", "{\"n\": 9}\n")]);
    let input = format!("raw={}", path(&dir, "in"));
    let args = ["up", &path(&dir, "p"), "--json", "--input", &input];
    let said = first_lines(spawn(&args, Stdio::null()), |line| {
        assert_eq!(line["data"], json!({"n": 9}));
        true
    });
    for name in ["redis", "rabbit", "mosquitto"] {
        assert!(gone(port(&said, name)), "{name}: {said}");
    }
}

#[test]
fn windows_are_explained_on_real_brokers_too() {
    let manifest = channel("raw.n > 1", "{'n': raw.n}").replace("  stream:", "  window: 1s\n  stream:");
    let dir = folder(&[("p.yaml", &manifest), ("in", "{\"n\": 9}\n")]);
    let input = format!("raw={}", path(&dir, "in"));
    let args = [
        "up",
        &path(&dir, "p.yaml"),
        "--explain-windows",
        "--json",
        "--input",
        &input,
    ];
    let said = first_lines(spawn(&args, Stdio::null()), |line| {
        assert_eq!(line["data"], json!([{"n": 9}]));
        true
    });
    let told = [
        "ch ",
        ": 1 row",
        "raw  received       1  filtered       0  matched       1",
        "raw.n > 1",
    ];
    assert!(told.iter().all(|told| said.contains(told)), "{said}");
}

#[test]
fn its_brokers_end_with_it_when_it_is_killed() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let mut child = streamctl(&["up", &path(&dir, "p.yaml")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("streamctl starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let line = lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains(" is at ")))
        .expect("it says where")
        .expect("text");
    let port = port(&line, "redis");
    TcpStream::connect(("127.0.0.1", port)).expect("a Redis");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(gone(port));
}

#[test]
fn what_is_not_installed_is_named() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let output = streamctl(&["up", &path(&dir, "p.yaml")])
        .env("PATH", dir.path())
        .output()
        .expect("streamctl runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("not installed: redis-server") && said.contains("apt-get install redis-server"),
        "{said}"
    );
}
