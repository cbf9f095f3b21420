//! What holds for every expression and every message. Beyond what is asserted here, `support::run` evaluates each
//! expression on rows of single fields and on whole messages, as a value and straight into JSON, and compares.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

#[path = "expr/support.rs"]
mod support;

use std::hash::Hasher;

use proptest::prelude::*;
use rustc_hash::FxHasher;
use serde_json::{Value as Json, json};
use streaming_engine::expr::{Context, Row, Scope, compile};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;
use streaming_engine::value::Value;
use support::{Outcome, eval, run, scope};

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3i64..4).prop_map(Json::from),
        (-3i32..4).prop_map(|n| json!(f64::from(n) + 0.5)),
        prop_oneof![
            Just(9_007_199_254_740_992_i64),
            Just(9_007_199_254_740_993),
            Just(-9_007_199_254_740_993),
            Just(i64::MIN)
        ]
        .prop_map(Json::from),
        "[a-c\u{e4}\"\\\\\n]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(Json::from_iter),
        ]
    })
}

fn message() -> impl Strategy<Value = Json> {
    prop::collection::btree_map("[a-d]", json_value(), 0..5).prop_map(Json::from_iter)
}

fn data() -> impl Strategy<Value = Json> {
    (message(), message()).prop_map(|(l, r)| json!({"l": l, "r": r}))
}

