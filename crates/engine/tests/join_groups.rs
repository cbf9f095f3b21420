//! Windows whose rows are grouped, of one input and of several.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{Message, Runner, accept};
use proptest::prelude::*;
use serde_json::{Value, json};
use streaming_engine::component::{Config, InputConfig, Role, Target};
use streaming_engine::counters::CutShort;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, JoinKind, Query, QueryInput, Windows};

const LENGTH: i64 = 10;

fn query(inputs: &[&str], group_by: &[&str], select: &str) -> Query {
    let input = |name: &&str| QueryInput {
        variable: (*name).to_owned(),
        ..QueryInput::default()
    };
    Query {
        inputs: inputs.iter().map(input).collect(),
        windows: Windows::Tumbling { length: LENGTH },
        group_by: group_by.iter().map(|key| (*key).to_owned()).collect(),
        select: Some(select.to_owned()),
        ..Query::default()
    }
}

fn run(query: &Query, messages: &[(usize, Value)]) -> Runner {
    let inputs = query.inputs.iter().map(|input| InputConfig {
        cluster_stream: input.variable.clone(),
        max_deliveries: 0,
    });
    let spec = JoinSpec::compile(query).unwrap();
    let config = Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs.collect(), 1);
    let mut runner = Runner::new(config);
    for (number, (input, message)) in messages.iter().enumerate() {
        let mut message = Message::new(*input, 1, message.to_string());
        message.position = number.to_string();
        runner.deliver(&message);
    }
    runner.until(LENGTH, &mut accept);
    assert!(runner.unacked.is_empty() && runner.component.is_idle());
    assert_eq!(runner.component.counters().held_bytes, 0);
    runner
}

