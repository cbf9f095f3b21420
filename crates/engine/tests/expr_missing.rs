//! What an outer join leaves open: the input that matched nothing is null, and so is every path into it.
#![allow(clippy::unwrap_used)] // tests

use streaming_engine::expr::{Context, MissingRow, Row, Scope, compile};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;

/// Evaluates with the message `{"x": 1}` as `a` and nothing as `b`.
fn eval(source: &str) -> Result<String, &'static str> {
    let expr = compile(source, &Scope::new(&["a", "b"]).unwrap()).unwrap();
    let x: &[Box<str>] = &["x".into()];
    let of_b = expr.accesses().iter().filter(|access| access.input == 1);
    let (a, b) = (Layout::new([x]), Layout::new(of_b.map(|access| &*access.path)));
    let rows: [&dyn Row; 2] = [&[Field::Number(1.0)], &MissingRow];
    let cx = Context::new(&rows);
    let program = expr.bind(&[&a, &b]);
    let mut streamed = Vec::new();
    program
        .write_json(&cx, &mut streamed)
        .map_err(|error| error.reason())?;
    let mut made = Vec::new();
    program.eval(&cx).unwrap().write_json(&mut made).unwrap();
    assert_eq!(made, streamed);
    Ok(String::from_utf8(made).unwrap())
}

#[test]
fn a_missing_input_reads_as_null() {
    for source in [
        "b",
        "b.x",
        "b.x.y.z",
        "b['x']",
        "b.list[0]",
        "b.list[0].x",
        "b[string(a.x)]",
        "b.list[int(a.x)].x['y']",
    ] {
        assert_eq!(eval(source).as_deref(), Ok("null"), "{source}");
    }
    for (source, value) in [
        ("b == null", "true"),
        ("b.x == null", "true"),
        ("b.x == a.x", "false"),
        ("has(b.x)", "false"),
        ("has(b.list) ? 1 : 2", "2"),
        ("{'a': a.x, 'b': b.x}", "{\"a\":1,\"b\":null}"),
        ("b.x > 1 || a.x == 1.0", "true"),
    ] {
        assert_eq!(eval(source).as_deref(), Ok(value), "{source}");
    }
}

#[test]
fn what_computes_with_null_fails_as_ever() {
    for source in ["b.x > 1", "b.x + 1", "b.list.exists(x, true)", "dyn(b.x).y"] {
        assert_eq!(eval(source), Err("NoSuchOverload"), "{source}");
    }
    assert_eq!(eval("a.y"), Err("NoSuchField"));
}
