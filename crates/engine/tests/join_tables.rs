//! Tables: messages that are looked up as they come, and when a window closes.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{Message, Runner, accept};
use proptest::prelude::*;
use serde_json::{Value, json};
use streaming_engine::component::{Component, Config, Incoming, InputConfig, Role, Target};
use streaming_engine::join::{JoinSpec, SpecError};
use streaming_engine::query::{JoinKind, Query, QueryInput, Windows};
use streaming_engine::time::Time;

const LENGTH: i64 = 10;

/// Orders with the table of customers.
fn query(kind: JoinKind, windows: Windows) -> Query {
    let input = |variable: &str, table: Option<&str>| QueryInput {
        variable: variable.to_owned(),
        table: table.map(str::to_owned),
        ..QueryInput::default()
    };
    Query {
        inputs: vec![input("o", None), input("c", Some("c.id"))],
        windows,
        join: kind,
        on: Some("o.customer == c.id && c.name != 'nobody'".to_owned()),
        select: Some("[o.n, c.name]".to_owned()),
        ..Query::default()
    }
}

fn config(query: &Query) -> Config {
    let input = |input: &QueryInput| InputConfig {
        cluster_stream: input.variable.clone(),
        max_deliveries: 0,
    };
    let spec = JoinSpec::compile(query).unwrap();
    let inputs = query.inputs.iter().map(input).collect();
    Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs, 1)
}

fn send(runner: &mut Runner, input: usize, data: &Value) -> u64 {
    let token = runner.deliver(&Message::new(input, 1, data.to_string()));
    runner.drain(&mut accept);
    token
}

