//! Event time: whatever order messages come in, what comes out depends on when they happened.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{Message, Runner, accept};
use proptest::prelude::*;
use streaming_engine::component::{Component, Config, Effect, Incoming, InputConfig, Role, Target};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, EventTime, Query, QueryInput, Windows};
use streaming_engine::state::MemoryDisk;
use streaming_engine::time::Time;

/// Microseconds that messages may come after later ones.
const BOUND: i64 = 25_000;
/// One millisecond, the unit of the messages' own timestamps.
const MS: i64 = 1_000;
/// An idle timeout of processing time.
const IDLE: i64 = 1_000_000;

fn query(windows: Windows, emit: Emit) -> Query {
    let input = |variable: &str| QueryInput {
        variable: variable.to_owned(),
        time: Some(EventTime {
            timestamp: format!("{variable}.t"),
            out_of_orderness: BOUND,
            idle_timeout: Some(IDLE),
        }),
        table: None,
    };
    Query {
        inputs: vec![input("a"), input("b")],
        windows,
        filter: Some("a.k == b.k && a.k != 9 && b.k != 9".to_owned()),
        select: Some("[a.n, b.n]".to_owned()),
        emit,
        ..Query::default()
    }
}

fn config(query: &Query) -> Config {
    let spec = JoinSpec::compile(query).unwrap();
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    let inputs = vec![input; query.inputs.len()];
    Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs, 1)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Happening {
    input: usize,
    /// In milliseconds.
    at: i64,
    key: u8,
    number: usize,
}

impl Happening {
    fn message(&self) -> Message {
        let text = format!(r#"{{"t":{},"k":{},"n":{}}}"#, self.at, self.key, self.number);
        Message::new(self.input, 0, text)
    }
}

fn happenings() -> impl Strategy<Value = Vec<(Happening, i64)>> {
    let one = (
        0..2usize,
        0..200i64,
        prop_oneof![4 => 0..3u8, 1 => Just(9)],
        0..BOUND / MS,
    );
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        let happening = |(number, (input, at, key, delay))| {
            // Now and then the same message twice.
            let number = number / 2 * 2;
            (
                Happening {
                    input,
                    at,
                    key,
                    number,
                },
                delay,
            )
        };
        numbered.map(happening).collect()
    })
}

/// The order in which they come with these delays: each at most the bound after one that happened later.
fn delayed(all: &[(Happening, i64)]) -> Vec<Happening> {
    let mut order: Vec<_> = all.iter().map(|(h, delay)| (h.at + delay, h.clone())).collect();
    order.sort_by_key(|(comes, _)| *comes);
    order.into_iter().map(|(_, happening)| happening).collect()
}

fn windows() -> impl Strategy<Value = Windows> {
    prop_oneof![
        (1..80i64).prop_map(|length| Windows::Tumbling { length: length * MS }),
        (1..80i64, 1..80i64).prop_map(|(length, slide)| Windows::Hopping {
            length: length * MS,
            slide: slide.min(length) * MS
        }),
        (1..30i64, 1..80i64).prop_map(|(gap, max)| Windows::Session {
            gap: gap * MS,
            max: max * MS
        }),
    ]
}

/// Everything that comes out, once all inputs have fallen silent.
fn run(query: &Query, order: &[Happening]) -> Runner {
    let mut runner = Runner::new(config(query));
    for happening in order {
        runner.deliver(&happening.message());
        runner.until(runner.now.0 + 1, &mut accept);
    }
    runner.until(10 * IDLE, &mut accept);
    runner
}

/// All is acked and nothing is held.
fn is_done(runner: &Runner) -> Result<(), TestCaseError> {
    prop_assert_eq!(runner.unacked.len(), 0);
    prop_assert_eq!(runner.component.counters().held_bytes, 0);
    prop_assert!(runner.component.is_idle());
    Ok(())
}

