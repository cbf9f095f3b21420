//! Joins against the definition: nested loops over the messages of each window, and the whole condition for each
//! combination.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;
mod conditions;

use std::collections::BTreeMap;

use common::{Message, Runner, accept};
use conditions::{Fields, LENGTH, NAMES, Test, messages, payload, test};
use proptest::prelude::*;
use serde_json::Value;
use streaming_engine::component::{Config, InputConfig, Role, Target};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::Emit;

/// By window: its rows, as the numbers of their messages.
fn oracle(inputs: usize, tests: &[Test], messages: &[(i64, usize, Value)]) -> BTreeMap<i64, Vec<Vec<u64>>> {
    let mut windows: BTreeMap<i64, Vec<Vec<&Value>>> = BTreeMap::new();
    for (at, input, value) in messages {
        let window = windows
            .entry(at.div_euclid(LENGTH))
            .or_insert_with(|| vec![Vec::new(); inputs]);
        window[*input].push(value);
    }
    let mut out = BTreeMap::new();
    for (window, sides) in windows {
        let mut rows = vec![vec![]];
        for side in &sides {
            rows = rows
                .iter()
                .flat_map(|row: &Vec<&Value>| side.iter().map(|value| [row.as_slice(), &[*value]].concat()))
                .collect();
        }
        rows.retain(|row| {
            let row: Vec<_> = row.iter().copied().map(Some).collect();
            tests.iter().all(|test| test.eval(&row) == Some(true))
        });
        if !rows.is_empty() {
            let numbers = |row: &Vec<&Value>| row.iter().map(|value| value["i"].as_u64().unwrap()).collect();
            out.insert(window, rows.iter().map(numbers).collect());
        }
    }
    out
}

fn config(inputs: usize, tests: &[Test], emit: Emit) -> Config {
    let filter: Vec<String> = tests.iter().map(Test::source).collect();
    let filter = (!filter.is_empty()).then(|| filter.join(" && "));
    let select = NAMES[..inputs]
        .iter()
        .map(|name| format!("{name}.i"))
        .collect::<Vec<_>>()
        .join(", ");
    let spec = JoinSpec::new(
        &NAMES[..inputs],
        LENGTH,
        filter.as_deref(),
        Some(&format!("[{select}]")),
        emit,
    );
    let sources = (0..inputs).map(|n| InputConfig {
        cluster_stream: format!("cs{n}"),
        max_deliveries: 0,
    });
    let spec = spec.unwrap();
    Config::new("uid", "/test", Role::Join(Box::new(spec)), sources.collect(), 1)
}

/// Runs messages through a join; by window: its rows.
fn run(inputs: usize, tests: &[Test], messages: &[(i64, usize, String)]) -> BTreeMap<i64, Vec<Vec<u64>>> {
    let mut runner = Runner::new(config(inputs, tests, Emit::Batch));
    for (at, input, payload) in messages {
        runner.until(*at, &mut accept);
        runner.deliver(&Message::new(*input, *at, payload.as_str()));
    }
    runner.until(4 * LENGTH, &mut accept);
    assert!(runner.unacked.is_empty(), "a window that closes is empty");
    assert!(runner.component.is_idle());
    assert_eq!(
        runner.component.counters().held_bytes,
        0,
        "memory returns to its start"
    );
    let batch = |(to, event): &(Target, std::sync::Arc<streaming_engine::event::Event>)| {
        assert_eq!(*to, Target::Output(0));
        (
            event.time.0.div_euclid(LENGTH) - 1,
            serde_json::from_slice(&event.data()).unwrap(),
        )
    };
    runner.accepted.iter().map(batch).collect()
}

/// Most conditions refuse some type; those that certainly do so do not compile, which is another test's matter.
fn compiles(inputs: usize, tests: &[Test]) -> bool {
    let filter: Vec<String> = tests.iter().map(Test::source).collect();
    filter.is_empty()
        || JoinSpec::new(
            &NAMES[..inputs],
            LENGTH,
            Some(&filter.join(" && ")),
            None,
            Emit::Batch,
        )
        .is_ok()
}

fn case(inputs: usize, count: usize) -> impl Strategy<Value = (Vec<Test>, Vec<Fields>)> {
    let tests = prop::collection::vec(test(inputs), 0..4)
        .prop_filter("a condition that compiles", move |tests| compiles(inputs, tests));
    (tests, messages(inputs, count))
}

