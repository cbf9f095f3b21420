//! What people are told about expressions that are wrong: every mistake here is rendered as `streamctl` shows it.
#![allow(clippy::unwrap_used)] // tests

use std::fmt::Write as _;

use streaming_engine::expr::{Diagnostic, Scope, compile, compile_bool, compile_grouped};
use streaming_engine::join::Clause;

fn scope() -> Scope {
    Scope::new(&["tenants", "poweruse"]).unwrap().with_window()
}

fn rendered(sources: &[&str], compile: impl Fn(&str) -> Option<Diagnostic>) -> String {
    let mut out = String::new();
    for source in sources {
        let found = compile(source);
        let text = found.map_or_else(
            || "it compiles\n".to_owned(),
            |d| format!("{}: {}", d.reason, d.render(source)),
        );
        writeln!(out, "{text}").unwrap();
    }
    out
}

fn diagnostics(sources: &[&str]) -> String {
    rendered(sources, |source| compile(source, &scope()).err())
}

#[test]
fn names() {
    insta::assert_snapshot!(diagnostics(&[
        "tenant.tenant_id == poweruse.tenant_id",
        "tenants.tenant_id == PowerUse.tenant_id",
        "tenants.tenant_id == power_use.tenant_id",
        "something.else == 1",
        "tenants.list.map(item, itme.name)",
        "{customer: tenants.customer_id}",
        "window.open > timestamp(0)",
        "window",
        "topic == 'a'",
        "undefined == tenants.x",
        "tenants.x == None",
        "tenants.x == True",
        "now - window.start",
        "\"tenants\".tenant_id",
        "1.size.x",
    ]));
}

#[test]
fn functions() {
    insta::assert_snapshot!(diagnostics(&[
        "tenants.name.startswith('a')",
        "tenants.name.lenght()",
        "len(tenants.name)",
        "tenants.name.length()",
        "tenants.name.toLowerCase() == 'a'",
        "contains(tenants.name, 'a')",
        "tenants.kwh.int()",
        "math.max(1, 2)",
        "round(poweruse.kwh)",
        "now()",
        "frobnicate(tenants.x)",
        "foo(tenants.x)",
        "tenants.name.contains()",
        "tenants.name.substring(1, 2, 3)",
        "size(tenants.a, tenants.b)",
        "tenants.name.substring(poweruse.start)",
        "size(5)",
        "(5).startsWith('a')",
        "tenants.name.matches('(a')",
        "tenants.name.matches('a{1000}{1000}')",
        "duration('20')",
        "duration('1 hour') < duration('2h')",
        "timestamp('2026-11-23')",
        "has(tenants)",
        "has(tenants['a'])",
        "has(tenants.a, tenants.b)",
        "tenants.list.exists(tenants.list > 1)",
        "tenants.list.exists(x.y, true)",
        "tenants.list.all(x)",
        "all(tenants.list, x, x > 1)",
        "tenants.list.transformList(x, x, x)",
    ]));
}

#[test]
fn types() {
    insta::assert_snapshot!(diagnostics(&[
        "'a' + 1",
        "'kwh: ' + poweruse.count * 2",
        "1 + 1u",
        "tenants.id % 2 == 0",
        "2.5 % 2",
        "!tenants.name.size()",
        "-'a'",
        "tenants.name.size() && true",
        "tenants.a || 'b'",
        "1 < tenants.x < 10",
        "1 ? 2 : 3",
        "'a' in 'abc'",
        "1 == '1'",
        "timestamp(0) == tenants.at",
        "duration('1s') == 1",
        "'abc'[0]",
        "[1, 2]['a']",
        "'abc'.length",
        "{1.5: 'a'}",
        "{'a': 1, 'b': 2, 'a': 3}",
        "size('a').map(x, x)",
        "[1].exists(x, 'a')",
        "[1].transformMapEntry(i, x, x + 'a')",
    ]));
}