#[test]
fn a_message_is_looked_up_in_the_table_as_it_is_then() {
    let mut runner = Runner::new(config(&query(JoinKind::Inner, Windows::Unbounded)));
    send(&mut runner, 0, &json!({"n": 1, "customer": 7}));
    let first = send(&mut runner, 1, &json!({"id": 7, "name": "ann"}));
    send(&mut runner, 0, &json!({"n": 2, "customer": 7}));
    send(&mut runner, 0, &json!({"n": 3, "customer": 7.0}));
    send(&mut runner, 0, &json!({"n": 4, "customer": "7"}));
    assert!(runner.unacked.contains_key(&(1, first)), "it is the table");
    let second = send(&mut runner, 1, &json!({"id": 7, "name": "bob"}));
    send(&mut runner, 0, &json!({"n": 5, "customer": 7}));
    assert_eq!(
        runner.data(Target::Output(0)),
        [r#"[2,"ann"]"#, r#"[3,"ann"]"#, r#"[5,"bob"]"#]
    );
    // What has lost its place is acked, and so is all that was looked up.
    assert_eq!(runner.unacked.keys().copied().collect::<Vec<_>>(), [(1, second)]);
}

#[test]
fn what_is_not_in_the_table_is_kept_by_a_left_join() {
    let mut runner = Runner::new(config(&query(JoinKind::Left, Windows::Unbounded)));
    send(&mut runner, 1, &json!({"id": 1, "name": "ann"}));
    send(&mut runner, 1, &json!({"id": 2, "name": "nobody"}));
    for customer in 1..=3 {
        send(&mut runner, 0, &json!({"n": customer, "customer": customer}));
    }
    assert_eq!(
        runner.data(Target::Output(0)),
        [r#"[1,"ann"]"#, "[2,null]", "[3,null]"]
    );
}

#[test]
fn null_takes_a_row_away() {
    let mut runner = Runner::new(config(&query(JoinKind::Inner, Windows::Unbounded)));
    send(&mut runner, 1, &json!({"id": "x", "name": "ann"}));
    let removal = |key| Incoming {
        input: 1,
        token: 99,
        position: "99",
        received: Time(1),
        attempts: 0,
        topic: "topic1",
        key,
        payload: b"null",
    };
    runner.unacked.insert((1, 99), Message::new(1, 1, "null"));
    runner.component.message(removal(Some("x")), Time(1));
    runner.drain(&mut accept);
    assert!(runner.unacked.is_empty());
    assert_eq!(runner.component.counters().held_bytes, 0);
    send(&mut runner, 0, &json!({"n": 1, "customer": "x"}));
    assert!(runner.accepted.is_empty());
    // Without a key there is no telling which row is meant.
    runner.unacked.insert((1, 99), Message::new(1, 1, "null"));
    runner.component.message(removal(None), Time(1));
    runner.drain(&mut accept);
    assert_eq!(runner.data(Target::DeadLetter(1)), ["null"]);
}

#[test]
fn nothing_is_looked_up_before_the_table_is_back() {
    let config = config(&query(JoinKind::Inner, Windows::Unbounded));
    let mut runner = Runner::of(Component::new(config), 2);
    runner.component.recovered(0, Time(0));
    send(&mut runner, 0, &json!({"n": 1, "customer": 7}));
    send(&mut runner, 1, &json!({"id": 7, "name": "ann"}));
    assert!(runner.accepted.is_empty() && runner.acked.is_empty());
    runner.component.recovered(1, Time(2));
    runner.drain(&mut accept);
    assert_eq!(runner.data(Target::Output(0)), [r#"[1,"ann"]"#]);
}

#[test]
fn a_table_is_looked_up_by_what_another_one_gave() {
    let input = |variable: &str, table: Option<&str>| QueryInput {
        variable: variable.to_owned(),
        table: table.map(str::to_owned),
        ..QueryInput::default()
    };
    let query = Query {
        inputs: vec![
            input("r", Some("r.id")),
            input("o", None),
            input("c", Some("c.id")),
        ],
        filter: Some("c.region == r.id && c.id == o.customer".to_owned()),
        select: Some("[o.n, c.name, r.name]".to_owned()),
        ..Query::default()
    };
    let mut runner = Runner::new(config(&query));
    send(&mut runner, 0, &json!({"id": "n", "name": "north"}));
    send(&mut runner, 2, &json!({"id": 7, "name": "ann", "region": "n"}));
    send(&mut runner, 1, &json!({"n": 1, "customer": 7}));
    assert_eq!(runner.data(Target::Output(0)), [r#"[1,"ann","north"]"#]);
}

#[test]
fn an_explanation_names_tables_and_groups() {
    let query = Query {
        group_by: vec!["c.name".to_owned()],
        select: Some("count()".to_owned()),
        ..query(JoinKind::Inner, Windows::Tumbling { length: LENGTH })
    };
    let expected = "on arrival c: c.name != 'nobody'\nfor each o\nlook up c by o.customer == c.id\nof c only the latest \
                    message of each key\ngroup by c.name\n";
    assert_eq!(JoinSpec::compile(&query).unwrap().explain().to_string(), expected);
}

#[test]
fn a_table_is_looked_up_by_its_key() {
    let reason = |query: &Query| JoinSpec::compile(query).unwrap_err().remove(0);
    let inner = query(JoinKind::Inner, Windows::Unbounded);
    let other = Query {
        on: Some("o.customer == c.name".to_owned()),
        ..inner.clone()
    };
    assert!(matches!(reason(&other), SpecError::TableWithoutKey { variable, .. } if variable == "c"));
    assert!(matches!(
        reason(&query(JoinKind::Full, Windows::Unbounded)),
        SpecError::TableKept
    ));
    let mut first = query(JoinKind::Left, Windows::Unbounded);
    first.inputs.reverse();
    assert!(matches!(reason(&first), SpecError::TableKept));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_window_joins_with_the_latest_row_of_each_key(
        orders in prop::collection::vec(0..5u8, 0..12),
        customers in prop::collection::vec((0..5u8, 0..9u8), 0..12),
        left in any::<bool>(),
    ) {
        let kind = if left { JoinKind::Left } else { JoinKind::Inner };
        let with_table = query(kind, Windows::Tumbling { length: LENGTH });
        let mut plain = with_table.clone();
        plain.inputs[1].table = None;
        let orders: Vec<Value> =
            orders.iter().enumerate().map(|(n, customer)| json!({"n": n, "customer": customer})).collect();
        let customers: Vec<Value> = customers.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
        let latest: BTreeMap<String, &Value> =
            customers.iter().map(|customer| (customer["id"].to_string(), customer)).collect();

        let mut runner = Runner::new(config(&with_table));
        for customer in &customers { send(&mut runner, 1, customer); }
        for order in &orders { send(&mut runner, 0, order); }
        runner.until(LENGTH, &mut accept);
        prop_assert_eq!(runner.unacked.len(), latest.len());

        let mut expected = Runner::new(config(&plain));
        for order in &orders { send(&mut expected, 0, order); }
        for customer in latest.values() { send(&mut expected, 1, customer); }
        expected.until(LENGTH, &mut accept);
        prop_assert_eq!(runner.data(Target::Output(0)), expected.data(Target::Output(0)));
        // The table is as it was.
        if !orders.is_empty() {
            runner.deliver(&Message::new(0, LENGTH + 1, orders[0].to_string()));
            runner.until(2 * LENGTH, &mut accept);
            prop_assert_eq!(runner.unacked.len(), latest.len());
        }
    }
}
