//! `run` as a user meets it: inputs, generators, signals, pipes.
#![allow(clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use common::{channel, folder, generator, path, run, run_with, spawn};
use serde_json::json;

#[test]
fn inputs_run_through_and_then_it_ends() {
    let dir = folder(&[
        ("p.yaml", &channel("raw.n > 1", "{'n': raw.n}")),
        ("in.jsonl", "{\"n\": 1}\n\n{\"n\": 2}\r\n{\"n\": 3}"),
    ]);
    let input = format!("redis/raw={}", path(&dir, "in.jsonl"));
    let said = run(&["run", &path(&dir, "p.yaml"), "--input", &input, "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.data_to("sink/out"), [json!({"n": 2}), json!({"n": 3})]);
    let first = &said.lines()[0];
    assert_eq!(first["from"], "ch");
    assert!(first["time"].as_str().expect("a time").ends_with('Z'));
    assert!(
        said.err.contains(
            "Channel ch: received 3, matched 2, filtered 1, errors 0, dead-lettered 0, delivered 2"
        )
    );
}

#[test]
fn standard_input_is_an_input_too_and_a_stream_a_name_for_its_topic() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let said = run_with(
        &["run", &path(&dir, "p.yaml"), "--input", "raw=-"],
        b"{\"n\": 1}\n",
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out.ends_with("sink Data received: {\"n\":1}\n"),
        "{}",
        said.out
    );
}

#[test]
fn dead_letters_say_why_and_keep_their_bytes() {
    let dir = folder(&[("p.yaml", &channel("true", "raw.n + 1.0"))]);
    let lines = b"\xff\n{\"n\": 1}\n{\"n\": \"x\"}\n";
    let said = run_with(
        &["run", &path(&dir, "p.yaml"), "--input", "raw=-", "--json"],
        lines,
    );
    assert_eq!(said.code, 0, "{said:?}");
    let dead: Vec<_> = said
        .lines()
        .into_iter()
        .filter(|d| d["to"] == "redis/raw.dead-letter")
        .collect();
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert_eq!(
        (&dead[0]["data"], &dead[0]["data_base64"]),
        (&json!(null), &json!("/w=="))
    );
    assert_eq!(dead[0]["deadLetter"]["reason"], "InvalidUtf8");
    assert_eq!(dead[1]["data"], json!({"n": "x"}));
    assert_eq!(dead[1]["deadLetter"]["reason"], "NoSuchOverload");
    assert!(
        said.err.contains("dead letters: InvalidUtf8 1, NoSuchOverload 1"),
        "{}",
        said.err
    );
}

#[test]
fn a_counted_generator_ends_the_run() {
    let manifest = channel("true", "raw") + &generator("[{'n': id}, {'m': id},]", "3", "1ms");
    let said = run_with(&["run", "-", "--json"], manifest.as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        said.data_to("sink/out"),
        [json!({"n": 1}), json!({"m": 2}), json!({"n": 3})]
    );
}

#[test]
fn a_generator_that_fails_on_the_way_stops_and_says_so() {
    let manifest = channel("true", "raw") + &generator("[1, 2, 10 / (3 - id)]", "9", "1ms");
    let said = run_with(&["run", "-", "--json"], manifest.as_bytes());
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.data_to("sink/out"), [json!(1), json!(2)]);
    assert!(said.err.contains("gen stops: message 3:"), "{}", said.err);
}

#[test]
fn wrong_arguments_are_wrong_usage() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let manifest = path(&dir, "p.yaml");
    for input in ["raw", "nope=-", "nope/raw=-", "raw=/no/such/file"] {
        let said = run(&["run", &manifest, "--input", input]);
        assert_eq!(said.code, 2, "{said:?}");
    }
    assert_eq!(run(&["run", &manifest, "--for", "5"]).code, 2);
    assert_eq!(run(&["run", &path(&dir, "none.yaml")]).code, 1);
}

#[test]
fn without_a_source_there_is_nothing_to_wait_for() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let said = run(&["run", &path(&dir, "p.yaml")]);
    assert_eq!(said.code, 0);
    assert!(said.err.contains("nothing sends messages"), "{}", said.err);
}

/// A run that goes on until it is told to end, with a window that doesn't close by itself.
fn endless() -> String {
    let joiner = "---
apiVersion: streaming.vivien.io/v1alpha1
kind: Joiner
metadata: {name: j}
spec:
  servicePort: 8080
  window: 24h
  stream:
    from: [raw as a, raw as b]
    to: [{component: sink/rows}]
    where: a.n == b.n
    select: a.n
";
    channel("true", "raw") + joiner + &generator("[{'n': id}]", "0", "5ms")
}