#[test]
fn syntax() {
    insta::assert_snapshot!(diagnostics(&[
        "",
        "  // nothing",
        "tenants.a = 1",
        "tenants.a === 1",
        "tenants.a !== 1",
        "tenants.a <> 1",
        "tenants.a =< 1",
        "tenants.a & true",
        "tenants.a | true",
        "tenants.a ^ 2",
        "tenants.a ** 2",
        "tenants.a and tenants.b",
        "tenants.a OR tenants.b",
        "not tenants.a",
        "tenants.a is null",
        "tenants.a ?? 1",
        "tenants?.a",
        "tenants.?a",
        "tenants.a == 'it's'",
        "tenants.a == \u{201c}x\u{201d}",
        "tenants.a == 'x",
        "tenants.a == \"x\n\"",
        "'''a",
        "(tenants.a == 1",
        "tenants.a == 1)",
        "[1, 2",
        "[1, 2)",
        "{'a': 1",
        "{'a' 1}",
        "{'a': 1 'b': 2}",
        "size(tenants.a",
        "tenants.a +",
        "tenants.",
        "tenants.1",
        "tenants.'a'",
        "tenants.in",
        "tenants.[0]",
        "tenants.a tenants.b",
        "tenants.a, tenants.b",
        "tenants.a ? 1",
        "tenants.a : 1",
        "tenants.a ? tenants.b ? 1 : 2 : 3",
        "if (tenants.a) 1 else 2",
        "for x in tenants",
        "let x = 1",
        "package.name",
        "'a' 'b'",
        "Tenant{id: 1}",
        "5m",
        "0x",
        "1e",
        "9223372036854775808",
        "18446744073709551616u",
        "1e999",
        "'\\d'",
        "'\\u12'",
        "'\\ud800'",
        "b'\\u0041'",
        "größe",
        "tenants.größe",
        "tenants.a; tenants.b",
        "${tenants.a}",
        "@tenants",
        "tenants.a # comment",
        "tenants.a ==\u{a0}1",
        "`tenants`",
        "tenants.`a",
        "1 in",
        "in [1]",
        "* 2",
        "#!/bin/sh",
    ]));
}

#[test]
fn places() {
    let long = format!(
        "{}tenant.x == 1{}",
        "tenants.a == 1 && ".repeat(20),
        " && tenants.b == 2".repeat(20)
    );
    insta::assert_snapshot!(diagnostics(&[
        "tenants.a == 1 &&\n  tenants.b == 2 &&\n  tenant.c == 3",
        "tenants.a == '\u{1f600}\u{1f600}' && tenant.x",
        "tenants.a == '\u{4e2d}\u{6587}' && tenant.x",
        "\ttenants.a\t==\ttenant.b",
        "tenants.a == 1\r\n  && tenant.b",
        &long,
        "1 + ('a' +\n  'b')",
    ]));
}

#[test]
fn conditions() {
    let condition = |source: &str| compile_bool(source, &scope()).err();
    insta::assert_snapshot!(rendered(
        &[
            "tenants.name.size()",
            "{'a': tenants.a}",
            "'tenants.a == 1'",
            "1",
            "tenants.active",
            "tenants.list.map(x, x)",
            "tenants.a ? 'x' : 'y'",
        ],
        condition
    ));
}

#[test]
fn evalexpr() {
    insta::assert_snapshot!(diagnostics(&[
        "evalexpr:",
        "evalexpr: tenant.a == 1",
        "evalexpr: tenants.a == \"x",
        "evalexpr: (tenants.a == 1",
        "evalexpr: tenants.a == 1)",
        "evalexpr: tenants.a 1",
        "evalexpr: tenants.a ==",
        "evalexpr: tenants.a = 1",
        "evalexpr: tenants.a == 1; tenants.b",
        "evalexpr: tenants.a[0]",
        "evalexpr: tenants.a & tenants.b",
        "evalexpr: \"a\" + 1",
        "evalexpr: maxx(1, 2)",
        "evalexpr: math::sin(1.0)",
        "evalexpr: if(true, 1)",
        "evalexpr: tenants.a == 'x'",
        "evalexpr: {\"a\": 1}",
        "evalexpr: tenants.a + () ",
        "evalexpr: /* open",
    ]));
}

