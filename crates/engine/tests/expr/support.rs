//! Evaluates expressions on JSON, as a component would: with rows that hold just the fields that are read, and with
//! rows that hold whole messages. Both have to give the same.

use serde_json::Value as Json;
use streaming_engine::expr::{Context, Diagnostic, EvalError, Expr, Row, Scope, compile};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;
use streaming_engine::time::Time;

/// What an expression came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Its value as JSON.
    Value(Json),
    /// It did not compile: the reason and the message.
    Refused(&'static str, String),
    /// It failed: the reason and the message.
    Failed(&'static str, String),
}

pub(crate) fn scope(data: &Json) -> Scope {
    let names: Vec<&str> = data.as_object().unwrap().keys().map(String::as_str).collect();
    Scope::new(&names).unwrap().with_window().with_message()
}

/// Evaluates with `data`'s members as the variables.
pub(crate) fn eval(source: &str, data: &Json) -> Outcome {
    match compile(source, &scope(data)) {
        Ok(expr) => run(&expr, data),
        Err(Diagnostic { reason, message, .. }) => Outcome::Refused(reason, message),
    }
}

pub(crate) fn run(expr: &Expr, data: &Json) -> Outcome {
    let by_field = with_rows(expr, data, false);
    let by_message = with_rows(expr, data, true);
    assert_eq!(by_field, by_message, "{}", expr.source());
    by_field
}

fn with_rows(expr: &Expr, data: &Json, whole: bool) -> Outcome {
    let data = data.as_object().unwrap();
    let layouts: Vec<Layout> = (0..data.len())
        .map(|input| {
            let paths = expr.accesses().iter().filter(|access| access.input == input);
            if whole {
                Layout::new([&[][..]])
            } else {
                Layout::new(paths.map(|access| access.path.as_slice()))
            }
        })
        .collect();
    let texts: Vec<Vec<Option<String>>> = data
        .values()
        .zip(&layouts)
        .map(|(message, layout)| slots(message, layout, expr))
        .collect();
    let rows: Vec<Vec<Field<'_>>> = texts
        .iter()
        .map(|row| {
            row.iter()
                .map(|text| text.as_deref().map_or(Field::Absent, field))
                .collect()
        })
        .collect();
    let rows: Vec<&dyn Row> = rows.iter().map(|row| row as &dyn Row).collect();
    let program = expr.bind(&layouts.iter().collect::<Vec<_>>());
    let cx = Context::new(&rows)
        .with_message("sensors/1", Some("k1"))
        .with_window(Time(1_700_000_000_000_000), Time(1_700_000_020_000_000));
    let outcome = match program.eval(&cx) {
        Ok(value) => {
            let mut out = Vec::new();
            match value.write_json(&mut out) {
                Ok(()) => Outcome::Value(serde_json::from_slice(&out).unwrap()),
                Err(error) => failed(&EvalError::from(error)),
            }
        }
        Err(error) => failed(&error),
    };
    let test = program.test(&cx).map_err(|error| error.reason());
    match &outcome {
        Outcome::Value(Json::Bool(b)) => assert_eq!(test, Ok(*b), "{}", expr.source()),
        Outcome::Failed("NotJson", _) => assert!(test.is_err()),
        Outcome::Failed(reason, _) => assert_eq!(test, Err(*reason), "{}", expr.source()),
        _ => assert_eq!(test, Err("NoSuchOverload"), "{}", expr.source()),
    }
    let mut out = Vec::new();
    let streamed = match program.write_json(&cx, &mut out) {
        Ok(()) => Outcome::Value(serde_json::from_slice(&out).unwrap()),
        Err(error) => failed(&error),
    };
    // Of two errors either may be met first: a value that is no JSON is found when it is written.
    if !matches!((&outcome, &streamed), (Outcome::Failed(..), Outcome::Failed(..))) {
        assert_eq!(outcome, streamed, "{}", expr.source());
    }
    outcome
}

pub(crate) fn failed(error: &EvalError) -> Outcome {
    assert!(EvalError::REASONS.contains(&error.reason()));
    Outcome::Failed(error.reason(), error.to_string())
}

/// The text of each slot's value, as a decoder would find it.
fn slots(message: &Json, layout: &Layout, expr: &Expr) -> Vec<Option<String>> {
    let mut slots = vec![None; layout.slots()];
    for access in expr.accesses() {
        if let Some((slot, covered)) = layout.resolve(&access.path) {
            let names = access.path.iter().take(covered);
            let found = names
                .into_iter()
                .try_fold(message, |at, name| at.as_object()?.get(&**name));
            slots[slot] = slots[slot].take().or(found.map(Json::to_string));
        }
    }
    slots
}

/// A JSON text as the decoder hands it over.
pub(crate) fn field(text: &str) -> Field<'_> {
    match text.as_bytes()[0] {
        b'n' => Field::Null,
        b't' => Field::Bool(true),
        b'f' => Field::Bool(false),
        b'[' | b'{' => Field::Json(text),
        b'"' => Field::Str(Box::leak(
            serde_json::from_str::<String>(text).unwrap().into_boxed_str(),
        )),
        _ => match text.parse::<i64>() {
            Ok(n) if n.unsigned_abs() > 1 << 53 => Field::BigInt(text),
            Err(_) if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') => Field::BigInt(text),
            _ => Field::Number(text.parse().unwrap()),
        },
    }
}