/// The windows of a query in the order in which they close, with what is in each.
fn naive(windows: Windows, all: &[Happening]) -> Vec<((i64, i64), Vec<Happening>)> {
    let mut events: Vec<Happening> = all.iter().filter(|h| h.key != 9).cloned().collect();
    events.sort_by_key(|h| h.at);
    let mut out: Vec<((i64, i64), Vec<Happening>)> = Vec::new();
    match windows {
        // One for each key, as a row's messages have the same.
        Windows::Session { gap, max } => {
            for key in 0..9 {
                let mut current: Option<(i64, i64, Vec<Happening>)> = None;
                for event in events.iter().filter(|event| event.key == key) {
                    let at = event.at * MS;
                    match &mut current {
                        Some((start, end, members)) if at < *end => {
                            members.push(event.clone());
                            *end = (at + gap).min(*start + max);
                        }
                        _ => {
                            let next = (at, (at + gap).min(at + max), vec![event.clone()]);
                            if let Some((start, end, members)) = current.replace(next) {
                                out.push(((end, start), members));
                            }
                        }
                    }
                }
                out.extend(current.map(|(start, end, members)| ((end, start), members)));
            }
        }
        Windows::Tumbling { length } | Windows::Hopping { length, .. } => {
            let slide = match windows {
                Windows::Hopping { slide, .. } => slide,
                _ => length,
            };
            for start in (-1000..1000).map(|k| k * slide) {
                let inside = |event: &&Happening| (start..start + length).contains(&(event.at * MS));
                let members = events.iter().filter(inside).cloned().collect();
                out.push(((start + length, start), members));
            }
        }
        Windows::Unbounded => unreachable!(),
    }
    // Those of several keys that end alike go by key: none was without members.
    out.sort_by_key(|(bounds, _)| *bounds);
    out
}

fn rows(members: &[Happening]) -> Vec<String> {
    let of = |input: usize| members.iter().filter(move |h| h.input == input);
    let mut rows: Vec<String> = of(0)
        .flat_map(|a| {
            of(1)
                .filter(|b| a.key == b.key)
                .map(|b| format!("[{},{}]", a.number, b.number))
        })
        .collect();
    rows.sort();
    rows
}

