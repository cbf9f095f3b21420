//! Memory: what a component says that it holds, and what it does when that is too much.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Message, Runner, accept};
use streaming_engine::component::{Component, Config, Incoming, InputConfig, Role, Target};
use streaming_engine::counters::CutShort;
use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::Emit;
use streaming_engine::time::Time;

const BUDGET: u64 = 3_000_000;

fn config(filter: &str, select: Option<&str>, emit: Emit) -> Config {
    let spec = JoinSpec::new(&["a", "b"], 1000, Some(filter), select, emit).unwrap();
    let inputs = vec![
        InputConfig {
            cluster_stream: "cs".to_owned(),
            max_deliveries: 0
        };
        2
    ];
    let config = Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs, 1);
    Config {
        memory_budget: BUDGET,
        ..config
    }
}

fn message(input: usize, key: usize) -> Message {
    Message::new(
        input,
        0,
        format!("{{\"k\":{key},\"text\":\"{}\"}}", "x".repeat(100)),
    )
}

#[test]
fn the_input_that_is_ahead_is_paused_first() {
    let mut runner = Runner::new(config("a.k == b.k", Some("a.text"), Emit::Batch));
    let mut key = 1;
    while !runner.paused[0] {
        runner.deliver(&message(0, key));
        runner.deliver(&message(1, 0));
        runner.deliver(&message(0, key + 1));
        runner.drain(&mut accept);
        key += 2;
    }
    assert!(!runner.paused[1], "the laggard may go on");
    assert!(runner.component.counters().held_bytes < BUDGET);
    while !runner.paused[1] {
        runner.deliver(&message(1, 0));
        runner.drain(&mut accept);
    }
    assert!(runner.component.counters().held_bytes >= BUDGET);
    assert_eq!(runner.over_budget.len(), 1);
    // What was under way when the inputs were paused arrives all the same, and is in the rows.
    for _ in 0..10 {
        runner.deliver(&message(1, 1));
    }
    runner.drain(&mut accept);
    assert_eq!(runner.over_budget.len(), 1, "said once a window");
    runner.until(1000, &mut accept);
    assert_eq!(runner.paused, [false, false]);
    assert_eq!(runner.reports[0].rows, 10);
    assert_eq!(runner.component.counters().held_bytes, 0);
}

#[test]
fn results_that_nobody_takes_pause_the_inputs() {
    let mut runner = Runner::new(config("a.k == b.k", Some("[a.text, b.text]"), Emit::Batch));
    for key in 0..600 {
        runner.deliver(&message(key % 2, key / 2));
    }
    let mut busy = |_: Target, _: &Event| Answer::Retry("busy".to_owned());
    runner.drain(&mut busy);
    while !runner.paused[0] && !runner.paused[1] {
        runner.deliver(&message(0, 1000));
        runner.drain(&mut busy);
    }
    runner.until(5000, &mut busy);
    let held = runner.component.counters().held_bytes;
    assert!(held > 300 * 200, "the result is held: {held}");
    runner.until(10_000_000, &mut accept);
    assert_eq!(runner.paused, [false, false]);
    assert_eq!(runner.component.counters().held_bytes, 0);
}

#[test]
fn a_result_that_explodes_is_cut_short_and_says_so() {
    let mut runner = Runner::new(config("a.k == b.k", Some("[a.text, b.text]"), Emit::Batch));
    for _ in 0..200 {
        runner.deliver(&message(0, 1));
        runner.deliver(&message(1, 1));
    }
    runner.until(1000, &mut accept);
    let report = &runner.reports[0];
    assert_eq!(report.cut_short, Some(CutShort::Budget));
    assert!(report.rows > 2_000 && report.rows < 30_000, "{}", report.rows);
    assert_eq!(
        runner.component.counters().dead_lettered["ResultOverBudget"],
        1,
        "what is missing is not lost in silence"
    );
    assert!(runner.unacked.is_empty());
    assert_eq!(runner.component.counters().held_bytes, 0);
}

#[test]
fn results_that_leave_one_by_one_may_be_more_than_memory_holds() {
    for filter in ["a.k == b.k", "a.k <= b.k"] {
        let mut runner = Runner::new(config(filter, Some("[a.text, b.text]"), Emit::Each));
        for _ in 0..200 {
            runner.deliver(&message(0, 1));
            runner.deliver(&message(1, 1));
        }
        runner.until(1000, &mut accept);
        let report = &runner.reports[0];
        assert_eq!((report.cut_short, report.rows), (None, 200 * 200));
        assert!(runner.unacked.is_empty());
        assert_eq!(runner.component.counters().held_bytes, 0);
    }
}

#[test]
fn nested_loops_end_at_their_cap() {
    let config = config("a.k + b.k == 1.0", Some("1"), Emit::Batch);
    let mut runner = Runner::new(Config {
        memory_budget: 1 << 30,
        ..config
    });
    for key in 0..7_100 {
        runner.deliver(&Message::new(0, 0, format!("{{\"k\":{key}}}")));
        runner.deliver(&Message::new(1, 0, format!("{{\"k\":{key}}}")));
    }
    if cfg!(debug_assertions) {
        // As many candidates as the cap allows take minutes without optimisation.
        return;
    }
    runner.until(1000, &mut accept);
    assert_eq!(runner.reports[0].cut_short, Some(CutShort::Candidates));
    assert_eq!(runner.data(Target::Output(0)), [""; 0], "no part of a batch");
    assert_eq!(runner.component.counters().dead_lettered["JoinTooLarge"], 1);
    assert!(runner.unacked.is_empty());
}

#[test]
fn redelivery_is_not_paused() {
    let mut component = Component::new(config("a.k == b.k", None, Emit::Batch));
    component.recovered(1, Time(0));
    for key in 0..30_000 {
        let payload = message(0, key).payload;
        component.message(
            Incoming {
                input: key % 2,
                token: key as u64,
                position: &key.to_string(),
                received: Time(0),
                attempts: 1,
                topic: "t",
                key: None,
                payload: &payload,
            },
            Time(5_000),
        );
    }
    assert_eq!(
        component.poll_timeout(),
        None,
        "no window closes before redelivery has ended"
    );
    let mut runner = Runner::of(component, 2);
    runner.now = Time(5_000);
    for key in 0..30_000 {
        runner.unacked.insert((key % 2, key as u64), message(0, 0));
    }
    runner.drain(&mut accept);
    assert_eq!(runner.paused, [false, true], "input 0 may still be redelivering");
    runner.component.recovered(0, Time(5_000));
    runner.until(5_000, &mut accept);
    assert_eq!(runner.reports.len(), 1, "its window is long over");
    assert_eq!(runner.paused, [false, false]);
    assert!(runner.unacked.is_empty());
}
