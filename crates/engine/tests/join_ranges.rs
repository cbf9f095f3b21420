//! Conditions that ask which of two values is more: with messages sorted for them a join gives the same rows, and counts
//! the same, as by trying every message.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Message, Runner, accept};
use proptest::prelude::*;
use streaming_engine::component::{Config, InputConfig, Role, Target};
use streaming_engine::counters::WindowReport;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{JoinKind, Query, QueryInput, Windows};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LENGTH: i64 = 10;

fn query(inputs: usize, kind: JoinKind, on: String) -> Query {
    let of = |name: &&str| QueryInput {
        variable: (*name).to_owned(),
        ..QueryInput::default()
    };
    let selected = if kind == JoinKind::Anti { 1 } else { inputs };
    let select: Vec<String> = NAMES[..selected].iter().map(|name| format!("{name}.i")).collect();
    Query {
        inputs: NAMES[..inputs].iter().map(of).collect(),
        windows: Windows::Tumbling { length: LENGTH },
        join: kind,
        on: Some(on),
        select: Some(format!("[{}]", select.join(", "))),
        ..Query::default()
    }
}

/// The rows of a window, its report, and the errors by reason.
fn run(query: &Query, messages: &[(usize, String)]) -> (Vec<String>, WindowReport, String) {
    let spec = JoinSpec::compile(query).unwrap();
    let source = |n| InputConfig {
        cluster_stream: format!("cs{n}"),
        max_deliveries: 0,
    };
    let inputs = (0..query.inputs.len()).map(source).collect();
    let mut runner = Runner::new(Config::new("uid", "/test", Role::Join(Box::new(spec)), inputs, 1));
    for (input, payload) in messages {
        runner.deliver(&Message::new(*input, 0, payload.as_str()));
    }
    runner.until(LENGTH, &mut accept);
    assert!(runner.unacked.is_empty(), "a window that closes is empty");
    let errors = format!("{:?}", runner.component.counters().expression_errors);
    (runner.data(Target::Output(0)), runner.reports.remove(0), errors)
}

