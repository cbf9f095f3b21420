//! Windows that overlap or grow, by when messages are received: the clock closes them.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Message, Runner, accept};
use streaming_engine::component::{Component, Config, InputConfig, Role, Target};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, Query, QueryInput, Windows};
use streaming_engine::time::Time;

fn config(windows: Windows) -> Config {
    let input = |variable: &str| QueryInput {
        variable: variable.to_owned(),
        ..QueryInput::default()
    };
    let query = Query {
        inputs: vec![input("a"), input("b")],
        windows,
        filter: Some("a.k == b.k && b.n >= 0.0".to_owned()),
        select: Some("[a.n, b.n]".to_owned()),
        emit: Emit::Batch,
        ..Query::default()
    };
    let spec = JoinSpec::compile(&query).unwrap();
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    Config::new("uid", "/test", Role::Join(Box::new(spec)), vec![input; 2], 1)
}

fn message(input: usize, received: i64, number: i64) -> Message {
    let mut message = Message::new(input, received, format!(r#"{{"k":1,"n":{number}}}"#));
    message.position = format!("{input}-{number}");
    message
}

/// Hands in each message when it is received.
fn run(runner: &mut Runner, messages: &[Message], until: i64) -> Vec<(i64, String)> {
    for message in messages {
        runner.until(message.received.0, &mut accept);
        runner.deliver(message);
    }
    runner.until(until, &mut accept);
    let data = runner.data(Target::Output(0));
    let ends = runner.accepted.iter().map(|(_, event)| event.time.0);
    ends.zip(data).collect()
}

fn results(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected
        .iter()
        .map(|(end, data)| (*end, (*data).to_owned()))
        .collect()
}

const HOPS: Windows = Windows::Hopping { length: 10, slide: 4 };
const SESSIONS: Windows = Windows::Session { gap: 5, max: 12 };

#[test]
fn a_message_is_in_every_hop_and_acked_with_the_last() {
    let mut runner = Runner::new(config(HOPS));
    let messages = [message(0, 13, 1), message(1, 15, 2), message(1, 16, -1)];
    let sent = run(&mut runner, &messages, 18);
    assert_eq!(sent, results(&[(18, "[[1,2]]")]));
    assert_eq!(runner.acked, [(1, 2)], "what no window keeps is acked at once");
    let sent = run(&mut runner, &[], 21);
    assert_eq!(sent.len(), 1, "8..18 and 12..22");
    let sent = run(&mut runner, &[], 22);
    assert_eq!(sent, results(&[(18, "[[1,2]]"), (22, "[[1,2]]")]));
    assert_eq!(runner.unacked.len(), 0);
    assert_eq!(runner.component.counters().held_bytes, 0);
    assert!(runner.accepted.iter().all(|(_, event)| event.watermark.is_none()));
}

#[test]
fn a_pause_ends_a_session_and_so_does_its_length() {
    let mut runner = Runner::new(config(SESSIONS));
    let messages = [
        message(0, 10, 1),
        message(1, 14, 2),
        // What is kept out is not in it, and does not make it last.
        message(1, 18, -1),
        message(1, 19, 3),
        message(0, 23, 4),
        message(0, 27, 5),
        message(1, 30, 6),
        message(1, 31, 7),
    ];
    let sent = run(&mut runner, &messages, 100);
    // 10..19, then 19..31 at its longest, then 31..36.
    assert_eq!(
        sent,
        results(&[(19, "[[1,2]]"), (31, "[[4,3],[4,6],[5,3],[5,6]]")])
    );
    assert_eq!(runner.reports.len(), 3);
    assert_eq!(runner.unacked.len(), 0);
    assert_eq!(runner.component.counters().held_bytes, 0);
    assert!(runner.component.is_idle());
}

#[test]
fn what_comes_again_after_a_start_goes_where_it_was() {
    for windows in [HOPS, SESSIONS] {
        let messages = [
            message(0, 10, 1),
            message(0, 17, 3),
            message(1, 14, 2),
            message(1, 21, 4),
        ];
        let mut sorted = messages.clone();
        sorted.sort_by_key(|message| message.received);
        let expected = run(&mut Runner::new(config(windows)), &sorted, 100);
        let mut runner = Runner::of(Component::new(config(windows)), 2);
        runner.now = Time(60);
        for message in &messages {
            runner.deliver(message);
            runner.until(60, &mut accept);
        }
        assert!(runner.accepted.is_empty(), "one input may have more");
        for input in 0..2 {
            runner.component.recovered(input, Time(60));
        }
        assert_eq!(run(&mut runner, &[], 100), expected);
        assert_eq!(runner.component.counters().held_bytes, 0);
    }
}

#[test]
fn a_message_of_a_window_that_has_closed_goes_to_the_present_ones() {
    for (windows, end) in [(HOPS, 38), (SESSIONS, 35)] {
        let mut runner = Runner::new(config(windows));
        runner.until(30, &mut accept);
        runner.deliver(&message(0, 3, 1));
        runner.deliver(&message(1, 30, 2));
        let sent = run(&mut runner, &[], 100);
        assert_eq!(
            sent.first(),
            Some(&(if end == 38 { 34 } else { 35 }, "[[1,2]]".to_owned()))
        );
        assert_eq!(sent.last().map(|(end, _)| *end), Some(end));
    }
}