fn sent(runner: &Runner) -> Vec<Arc<Event>> {
    runner
        .accepted
        .iter()
        .map(|(_, event)| Arc::clone(event))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_order_within_the_bound_gives_the_same_events(all in happenings(), windows in windows(), each: bool) {
        let query = query(windows, if each { Emit::Each } else { Emit::Batch });
        let mut sorted: Vec<Happening> = all.iter().map(|(h, _)| h.clone()).collect();
        sorted.sort_by_key(|h| h.at);
        let (one, other) = (run(&query, &sorted), run(&query, &delayed(&all)));
        prop_assert_eq!(one.accepted.clone(), other.accepted.clone());
        let ids: BTreeSet<_> = sent(&one).iter().map(|event| event.id.clone()).collect();
        prop_assert_eq!(ids.len(), one.accepted.len(), "the same message twice is two messages");
        for runner in [&one, &other] {
            is_done(runner)?;
            prop_assert!(runner.component.counters().inputs.iter().all(|input| input.late == 0));
        }
    }

    #[test]
    fn windows_hold_what_naive_ones_do(all in happenings(), windows in windows()) {
        let runner = run(&query(windows, Emit::Batch), &delayed(&all));
        let happened: Vec<Happening> = all.iter().map(|(h, _)| h.clone()).collect();
        let expected: Vec<_> = naive(windows, &happened)
            .iter()
            .map(|((end, _), members)| (*end, rows(members)))
            .filter(|(_, rows)| !rows.is_empty())
            .collect();
        let got: Vec<_> = sent(&runner)
            .iter()
            .map(|event| {
                let data = String::from_utf8(event.data().into_owned()).unwrap();
                let inner = data.trim_matches(['[', ']']);
                let mut rows: Vec<String> = inner.split("],[").map(|row| format!("[{row}]")).collect();
                rows.sort();
                assert_eq!(event.watermark, Some(event.time));
                (event.time.0, rows)
            })
            .collect();
        prop_assert_eq!(got, expected);
    }

    /// What is not acked comes again, in any order, and goes on from there.
    #[test]
    fn a_crash_changes_nothing(
        all in happenings(),
        windows in windows(),
        each: bool,
        cut in any::<prop::sample::Index>(),
        shuffle in any::<u64>(),
    ) {
        let query = query(windows, if each { Emit::Each } else { Emit::Batch });
        let order = delayed(&all);
        let whole = run(&query, &order);
        let cut = cut.index(order.len() + 1);
        let mut first = Runner::new(config(&query));
        for happening in &order[..cut] {
            first.deliver(&happening.message());
            first.until(first.now.0 + 1, &mut accept);
        }
        let mut again: Vec<Message> = first.unacked.values().cloned().collect();
        let mut random = shuffle;
        again.sort_by_cached_key(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random >> 32
        });
        // Windows that overlap share messages: those that are done with must be known.
        let overlap = matches!(windows, Windows::Hopping { .. });
        let settled = first.component.settled().filter(|_| overlap);
        let config = Config { settled, ..config(&query) };
        let mut second = Runner::of(Component::new(config), 2);
        for message in &again {
            second.deliver(message);
            second.until(0, &mut accept);
        }
        prop_assert!(second.accepted.is_empty(), "nothing closes before all is there again");
        for input in 0..2 {
            second.component.recovered(input, Time(0));
        }
        second.until(0, &mut accept);
        for happening in &order[cut..] {
            second.deliver(&happening.message());
            second.until(second.now.0 + 1, &mut accept);
        }
        second.until(10 * IDLE, &mut accept);
        is_done(&second)?;
        let events = |runners: &[&Runner]| -> BTreeMap<String, Arc<Event>> {
            let all = runners.iter().flat_map(|runner| sent(runner));
            all.map(|event| (event.id.clone(), event)).collect()
        };
        prop_assert_eq!(events(&[&first, &second]), events(&[&whole]));
    }
}

fn at(input: usize, at: i64, key: u8) -> Message {
    Happening {
        input,
        at,
        key,
        number: 0,
    }
    .message()
}

fn tumbling(length: i64) -> Query {
    let mut query = query(Windows::Tumbling { length: length * MS }, Emit::Each);
    for input in &mut query.inputs {
        let time = input.time.as_mut().unwrap();
        time.out_of_orderness = 0;
        time.idle_timeout = None;
    }
    query
}

fn deliver(runner: &mut Runner, messages: &[Message]) {
    for message in messages {
        runner.deliver(message);
        runner.until(runner.now.0, &mut accept);
    }
}

fn watermark(runner: &Runner) -> Option<i64> {
    runner.component.counters().watermark.map(|time| time.0 / MS)
}

#[test]
fn time_is_the_input_that_lags() {
    let mut runner = Runner::new(config(&tumbling(10)));
    deliver(&mut runner, &[at(0, 5, 1)]);
    assert_eq!(watermark(&runner), None, "the other input has said nothing yet");
    deliver(&mut runner, &[at(1, 3, 1)]);
    assert_eq!(watermark(&runner), Some(3));
    deliver(&mut runner, &[at(0, 30, 1)]);
    assert_eq!(watermark(&runner), Some(3));
    deliver(&mut runner, &[at(1, 10, 1)]);
    assert_eq!(watermark(&runner), Some(10));
    assert_eq!(runner.accepted.len(), 1, "a window closes at its end");
    deliver(&mut runner, &[at(0, 12, 1)]);
    assert_eq!(watermark(&runner), Some(10), "it never goes back");
}

#[test]
fn an_input_may_be_out_of_order_for_as_long_as_it_says() {
    let mut query = tumbling(10);
    query.inputs[1].time.as_mut().unwrap().out_of_orderness = 4 * MS;
    let mut runner = Runner::new(config(&query));
    deliver(&mut runner, &[at(0, 50, 1), at(1, 13, 1)]);
    assert_eq!(watermark(&runner), Some(9));
    deliver(&mut runner, &[at(1, 9, 1), at(1, 14, 1)]);
    assert_eq!(watermark(&runner), Some(10));
    assert_eq!(runner.reports.len(), 1);
    assert_eq!(runner.reports[0].inputs[1].received, 1);
}