/// Conditions about one value of an input, so that it has one order, and those before it.
#[derive(Clone, Debug)]
struct Range {
    value: usize,
    /// A comparison, the input it is with and its value, and whether that stands on the left.
    ends: Vec<(&'static str, prop::sample::Index, usize, bool, usize)>,
}

/// How the two sides are compared, and with what, if not with each other.
const APART: [&str; 4] = ["", "x - y", "y - x", "math.abs(x - y)"];
const LIMITS: [&str; 5] = ["5", "0.5", "-2", "4611686018427387904", "a.k"];

const VALUES: [&str; 6] = [
    "_.k",
    "_.k + 1",
    "_.k * 1.5 - 2",
    "double(_.s)",
    "timestamp(_.t)",
    "_.s",
];

impl Range {
    fn conditions(&self, input: usize) -> Vec<String> {
        let value = |at: usize, input: usize| VALUES[at].replace('_', NAMES[input]);
        let end = |(op, with, at, left, apart): &(&str, prop::sample::Index, usize, bool, usize)| {
            // Mostly values of the same kind.
            let other = value(if *at < 3 { self.value } else { *at }, with.index(input));
            let own = value(self.value, input);
            let within = |text: &str| format!("({text})");
            // Who is far away is in no range.
            let far = op.starts_with('<') == *left;
            let apart = if far { APART[apart % 3] } else { APART[apart % 4] };
            let apart = apart.replace('y', &within(&other)).replace('x', &within(&own));
            if !apart.is_empty() {
                let limit = match self.value {
                    4 => "duration('9s')",
                    _ => LIMITS[with.index(LIMITS.len())],
                };
                return if *left {
                    format!("{limit} {op} {apart}")
                } else {
                    format!("{apart} {op} {limit}")
                };
            }
            if *left {
                format!("{other} {op} {own}")
            } else {
                format!("{own} {op} {other}")
            }
        };
        self.ends.iter().map(end).collect()
    }
}

fn range() -> impl Strategy<Value = Range> {
    let op = prop::sample::select(vec!["<", "<=", ">", ">="]);
    let with = any::<prop::sample::Index>();
    let end = (op, with, 0..VALUES.len(), any::<bool>(), 0..24usize);
    let value = prop_oneof![4 => 0..3usize, 1 => 3..VALUES.len()];
    (value, prop::collection::vec(end, 0..3)).prop_map(|(value, ends)| Range { value, ends })
}

/// Fields that mostly have an order, and such that have none, or none with the others.
fn message() -> impl Strategy<Value = String> {
    let number = (0..40i32).prop_map(|n| format!("{}", f64::from(n) / 2.0));
    let odd = vec![
        "9007199254740993",
        "9007199254740992",
        "-1e300",
        "9223372036854775807",
        "-9223372036854775807",
        "4611686018427387903",
        "4503599627370497",
        "4503599627370495.5",
        "123456789012345678901234567890",
        "null",
        "true",
        "false",
        "\"x\"",
        "\"xy\"",
        "[1]",
        "{}",
    ];
    let k = prop_oneof![8 => number.prop_map(Some), 1 => prop::sample::select(odd).prop_map(|k| Some(k.to_owned())), 1 => Just(None)];
    let s = prop::sample::select(vec!["1", "2", "2.5", "-3", "NaN", "Infinity", "x", ""]);
    let t = (0..60u32).prop_map(|n| match n {
        59 => "never".to_owned(),
        n => format!("2026-01-01T00:00:{n:02}Z"),
    });
    (k, s, t, 0..2).prop_map(|(k, s, t, g)| {
        let k = k.map_or(String::new(), |k| format!(",\"k\":{k}"));
        format!("\"s\":\"{s}\",\"t\":\"{t}\",\"g\":{g}{k}}}")
    })
}

#[derive(Clone, Debug)]
struct Case {
    kind: JoinKind,
    inputs: usize,
    keys: bool,
    ranges: Vec<Range>,
    messages: Vec<(usize, String)>,
}

fn case() -> impl Strategy<Value = Case> {
    let kinds = vec![
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Right,
        JoinKind::Full,
        JoinKind::Anti,
    ];
    let inputs = prop_oneof![4 => Just(2usize), 2 => Just(3), 1 => Just(4)];
    (inputs, prop::sample::select(kinds), any::<bool>())
        .prop_flat_map(|(inputs, kind, keys)| {
            // One input or two have enough messages to be sorted, also by key.
            let size = |input: usize| if input == 1 || inputs == 2 { 0..100 } else { 0..8 };
            let sides: Vec<_> = (0..inputs)
                .map(|input| prop::collection::vec((Just(input), message()), size(input)))
                .collect();
            let ranges = prop::collection::vec(range(), inputs - 1);
            (Just((inputs, kind, keys)), ranges, sides)
        })
        .prop_map(|((inputs, kind, keys), ranges, sides)| {
            let number =
                |(n, (input, fields)): (usize, (usize, String))| (input, format!("{{\"i\":{n},{fields}"));
            Case {
                kind,
                inputs,
                keys,
                ranges,
                messages: sides.into_iter().flatten().enumerate().map(number).collect(),
            }
        })
        .prop_filter("types that are known to have no order don't compile", |case| {
            JoinSpec::compile(&case.query(&String::clone)).is_ok()
        })
}

impl Case {
    /// With each comparison wrapped in something.
    fn query(&self, wrap: &dyn Fn(&String) -> String) -> Query {
        let keys = (1..self.inputs)
            .filter(|_| self.keys)
            .map(|n| format!("a.g == {}.g", NAMES[n]));
        let ranges = (1..self.inputs)
            .zip(&self.ranges)
            .flat_map(|(input, range)| range.conditions(input));
        let all: Vec<String> = keys
            .chain(ranges.map(|range| wrap(&range)))
            .chain(["true".to_owned()])
            .collect();
        query(self.inputs, self.kind, all.join(" && "))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn ranges_give_what_trying_every_message_gives(case in case()) {
        let sorted = case.query(&String::clone);
        let tried = case.query(&|condition| format!("({condition} ? true : false)"));
        let (rows, report, errors) = run(&sorted, &case.messages);
        let (expected, whole, all_errors) = run(&tried, &case.messages);
        prop_assert_eq!(rows, expected);
        // An anti join stops at the first match; an inner join is free in the order of its inputs.
        if case.kind != JoinKind::Anti && (case.kind != JoinKind::Inner || case.inputs == 2) {
            prop_assert!(report.candidates <= whole.candidates);
            let candidates = whole.candidates;
            prop_assert_eq!(WindowReport { candidates, ..report }, whole);
            prop_assert_eq!(errors, all_errors);
        }
    }
}

#[test]
fn what_is_out_of_range_is_not_tried() {
    let sent = |sides: [i32; 2]| {
        let of = |input: usize| {
            (0..sides[input]).map(move |n| (input, format!("{{\"i\":{n},\"k\":{}}}", n * 7 % sides[input])))
        };
        of(0).chain(of(1)).collect::<Vec<_>>()
    };
    // Twenty thousand by as many are more combinations than a window may cost.
    let on = "a.k <= b.k && b.k < a.k + 2".to_owned();
    let (rows, report, _) = run(&query(2, JoinKind::Inner, on), &sent([20_000, 20_000]));
    assert_eq!(report.cut_short, None);
    assert_eq!(report.rows, 2 * 20_000 - 1);
    // The first message is tried with all, the others with what is in their range.
    assert_eq!(report.candidates, 20_000 + 2 * 19_999 - 1);
    // Each is counted by the condition that left it out.
    let turned_away: u64 = report.conditions.iter().map(|tally| tally.turned_away).sum();
    assert_eq!(turned_away + report.rows, 20_000 * 20_000);
    assert!(rows[0].starts_with("[[0,0],[0,17143],"), "{}", &rows[0][..40]);
}

#[test]
fn what_is_too_far_away_is_not_tried() {
    // More combinations than a window may cost.
    let sent = |odd: &str| {
        let of =
            |input: usize| (0..8_000).map(move |n| (input, format!("{{\"i\":{n},\"k\":{}}}", n * 7 % 8_000)));
        let odd = (1, format!("{{\"i\":8000,\"k\":{odd}}}"));
        of(0).chain(of(1)).chain([odd]).collect::<Vec<_>>()
    };
    let bands = ["math.abs(a.k - b.k) <= 1", "a.k - b.k <= 1 && b.k - a.k <= 1"];
    for on in bands.into_iter().chain(["b.k >= a.k - 1 && 1 >= b.k - a.k"]) {
        // One that can't be compared is tried, and costs no more than itself.
        for odd in ["\"far\"", "9223372036854775807"] {
            let (_, report, _) = run(&query(2, JoinKind::Inner, on.to_owned()), &sent(odd));
            assert_eq!(report.cut_short, None, "{on}");
            assert_eq!(report.rows, 3 * 8_000 - 2);
            assert!(report.candidates < 7 * 8_000, "{on}: {}", report.candidates);
        }
    }
}

#[test]
fn an_explanation_says_what_is_searched() {
    let on = "a.k == b.k && a.x != b.x && a.t <= b.t && b.t < a.t + 5".to_owned();
    let explanation = JoinSpec::compile(&query(2, JoinKind::Inner, on))
        .unwrap()
        .explain();
    let expected =
        "for each a\nlook up b by a.k == b.k within a.t <= b.t && b.t < a.t + 5, then check a.x != b.x\n";
    assert_eq!(explanation.to_string(), expected);
    let explanation = JoinSpec::compile(&query(2, JoinKind::Inner, "a.t < b.t".to_owned()))
        .unwrap()
        .explain();
    assert_eq!(
        explanation.to_string(),
        "for each a\nlook up b within a.t < b.t\n"
    );
    assert!(!explanation.has_nested_loop());
}
