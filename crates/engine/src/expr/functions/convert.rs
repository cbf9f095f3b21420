//! Conversions between types, with Go's rules for text, as cel-go has them.

use crate::expr::error::EvalError;
use crate::expr::machine::Machine;
use crate::value::{Duration, Timestamp, Value, double_to_int, double_to_uint, write_number};

use super::no_overload;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

fn not_convertible(text: &str, kind: &str) -> EvalError {
    let shown: String = text.chars().take(40).collect();
    EvalError::invalid(format!("{shown:?} is no {kind}"))
}

pub(super) fn int<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let overflow = || EvalError::overflow("int");
    Ok(Value::Int(match args {
        [Value::Int(n)] => *n,
        [Value::Uint(n)] => i64::try_from(*n).map_err(|_| overflow())?,
        [Value::Double(n)] => double_to_int(*n).ok_or_else(overflow)?,
        [Value::BigInt(digits)] => digits.parse().map_err(|_| overflow())?,
        [Value::Str(text)] => text.parse().map_err(|_| not_convertible(text, "int"))?,
        [Value::Timestamp(time)] => time.seconds(),
        [Value::Duration(span)] => span.0,
        _ => return Err(no_overload("int", args)),
    }))
}

pub(super) fn uint<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let overflow = || EvalError::overflow("uint");
    Ok(Value::Uint(match args {
        [Value::Uint(n)] => *n,
        [Value::Int(n)] => u64::try_from(*n).map_err(|_| overflow())?,
        [Value::Double(n)] => double_to_uint(*n).ok_or_else(overflow)?,
        [Value::BigInt(digits)] => digits.parse().map_err(|_| overflow())?,
        [Value::Str(text)] if !text.starts_with('+') => {
            text.parse().map_err(|_| not_convertible(text, "uint"))?
        }
        [Value::Str(text)] => return Err(not_convertible(text, "uint")),
        _ => return Err(no_overload("uint", args)),
    }))
}

pub(super) fn double<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Double(match args {
        [Value::Str(text)] => parse_double(text).ok_or_else(|| not_convertible(text, "double"))?,
        [number] => number.as_double().ok_or_else(|| no_overload("double", args))?,
        _ => return Err(no_overload("double", args)),
    }))
}

/// Reads what Go's `ParseFloat` does, but for hexadecimal.
fn parse_double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let named = text
        .trim_start_matches(['+', '-'])
        .starts_with(['i', 'I', 'n', 'N']);
    let signed_nan = value.is_nan() && text.starts_with(['+', '-']);
    // Digits that are too large are no infinity.
    ((value.is_finite() || named) && !signed_nan).then_some(value)
}

pub(super) fn string<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [value] = args else {
        return Err(no_overload("string", args));
    };
    Ok(match value {
        Value::Str(_) => value.clone(),
        Value::Bool(b) => Value::string(if *b { "true" } else { "false" }),
        Value::Int(n) => Value::string(n.to_string()),
        Value::Uint(n) => Value::string(n.to_string()),
        Value::Double(n) => Value::string(double_text(*n)),
        Value::BigInt(digits) => Value::string(*digits),
        Value::Bytes(bytes) => {
            machine.spend_bytes(bytes.len())?;
            let text =
                std::str::from_utf8(bytes).map_err(|_| EvalError::invalid("the bytes are no UTF-8 text"))?;
            Value::string(text.to_owned())
        }
        Value::Timestamp(time) => Value::string(time.to_string()),
        Value::Duration(span) => Value::string(span.to_string()),
        _ => return Err(no_overload("string", args)),
    })
}

/// A double as text: as JSON has it, and Go's words for what JSON has not.
pub(super) fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "+Inf".into()
        } else {
            "-Inf".into()
        };
    }
    let mut out = Vec::new();
    write_number(number, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

pub(super) fn bytes<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Bytes(_)] => Ok(args[0].clone()),
        [Value::Str(text)] => {
            machine.spend_bytes(text.len())?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
        _ => Err(no_overload("bytes", args)),
    }
}

pub(super) fn bool<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Bool(b)] => Ok(Value::Bool(*b)),
        [Value::Str(text)] => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            other => Err(not_convertible(other, "bool")),
        },
        _ => Err(no_overload("bool", args)),
    }
}

pub(super) fn timestamp<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Timestamp(match args {
        [Value::Timestamp(time)] => *time,
        [Value::Int(seconds)] => {
            Timestamp::from_seconds(*seconds).ok_or_else(|| EvalError::overflow("timestamp"))?
        }
        [Value::Str(text)] => Timestamp::parse(text).ok_or_else(|| not_convertible(text, "timestamp"))?,
        _ => return Err(no_overload("timestamp", args)),
    }))
}

pub(super) fn duration<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Duration(match args {
        [Value::Duration(span)] => *span,
        [Value::Str(text)] => Duration::parse(text).ok_or_else(|| not_convertible(text, "duration"))?,
        _ => return Err(no_overload("duration", args)),
    }))
}

pub(super) fn kind<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [value] = args else {
        return Err(no_overload("type", args));
    };
    Ok(Value::Type(value.kind()))
}

pub(super) fn dyn_<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [value] = args else {
        return Err(no_overload("dyn", args));
    };
    Ok(value.clone())
}