/// Expressions that may or may not make sense, over the inputs `l` and `r`.
fn source() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "(l|r)\\.[a-d](\\.[a-c])?",
        "-?[0-3]u?",
        "[0-3]\\.(0|5)",
        "\"[a-c]{0,2}\"",
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("[]".to_owned()),
        "has\\((l|r)\\.[a-d](\\.[a-c])?\\)",
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop_oneof![
            3 => Just("=="), 2 => Just("&&"), 2 => Just("||"), 1 => Just("!="), 1 => Just("<"), 1 => Just(">="),
            1 => Just("+"), 1 => Just("-"), 1 => Just("*"), 1 => Just("/"), 1 => Just("%"), 1 => Just("in"),
        ];
        prop_oneof![
            6 => (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            1 => inner.clone().prop_map(|a| format!("!({a})")),
            1 => inner.clone().prop_map(|a| format!("-({a})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{\"x\": {a}, \"y\": {b}}}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => inner.clone().prop_map(|a| format!("size({a})")),
            1 => inner.clone().prop_map(|a| format!("int({a})")),
            1 => inner.clone().prop_map(|a| format!("string({a})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}).exists(x, x == {b})")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("({a}).map(x, [x, {b}])")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    prop::collection::vec(source(), 1..4).prop_map(|parts| parts.join(" && "))
}

/// Evaluates to a borrowed value and hands it on.
fn with_value<T>(source: &str, data: &Json, then: impl FnOnce(&Value<'_>) -> T) -> Option<T> {
    let expr = compile(source, &scope(data)).ok()?;
    let layout = Layout::new([&[][..]]);
    let texts: Vec<String> = data.as_object().unwrap().values().map(Json::to_string).collect();
    let rows: Vec<[Field<'_>; 1]> = texts.iter().map(|text| [Field::Json(text)]).collect();
    let rows: Vec<&dyn Row> = rows.iter().map(|row| row as &dyn Row).collect();
    let program = expr.bind(&vec![&layout; rows.len()]);
    let value = program.eval(&Context::new(&rows)).ok()?;
    Some(then(&value))
}

fn hash(value: &Value<'_>) -> u64 {
    let mut state = FxHasher::default();
    value.key_hash(&mut state);
    state.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_panics_and_every_way_of_evaluating_agrees(source in source(), data in data()) {
        let _ = eval(&source, &data);
    }

    #[test]
    fn a_condition_is_what_its_conjuncts_are(source in condition(), data in data()) {
        let Ok(whole) = compile(&source, &scope(&data)) else { return Ok(()) };
        let mut any_false = false;
        let mut any_error = false;
        for part in whole.clone().conjuncts() {
            match run(&part, &data) {
                Outcome::Value(Json::Bool(true)) => {}
                Outcome::Value(Json::Bool(false)) => any_false = true,
                // Of `&&` an operand that is no bool is an error; alone it is a value.
                _ => any_error = true,
            }
        }
        let single = whole.clone().conjuncts().len() == 1;
        match run(&whole, &data) {
            Outcome::Value(Json::Bool(true)) => prop_assert!(!any_false && !any_error),
            Outcome::Value(Json::Bool(false)) => prop_assert!(any_false),
            Outcome::Value(_) => prop_assert!(single),
            _ => prop_assert!(any_error && !any_false),
        }
    }

    #[test]
    fn a_field_against_a_constant_is_as_in_a_list(
        op in prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]),
        constant in prop::sample::select(vec!["1", "-2", "0.5", "1u", "9007199254740993", "-9223372036854775808", "\"a\"", "\"\"", "true", "null"]),
        message in message(),
    ) {
        let data = json!({"l": message});
        for (plain, general) in [
            (format!("l.a {op} {constant}"), format!("[l.a][0] {op} {constant}")),
            (format!("{constant} {op} l.a"), format!("{constant} {op} [l.a][0]")),
        ] {
            // The same, whether the compiler knows what it is about or not; `eval` compares `test` with it.
            match (eval(&plain, &data), eval(&general, &data)) {
                (Outcome::Refused(..), _) => {}
                (plain, general) => prop_assert_eq!(plain, general),
            }
        }
    }

    #[test]
    fn equal_values_have_equal_hashes(a in json_value(), b in json_value()) {
        let data = json!({"l": {"a": a, "b": b}});
        let pairs = [("l.a", "l.b"), ("l.a", "[l.a][0]"), ("[l.a]", "[l.b]"), ("{1: l.a}", "{1u: l.b}")];
        for (left, right) in pairs {
            let checked = with_value(left, &data, |x| with_value(right, &data, |y| {
                assert_eq!(x.cel_eq(y), y.cel_eq(x));
                let same = !x.cel_eq(y) || hash(x) == hash(y);
                assert!(same, "{left} {right} {data}");
            }));
            prop_assert!(checked.flatten().is_some());
        }
    }

    #[test]
    fn equality_is_that_of_json_with_numbers_by_value(a in json_value(), b in json_value()) {
        fn same(a: &Json, b: &Json) -> bool {
            match (a, b) {
                (Json::Number(x), Json::Number(y)) => match (x.as_i64(), y.as_i64()) {
                    (Some(x), Some(y)) => x == y,
                    _ => (x.as_f64().unwrap() - y.as_f64().unwrap()).abs() == 0.0,
                },
                (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
                (Json::Object(x), Json::Object(y)) => {
                    x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
                }
                _ => a == b,
            }
        }
        let data = json!({"l": {"a": a}, "r": {"a": b}});
        prop_assert_eq!(eval("l.a == r.a", &data), Outcome::Value(json!(same(&data["l"]["a"], &data["r"]["a"]))));
    }

    #[test]
    fn what_passes_through_is_what_came_in(message in message()) {
        let data = json!({"l": message});
        prop_assert_eq!(eval("l", &data), Outcome::Value(data["l"].clone()));
        // Looked into or not, it prints the same.
        let looked = eval("l.map(k, k).size() >= 0 ? l : l", &data);
        prop_assert_eq!(looked, Outcome::Value(data["l"].clone()));
        let parts: Vec<String> = message.as_object().unwrap().keys().map(|k| format!("\"{k}\": l.{k}")).collect();
        prop_assert_eq!(eval(&format!("{{{}}}", parts.join(", ")), &data), Outcome::Value(data["l"].clone()));
    }

    #[test]
    fn a_constant_is_folded_to_what_it_evaluates_to(source in source()) {
        let data = json!({"l": {"a": 1}, "r": {}});
        let constant = source.replace("l.", "{\"a\": 1}.").replace("r.", "{\"b\": \"b\"}.");
        // A loop is never folded, and hides from the compiler what it gives.
        let mut hidden = String::new();
        let mut rest = constant.as_str();
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, after) = rest.split_at(at);
            let end = after.find(|c: char| !c.is_ascii_digit() && c != '.' && c != 'u').unwrap_or(after.len());
            let (number, after) = after.split_at(end);
            hidden.push_str(before);
            hidden.extend(["[", number, "].map(n, n)[0]"]);
            rest = after;
        }
        hidden.push_str(rest);
        match (eval(&constant, &data), eval(&hidden, &data)) {
            (Outcome::Value(folded), Outcome::Value(evaluated)) => prop_assert_eq!(folded, evaluated),
            (Outcome::Failed(a, _), Outcome::Failed(b, _)) => prop_assert_eq!(a, b),
            // What is certainly wrong is refused even where `||` would get over it.
            (Outcome::Refused(..), _) => {}
            (folded, evaluated) => prop_assert!(false, "{constant}: {folded:?} {evaluated:?}"),
        }
    }

    #[test]
    fn any_text_compiles_or_is_refused_at_a_place_in_it(source in "\\PC{0,60}") {
        let scope = Scope::new(&["l", "r"]).unwrap();
        if let Err(found) = compile(&source, &scope) {
            prop_assert!(source.get(found.span.clone()).is_some(), "{:?}", found);
            prop_assert!(found.line >= 1 && found.column >= 1);
            prop_assert!(!found.message.contains('\n') && !found.message.is_empty());
            prop_assert!(found.render(&source).starts_with("error: "));
        }
    }

    #[test]
    fn so_does_any_row_of_words(words in prop::collection::vec(word(), 0..12)) {
        let source = words.join(" ");
        let scope = Scope::new(&["l", "r"]).unwrap();
        for source in [source.clone(), format!("evalexpr: {source}")] {
            if let Err(found) = compile(&source, &scope) {
                prop_assert!(source.get(found.span.clone()).is_some(), "{:?}", found);
                prop_assert!(found.render(&source).contains('^'));
            }
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    let words = "l r l.a ( ) [ ] { } , : ? . + - * / % ! == != < <= && || in has size map exists x 1 2.5 3u 'a' \"b\" \
                 b'c' true null and not = & ; ^ // #"
        .split(' ')
        .map(str::to_owned)
        .collect::<Vec<_>>();
    prop::sample::select(words)
}
