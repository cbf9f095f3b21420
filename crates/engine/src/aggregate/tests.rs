//! Groups end to end: source and rows in, JSON out.

mod hostile;
mod oracle;

use crate::expr::{Context, Row, Scope, compile_grouped};
use crate::field::Field;
use crate::layout::Layout;
use crate::time::Time;

use super::{Group, GroupResult, GroupSpec, Groups};

pub(super) const WINDOW: Option<(Time, Time)> = Some((Time(0), Time(60_000_000)));

/// A spec over one input `a` with the fields `k`, `x` and `y`, in this order.
pub(super) fn spec(group_by: &[&str], select: Option<&str>, having: Option<&str>) -> GroupSpec {
    let scope = Scope::new(&["a"]).unwrap().with_window();
    let grouped = compile_grouped(group_by, select, having, None, &scope).unwrap();
    let paths: [&[Box<str>]; 3] = [&["k".into()], &["x".into()], &["y".into()]];
    GroupSpec::new(&grouped, &[&Layout::new(paths)])
}

pub(super) fn id(number: usize) -> [u8; 16] {
    (number as u128).to_be_bytes()
}

pub(super) type Fields<'f> = [Field<'f>; 3];

/// Adds rows, numbered from `first`; returns the reasons of what failed.
pub(super) fn add(groups: &mut Groups, spec: &GroupSpec, rows: &[(usize, Fields<'_>)]) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    for (number, row) in rows {
        let rows: [&dyn Row; 1] = [row];
        let cx = Context::new(&rows).with_window(Time(0), Time(60_000_000));
        match spec.key(&cx) {
            Ok(key) => groups.add(spec, &key, &cx, id(*number), &mut |error| {
                reasons.push(error.reason());
            }),
            Err(error) => reasons.push(error.reason()),
        }
    }
    reasons
}

/// The results of all groups, those that `having` keeps.
pub(super) fn results(groups: &Groups, spec: &GroupSpec) -> Vec<String> {
    let mut out = Vec::new();
    for (key, group) in groups.sorted() {
        let result = GroupResult::new(spec, key, group, WINDOW, None);
        if result.having() != Ok(true) {
            continue;
        }
        let mut json = Vec::new();
        out.push(match result.select(&mut json) {
            Ok(()) => String::from_utf8(json).unwrap(),
            Err(error) => error.reason().to_owned(),
        });
    }
    out
}

fn number(k: f64, x: f64) -> Fields<'static> {
    [Field::Number(k), Field::Number(x), Field::Absent]
}

fn numbered<'f>(rows: &[Fields<'f>]) -> Vec<(usize, Fields<'f>)> {
    rows.iter().copied().enumerate().collect()
}