#[test]
fn what_is_silent_holds_nothing_back_after_a_while() {
    let mut query = tumbling(10);
    query.inputs[1].time.as_mut().unwrap().idle_timeout = Some(500);
    let mut runner = Runner::new(config(&query));
    deliver(&mut runner, &[at(0, 25, 1)]);
    runner.until(499, &mut accept);
    assert_eq!(watermark(&runner), None);
    runner.until(500, &mut accept);
    assert_eq!(
        watermark(&runner),
        Some(25),
        "an input that never had a message falls idle too"
    );
    deliver(&mut runner, &[at(1, 27, 1), at(0, 40, 1)]);
    assert_eq!(watermark(&runner), Some(27));
    runner.until(999, &mut accept);
    assert_eq!(watermark(&runner), Some(27));
    runner.until(1_000, &mut accept);
    assert_eq!(watermark(&runner), Some(40), "one that had some, since the last");
    runner.until(1_000_000_000, &mut accept);
    assert_eq!(
        watermark(&runner),
        Some(40),
        "one without an idle timeout is waited for"
    );
    assert_eq!(runner.component.counters().windows, 1);
}

#[test]
fn when_all_are_silent_all_that_is_open_closes() {
    let mut query = tumbling(10);
    for input in &mut query.inputs {
        input.time.as_mut().unwrap().idle_timeout = Some(500);
    }
    let mut runner = Runner::new(config(&query));
    deliver(&mut runner, &[at(0, 25, 1), at(1, 27, 1), at(1, 28, 1)]);
    runner.until(500, &mut accept);
    assert_eq!(runner.accepted.len(), 2);
    assert_eq!(watermark(&runner), Some(30), "the end of the last window");
    assert!(runner.component.is_idle());
    assert_eq!(runner.component.poll_timeout(), None);
    deliver(&mut runner, &[at(0, 29, 1)]);
    assert_eq!(runner.component.counters().inputs[0].late, 1);
}

#[test]
fn topics_of_one_input_are_told_apart() {
    let mut runner = Runner::new(config(&tumbling(10)));
    deliver(&mut runner, &[at(1, 90, 1), at(0, 20, 1)]);
    assert_eq!(watermark(&runner), Some(20));
    runner.deliver_on("another", &at(0, 4, 1));
    deliver(&mut runner, &[at(0, 60, 1)]);
    assert_eq!(
        watermark(&runner),
        Some(20),
        "the topic that lags holds the input back"
    );
    runner.deliver_on("another", &at(0, 33, 1));
    runner.drain(&mut accept);
    assert_eq!(watermark(&runner), Some(33));
}

