//! The three roles, case by case.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Message, Runner, accept};
use streaming_engine::component::{Config, Effect, InputConfig, Role, SendId, Target};
use streaming_engine::delivery::Answer;
use streaming_engine::event::Data;
use streaming_engine::join::JoinSpec;
use streaming_engine::map::MapSpec;
use streaming_engine::query::Emit;
use streaming_engine::time::Time;

fn inputs(count: usize) -> Vec<InputConfig> {
    (0..count)
        .map(|n| InputConfig {
            cluster_stream: format!("cs{n}"),
            max_deliveries: 0,
        })
        .collect()
}

fn join(variables: &[&str], filter: Option<&str>, select: Option<&str>, emit: Emit) -> Config {
    let spec = JoinSpec::new(variables, 20, filter, select, emit).unwrap();
    Config::new(
        "uid",
        "/test",
        Role::Join(Box::new(spec)),
        inputs(variables.len()),
        1,
    )
}

const WHERE: &str = "tenants.tenant_id == poweruse.tenant_id && poweruse.power_use >= 1.0";
const SELECT: &str = "{'customer_id': tenants.customer_id, 'kwh': poweruse.kwh_use}";

fn tenant(at: i64, id: &str, customer: u32) -> Message {
    Message::new(
        0,
        at,
        format!(r#"{{"tenant_id":"{id}","customer_id":{customer}}}"#),
    )
}

fn power(at: i64, id: &str, power: f64, kwh: u32) -> Message {
    Message::new(
        1,
        at,
        format!(r#"{{"tenant_id":"{id}","power_use":{power:?},"kwh_use":{kwh}}}"#),
    )
}

#[test]
fn a_window_of_tenants_and_power_use_is_joined_in_order() {
    let mut runner = Runner::new(join(
        &["tenants", "poweruse"],
        Some(WHERE),
        Some(SELECT),
        Emit::Batch,
    ));
    for message in [
        power(0, "a", 1.5, 1),
        tenant(1, "b", 924),
        power(2, "a", 0.5, 2),
        tenant(3, "a", 243),
        power(4, "b", 1.0, 3),
        power(5, "c", 9.0, 4),
        power(6, "a", 7.0, 5),
        tenant(7, "b", 925),
    ] {
        runner.deliver(&message);
    }
    runner.drain(&mut accept);
    assert_eq!(runner.acked, [(1, 2)], "what can't be in a row is acked at once");
    runner.until(20, &mut accept);
    let rows = [
        r#"{"customer_id":924,"kwh":3}"#,
        r#"{"customer_id":243,"kwh":1}"#,
        r#"{"customer_id":243,"kwh":5}"#,
        r#"{"customer_id":925,"kwh":3}"#,
    ];
    assert_eq!(runner.data(Target::Output(0)), [format!("[{}]", rows.join(","))]);
    assert_eq!(runner.acked.len(), 8);
    assert_eq!(runner.component.counters().held_bytes, 0);
    assert!(runner.component.is_idle());
    let report = &runner.reports[0];
    assert_eq!(
        (report.window.start.0, report.window.end.0, report.rows),
        (0, 20, 4)
    );
    assert_eq!((report.inputs[1].received, report.inputs[1].filtered), (5, 1));
}

#[test]
fn each_row_can_be_an_event_of_its_own() {
    let mut runner = Runner::new(join(&["a", "b"], Some("a.k == b.k"), Some("b.v"), Emit::Each));
    runner.deliver(&Message::new(0, 0, "{\"k\":1}"));
    runner.deliver(&Message::new(1, 0, "{\"k\":1.0,\"v\":\"x\"}"));
    runner.deliver(&Message::new(1, 0, "{\"k\":\"1\",\"v\":\"no\"}"));
    runner.deliver(&Message::new(1, 0, "{\"k\":1e0,\"v\":[ 1 ]}"));
    runner.until(20, &mut accept);
    assert_eq!(runner.data(Target::Output(0)), ["\"x\"", "[1]"]);
    let ids: Vec<_> = runner
        .accepted
        .iter()
        .map(|(_, event)| event.id.clone())
        .collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 32));
}