fn run(group_by: &[&str], select: &str, rows: &[Fields<'_>]) -> Vec<String> {
    let spec = spec(group_by, Some(select), None);
    let mut groups = Groups::new();
    add(&mut groups, &spec, &numbered(rows));
    results(&groups, &spec)
}

#[test]
fn every_aggregate_of_a_group() {
    let select = "{'k': a.k, 'n': count(), 'nx': count(a.x), 'sum': sum(a.x), 'avg': avg(a.x), 'min': min(a.x), \
        'max': max(a.x), 'first': first(a.x), 'last': last(a.x), 'all': collect(a.x), 'sd': stddev(a.x), \
        'var': variance(a.x), 'p': percentile(a.x, 0.5), 's': size(collect(a.x)) + collect(a.x).size(), 'd': countDistinct(a.x), 'end': window.end}";
    let mut rows: Vec<Fields<'_>> = [3.0, 1.0, 2.0, 2.0].map(|x| number(1.0, x)).into();
    rows.push([Field::Number(1.0), Field::Null, Field::Absent]);
    rows.push([Field::Number(1.0), Field::Absent, Field::Absent]);
    rows.push([Field::Null, Field::Null, Field::Absent]);
    assert_eq!(
        run(&["a.k"], select, &rows),
        [
            "{\"k\":null,\"n\":1,\"nx\":0,\"sum\":null,\"avg\":null,\"min\":null,\"max\":null,\"first\":null,\
             \"last\":null,\"all\":[],\"sd\":null,\"var\":null,\"p\":null,\"s\":0,\"d\":0,\
             \"end\":\"1970-01-01T00:01:00Z\"}",
            "{\"k\":1,\"n\":6,\"nx\":4,\"sum\":8,\"avg\":2,\"min\":1,\"max\":3,\"first\":3,\"last\":2,\
             \"all\":[3,1,2,2],\"sd\":0.816496580927726,\"var\":0.6666666666666666,\"p\":2,\"s\":8,\"d\":3,\
             \"end\":\"1970-01-01T00:01:00Z\"}",
        ]
    );
}

#[test]
fn previous_is_that_of_the_last_result() {
    let spec = spec(
        &["a.k"],
        Some("[sum(a.x), previous(sum(a.x)), previous(sum(a.x), -1), previous(first(a.y), 'none')]"),
        Some("sum(a.x) > 0.0 && previous(count(), 0) < 2"),
    );
    let mut groups = Groups::new();
    add(
        &mut groups,
        &spec,
        &numbered(&[number(1.0, 5.0), number(1.0, 6.0)]),
    );
    let (key, group) = groups.sorted()[0];
    let first = GroupResult::new(&spec, key, group, WINDOW, None);
    let mut out = Vec::new();
    first.select(&mut out).unwrap();
    assert_eq!(out, b"[11,null,-1,\"none\"]");
    let previous = first.next_previous();
    let second = GroupResult::new(&spec, key, group, WINDOW, Some(&previous));
    out.clear();
    second.select(&mut out).unwrap();
    assert_eq!(out, b"[11,11,11,null]");
    assert_eq!(second.having(), Ok(false));
    // Another expression knows nothing of it.
    let edited = self::spec(
        &["a.k"],
        Some("[previous(avg(a.x)), previous(first(a.y), 'none')]"),
        None,
    );
    let (mut other, mut out) = (Groups::new(), Vec::new());
    add(&mut other, &edited, &numbered(&[number(1.0, 5.0)]));
    let (_, only) = other.sorted()[0];
    let third = GroupResult::new(&edited, key, only, WINDOW, Some(&previous));
    third.select(&mut out).unwrap();
    assert_eq!(out, b"[null,\"none\"]");
    let encoded = {
        let mut bytes = Vec::new();
        group.encode(&mut bytes);
        bytes
    };
    let decoded = Group::decode(&spec, &encoded).unwrap();
    let again = GroupResult::new(&spec, key, &decoded, WINDOW, None);
    assert_eq!(again.row_id("uid"), first.row_id("uid"));
    assert_ne!(first.upsert_key("uid"), first.upsert_key("other"));
}

#[test]
fn without_select_a_group_gives_its_keys_and_its_count() {
    let spec = spec(&["a.k", "a.x", "a.y.k", "a.x + 1.0"], None, None);
    let mut groups = Groups::new();
    add(
        &mut groups,
        &spec,
        &numbered(&[number(1.0, 5.0), number(1.0, 5.0)]),
    );
    assert_eq!(
        results(&groups, &spec),
        ["{\"k\":1,\"x\":5,\"key3\":null,\"key4\":6,\"count\":2}"]
    );
}

#[test]
fn what_fails_in_one_aggregate_is_left_out_of_that_one() {
    let spec = spec(&[], Some("[count(), sum(a.x), max(a.x), sum(a.x * 2.0)]"), None);
    let rows = [number(1.0, 5.0), [Field::Null, Field::Str("x"), Field::Absent]];
    let mut groups = Groups::new();
    let failed = add(&mut groups, &spec, &numbered(&rows));
    assert_eq!(failed, ["NoSuchOverload"; 2]);
    assert_eq!(results(&groups, &spec), ["[2,5,\"x\",10]"]);
}