#[test]
fn late_messages_are_dropped_or_sent_on() {
    for late in [false, true] {
        let config = Config {
            late,
            ..config(&tumbling(10))
        };
        let mut runner = Runner::new(config);
        deliver(&mut runner, &[at(0, 5, 1), at(0, 23, 1), at(1, 25, 1)]);
        assert_eq!(watermark(&runner), Some(23));
        deliver(&mut runner, &[at(1, 9, 1), at(1, 21, 1)]);
        let counters = runner.component.counters();
        assert_eq!(
            counters.inputs[1].late, 1,
            "of a window that is open nothing is late"
        );
        assert!(runner.acked.contains(&(1, 3)));
        let sent = runner.data(Target::Late);
        assert_eq!(
            sent,
            if late {
                vec![r#"{"t":9,"k":1,"n":0}"#]
            } else {
                vec![]
            }
        );
        if late {
            let (_, event) = &runner.accepted[0];
            let letter = event.dead_letter.as_ref().unwrap();
            assert_eq!((letter.reason, letter.source.as_str()), ("Late", "cs/topic1"));
            assert_eq!(event.time, Time(9 * MS));
        }
        deliver(&mut runner, &[at(0, 30, 1), at(1, 30, 1)]);
        assert_eq!(runner.data(Target::Output(0)), ["[0,0]", "[0,0]"]);
    }
}

/// A publisher that saw no confirm publishes again.
#[test]
fn an_event_that_is_published_again_counts_once() {
    let event = |input, at: i64, id: &str| {
        let data = format!(r#"{{"t":{at},"k":1,"n":{at}}}"#);
        Message::new(
            input,
            0,
            format!(r#"{{"specversion":"1.0","id":"{id}","source":"s{input}","type":"t","data":{data}}}"#),
        )
    };
    let mut runner = Runner::new(config(&tumbling(100)));
    let again = [
        event(0, 10, "x"),
        event(1, 11, "x"),
        event(0, 10, "x"),
        event(1, 11, "x"),
        event(0, 10, "y"),
    ];
    deliver(&mut runner, &again);
    deliver(&mut runner, &[event(0, 500, "end"), event(1, 500, "end")]);
    runner.until(10 * IDLE, &mut accept);
    let rows: Vec<_> = sent(&runner)
        .iter()
        .map(|event| String::from_utf8(event.data().into_owned()).unwrap())
        .collect();
    assert_eq!(rows, ["[10,11]", "[10,11]"], "x and y of one input, each once");
    let inputs = &runner.component.counters().inputs;
    assert_eq!(
        inputs.iter().map(|input| input.repeated).collect::<Vec<_>>(),
        [1, 1]
    );
    assert_eq!(runner.unacked.len(), 2, "all but what is in the open window");
}

#[test]
fn a_late_message_still_gets_into_those_hops_that_are_open() {
    let mut query = tumbling(10);
    query.windows = Windows::Hopping {
        length: 10 * MS,
        slide: 5 * MS,
    };
    let mut runner = Runner::new(config(&query));
    deliver(&mut runner, &[at(0, 12, 1), at(1, 12, 1)]);
    assert_eq!(watermark(&runner), Some(12));
    deliver(&mut runner, &[at(0, 7, 1)]);
    assert_eq!(runner.component.counters().inputs[0].late, 0);
    deliver(&mut runner, &[at(0, 40, 1), at(1, 40, 1)]);
    let ends: Vec<i64> = runner
        .accepted
        .iter()
        .map(|(_, event)| event.time.0 / MS)
        .collect();
    assert_eq!(ends, [15, 15, 20], "5..15 has both, 10..20 the first");
    assert_eq!(runner.unacked.len(), 2);
}

#[test]
fn a_message_without_a_time_is_a_dead_letter() {
    let mut runner = Runner::new(config(&tumbling(10)));
    let texts = [
        r#"{"t":"yesterday"}"#,
        r#"{"t":null}"#,
        r#"{"t":1e30}"#,
        "{}",
        r#"{"t":"2026-11-23T00:00:00Z"}"#,
    ];
    for text in texts {
        runner.deliver(&Message::new(0, 0, text));
    }
    runner.drain(&mut accept);
    let counters = runner.component.counters();
    assert_eq!(counters.dead_lettered["BadTimestamp"], 3);
    assert_eq!(counters.dead_lettered["NoSuchField"], 1);
    assert_eq!(runner.acked.len(), 4);
}

#[test]
fn the_last_result_of_a_window_says_how_far_time_is() {
    let mut runner = Runner::new(config(&tumbling(10)));
    deliver(
        &mut runner,
        &[at(0, 5, 1), at(1, 6, 1), at(1, 7, 1), at(0, 20, 1), at(1, 20, 1)],
    );
    let watermarks: Vec<_> = runner.accepted.iter().map(|(_, event)| event.watermark).collect();
    assert_eq!(watermarks, [None, Some(Time(10 * MS))]);
}

#[test]
fn a_joiner_feeds_a_joiner_through_the_watermark_that_it_sends() {
    let mut upper = Runner::new(config(&tumbling(10)));
    deliver(
        &mut upper,
        &[at(0, 5, 1), at(1, 6, 1), at(0, 20, 1), at(1, 20, 1)],
    );
    let event = upper.accepted[0].1.to_cloudevent();
    let mut lower = Runner::new(config(&tumbling(10)));
    deliver(&mut lower, &[at(1, 90, 1)]);
    // It says nothing of `t`: the event's own says when it happened, the attribute how far time is.
    let text = String::from_utf8(event)
        .unwrap()
        .replace("\"data\":[0,0]", r#""data":{"t":3,"k":1,"n":0}"#);
    assert!(
        text.contains(r#""watermark":"1970-01-01T00:00:00.01Z""#),
        "{text}"
    );
    deliver(&mut lower, &[Message::new(0, 0, text)]);
    assert_eq!(watermark(&lower), Some(10));
}

fn large(input: usize, at: i64) -> Message {
    let text = format!(r#"{{"t":{at},"k":{at},"n":"{}"}}"#, "x".repeat(1_000));
    Message::new(input, 0, text)
}

#[test]
fn who_is_ahead_is_paused_and_who_lags_goes_on() {
    let config = Config {
        memory_budget: 400_000,
        ..config(&tumbling(10))
    };
    let mut runner = Runner::new(config);
    deliver(&mut runner, &[large(1, 0)]);
    let mut ahead = 0;
    while !runner.paused[0] {
        ahead += 1;
        deliver(&mut runner, &[large(0, ahead)]);
        assert!(ahead < 1_000, "it is never paused");
    }
    assert!(runner.component.counters().held_bytes < 400_000);
    assert!(!runner.paused[1] && runner.over_budget.is_empty());
    let mut lagging = 0;
    while runner.paused[0] {
        lagging += 1;
        deliver(&mut runner, &[large(1, lagging)]);
        assert!(lagging <= ahead, "nothing is freed");
        assert!(!runner.paused[1], "all wait for it");
    }
    assert!(runner.over_budget.is_empty());
    deliver(
        &mut runner,
        &[
            large(0, ahead + 20),
            large(1, ahead + 20),
            large(1, ahead + 30),
            large(0, ahead + 30),
        ],
    );
    assert_eq!(runner.unacked.len(), 2);
}

#[test]
fn at_the_limit_the_input_that_all_wait_for_goes_on_and_that_is_said_once() {
    let config = Config {
        memory_budget: 100_000,
        ..config(&tumbling(10_000))
    };
    let mut runner = Runner::new(config);
    for n in 0..300 {
        deliver(&mut runner, &[large(1, n % 7), large(0, n % 5)]);
        assert!(!runner.paused[0] || !runner.paused[1], "never all");
    }
    assert!(!runner.over_budget.is_empty() && runner.over_budget.len() <= 2);
    deliver(&mut runner, &[large(0, 10_000), large(1, 10_000)]);
    assert_eq!(runner.paused, [false, false]);
    assert_eq!(runner.unacked.len(), 2);
}

/// One life of a component that keeps its messages: what it sends after these.
fn live(disk: &MemoryDisk, query: &Query, messages: &[Message], from: u64) -> Vec<Arc<Event>> {
    let kept = Kept {
        state: disk.open(),
        inputs: vec!["a".to_owned(), "b".to_owned()],
    };
    let mut durable = Durable::new(config(query), Some(kept), Time(0)).unwrap();
    (0..2).for_each(|input| durable.recovered(input, Time(0)));
    let mut sent = Vec::new();
    let mut run = |durable: &mut Durable, now: i64| {
        loop {
            while let Some(effect) = durable.poll_effect() {
                if let Effect::Send { id, event, .. } = effect {
                    sent.push(event);
                    durable.answered(id, Answer::Accepted, Time(now));
                }
            }
            if durable.poll_timeout().is_none_or(|due| due.0 > now) {
                return;
            }
            durable.timeout(Time(now));
        }
    };
    for (token, message) in (from..).zip(messages) {
        let incoming = Incoming {
            input: message.input,
            token,
            position: &token.to_string(),
            received: Time(0),
            attempts: 0,
            topic: "t",
            key: None,
            payload: &message.payload,
        };
        durable.message(incoming, Time(0));
        run(&mut durable, 0);
    }
    // All of it is durable after a second.
    run(&mut durable, 1_000_000);
    sent
}

#[test]
fn a_window_that_is_done_with_is_not_made_again_from_what_others_need() {
    let mut query = tumbling(10);
    query.emit = Emit::Batch;
    query.windows = Windows::Hopping {
        length: 10 * MS,
        slide: 5 * MS,
    };
    let first = [12, 17, 21].map(|time| [at(0, time, 1), at(1, time, 1)]).concat();
    let then = [at(0, 50, 1), at(1, 50, 1)];
    let ends = |events: &[Arc<Event>]| -> Vec<i64> { events.iter().map(|event| event.time.0 / MS).collect() };
    let disk = MemoryDisk::default();
    let one = live(&disk, &query, &first, 0);
    let other = live(&disk, &query, &then, 6);
    assert_eq!((ends(&one), ends(&other)), (vec![15, 20], vec![25, 30]));
    let whole = live(
        &MemoryDisk::default(),
        &query,
        &[first.as_slice(), &then].concat(),
        0,
    );
    assert_eq!([one, other].concat(), whole);
}

#[test]
fn a_straggler_keeps_its_own_fields_whatever_it_sets_free() {
    let mut query = tumbling(10);
    query.windows = Windows::Session {
        gap: 10 * MS,
        max: 100 * MS,
    };
    query.inputs[0].time.as_mut().unwrap().out_of_orderness = 5 * MS;
    let mut runner = Runner::new(config(&query));
    for (number, (input, time)) in [(1, 15), (1, 100), (0, 1), (0, 20), (0, 14), (0, 100)]
        .into_iter()
        .enumerate()
    {
        let happening = Happening {
            input,
            at: time,
            key: 1,
            number,
        };
        // Nobody looks at the time in between.
        runner.deliver(&happening.message());
    }
    runner.until(0, &mut accept);
    assert_eq!(runner.data(Target::Output(0)), ["[4,0]", "[3,0]"]);
}

#[test]
fn what_was_late_before_a_restart_is_late_after_it() {
    let config = Config {
        settled: Some(Time(20 * MS)),
        ..config(&tumbling(10))
    };
    let mut runner = Runner::new(config);
    deliver(&mut runner, &[at(0, 19, 1), at(0, 20, 1)]);
    assert_eq!(runner.component.counters().inputs[0].late, 1);
    assert_eq!(runner.unacked.len(), 1);
}

#[test]
fn windows_that_overlap_are_done_with_in_order() {
    let mut query = tumbling(10);
    query.windows = Windows::Hopping {
        length: 10 * MS,
        slide: 5 * MS,
    };
    let mut runner = Runner::new(config(&query));
    // 0..10 has a row; 5..15 and 10..20 have none.
    let messages = [at(0, 2, 1), at(1, 3, 1), at(0, 12, 2), at(0, 30, 1), at(1, 30, 1)];
    for message in &messages {
        runner.deliver(message);
    }
    let mut busy = |_: Target, event: &Event| match event.time {
        Time(10_000) => Answer::Retry("busy".to_owned()),
        _ => Answer::Accepted,
    };
    runner.until(0, &mut busy);
    assert_eq!(runner.reports.len(), 4, "-5..5, 0..10, 5..15 and 10..20");
    assert_eq!(runner.component.settled(), Some(Time(10 * MS - 1)));
    assert_eq!(runner.acked, [], "not before the window that ends before");
    runner.until(100_000_000, &mut accept);
    assert_eq!(runner.component.settled(), Some(Time(20 * MS)));
    assert_eq!(runner.unacked.len(), 2);
}
