//! 100,000 hostile messages through `run`: each is counted and dead-lettered, and nothing else is disturbed.
#![allow(clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::process::Stdio;

use common::{PREAMBLE, folder, path, spawn};
use serde::Deserialize;
use serde_json::value::RawValue;

const HOSTILE: usize = 100_000;
/// Of every so many messages one is healthy.
const HEALTHY_EVERY: usize = 20;
/// More than a run of this ever needs, in KiB: the largest message is held a few times over, and no two of them.
const MEMORY: u64 = 300 << 10;

/// What `raw` lets through is joined with itself, so that every healthy message makes a row in whichever window it is.
fn pipeline() -> String {
    format!(
        "{PREAMBLE}---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {{name: clean}}
spec: {{clusterStream: redis, topic: clean}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Channel
metadata: {{name: filter}}
spec:
  servicePort: 8080
  stream: {{from: [raw], to: [{{stream: redis/clean}}]}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Joiner
metadata: {{name: pairs}}
spec:
  servicePort: 8080
  window: 1s
  stream:
    from: [clean as a, clean as b]
    to: [{{component: sink/rows}}]
    where: a.id == b.id
    select: a.id
"
    )
}

/// What is looked at of a delivery; the rest is checked to be JSON, and dropped.
#[derive(Deserialize)]
struct Line<'a> {
    to: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, rename = "deadLetter")]
    dead_letter: Option<Letter<'a>>,
}

#[derive(Deserialize)]
struct Letter<'a> {
    reason: &'a str,
}

/// Hostile message number `n`, and the reason it must be dead-lettered for.
fn hostile(n: usize) -> (Vec<u8>, &'static str) {
    match n % 10 {
        _ if n % 25_000 == 1 => (
            [b"{\"x\":\"".as_slice(), &vec![b'y'; 10 << 20], b"\"}"].concat(),
            "MessageTooLarge",
        ),
        _ if n % 100 == 2 => (
            ["[".repeat(10_000), "]".repeat(10_000)].concat().into_bytes(),
            "TooDeep",
        ),
        _ if n % 100 == 3 => (
            [r#"{"a":"#.repeat(10_000).as_bytes(), b"1", &[b'}'; 10_000]].concat(),
            "TooDeep",
        ),
        0 => (b"{\"id\": \"\xff\xfe\"}".to_vec(), "InvalidUtf8"),
        1 => (b"{\"id\": NaN}".to_vec(), "InvalidJson"),
        2 => (b"{\"id\": 1, \"id\": 2}".to_vec(), "DuplicateKey"),
        3 => (b"{\"id\": {\"a\": 1, \"\\u0061\": 2}}".to_vec(), "DuplicateKey"),
        4 => (b"{\"id\": 1e999}".to_vec(), "NumberOutOfRange"),
        5 => (
            format!("{{\"id\": -{}}}", "9".repeat(400)).into_bytes(),
            "NumberOutOfRange",
        ),
        6 => (b"{\"id\": \"\\ud800\"}".to_vec(), "LoneSurrogate"),
        7 => (b"{\"id\": \"unterminated".to_vec(), "InvalidJson"),
        8 => (b"{\"id\": 01, -Infinity}".to_vec(), "InvalidJson"),
        _ => (b"\x00\x1b[2J".to_vec(), "InvalidJson"),
    }
}

#[test]
fn a_hundred_thousand_hostile_messages_disturb_nobody() {
    let dir = folder(&[("p.yaml", &pipeline())]);
    let args = ["run", &path(&dir, "p.yaml"), "--input", "raw=-", "--json"];
    let mut child = spawn(&args, Stdio::piped());
    let stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || {
        let mut out = BufWriter::new(stdin);
        let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
        for n in 0..HOSTILE {
            let (message, reason) = hostile(n);
            *expected.entry(reason).or_default() += 1;
            out.write_all(&message).expect("written");
            out.write_all(b"\n").expect("written");
            if n % HEALTHY_EVERY == 0 {
                writeln!(out, "{{\"id\": {n}}}").expect("written");
            }
        }
        expected
    });
    let status = format!("/proc/{}/status", child.id());
    let mut dead: BTreeMap<String, usize> = BTreeMap::new();
    let (mut rows, mut clean, mut peak) = (Vec::new(), 0, 0);
    for (number, line) in BufReader::new(child.stdout.take().expect("a pipe"))
        .lines()
        .enumerate()
    {
        let line = line.expect("text");
        let line: Line<'_> = serde_json::from_str(&line).expect("JSON");
        match line.to {
            "redis/raw.dead-letter" => {
                let letter = line.dead_letter.expect("a reason");
                *dead.entry(letter.reason.to_owned()).or_default() += 1;
            }
            "redis/clean" => clean += 1,
            "sink/rows" => rows.extend(serde_json::from_str::<Vec<u64>>(line.data.get()).expect("a batch")),
            other => panic!("{other}"),
        }
        if number % 1000 == 0 {
            peak = memory(&status).unwrap_or(peak);
        }
    }
    let expected = writer.join().expect("written");
    let mut err = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut err)
        .expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{err}");

    assert_eq!(
        dead.iter()
            .map(|(r, n)| (r.as_str(), *n))
            .collect::<BTreeMap<_, _>>(),
        expected
    );
    assert_eq!(dead.values().sum::<usize>(), HOSTILE);
    let healthy: Vec<u64> = (0..HOSTILE as u64).step_by(HEALTHY_EVERY).collect();
    assert_eq!(clean, healthy.len());
    assert_eq!(rows, healthy);
    for (reason, count) in expected {
        assert!(
            err.contains(&format!("{reason} {count}")),
            "{reason} {count}\n{err}"
        );
    }
    assert!(peak < MEMORY, "{peak} KiB");
}

/// The most memory that a process has had so far, in KiB, where the system says.
fn memory(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
