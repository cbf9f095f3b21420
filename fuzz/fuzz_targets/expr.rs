//! Any source, in both syntaxes, on any message: nothing panics, overflows a stack, or takes unbounded time or memory.
//!
//! The input is a source, then (after a NUL) the texts of two messages. Run it as `fuzz/README.md` says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streaming_engine::expr::{Context, Expr, Row, Scope, compile, compile_bool};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;
use streaming_engine::time::Time;

const LEFT: &str =
    r#"{"a":1,"b":"text","c":[1,"x",{"y":2.5}],"d":{"e":{"f":null}},"t":true,"big":9007199254740993}"#;
const RIGHT: &str = r#"{"a":1.5,"b":"2026-11-23T08:30:00Z","c":[],"d":{}}"#;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut parts = text.split('\0');
    let source = parts.next().unwrap_or_default();
    let messages = [parts.next().unwrap_or(LEFT), parts.next().unwrap_or(RIGHT)];
    let scope = Scope::new(&["l", "r"])
        .expect("names")
        .with_window()
        .with_message();
    for source in [source.to_owned(), format!("evalexpr:{source}")] {
        match compile(&source, &scope) {
            Ok(expr) => {
                let _ = compile_bool(&source, &scope);
                evaluate(&expr, &messages);
                for part in expr.clone().conjuncts() {
                    evaluate(&part, &messages);
                    if let Some((left, right)) = part.as_equality() {
                        assert!(left.inputs().union(right.inputs()).is_subset(part.inputs()));
                    }
                }
            }
            Err(diagnostic) => {
                assert!(source.get(diagnostic.span.clone()).is_some());
                assert!(diagnostic.render(&source).contains('^'));
            }
        }
    }
});

fn evaluate(expr: &Expr, messages: &[&str; 2]) {
    let layout = Layout::new([&[][..]]);
    let rows = messages.map(|text| [Field::Json(text)]);
    let rows: [&dyn Row; 2] = [&rows[0], &rows[1]];
    let program = expr.bind(&[&layout, &layout]);
    let cx = Context::new(&rows)
        .with_message("topic", Some("key"))
        .with_window(Time(0), Time(20_000_000));
    let mut streamed = Vec::new();
    let streamed = program.write_json(&cx, &mut streamed).map(|()| streamed);
    let test = program.test(&cx);
    let mut built = Vec::new();
    let built = match program.eval(&cx) {
        Ok(value) => {
            assert_eq!(test.ok(), value.truthy());
            assert_eq!(value.cel_eq(&value.clone()), value.cel_eq(&value));
            value.write_json(&mut built).map(|()| built).map_err(Into::into)
        }
        Err(error) => Err(error),
    };
    match (streamed, built) {
        (Ok(streamed), Ok(built)) => {
            assert_eq!(streamed, built);
            // What is no JSON comes out as it went in; of JSON messages only JSON comes out.
            if messages
                .iter()
                .all(|text| serde_json::from_str::<serde_json::Value>(text).is_ok())
            {
                serde_json::from_slice::<serde_json::Value>(&built).expect("JSON");
            }
        }
        (Err(streamed), Err(built)) => assert_eq!(streamed.reason(), built.reason()),
        // Writing costs, too: a value that is large but just affordable may be too dear to write.
        (Err(streamed), Ok(_)) => assert_eq!(streamed.reason(), "CostExceeded"),
        (Ok(_), Err(built)) => panic!("{built}"),
    }
}
