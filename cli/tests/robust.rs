//! What must not end badly: closed outputs, windows too large to join, mistyped topics, odd files.
#![allow(clippy::expect_used, clippy::format_collect)]

mod common;

use std::fs::{self, File};
use std::process::Stdio;

use common::{channel, folder, path, run, run_with, streamctl};

/// A cross join whose rows are more than the Joiner may hold.
const CROSS: &str = r#"
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: redis}
spec: {protocol: redis, properties: {redisHost: "redis:6379"}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: a}
spec: {clusterStream: redis, topic: a}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: b}
spec: {clusterStream: redis, topic: b}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Joiner
metadata: {name: cross}
spec:
  servicePort: 8080
  window: 1h
  resources: {limits: {memory: 1Mi}}
  stream:
    from: [a, b]
    where: a.n >= 0 && b.n >= 0
    to: [{stream: redis/out}]
"#;

fn numbers(count: u32) -> String {
    (0..count).map(|n| format!("{{\"n\": {n}}}\n")).collect()
}

#[test]
fn a_window_cut_short_is_a_failure_that_says_so() {
    let dir = folder(&[("p.yaml", CROSS), ("in.jsonl", &numbers(500))]);
    let input = |topic: &str| format!("{topic}={}", path(&dir, "in.jsonl"));
    let said = run(&[
        "run",
        &path(&dir, "p.yaml"),
        "--json",
        "--input",
        &input("a"),
        "--input",
        &input("b"),
    ]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("rows of it are missing"), "{}", said.err);
}

#[test]
fn a_window_cut_short_fails_a_test() {
    let lines: String = (0..500)
        .map(|n| format!("{{\"at\": 1, \"data\": {{\"n\": {n}}}}}\n"))
        .collect();
    let dir = folder(&[("p.yaml", CROSS)]);
    for stream in ["a", "b"] {
        fs::create_dir_all(dir.path().join("input")).expect("a folder");
        fs::write(dir.path().join(format!("input/{stream}.jsonl")), &lines).expect("written");
    }
    let said = run(&["test", &path(&dir, ""), "--update"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("cut short"), "{}", said.err);
}

#[test]
fn nobody_listening_is_no_reason_to_panic() {
    let dir = folder(&[
        ("p.yaml", &channel("true", "raw.nope + 1.0")),
        ("in.jsonl", &numbers(3)),
    ]);
    let manifest = path(&dir, "p.yaml");
    let input = format!("raw={}", path(&dir, "in.jsonl"));
    let calls: [&[&str]; 5] = [
        &["run", &manifest, "--input", &input],
        &["check", &manifest],
        &["check", "no-such-file.yaml"],
        &["eval", "1 +"],
        &["completions", "bash"],
    ];
    for args in calls {
        let full = || File::options().write(true).open("/dev/full").expect("/dev/full");
        let status = streamctl(args)
            .stderr(full())
            .stdout(Stdio::null())
            .status()
            .expect("it runs");
        assert!(
            matches!(status.code(), Some(0 | 1)),
            "{args:?} ended with {status}"
        );
        let status = streamctl(args)
            .stdout(full())
            .stderr(full())
            .status()
            .expect("it runs");
        assert!(
            matches!(status.code(), Some(0 | 1)),
            "{args:?} ended with {status}"
        );
    }
}

#[test]
fn an_input_that_nobody_reads_is_refused() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let said = run(&["run", &path(&dir, "p.yaml"), "--input", "redis/typo=/dev/null"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err.contains("no component reads the topic `typo`"),
        "{}",
        said.err
    );
}

#[test]
fn eval_takes_its_data_as_it_is_even_if_it_looks_like_an_event() {
    let event = br#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":5}}"#;
    let said = run_with(&["eval", "[id, data.a]", "--data", "-"], event);
    assert_eq!(said.out, "[\"1\",5]\n", "{said:?}");
}

#[test]
fn a_generators_mistake_is_told_in_its_own_text() {
    for (expr, message) in [("[", "this `[` is not closed"), ("{'a': id}, 1", "one value")] {
        let said = run(&["generate", "--expr", expr]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(message), "{}", said.err);
    }
}
