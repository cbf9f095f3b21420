//! The evalexpr front end: its syntax, CEL's evaluator.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

#[path = "expr/support.rs"]
mod support;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use support::{Outcome, eval};

fn data() -> Json {
    json!({
        "tenants": {"tenant_id": 7, "customer_id": 924, "name": "Acme ", "tags": ["a", "b"]},
        "poweruse": {"tenant_id": 7, "power_use": 1.25, "kwh_use": 2.5},
    })
}

#[track_caller]
fn gives(source: &str, expected: Json) {
    assert_eq!(
        eval(&format!("evalexpr: {source}"), &data()),
        Outcome::Value(expected),
        "{source}"
    );
}

#[test]
fn the_datacenter_condition() {
    gives(
        "tenants.tenant_id == poweruse.tenant_id && poweruse.power_use >= 1.0",
        json!(true),
    );
    gives(
        "tenants.tenant_id != poweruse.tenant_id || poweruse.power_use < 1",
        json!(false),
    );
}

#[test]
fn operators_bind_as_evalexpr_has_them() {
    gives("1 + 2 * 3", json!(7));
    gives("(1 + 2) * 3", json!(9));
    gives("-2 ^ 2", json!(-4));
    gives("2 ^ 3 ^ 2", json!(64));
    gives("10 - 4 - 3", json!(3));
    gives("7 / 2", json!(3));
    gives("7 / 2.0", json!(3.5));
    gives("7 % 4", json!(3));
    gives("!true || true", json!(true));
    gives("true || false && false", json!(true));
    gives("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", json!(true));
    gives("\"a\" + \"b\" == \"ab\"", json!(true));
    gives("0x1F", json!(31));
    gives("1e-3 + 1e+3", json!(1000.001));
    gives("(1, \"a\", true)", json!([1, "a", true]));
    gives("1 + /* in between */ 2 // at the end", json!(3));
    gives("null == null", json!(true));
}

#[test]
fn functions_are_those_of_cel() {
    gives("if(tenants.tenant_id > 5, \"many\", \"few\")", json!("many"));
    gives("contains((1, 2, 3), 2)", json!(true));
    gives("contains(tenants.tags, \"b\")", json!(true));
    gives("len(tenants.name)", json!(5));
    gives("len tenants.name", json!(5));
    gives("str::trim(tenants.name)", json!("Acme"));
    gives("str::to_lowercase(str::trim(tenants.name))", json!("acme"));
    gives("str::regex_matches(tenants.name, \"^A.*\")", json!(true));
    gives("str::substring(tenants.name, 1, 3)", json!("cm"));
    gives("str::from(tenants.tenant_id)", json!("7"));
    gives("min(3, 1.5, 2)", json!(1.5));
    gives("max(3, 1.5, 2)", json!(3));
    gives(
        "floor(poweruse.kwh_use) + ceil(poweruse.kwh_use) + round(poweruse.kwh_use)",
        json!(8),
    );
    gives("math::sqrt(16) + math::abs(-2.0)", json!(6));
    gives("bitand(6, 3) + shl(1, 3)", json!(10));
    gives("int(tenants.tenant_id) % 2", json!(1));
    gives("typeof(1) == typeof(2)", json!(true));
}

#[test]
fn a_space_or_line_before_the_word_is_no_matter() {
    assert_eq!(eval("  evalexpr:1 + 1", &data()), Outcome::Value(json!(2)));
    assert_eq!(
        eval("evalexpr:\n  tenants.tenant_id\n  + 1\n", &data()),
        Outcome::Value(json!(8))
    );
    assert!(matches!(
        eval("evalexpr", &data()),
        Outcome::Refused("UnknownName", _)
    ));
}

#[test]
fn fields_that_are_not_there_are_errors() {
    let source = "evalexpr: tenants.nope > 1";
    assert_eq!(
        eval(source, &data()),
        Outcome::Failed("NoSuchField", "there is no field tenants.nope".to_owned())
    );
}

#[test]
fn hostile_sources_are_refused_before_the_crate_sees_them() {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(|| {
            let data = data();
            for part in [
                "(", ")", "!", "-", "len ", "1+", "1,", "1;", "a=", "\"", "/*", "((1,", "1-(", "!(", "a&&",
                "1^",
            ] {
                for count in [1, 10, 50, 140, 160, 500, 999, 1001, 5000, 20_000] {
                    for tail in ["", "1", ")"] {
                        let _ = eval(&format!("evalexpr:{}{tail}", part.repeat(count)), &data);
                    }
                }
            }
            for open in ["(", "!(", "-(", "len(", "(1,(", "min(1,"] {
                for count in [10, 63, 64, 65, 100, 1000] {
                    let close = ")".repeat(count * open.matches('(').count());
                    let _ = eval(&format!("evalexpr:{}1{close}", open.repeat(count)), &data);
                }
            }
            let many = "tenants.tenant_id == 7 && ".repeat(120);
            assert_eq!(
                eval(&format!("evalexpr: {many}true"), &data),
                Outcome::Value(json!(true))
            );
        })
        .unwrap()
        .join()
        .unwrap();
}

/// Arithmetic over doubles, in source form.
fn arithmetic() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (1i32..100).prop_map(|n| format!("{n}.0")),
        (1i32..100).prop_map(|n| format!("{n}.25"))
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop_oneof!["\\+", "-", "\\*", "/", " \\^ "],
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

proptest! {
    #[test]
    fn arithmetic_is_what_the_crate_makes_of_it(source in arithmetic()) {
        let expected = evalexpr::eval_float(&source).unwrap();
        match eval(&format!("evalexpr: {source}"), &json!({"a": 1})) {
            Outcome::Value(value) => {
                let found = value.as_f64().unwrap();
                prop_assert!((found - expected).abs() <= expected.abs() * 1e-12, "{} {}", found, expected);
            }
            Outcome::Failed("NotJson", _) => prop_assert!(!expected.is_finite()),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
