//! When two sides' rows are equal.

use serde_json::Value;

/// Rows that only one side has: Flink's, then ours. Rows are compared as multisets; each names its window.
pub fn difference(flink: &[Value], ours: &[Value], rounded: bool) -> (Vec<Value>, Vec<Value>) {
    without(flink, ours, |flink, ours| equal_rows(flink, ours, rounded))
}

/// What only one of two multisets has.
fn without(a: &[Value], b: &[Value], equal: impl Fn(&Value, &Value) -> bool) -> (Vec<Value>, Vec<Value>) {
    let mut missing = Vec::new();
    let mut left: Vec<&Value> = b.iter().collect();
    for one in a {
        match left.iter().position(|other| equal(one, other)) {
            Some(at) => {
                left.swap_remove(at);
            }
            None => missing.push(one.clone()),
        }
    }
    (missing, left.into_iter().cloned().collect())
}

fn equal_rows(flink: &Value, ours: &Value, rounded: bool) -> bool {
    match (flink, ours) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, rounded))
        }
        _ => false,
    }
}

/// Lists are compared as multisets: Flink has no order for them.
fn equal(flink: &Value, ours: &Value, rounded: bool) -> bool {
    match (flink, ours) {
        (Value::Array(a), Value::Array(b)) => {
            let (missing, extra) = without(a, b, |a, b| equal(a, b, rounded));
            missing.is_empty() && extra.is_empty()
        }
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) if rounded => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
            (a, b) => a == b,
        },
        // Flink's side has times as milliseconds.
        (Value::Number(a), Value::String(b)) => a.as_f64() == milliseconds(b),
        (a, b) => a == b,
    }
}

/// Of a time in RFC 3339.
#[allow(clippy::cast_precision_loss)]
fn milliseconds(text: &str) -> Option<f64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_millisecond() as f64)
}