#[test]
fn without_select_a_row_is_the_messages_by_name() {
    let mut runner = Runner::new(join(&["a", "b"], Some("a.k < b.k"), None, Emit::Batch));
    runner.deliver(&Message::new(1, 0, "{ \"k\" : 2, \"x\" : [1, 2] }"));
    runner.deliver(&Message::new(0, 0, "{\"k\":1}"));
    runner.until(20, &mut accept);
    assert_eq!(
        runner.data(Target::Output(0)),
        [r#"[{"a":{"k":1},"b":{"k":2,"x":[1,2]}}]"#]
    );
}

#[test]
fn a_row_that_select_fails_on_goes_to_the_dead_letters() {
    let select = "{'v': b.v / a.n, 'w': a.deep.x}";
    let mut runner = Runner::new(join(&["a", "b"], Some("a.k == b.k"), Some(select), Emit::Batch));
    runner.deliver(&Message::new(0, 0, r#"{"k":1,"n":1,"deep":{"x":"y"}}"#));
    runner.deliver(&Message::new(0, 0, r#"{"k":1,"n":1,"deep":{"z":"y"}}"#));
    runner.deliver(&Message::new(1, 0, r#"{"k":1,"v":3}"#));
    let mut held = |to: Target, _: &_| match to {
        Target::Output(_) => Answer::Accepted,
        Target::DeadLetter(_) | Target::Late => Answer::Retry("full".to_owned()),
    };
    runner.until(20, &mut held);
    assert_eq!(runner.data(Target::Output(0)), [r#"[{"v":3,"w":"y"}]"#]);
    assert_eq!(runner.acked, [], "the dead letter is not accepted yet");
    runner.until(60_000_000, &mut accept);
    assert_eq!(runner.acked.len(), 3);
    let (to, letter) = &runner.accepted[1];
    assert_eq!(*to, Target::DeadLetter(0));
    assert_eq!(letter.dead_letter.as_ref().unwrap().reason, "NoSuchField");
    assert_eq!(*letter.data(), *br#"{"a":{"k":1,"n":1},"b":{"k":1,"v":3}}"#);
    assert_eq!(runner.component.counters().expression_errors["NoSuchField"], 1);
}

#[test]
fn an_empty_window_sends_nothing_and_acks_all() {
    let mut runner = Runner::new(join(&["a", "b"], Some("a.k == b.k"), None, Emit::Batch));
    runner.deliver(&Message::new(0, 0, "{\"k\":1}"));
    runner.deliver(&Message::new(1, 0, "{\"k\":2}"));
    runner.deliver(&Message::new(1, 0, "{\"x\":2}"));
    runner.until(20, &mut accept);
    assert!(runner.accepted.is_empty());
    assert_eq!(runner.acked.len(), 3);
    assert_eq!(runner.component.counters().expression_errors["NoSuchField"], 1);
    assert_eq!(runner.component.poll_timeout(), None);
}

#[test]
fn a_map_filters_and_maps() {
    let spec = MapSpec::new("m", Some("m.v > 1"), Some("{'v': m.v * 2, 't': topic}")).unwrap();
    let mut runner = Runner::new(Config::new(
        "uid",
        "/test",
        Role::Map(Box::new(spec)),
        inputs(1),
        2,
    ));
    runner.deliver(&Message::new(0, 0, "{\"v\":1}"));
    runner.deliver(&Message::new(0, 0, "{\"v\":2}"));
    runner.deliver(&Message::new(0, 0, "{\"v\":\"x\"}"));
    runner.drain(&mut accept);
    for output in 0..2 {
        assert_eq!(runner.data(Target::Output(output)), [r#"{"v":4,"t":"topic0"}"#]);
    }
    assert_eq!(runner.acked.len(), 3);
    assert_eq!(runner.component.counters().errors(), 1);
    assert_eq!(runner.component.counters().held_bytes, 0);
}

#[test]
fn a_map_without_select_passes_bytes_on() {
    let spec = MapSpec::new("m", None, None).unwrap();
    let mut runner = Runner::new(Config::new(
        "uid",
        "/test",
        Role::Map(Box::new(spec)),
        inputs(1),
        1,
    ));
    runner.deliver(&Message::new(0, 0, "{ \"v\" : 1.50 }"));
    runner.deliver(&Message::new(
        0,
        0,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":[1, 2 ]}"#,
    ));
    runner.drain(&mut accept);
    assert_eq!(runner.data(Target::Output(0)), ["{ \"v\" : 1.50 }", "[1, 2 ]"]);
}

#[test]
fn a_map_that_select_fails_on_dead_letters_the_message() {
    let spec = MapSpec::new("m", None, Some("m.v")).unwrap();
    let mut runner = Runner::new(Config::new(
        "uid",
        "/test",
        Role::Map(Box::new(spec)),
        inputs(1),
        1,
    ));
    runner.deliver(&Message::new(0, 0, "{\"w\":  1}"));
    runner.drain(&mut accept);
    assert_eq!(runner.data(Target::DeadLetter(0)), ["{\"w\":  1}"]);
    assert_eq!(runner.component.counters().dead_lettered["NoSuchField"], 1);
}

fn relay(concurrency: u32, max_deliveries: u32) -> Runner {
    let inputs = vec![InputConfig {
        cluster_stream: "redis".to_owned(),
        max_deliveries,
    }];
    Runner::new(Config::new(
        "uid",
        "/test",
        Role::Relay { concurrency },
        inputs,
        0,
    ))
}

#[test]
fn a_relay_hands_on_what_it_gets() {
    let mut runner = relay(1, 0);
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","trace":"x","data":{"v": 1}}"#;
    runner.deliver(&Message::new(0, 7, event));
    runner.deliver(&Message::new(0, 7, " [1, 2]"));
    runner.drain(&mut accept);
    assert_eq!(runner.accepted[0].1.to_cloudevent(), event.as_bytes());
    assert_eq!(runner.accepted[0].1.id, "1");
    assert!(matches!(&runner.accepted[1].1.data, Data::Json(data) if data == b" [1, 2]"));
    assert_eq!(runner.data(Target::Output(0)), ["{\"v\": 1}", " [1, 2]"]);
    assert_eq!(runner.acked, [(0, 0), (0, 1)]);
}

#[test]
fn a_relay_keeps_order_and_dead_letters_what_is_dropped() {
    let mut runner = relay(1, 3);
    for n in 0..4 {
        runner.deliver(&Message::new(0, 0, n.to_string()));
    }
    let mut answers = |to: Target, event: &streaming_engine::event::Event| match (to, &*event.data()) {
        (Target::Output(_), b"0") => Answer::Retry("busy".to_owned()),
        (Target::Output(_), b"1") => Answer::Drop("404".to_owned()),
        _ => Answer::Accepted,
    };
    runner.drain(&mut answers);
    assert_eq!(runner.accepted.len(), 0, "the first is waited for");
    runner.until(10_000_000, &mut answers);
    assert_eq!(runner.data(Target::Output(0)), ["2", "3"]);
    assert_eq!(runner.data(Target::DeadLetter(0)), ["0", "1"]);
    let letters: Vec<_> = runner
        .accepted
        .iter()
        .filter_map(|(_, e)| e.dead_letter.clone())
        .collect();
    assert_eq!((letters[0].count, letters[1].count), (3, 1));
    assert_eq!(runner.component.counters().retried, 2);
    assert_eq!(runner.acked.len(), 4);
    assert_eq!(runner.component.counters().held_bytes, 0);
}

/// Messages, by their input and token.
type MadeOf = Vec<(usize, u64)>;

/// What a component wants sent, and which messages wait for that.
fn sends(runner: &mut Runner, most: usize) -> Vec<(SendId, Target, MadeOf)> {
    let mut sends = Vec::new();
    while let Some(effect) = runner.component.poll_effect() {
        if let Effect::Send { id, to, .. } = effect {
            sends.push((id, to, runner.component.made_of(id, most)));
        }
    }
    sends
}

#[test]
fn whatever_is_sent_is_known_by_the_messages_that_wait_for_it() {
    let mut runner = relay(1, 0);
    runner.deliver(&Message::new(0, 7, "1"));
    runner.deliver(&Message::new(0, 7, "2"));
    let first = sends(&mut runner, 9);
    assert_eq!(first[0].2, [(0, 0)]);
    runner
        .component
        .answered(first[0].0, Answer::Drop("404".to_owned()), Time(8));
    let next = sends(&mut runner, 9);
    let next: Vec<_> = next.iter().map(|(_, to, made_of)| (*to, &made_of[..])).collect();
    assert_eq!(
        next,
        [
            (Target::DeadLetter(0), &[(0, 0)][..]),
            (Target::Output(0), &[(0, 1)])
        ]
    );
    assert_eq!(runner.component.made_of(first[0].0, 9), [], "that is answered");

    let mut runner = Runner::new(join(
        &["tenants", "poweruse"],
        Some(WHERE),
        Some(SELECT),
        Emit::Batch,
    ));
    for n in 0..4 {
        runner.deliver(&tenant(n, "a", 1));
        runner.deliver(&power(n, "a", 2.0, 1));
    }
    runner.now = Time(20);
    runner.component.timeout(Time(20));
    assert_eq!(sends(&mut runner, 2)[0].2, [(0, 0), (0, 2), (1, 1), (1, 3)]);
}