/// Of a component that groups by `tenants.region` and the hour.
fn grouped(sources: &[&str]) -> String {
    let keys = ["tenants.region", "tenants.address", "int(tenants.at) / 3600"];
    rendered(sources, |source| {
        let found = compile_grouped(&keys, Some(source), None, None, &scope());
        found.err().map(|problems| problems[0].1.clone())
    })
}

#[test]
fn aggregates() {
    insta::assert_snapshot!(grouped(&[
        "{'region': tenants.region, 'name': tenants.name, 'n': count()}",
        "tenants.address.city + tenants['region'] + tenants.address['zip'] + string(int( tenants.at )/3600)",
        "int(tenants.at) / 60",
        "tenants",
        "has(tenants.region) && has(tenants.address.city) && has(tenants.name)",
        "poweruse.readings[0]",
        "sum(avg(poweruse.kwh))",
        "sum(previous(count()))",
        "previous(previous(count()))",
        "previous(tenants.name)",
        "previous()",
        "count(tenants.a, tenants.b)",
        "sum()",
        "max(tenants.a, tenants.b)",
        "sum('5')",
        "avg(tenants.name.size() > 2)",
        "min([tenants.a])",
        "percentile(poweruse.kwh, 95)",
        "percentile(poweruse.kwh, poweruse.p)",
        "percentile(poweruse.kwh, -0.5)",
        "percentile(poweruse.kwh)",
        "[1, 2].map(tenants, sum(tenants.kwh))",
        "[1, 2].map(i, sum(poweruse.kwh * i))",
        "collect(poweruse.kwh).map(tenants, tenants.region)",
        "collect(poweruse.kwh).exists(k, k > tenants.limit)",
        "median(poweruse.kwh)",
        "average(poweruse.kwh)",
        "Sum(poweruse.kwh)",
        "tenants.kwh.sum()",
        "sum(poweruze.kwh)",
        "collect(poweruse.kwh) + 1",
        "evalexpr: tenants.region == \"a\" && tenants.name == \"b\"",
    ]));
}

#[test]
fn aggregates_where_there_is_no_group() {
    insta::assert_snapshot!(diagnostics(&[
        "sum(poweruse.kwh) > 5",
        "count() > 5 && tenants.a == 1",
        "previous(tenants.a)",
        "min(tenants.a, tenants.b)",
        "count(tenants.a, tenants.b)",
    ]));
}

#[test]
fn every_clause_of_a_group_is_reported() {
    let found = compile_grouped(
        &["tenants.region"],
        Some("tenants.name"),
        Some("sum(poweruse.kwh)"),
        Some("count() >"),
        &scope(),
    );
    let found: Vec<_> = found
        .unwrap_err()
        .into_iter()
        .map(|(clause, d)| (clause, d.reason))
        .collect();
    assert_eq!(
        found,
        [
            (Clause::Select, "NotGrouped"),
            (Clause::Having, "NotABool"),
            (Clause::Trigger, "UnexpectedEnd"),
        ]
    );
    let found = compile_grouped(
        &["tenants.a", "(", "sum(tenants.b)", "tenant.c"],
        None,
        None,
        None,
        &scope(),
    );
    let found: Vec<_> = found
        .unwrap_err()
        .into_iter()
        .map(|(clause, d)| (clause, d.reason))
        .collect();
    assert_eq!(
        found,
        [
            (Clause::GroupBy(1), "UnclosedBracket"),
            (Clause::GroupBy(2), "AggregateHere"),
            (Clause::GroupBy(3), "UnknownName"),
        ]
    );
}
