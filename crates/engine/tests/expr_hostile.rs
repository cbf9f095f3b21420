//! Sources and messages that try to make the engine deep, slow or large. All of it runs on a thread with 2 MiB of
//! stack, in a debug build, and within a time that a slow machine keeps too.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

#[path = "expr/support.rs"]
mod support;

use std::thread;

use serde_json::{Value as Json, json};
use streaming_engine::expr::{Context, EvalError, Row, compile};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;
use support::{Outcome, eval, failed, field, scope};

/// Runs on a small stack.
fn contained<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

/// Evaluates once, on whole messages: expressions here are costly on purpose.
fn once(source: &str, data: &Json) -> Outcome {
    let expr = compile(source, &scope(data)).unwrap();
    let layout = Layout::new([&[][..]]);
    let texts: Vec<String> = data.as_object().unwrap().values().map(Json::to_string).collect();
    let rows: Vec<[Field<'_>; 1]> = texts.iter().map(|text| [field(text)]).collect();
    let rows: Vec<&dyn Row> = rows.iter().map(|row| row as &dyn Row).collect();
    let program = expr.bind(&vec![&layout; rows.len()]);
    match program.write_json(&Context::new(&rows), &mut Vec::new()) {
        Ok(()) => Outcome::Value(Json::Null),
        Err(error) => failed(&error),
    }
}

/// Nested as deep as the limit lets it: the deepest that compiles is evaluated, one level more is refused.
fn deepest(make: impl Fn(usize) -> String + Send + 'static) {
    contained(move || {
        let data = json!({"a": {"b": [1, {"c": 2}]}});
        let compiles = |n: usize| compile(&make(n), &scope(&data)).is_ok();
        let most = (1..400).take_while(|n| compiles(*n)).last().unwrap();
        assert!((30..399).contains(&most), "{most} levels of {}", make(2));
        assert!(matches!(
            eval(&make(most), &data),
            Outcome::Value(_) | Outcome::Failed(..)
        ));
        match eval(&make(most + 1), &data) {
            Outcome::Refused(reason, _) => assert_eq!(reason, "TooDeep", "{}", make(2)),
            other => panic!("{other:?}"),
        }
        // Far beyond, too.
        for n in [1000, 10_000, 30_000] {
            assert!(compile(&make(n), &scope(&data)).is_err());
        }
    });
}

#[test]
fn parentheses() {
    deepest(|n| format!("{}a.b{}", "(".repeat(n), ")".repeat(n)));
}

#[test]
fn lists() {
    deepest(|n| format!("{}a.b{}", "[".repeat(n), "]".repeat(n)));
}

#[test]
fn maps() {
    deepest(|n| format!("{}a.b{}", "{'k':".repeat(n), "}".repeat(n)));
}

#[test]
fn mixed_brackets() {
    deepest(|n| format!("{}a.b{}", "[{'k':(1.0+size([".repeat(n), "]))}]".repeat(n)));
}

#[test]
fn calls() {
    deepest(|n| format!("{}a.b{}", "dyn(".repeat(n), ")".repeat(n)));
}

#[test]
fn member_calls() {
    deepest(|n| format!("string(a.b[0]){}", ".trim()".repeat(n)));
}

#[test]
fn indexes() {
    deepest(|n| format!("a.b{}", "[0]".repeat(n)));
}

#[test]
fn indexes_in_indexes() {
    deepest(|n| format!("{}0{}", "a.b[".repeat(n), "]".repeat(n)));
}

#[test]
fn nots() {
    deepest(|n| format!("{}(a.b == a)", "!".repeat(n)));
}

#[test]
fn minuses() {
    deepest(|n| format!("{}a.x", "-".repeat(n)));
}

#[test]
fn minuses_before_a_number() {
    deepest(|n| format!("{}(1)", "-".repeat(n)));
}

#[test]
fn sums() {
    deepest(|n| format!("a.x{}", "+1".repeat(n)));
}

#[test]
fn constant_sums() {
    deepest(|n| format!("1{}", "+1".repeat(n)));
}

#[test]
fn relations() {
    deepest(|n| format!("a.x{}", "==a.x".repeat(n)));
}

#[test]
fn conditionals() {
    deepest(|n| format!("{}a", "a.x?a:".repeat(n)));
}

#[test]
fn conditionals_in_conditionals() {
    deepest(|n| format!("{}a{}", "a.x?(".repeat(n), "):a".repeat(n)));
}

#[test]
fn macros_in_macros() {
    deepest(|n| format!("{}x{}", "[a].map(x,".repeat(n), ")".repeat(n)));
}

#[test]
fn macros_on_macros() {
    deepest(|n| format!("[a]{}", ".map(x,x)".repeat(n)));
}

#[test]
fn binds() {
    deepest(|n| format!("{}x{}", "cel.bind(x,a,".repeat(n), ")".repeat(n)));
}

#[test]
fn ands_in_ors() {
    deepest(|n| format!("{}a.x{}", "(a.y||(a.x&&".repeat(n), "))".repeat(n)));
}

#[test]
fn long_flat_sources_are_no_deep_ones() {
    contained(|| {
        let data = json!({"a": {"x": true}});
        for part in ["a.x && ", "a.x || "] {
            assert_eq!(
                eval(&format!("{}a.x", part.repeat(2000)), &data),
                Outcome::Value(json!(true))
            );
        }
        let list = format!("size([{}1])", "1,".repeat(5000));
        assert_eq!(eval(&list, &data), Outcome::Value(json!(5001)));
        let chain = format!("has(a{})", ".x".repeat(100));
        assert_eq!(eval(&chain, &data), Outcome::Value(json!(false)));
    });
}

#[test]
fn sources_that_are_too_long_are_refused_at_once() {
    contained(|| {
        let data = json!({"a": 1});
        for source in [
            " ".repeat(100_000),
            "1,".repeat(32_000),
            "a.".repeat(32_700),
            "\u{1f600}".repeat(20_000),
        ] {
            assert!(matches!(eval(&source, &data), Outcome::Refused(..)));
        }
        for opening in [
            "(", "[", "{", "{{", "[(", "f(", "a.f(", "!", "-", "!-", "a?", "a?b:", "a[", "a.", "'", "\"\"\"",
            "`",
        ] {
            for count in [100, 1000, 10_000, 60_000 / opening.len()] {
                assert!(
                    matches!(eval(&opening.repeat(count), &data), Outcome::Refused(..)),
                    "{opening}"
                );
            }
        }
    });
}

fn exceeded(source: &str, data: &Json) {
    match once(source, data) {
        Outcome::Failed(reason, _) => assert_eq!(reason, "CostExceeded", "{source}"),
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn evaluations_that_cost_too_much_end() {
    contained(|| {
        let numbers: Vec<i32> = (0..20_000).collect();
        let text = "abcdefgh".repeat(50_000);
        let data = json!({"m": {"list": numbers, "text": text}});
        exceeded("m.list.map(x, m.list.map(y, x * y))", &data);
        exceeded("m.list.all(x, m.list.exists(y, y == -1 - x) == false)", &data);
        exceeded("m.list.map(x, m.text + m.text)", &data);
        exceeded("m.list.map(x, m.text.contains('z'))", &data);
        exceeded("m.list.map(x, m.text.matches('(a|b|c)*z'))", &data);
        exceeded("m.list.map(x, 'a'.matches('a' + string(x)))", &data);
        exceeded("m.list.map(x, 'a'.matches('(\\\\pL{2}){2}' + string(x)))", &data);
        exceeded("m.list.map(x, m.text.matches('(a?){1000}a{1000}'))", &data);
        exceeded("m.list.all(x, m.list == m.list)", &data);
        exceeded("m.list.all(x, m == m)", &data);
        exceeded("m.list.all(x, m.text + 'a' != m.text + 'b')", &data);
        exceeded("m.list.filter(x, -1.0 in m.list)", &data);
        exceeded("m.list.map(x, m.list + m.list)", &data);
        exceeded("m.list.map(x, '%s'.format([m]))", &data);
        exceeded("m.list.map(x, m.text.split(''))", &data);
        exceeded("m.list.map(x, m.text.replace('', 'aaaaaaaaaaaaaaaaaaaa'))", &data);
        exceeded("m.list.transformMap(i, x, m.text.reverse())", &data);
        // An absorbing operator does not carry on.
        exceeded("m.list.all(x, m.list == m.list) || true", &data);
    });
}

#[test]
fn results_that_are_too_large_end() {
    contained(|| {
        let numbers: Vec<i32> = (0..20_000).collect();
        let data = json!({"m": {"list": numbers, "text": "x".repeat(300_000)}});
        for source in [
            "m.list.map(x, m.text)",
            "m.list.map(x, m)",
            "[m.list.map(x, m), 1]",
        ] {
            match once(source, &data) {
                Outcome::Failed(reason, _) => {
                    assert!(["CostExceeded", "NotJson"].contains(&reason), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn constants_do_not_make_compiling_slow() {
    contained(|| {
        let data = json!({"a": 1});
        let list = format!("[{}]", "'0123456789abcdef',".repeat(3000));
        for source in [
            format!("{list}.map(x, {list}.map(y, x + y)).size()"),
            format!("{list} + {list} == {list}"),
            format!(
                "{}.replace('', 'aaaaaaaaaaaaaaaa').replace('', 'aaaaaaaaaaaaaaaa')",
                "'a'"
            ),
            "'a'.matches('((a{100}){100}){100}')".into(),
            "a.b.matches('((a{100}){100}){100}')".into(),
            format!("a.b.matches('{}')", "a?".repeat(2000)),
            format!("a.b.matches('{}')", "(".repeat(4000)),
            format!("a.b.matches('{}')", "[[".repeat(2000)),
            format!("a.b.matches('{}')", "(?:a".repeat(1000) + &")".repeat(1000)),
        ] {
            let _ = eval(&source, &data);
        }
    });
}

#[test]
fn nested_values_are_walked_however_deep_an_expression_makes_them() {
    contained(|| {
        let mut deep = json!(1);
        for _ in 0..120 {
            deep = json!([deep]);
        }
        let data = json!({"m": {"deep": deep}});
        let wrap = |inner: &str| format!("{}{inner}{}", "[".repeat(60), "]".repeat(60));
        let source = format!("{} == {}", wrap("m.deep[0]"), wrap("m.deep[0]"));
        assert_eq!(eval(&source, &data), Outcome::Value(json!(true)));
        for wraps in [1, 40, 50] {
            let deeper = format!("[m.deep]{}", ".map(x, [[[x]]])".repeat(wraps));
            for source in [
                format!("size({deeper})"),
                format!("{deeper} == {deeper}"),
                format!("{deeper} in [{deeper}]"),
                format!("size('%s'.format([{deeper}]))"),
                format!("{deeper}.transformMap(i, x, x)"),
                deeper.clone(),
            ] {
                let _ = eval(&source, &data);
            }
        }
        let far = format!("[m.deep]{}", ".map(x, [[[[[[[[x]]]]]]]])".repeat(100));
        assert!(matches!(eval(&far, &data), Outcome::Refused("TooDeep", _)));
    });
}

#[test]
fn every_reason_is_listed_once() {
    let mut reasons = EvalError::REASONS.to_vec();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), EvalError::REASONS.len());
}