#[test]
fn a_signal_closes_what_is_open_and_ends() {
    for signal in ["-INT", "-TERM"] {
        let dir = folder(&[("p.yaml", &endless())]);
        let mut child = spawn(&["run", &path(&dir, "p.yaml"), "--json"], Stdio::null());
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        out.read_line(&mut first).expect("a line");
        send(&child, signal);
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        let rows = rest.lines().last().expect("a line");
        assert!(rows.contains("\"to\":\"sink/rows\",\"data\":[1"), "{rows}");
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_run_quietly() {
    let dir = folder(&[("p.yaml", &endless())]);
    let mut child = spawn(&["run", &path(&dir, "p.yaml"), "--json"], Stdio::null());
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    out.read_line(&mut String::new()).expect("a line");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let err = String::from_utf8(output.stderr).expect("text");
    assert!(!err.contains("panicked") && !err.contains("Broken pipe"), "{err}");
}

#[test]
fn components_that_feed_each_other_for_ever_end_with_the_clock() {
    let circle = channel("true", "raw").replace("[{component: sink/out}]", "[{stream: redis/raw}]");
    let dir = folder(&[("p.yaml", &circle)]);
    fs::write(dir.path().join("in"), "1\n").expect("a file");
    let input = format!("raw={}", path(&dir, "in"));
    let said = run(&["run", &path(&dir, "p.yaml"), "--input", &input, "--for", "200ms"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("warning[Cycle]") && said.err.contains("there was no end to them"),
        "{}",
        said.err
    );
}

#[test]
fn the_summary_counts_what_was_delivered_and_the_repeats_that_were_not() {
    let joined = channel("true", "raw").replace(
        "to: [{component: sink/out}]",
        "to: [{component: sink/out}, {stream: redis/copy}]",
    );
    let direct = "---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: again}
spec: {clusterStream: redis, topic: raw, recipients: [sink]}
";
    let dir = folder(&[("p.yaml", &(joined + direct))]);
    let event = |id: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/s\",\"type\":\"t\",\"data\":{{\"n\":1}}}}\n"
        )
    };
    let lines = event("a") + &event("b") + &event("a") + "\"\\ud800\"\n";
    let said = run_with(
        &["run", &path(&dir, "p.yaml"), "--input", "redis/raw=-", "--json"],
        lines.as_bytes(),
    );
    assert_eq!(said.code, 0, "{said:?}");
    let from = |name: &str| said.lines().iter().filter(|d| d["from"] == name).count();
    assert_eq!(
        (from("ch"), from("redis/raw") + from("sink")),
        (5, 3),
        "{}",
        said.out
    );
    for part in [
        "dead-lettered 1, delivered 5, repeats dropped 2\n",
        "delivered 3, repeats dropped 1\n",
    ] {
        assert!(said.err.contains(part), "{}", said.err);
    }
}

/// Sends a signal to a child.
fn send(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().expect("kill");
    assert!(sent.success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let dir = folder(&[("p.yaml", &channel("true", "raw"))]);
    let lines = format!("\"{}\"\n", "x".repeat(1 << 20)).repeat(8);
    fs::write(dir.path().join("in"), lines).expect("a file");
    let input = format!("raw={}", path(&dir, "in"));
    // Nobody reads its output, so it can't drain.
    let mut child = spawn(
        &["run", &path(&dir, "p.yaml"), "--json", "--input", &input],
        Stdio::null(),
    );
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut first = [0];
    child
        .stdout
        .as_mut()
        .expect("a pipe")
        .read_exact(&mut first)
        .expect("a byte");
    send(&child, "-INT");
    let mut said = String::new();
    while !said.contains("draining") {
        said.clear();
        assert!(err.read_line(&mut said).expect("text") > 0, "it has ended");
    }
    send(&child, "-INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

/// On a terminal the status is one line that is replaced and gone in the end, and Ctrl-C is a key.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_there_is_a_live_line() {
    let dir = folder(&[("p.yaml", &endless())]);
    // `exec`: a shell that stays in between, as dash does, would answer the key with 130 of its own.
    let streamctl = env!("CARGO_BIN_EXE_streamctl");
    let command = format!("exec {streamctl} run {}", path(&dir, "p.yaml"));
    let mut child = Command::new("script")
        .args(["-qfec", &command, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux");
    let mut keys = child.stdin.take().expect("a pipe");
    let mut out = child.stdout.take().expect("a pipe");
    let (mut shown, mut pressed) = (Vec::new(), false);
    let mut buffer = [0; 4096];
    loop {
        let n = out.read(&mut buffer).expect("bytes");
        if n == 0 {
            break;
        }
        shown.extend_from_slice(&buffer[..n]);
        if !pressed
            && String::from_utf8_lossy(&shown)
                .matches("window closes in")
                .count()
                > 1
        {
            keys.write_all(b"\x03").expect("a key");
            pressed = true;
        }
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let shown = String::from_utf8(shown).expect("text");
    let (before, after) = shown
        .split_once("draining; once more to end at once")
        .expect(&shown);
    for (at, _) in before.match_indices(" | in ") {
        let line = before[..at].rfind('\r').expect("a line");
        assert!(before[line..].starts_with("\r\x1b[K0"), "{shown:?}");
    }
    // What is printed between two states of the line is on lines of its own.
    assert!(before.contains("\r\x1b[K2"), "{shown:?}");
    assert!(after.contains("Joiner j: received"), "{shown:?}");
    assert!(!after.contains(" | in "), "{shown:?}");
}
