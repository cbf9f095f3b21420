//! Joins that keep what has no match against the definition: one nested loop for each step, in the order of `from`.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod common;
mod conditions;

use std::collections::BTreeMap;

use common::{Message, Runner, accept};
use conditions::{Fields, LENGTH, NAMES, Test, messages, payload, test};
use proptest::prelude::*;
use serde_json::{Value, json};
use streaming_engine::component::{Config, InputConfig, Role, Target};
use streaming_engine::join::{Clause, JoinSpec, SpecError};
use streaming_engine::query::{JoinKind, Query, QueryInput, Windows};

/// A row before `select`: by input, its message if it has one.
type Row<'a> = Vec<Option<&'a Value>>;

const KINDS: [JoinKind; 5] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Anti,
];

fn query(inputs: usize, kind: JoinKind, on: Option<&[Test]>, filter: &[Test]) -> Query {
    let all = |tests: &[Test]| tests.iter().map(Test::source).collect::<Vec<_>>().join(" && ");
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
        on: on.filter(|on| !on.is_empty()).map(all),
        filter: Some(all(filter)).filter(|filter| !filter.is_empty()),
        select: Some(format!("[{}]", select.join(", "))),
        ..Query::default()
    }
}

fn run(query: &Query, messages: &[(i64, usize, String)]) -> (BTreeMap<i64, Value>, Runner) {
    let spec = JoinSpec::compile(query).unwrap();
    let sources = (0..query.inputs.len()).map(|n| InputConfig {
        cluster_stream: format!("cs{n}"),
        max_deliveries: 0,
    });
    let config = Config::new("uid", "/test", Role::Join(Box::new(spec)), sources.collect(), 1);
    let mut runner = Runner::new(config);
    for (at, input, payload) in messages {
        runner.until(*at, &mut accept);
        runner.deliver(&Message::new(*input, *at, payload.as_str()));
    }
    runner.until(4 * LENGTH, &mut accept);
    assert!(runner.unacked.is_empty(), "a window that closes is empty");
    assert_eq!(runner.component.counters().held_bytes, 0);
    let rows = runner.accepted.iter().map(|(to, event)| {
        assert_eq!(*to, Target::Output(0));
        let rows = serde_json::from_slice(&event.data()).unwrap();
        (event.time.0.div_euclid(LENGTH) - 1, rows)
    });
    (rows.collect(), runner)
}

/// The rows of one window.
fn join<'a>(kind: JoinKind, on: &[Test], filter: &[Test], sides: &[Vec<&'a Value>]) -> Vec<Row<'a>> {
    let passes = |tests: &[&Test], row: &Row<'_>| tests.iter().all(|test| test.eval(row) == Some(true));
    let inputs = sides.len();
    let widen = |mut row: Row<'a>| {
        row.resize(inputs, None);
        row
    };
    let mut rows: Vec<Row<'_>> = sides[0]
        .iter()
        .map(|message| widen(vec![Some(*message)]))
        .collect();
    if kind == JoinKind::Anti {
        let mut others: Vec<Row<'_>> = vec![vec![]];
        for side in &sides[1..] {
            let extend = |row: &Row<'a>| {
                let row = row.clone();
                side.iter()
                    .map(move |message| [row.clone(), vec![Some(*message)]].concat())
            };
            others = others.iter().flat_map(extend).collect();
        }
        let on: Vec<&Test> = on.iter().collect();
        rows.retain(|row| {
            !others
                .iter()
                .any(|other| passes(&on, &[&row[..1], other].concat()))
        });
    } else {
        for new in 1..inputs {
            let known = |test: &&Test| match test.inputs().last() {
                None => new == 1,
                Some(last) => last.max(&1) == &new,
            };
            let on: Vec<&Test> = on.iter().filter(known).collect();
            let mut matched = vec![false; sides[new].len()];
            let mut next = Vec::new();
            for left in &rows {
                let before = next.len();
                for (at, message) in sides[new].iter().enumerate() {
                    let mut row = left.clone();
                    row[new] = Some(message);
                    if passes(&on, &row) {
                        matched[at] = true;
                        next.push(row);
                    }
                }
                if next.len() == before && matches!(kind, JoinKind::Left | JoinKind::Full) {
                    next.push(left.clone());
                }
            }
            if matches!(kind, JoinKind::Right | JoinKind::Full) {
                for (message, _) in sides[new].iter().zip(matched).filter(|(_, matched)| !matched) {
                    let mut row = vec![None; inputs];
                    row[new] = Some(*message);
                    next.push(row);
                }
            }
            rows = next;
        }
    }
    let filter: Vec<&Test> = filter.iter().collect();
    rows.retain(|row| passes(&filter, row));
    rows
}