fn check(inputs: usize, tests: &[Test], fields: &[Fields]) -> Result<(), TestCaseError> {
    let sent: Vec<(i64, usize, String)> = fields
        .iter()
        .enumerate()
        .map(|(n, f)| (f.at, f.input, payload(n, f)))
        .collect();
    let values: Vec<_> = sent
        .iter()
        .map(|(at, input, text)| (*at, *input, serde_json::from_str(text).unwrap()))
        .collect();
    prop_assert_eq!(run(inputs, tests, &sent), oracle(inputs, tests, &values));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn two_inputs_give_the_rows_of_nested_loops((tests, fields) in case(2, 60)) {
        check(2, &tests, &fields)?;
    }

    #[test]
    fn three_inputs_give_the_rows_of_nested_loops((tests, fields) in case(3, 45)) {
        check(3, &tests, &fields)?;
    }

    #[test]
    fn four_inputs_give_the_rows_of_nested_loops((tests, fields) in case(4, 30)) {
        check(4, &tests, &fields)?;
    }

    #[test]
    fn arrival_order_between_inputs_changes_nothing(
        (tests, fields) in case(3, 40),
        shuffle in prop::collection::vec(any::<u32>(), 40),
    ) {
        let texts: Vec<(i64, usize, String)> =
            fields.iter().enumerate().map(|(n, f)| (f.at, f.input, payload(n, f))).collect();
        // Within a window the inputs are interleaved in another way; each keeps its own order.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|n| (texts[*n].0.div_euclid(LENGTH), shuffle[texts[*n].1]));
        let other: Vec<_> = order
            .iter()
            .map(|n| {
                let (at, input, text) = &texts[*n];
                (at.div_euclid(LENGTH) * LENGTH, *input, text.clone())
            })
            .collect();
        prop_assert_eq!(run(3, &tests, &texts), run(3, &tests, &other));
    }
}

#[test]
fn a_chain_is_followed_through_its_last_input() {
    // `a` and `b` meet only through `c`: to bind them first would try every pair.
    let spec = JoinSpec::new(
        &["a", "b", "c"],
        LENGTH,
        Some("a.k == c.k && c.v == b.v && a.v + b.v > c.w && b.x"),
        None,
        Emit::Batch,
    );
    let explanation = spec.unwrap().explain();
    assert!(!explanation.has_nested_loop());
    let expected = "on arrival b: b.x\nfor each a\nlook up c by a.k == c.k\nlook up b by c.v == b.v, then check \
                    a.v + b.v > c.w\n";
    assert_eq!(explanation.to_string(), expected);
}

#[test]
fn a_stream_joins_with_itself() {
    let spec = JoinSpec::new(
        &["x", "y"],
        LENGTH,
        Some("x.k == y.k && x.i < y.i"),
        Some("[x.i, y.i]"),
        Emit::Each,
    );
    let inputs = vec![
        InputConfig {
            cluster_stream: "cs".to_owned(),
            max_deliveries: 0
        };
        2
    ];
    let config = Config::new(
        "uid",
        "/test",
        Role::Join(Box::new(spec.unwrap())),
        inputs.clone(),
        1,
    );
    let mut runner = Runner::new(config);
    for n in 0..4 {
        for input in 0..2 {
            let mut message = Message::new(input, 0, format!("{{\"k\":{},\"i\":{n}}}", n % 2));
            message.position = format!("{n}");
            runner.deliver(&message);
        }
    }
    runner.until(LENGTH, &mut accept);
    assert_eq!(runner.data(Target::Output(0)), ["[0,2]", "[1,3]"]);
    let spec = JoinSpec::new(
        &["x", "y"],
        LENGTH,
        Some("x.k == y.k"),
        Some("[x.i, y.i]"),
        Emit::Each,
    )
    .unwrap();
    let mut runner = Runner::new(Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs, 1));
    for n in 0..2 {
        for input in 0..2 {
            let mut message = Message::new(input, 0, format!("{{\"k\":1,\"i\":{n}}}"));
            message.position = format!("{n}");
            message.payload = message.payload.clone();
            runner.deliver(&message);
        }
    }
    runner.until(LENGTH, &mut accept);
    assert_eq!(
        runner.data(Target::Output(0)),
        ["[0,0]", "[0,1]", "[1,0]", "[1,1]"]
    );
    let ids: std::collections::BTreeSet<_> = runner.accepted.iter().map(|(_, e)| e.id.clone()).collect();
    assert_eq!(ids.len(), 4, "(a, b) is another row than (b, a)");
}

#[test]
fn sixty_four_inputs_join() {
    let names: Vec<String> = (0..64).map(|n| format!("s{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let filter: Vec<String> = (1..64).map(|n| format!("s{}.k == s{n}.k", n - 1)).collect();
    let spec = JoinSpec::new(
        &names,
        LENGTH,
        Some(&filter.join(" && ")),
        Some("s0.k + s63.k"),
        Emit::Batch,
    );
    let inputs = (0..64)
        .map(|n| InputConfig {
            cluster_stream: format!("{n}"),
            max_deliveries: 0,
        })
        .collect();
    let mut runner = Runner::new(Config::new(
        "uid",
        "/test",
        Role::Join(Box::new(spec.unwrap())),
        inputs,
        1,
    ));
    for key in 0..3 {
        for input in 0..64 {
            if key != 1 || input != 40 {
                runner.deliver(&Message::new(input, 0, format!("{{\"k\":{key}}}")));
            }
        }
    }
    runner.until(LENGTH, &mut accept);
    assert_eq!(runner.data(Target::Output(0)), ["[0,4]"]);
    let names: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(JoinSpec::new(&names, LENGTH, None, None, Emit::Batch).is_err());
}
