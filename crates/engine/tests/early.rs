//! What leaves before its window ends: updates of groups, and groups whose trigger is true.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Message, Runner, accept};
use streaming_engine::component::{Config, InputConfig, Role, Target};
use streaming_engine::delivery::Answer;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, EventTime, Query, QueryInput, Windows};

const SECOND: i64 = 1_000_000;

fn query(windows: Windows, emit: Emit) -> Query {
    let input = QueryInput {
        variable: "m".to_owned(),
        ..QueryInput::default()
    };
    Query {
        inputs: vec![input],
        windows,
        group_by: vec!["m.k".to_owned()],
        select: Some("[m.k, sum(m.v)]".to_owned()),
        emit,
        ..Query::default()
    }
}

fn runner(query: &Query) -> Runner {
    let spec = JoinSpec::compile(query).unwrap();
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    let inputs = vec![input; query.inputs.len()];
    Runner::new(Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs, 1))
}

fn message(at: i64, key: &str, value: i64) -> Message {
    Message::new(0, at, format!(r#"{{"k":"{key}","v":{value},"t":{}}}"#, at / 1000))
}

fn run(runner: &mut Runner, messages: &[Message], until: i64) -> Vec<String> {
    let before = runner.accepted.len();
    for message in messages {
        runner.until(message.received.0, &mut accept);
        runner.deliver(message);
    }
    runner.until(until, &mut accept);
    runner.data(Target::Output(0)).split_off(before)
}

const MINUTE: Windows = Windows::Tumbling { length: 60 * SECOND };

#[test]
fn groups_that_change_are_sent_once_a_second_and_at_the_end_if_they_changed_since() {
    let mut runner = runner(&query(MINUTE, Emit::Updates));
    let messages = [message(0, "a", 1), message(10, "b", 5), message(20, "a", 2)];
    assert!(run(&mut runner, &messages, SECOND - 1).is_empty());
    assert_eq!(run(&mut runner, &[], SECOND), [r#"["a",3]"#, r#"["b",5]"#]);
    assert!(
        run(&mut runner, &[], 5 * SECOND).is_empty(),
        "nothing has changed"
    );
    let changed = run(&mut runner, &[message(5 * SECOND, "a", 4)], 7 * SECOND);
    assert_eq!(changed, [r#"["a",7]"#]);
    assert_eq!(
        runner.acked,
        [],
        "what they are made of is needed until the window ends"
    );
    let last = [message(60 * SECOND - 9, "b", 1)];
    assert_eq!(run(&mut runner, &last, 60 * SECOND), [r#"["b",6]"#]);
    let of = |at: usize| {
        let event = &runner.accepted[at].1;
        (event.subject.clone().unwrap(), event.sequence.unwrap())
    };
    let (a, b) = (of(0).0, of(1).0);
    assert_ne!(a, b);
    assert_eq!([of(2), of(3)], [(a, 2), (b, 2)]);
    assert_eq!(runner.unacked.len(), 0);
    assert_eq!(runner.component.counters().held_bytes, 0);
}

#[test]
fn a_last_update_that_is_not_accepted_yet_is_what_the_window_waits_for() {
    let mut runner = runner(&query(MINUTE, Emit::Updates));
    runner.deliver(&message(0, "a", 1));
    let mut busy = |_: Target, _: &_| Answer::Retry("busy".to_owned());
    runner.until(60 * SECOND, &mut busy);
    assert_eq!(runner.acked, []);
    runner.until(600 * SECOND, &mut accept);
    let sent: Vec<_> = runner
        .accepted
        .iter()
        .map(|(_, event)| (event.id.clone(), event.sequence))
        .collect();
    assert!(
        sent.len() == 2 && sent[0] == sent[1],
        "known as a repeat: {sent:?}"
    );
    assert_eq!(runner.acked.len(), 1);
    assert_eq!(runner.component.counters().held_bytes, 0);
}

fn trigger(windows: Windows, emit: Emit) -> Query {
    Query {
        trigger: Some("count() >= 2 || sum(m.v) > 100".to_owned()),
        ..query(windows, emit)
    }
}

#[test]
fn a_group_leaves_when_its_trigger_is_true_and_starts_again_empty() {
    let mut runner = runner(&trigger(Windows::Unbounded, Emit::Each));
    let messages = [
        message(0, "a", 1),
        message(1, "b", 101),
        message(2, "a", 2),
        message(3, "a", 4),
        message(4, "c", 8),
    ];
    assert_eq!(
        run(&mut runner, &messages, 100 * SECOND),
        [r#"["b",101]"#, r#"["a",3]"#]
    );
    assert_eq!(runner.acked, [(0, 1), (0, 0), (0, 2)]);
    assert_eq!(
        runner.component.poll_timeout(),
        None,
        "without windows nothing ends"
    );
    assert_eq!(
        run(&mut runner, &[message(100 * SECOND, "a", 5)], 100 * SECOND),
        [r#"["a",9]"#]
    );
    assert!(run(&mut runner, &[message(100 * SECOND, "c", 1)], 100 * SECOND) == [r#"["c",9]"#]);
    assert_eq!(runner.unacked.len(), 0);
    assert!(runner.accepted.iter().all(|(_, event)| event.subject.is_none()));
    let ids: std::collections::BTreeSet<_> = runner.accepted.iter().map(|(_, event)| &event.id).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn what_a_trigger_leaves_goes_when_the_window_ends() {
    let sessions = Windows::Session {
        gap: 10 * SECOND,
        max: 60 * SECOND,
    };
    // Of a session all is acked together.
    for (windows, acked) in [(MINUTE, 2), (sessions, 0)] {
        let mut runner = runner(&trigger(windows, Emit::Batch));
        let messages = [
            message(0, "a", 1),
            message(1, "a", 2),
            message(2, "a", 3),
            message(3, "b", 4),
        ];
        assert_eq!(run(&mut runner, &messages, 9 * SECOND), [r#"[["a",3]]"#]);
        assert_eq!(runner.acked.len(), acked);
        let rest = run(&mut runner, &[], 60 * SECOND).join("");
        assert!(
            rest.contains(r#"["a",3]"#) && rest.contains(r#"["b",4]"#),
            "{rest}"
        );
        assert_eq!(runner.unacked.len(), 0);
        assert_eq!(runner.component.counters().held_bytes, 0);
    }
}

#[test]
fn in_event_time_a_trigger_sees_messages_in_the_order_in_which_they_happened() {
    let mut query = trigger(Windows::Unbounded, Emit::Each);
    query.inputs[0].time = Some(EventTime {
        timestamp: "m.t".to_owned(),
        out_of_orderness: SECOND,
        idle_timeout: Some(SECOND),
    });
    let at = |at: i64, value: i64| message(at * 1000, "a", value);
    for order in [[1, 2, 3, 4], [2, 4, 1, 3], [4, 3, 2, 1]] {
        let mut runner = runner(&query);
        for n in order {
            let mut message = at(n, n);
            message.received = streaming_engine::time::Time(0);
            runner.deliver(&message);
        }
        runner.until(10 * SECOND, &mut accept);
        assert_eq!(runner.data(Target::Output(0)), [r#"["a",3]"#, r#"["a",7]"#]);
        assert_eq!(runner.unacked.len(), 0);
    }
}

#[test]
fn what_can_not_leave_early_is_refused() {
    let hops = Windows::Hopping {
        length: 60 * SECOND,
        slide: 30 * SECOND,
    };
    let sessions = Windows::Session {
        gap: SECOND,
        max: 60 * SECOND,
    };
    let two = |mut query: Query| {
        query.inputs.push(QueryInput {
            variable: "n".to_owned(),
            ..QueryInput::default()
        });
        query
    };
    let refused = [
        query(Windows::Unbounded, Emit::Each),
        trigger(hops, Emit::Each),
        two(trigger(MINUTE, Emit::Each)),
        two(query(MINUTE, Emit::Updates)),
        query(sessions, Emit::Updates),
        Query {
            group_by: vec![],
            select: Some("m.v".to_owned()),
            ..query(MINUTE, Emit::Updates)
        },
    ];
    for query in refused {
        assert!(JoinSpec::compile(&query).is_err(), "{query:?}");
    }
}