fn oracle(
    query: &Query,
    on: Option<&[Test]>,
    filter: &[Test],
    messages: &[(i64, usize, Value)],
) -> BTreeMap<i64, Value> {
    let inputs = query.inputs.len();
    // Without `on` what compares two inputs joins.
    let (on, filter) = match on.filter(|on| !on.is_empty()) {
        Some(on) => (on.to_vec(), filter.to_vec()),
        None => filter.iter().cloned().partition(|test| test.inputs().len() > 1),
    };
    let mut windows: BTreeMap<i64, Vec<Vec<&Value>>> = BTreeMap::new();
    for (at, input, value) in messages {
        let window = windows
            .entry(at.div_euclid(LENGTH))
            .or_insert_with(|| vec![Vec::new(); inputs]);
        window[*input].push(value);
    }
    let mut out = BTreeMap::new();
    for (window, sides) in windows {
        let rows = join(query.join, &on, &filter, &sides);
        let shown = if query.join == JoinKind::Anti { 1 } else { inputs };
        let numbers = |row: &Row<'_>| -> Value {
            row[..shown]
                .iter()
                .map(|message| message.map_or(Value::Null, |message| message["i"].clone()))
                .collect()
        };
        if !rows.is_empty() {
            out.insert(window, rows.iter().map(numbers).collect());
        }
    }
    out
}

type Case = (Query, Option<Vec<Test>>, Vec<Test>, Vec<Fields>);

