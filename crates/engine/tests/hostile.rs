//! Messages that are meant to hurt: each is counted and dead-lettered as it came, and the others don't notice.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Message, Runner, accept};
use streaming_engine::component::{Config, InputConfig, Role, Target};
use streaming_engine::join::JoinSpec;
use streaming_engine::map::MapSpec;
use streaming_engine::query::Emit;

fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let mut large = b"{\"k\":1,\"x\":\"".to_vec();
    large.resize(10 * 1024 * 1024, b'x');
    large.extend_from_slice(b"\"}");
    let many = (0..100_000)
        .map(|n| format!("\"k{n}\":0"))
        .collect::<Vec<_>>()
        .join(",");
    vec![
        ("InvalidUtf8", b"{\"k\":\"\xff\xfe\"}".to_vec()),
        ("InvalidUtf8", b"{\"k\":\"\xed\xa0\x80\"}".to_vec()),
        (
            "TooDeep",
            format!("{{\"k\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(),
        ),
        ("TooDeep", "{\"k\":".repeat(10_000).into_bytes()),
        ("InvalidJson", b"{\"k\":NaN}".to_vec()),
        ("InvalidJson", b"{\"k\":Infinity}".to_vec()),
        ("InvalidJson", b"{\"k\":0x1}".to_vec()),
        ("InvalidJson", b"{\"k\":1}{\"k\":1}".to_vec()),
        ("InvalidJson", b"".to_vec()),
        ("InvalidJson", b"\0".to_vec()),
        ("InvalidJson", b"\xef\xbb\xbf{\"k\":1}".to_vec()),
        ("MessageTooLarge", large),
        ("DuplicateKey", b"{\"k\":1,\"k\":2}".to_vec()),
        ("DuplicateKey", format!("{{{many},\"k5\":1}}").into_bytes()),
        ("NumberOutOfRange", b"{\"k\":1e400}".to_vec()),
        (
            "NumberOutOfRange",
            format!("{{\"k\":-{}}}", "9".repeat(400)).into_bytes(),
        ),
        ("LoneSurrogate", b"{\"k\":\"\\ud800\"}".to_vec()),
        (
            "InvalidBase64",
            br#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"?"}"#.to_vec(),
        ),
    ]
}

/// Valid, and still no reason to trust them.
fn odd() -> Vec<&'static str> {
    vec![
        "[]",
        "null",
        "\"k\"",
        "1",
        "{}",
        "{\"k\":{}}",
        "{\"k\":1e-400}",
        "{\"k\":123456789012345678901234567890}",
        "{\"k\":[[[[1]]]]}",
        "{\"\":1}",
        "{\"specversion\":\"1.0\"}",
    ]
}

fn inputs(count: usize) -> Vec<InputConfig> {
    vec![
        InputConfig {
            cluster_stream: "cs".to_owned(),
            max_deliveries: 0
        };
        count
    ]
}

fn check(mut runner: Runner, healthy: impl Fn(usize) -> Message, expected: &[String]) {
    let mut bad = Vec::new();
    for (n, (reason, payload)) in hostile().into_iter().enumerate() {
        runner.deliver(&Message::new(0, 0, payload.clone()));
        runner.deliver(&healthy(n));
        bad.push((reason, payload));
    }
    for text in odd() {
        runner.deliver(&Message::new(0, 0, text));
    }
    runner.until(1000, &mut accept);
    let counters = runner.component.counters();
    for (reason, _) in &bad {
        let count = bad.iter().filter(|(other, _)| other == reason).count();
        assert_eq!(counters.dead_lettered[reason], count as u64, "{reason}");
    }
    let letters = runner
        .accepted
        .iter()
        .filter_map(|(_, e)| Some((e.dead_letter.as_ref()?.reason, e.data())));
    let letters: Vec<_> = letters
        .filter(|(reason, _)| bad.iter().any(|(other, _)| other == reason))
        .collect();
    assert_eq!(letters.len(), bad.len());
    for ((reason, data), (wanted, payload)) in letters.iter().zip(&bad) {
        assert_eq!(reason, wanted);
        assert!(**data == **payload, "{reason}: the original bytes");
    }
    for (_, event) in &runner.accepted {
        assert!(serde_json::from_slice::<serde_json::Value>(&event.to_cloudevent()).is_ok());
    }
    assert_eq!(runner.data(Target::Output(0))[..expected.len()], *expected);
    assert!(runner.unacked.is_empty());
    assert_eq!(runner.component.counters().held_bytes, 0);
}

#[test]
fn a_join_goes_on() {
    let spec = JoinSpec::new(&["a", "b"], 1000, Some("a.k == b.k"), Some("b.n"), Emit::Each).unwrap();
    let mut runner = Runner::new(Config::new(
        "uid",
        "/test",
        Role::Join(Box::new(spec)),
        inputs(2),
        1,
    ));
    runner.deliver(&Message::new(0, 0, "{\"k\":\"key\"}"));
    let expected: Vec<String> = (0..hostile().len()).map(|n| n.to_string()).collect();
    check(
        runner,
        |n| Message::new(1, 0, format!("{{\"k\":\"key\",\"n\":{n}}}")),
        &expected,
    );
}

#[test]
fn a_map_goes_on() {
    let spec = MapSpec::new("m", Some("m.healthy"), Some("m.n")).unwrap();
    let runner = Runner::new(Config::new(
        "uid",
        "/test",
        Role::Map(Box::new(spec)),
        inputs(1),
        1,
    ));
    let expected: Vec<String> = (0..hostile().len()).map(|n| n.to_string()).collect();
    check(
        runner,
        |n| Message::new(0, 0, format!("{{\"healthy\":true,\"n\":{n}}}")),
        &expected,
    );
}