fn rows(runner: &Runner) -> Vec<Value> {
    let data = runner.data(Target::Output(0));
    data.iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn readings() -> Vec<(usize, Value)> {
    let reading = |room: Value, kw: Value| (0, json!({"room": room, "kw": kw}));
    vec![
        reading(json!("b"), json!(1.5)),
        reading(json!("a"), json!(2)),
        reading(json!("b"), json!(2.5)),
        reading(json!(7), json!(1)),
        reading(json!("a"), Value::Null),
        reading(json!("a"), json!("much")),
    ]
}

#[test]
fn of_a_join_that_is_cut_short_no_sum_is_sent() {
    let mut query = query(
        &["a", "b"],
        &["string(a.n) + '-' + string(b.n)"],
        "{'n': count()}",
    );
    query.filter = Some("a.n != b.n".to_owned());
    let spec = JoinSpec::compile(&query).unwrap();
    let inputs = ["a", "b"].map(|name| InputConfig {
        cluster_stream: name.to_owned(),
        max_deliveries: 0,
    });
    let config = Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs.to_vec(), 1);
    let mut runner = Runner::new(Config {
        memory_budget: 256 * 1024,
        ..config
    });
    for number in 0..200 {
        let message = Message::new(number % 2, 1, json!({"n": number}).to_string());
        runner.deliver(&message);
    }
    runner.until(LENGTH, &mut accept);
    assert_eq!(runner.reports[0].cut_short, Some(CutShort::Budget));
    assert_eq!(runner.data(Target::Output(0)), [""; 0]);
    let letters = runner.data(Target::DeadLetter(0));
    assert_eq!(
        letters,
        [r#"{"window":{"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:00:00.00001Z"}}"#]
    );
    assert_eq!(runner.component.counters().dead_lettered["ResultOverBudget"], 1);
    assert!(runner.unacked.is_empty());
}

#[test]
fn groups_of_one_input_come_in_the_order_of_their_keys() {
    let select = "{'room': r.room, 'n': count(), 'kw': sum(r.kw), 'end': int(window.end) >= 0}";
    let runner = run(&query(&["r"], &["r.room"], select), &readings());
    let expected = json!([
        {"room": 7, "n": 1, "kw": 1, "end": true},
        {"room": "a", "n": 3, "kw": 2, "end": true},
        {"room": "b", "n": 2, "kw": 4, "end": true},
    ]);
    assert_eq!(rows(&runner), [expected]);
    let report = &runner.reports[0];
    assert_eq!((report.rows, report.errors, report.inputs[0].matched), (3, 1, 6));
    // The text that is no number was not added to the sum, and that is counted.
    assert_eq!(runner.component.counters().errors(), 1);
}

#[test]
fn where_is_before_the_groups_and_having_after_them() {
    let query = Query {
        filter: Some("r.kw > 1".to_owned()),
        having: Some("count() > 1".to_owned()),
        emit: Emit::Each,
        ..query(&["r"], &["r.room"], "[r.room, count()]")
    };
    let runner = run(&query, &readings());
    assert_eq!(rows(&runner), [json!(["b", 2])]);
    let (_, event) = &runner.accepted[0];
    let key = event.subject.clone().unwrap();
    assert_eq!(key.len(), 32);
    // The same group and window have the same key, whatever is in it; its id is that of the messages.
    let again = run(&query, &[readings(), readings()].concat());
    let (_, other) = again.accepted.last().unwrap();
    assert_eq!(other.subject.as_deref(), Some(key.as_str()));
    assert_ne!(other.id, event.id);
}

#[test]
fn without_rows_there_is_no_group() {
    let all = Query {
        filter: Some("r.kw > 100".to_owned()),
        ..query(&["r"], &[], "count()")
    };
    assert!(rows(&run(&all, &readings())).is_empty());
    let all = query(&["r"], &[], "count()");
    assert_eq!(rows(&run(&all, &readings())), [json!([6])]);
}

#[test]
fn a_group_whose_select_fails_is_a_dead_letter() {
    let query = query(&["r"], &["r.room"], "count() / (count() - 3) + int(r.room)");
    let runner = run(&query, &readings());
    assert!(rows(&runner)[0].is_array());
    let letters = runner.data(Target::DeadLetter(0));
    assert_eq!(letters, [r#"["a"]"#, r#"["b"]"#]);
}

#[test]
fn one_input_without_groups_gives_its_messages() {
    let all = query(&["r"], &[], "r.room");
    assert_eq!(
        rows(&run(&all, &readings())),
        [json!(["b", "a", "b", 7, "a", "a"])]
    );
    let whole = Query {
        select: None,
        emit: Emit::Each,
        ..all
    };
    assert_eq!(
        rows(&run(&whole, &readings()[..1])),
        [json!({"r": {"room": "b", "kw": 1.5}})]
    );
}

#[test]
fn what_a_join_keeps_without_a_match_is_counted() {
    let query = Query {
        join: JoinKind::Left,
        on: Some("r.room == s.room".to_owned()),
        ..query(&["r", "s"], &["s.owner"], "[s.owner, count(), count(s.room)]")
    };
    let mut messages = readings();
    messages.push((1, json!({"room": "b", "owner": "eve"})));
    let runner = run(&query, &messages);
    assert_eq!(rows(&runner), [json!([[null, 4, 0], ["eve", 2, 2]])]);
}

#[test]
fn memory_is_that_of_groups_not_of_messages() {
    let spec = JoinSpec::compile(&query(&["r"], &["r.room"], "sum(r.kw)")).unwrap();
    let input = InputConfig {
        cluster_stream: "r".to_owned(),
        max_deliveries: 0,
    };
    let mut runner = Runner::new(Config::new(
        "uid",
        "/test",
        Role::Join(Box::new(spec)),
        vec![input],
        1,
    ));
    let text = "x".repeat(10_000);
    for number in 0..1_000 {
        let message = json!({"room": number % 3, "kw": 1, "text": text}).to_string();
        runner.deliver(&Message::new(0, 1, message));
    }
    // Of each message what its ack needs, and three groups.
    assert!(runner.component.counters().held_bytes < 20_000);
    runner.until(LENGTH, &mut accept);
    assert_eq!(rows(&runner), [json!([334, 333, 333])]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn groups_are_those_of_a_loop_over_the_rows(
        messages in prop::collection::vec((0..2usize, 0..4i64, 0..9i64), 0..60),
        joined in any::<bool>(),
    ) {
        let messages: Vec<(usize, Value)> =
            messages.iter().map(|(input, k, v)| (if joined { *input } else { 0 }, json!({"k": k, "v": v}))).collect();
        let number = |message: &Value, name: &str| message[name].as_i64().unwrap();
        let mut expected: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        let mut add = |key: i64, value: i64| {
            let group = expected.entry(key).or_default();
            *group = (group.0 + 1, group.1 + value);
        };
        let of = |wanted: usize| messages.iter().filter(move |(input, _)| *input == wanted).map(|(_, message)| message);
        let query = if joined {
            for a in of(0) {
                for b in of(1).filter(|b| a["k"] == b["k"]) {
                    add(number(b, "v"), number(a, "v"));
                }
            }
            Query { filter: Some("a.k == b.k".to_owned()), ..query(&["a", "b"], &["b.v"], "[b.v, count(), sum(a.v)]") }
        } else {
            of(0).for_each(|a| add(number(a, "k"), number(a, "v")));
            query(&["a"], &["a.k"], "[a.k, count(), sum(a.v)]")
        };
        let expected: Value = expected.iter().map(|(key, (count, sum))| json!([key, count, sum])).collect();
        let made = rows(&run(&query, &messages));
        prop_assert_eq!(made, if expected == json!([]) { vec![] } else { vec![expected] });
    }
}