fn case() -> impl Strategy<Value = Case> {
    let sizes = prop_oneof![4 => Just((2usize, 40usize)), 3 => Just((3, 30)), 1 => Just((4, 20))];
    (sizes, prop::sample::select(KINDS.as_slice()))
        .prop_flat_map(|((inputs, count), kind)| {
            let tests = || prop::collection::vec(test(inputs), 0..4);
            let on = prop::option::weighted(0.8, tests());
            (
                Just(inputs),
                Just(kind),
                on,
                prop::collection::vec(test(inputs), 0..2),
                messages(inputs, count),
            )
        })
        .prop_map(|(inputs, kind, on, filter, fields)| {
            (query(inputs, kind, on.as_deref(), &filter), on, filter, fields)
        })
        .prop_filter("a query that compiles", |(query, ..)| {
            JoinSpec::compile(query).is_ok()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn every_kind_gives_the_rows_of_nested_loops((query, on, filter, fields) in case()) {
        let sent: Vec<(i64, usize, String)> =
            fields.iter().enumerate().map(|(n, f)| (f.at, f.input, payload(n, f))).collect();
        let values: Vec<(i64, usize, Value)> = sent
            .iter()
            .map(|(at, input, text)| (*at, *input, serde_json::from_str(text).unwrap()))
            .collect();
        let expected = oracle(&query, on.as_deref(), &filter, &values);
        prop_assert_eq!(run(&query, &sent).0, expected);
    }
}

/// Two tables of a book on SQL: departments and those who work in them.
fn staff(kind: JoinKind, on: &str, filter: Option<&str>) -> (Value, Runner) {
    let input = |variable: &str| QueryInput {
        variable: variable.to_owned(),
        ..QueryInput::default()
    };
    let select = if kind == JoinKind::Anti {
        "e.name"
    } else {
        "[e.name, d.title]"
    };
    let query = Query {
        inputs: vec![input("e"), input("d")],
        windows: Windows::Tumbling { length: LENGTH },
        join: kind,
        on: Some(on.to_owned()),
        filter: filter.map(str::to_owned),
        select: Some(select.to_owned()),
        ..Query::default()
    };
    let employees = [
        ("ann", json!(1)),
        ("bob", json!(2)),
        ("cid", Value::Null),
        ("dan", json!(9)),
    ];
    let departments = [(1, "sales"), (3, "legal")];
    let sent: Vec<(i64, usize, String)> = employees
        .iter()
        .map(|(name, dept)| (0, 0, json!({"name": name, "dept": dept}).to_string()))
        .chain(departments.map(|(id, title)| (0, 1, json!({"id": id, "title": title}).to_string())))
        .collect();
    let (mut rows, runner) = run(&query, &sent);
    (rows.remove(&0).unwrap_or_default(), runner)
}

#[test]
fn each_kind_as_in_a_book_on_sql() {
    let on = "e.dept == d.id";
    let rows = |kind| staff(kind, on, None).0;
    assert_eq!(rows(JoinKind::Inner), json!([["ann", "sales"]]));
    let left = json!([["ann", "sales"], ["bob", null], ["cid", null], ["dan", null]]);
    assert_eq!(rows(JoinKind::Left), left);
    assert_eq!(rows(JoinKind::Right), json!([["ann", "sales"], [null, "legal"]]));
    let full = json!([
        ["ann", "sales"],
        ["bob", null],
        ["cid", null],
        ["dan", null],
        [null, "legal"]
    ]);
    assert_eq!(rows(JoinKind::Full), full);
    assert_eq!(rows(JoinKind::Anti), json!(["bob", "cid", "dan"]));
}

#[test]
fn what_joins_is_not_what_filters() {
    let rows = |on: &str, filter: Option<&str>| staff(JoinKind::Left, on, filter).0;
    // In `on` it decides what matches, in `where` what is left.
    let expected = json!([["ann", null], ["bob", null], ["cid", null], ["dan", null]]);
    assert_eq!(rows("e.dept == d.id && d.title == 'legal'", None), expected);
    assert_eq!(rows("e.dept == d.id && e.name != 'ann'", None), expected);
    assert_eq!(
        rows("e.dept == d.id", Some("d.title == 'sales'")),
        json!([["ann", "sales"]])
    );
    let without = json!([["bob", null], ["cid", null], ["dan", null]]);
    assert_eq!(rows("e.dept == d.id", Some("d == null")), without);
    assert_eq!(rows("e.dept == d.id", Some("d.id == null")), without);
}

#[test]
fn a_window_says_what_had_no_match() {
    let (_, runner) = staff(
        JoinKind::Left,
        "e.dept == d.id && d.title != 'x'",
        Some("e.name != 'dan'"),
    );
    let report = &runner.reports[0];
    let counts: Vec<_> = report
        .inputs
        .iter()
        .map(|i| (i.received, i.filtered, i.matched))
        .collect();
    assert_eq!(counts, [(4, 1, 1), (2, 0, 1)]);
    // By conjunct: the equality's lookups without a result, the others' refusals.
    let counts: Vec<_> = report
        .conditions
        .iter()
        .map(|c| (c.turned_away, c.failed))
        .collect();
    assert_eq!(counts, [(2, 0), (0, 0), (1, 0)]);
}

#[test]
fn rows_without_a_match_have_ids_of_their_own() {
    let (_, whole) = staff(JoinKind::Full, "e.dept == d.id", None);
    let (_, again) = staff(JoinKind::Full, "e.dept == d.id", None);
    assert_eq!(whole.accepted[0].1.id, again.accepted[0].1.id);
    let (_, left) = staff(JoinKind::Left, "e.dept == d.id", None);
    assert_ne!(whole.accepted[0].1.id, left.accepted[0].1.id);
}

#[test]
fn an_anti_join_reads_its_first_input_only() {
    let query = Query {
        filter: Some("a.x == 1 && b.x > 1".to_owned()),
        select: Some("b.x".to_owned()),
        ..query(2, JoinKind::Anti, Some(&[Test::True]), &[])
    };
    let errors = JoinSpec::compile(&query).unwrap_err();
    let clauses: Vec<Clause> = errors
        .iter()
        .map(|error| match error {
            SpecError::NotInAntiRow { clause, variable } if variable == "b" => *clause,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(clauses, [Clause::Where, Clause::Select]);
}

#[test]
fn an_explanation_says_what_is_kept() {
    let query = Query {
        on: Some("a.k == b.k && a.x > 1 && b.y < 2 && a.v < b.v && b.k == c.k".to_owned()),
        filter: Some("a.z == 3 && c == null".to_owned()),
        ..query(3, JoinKind::Left, None, &[])
    };
    let explanation = JoinSpec::compile(&query).unwrap().explain().to_string();
    let expected = "on arrival a: a.z == 3\non arrival b: b.y < 2\nfor each a\nif a.x > 1, look up b by a.k == b.k \
                    within a.v < b.v; keep a without a match\nlook up c by b.k == c.k; keep a, b without a match; \
                    keep rows with c == null\n";
    assert_eq!(explanation, expected);
}
