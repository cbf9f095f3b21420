//! `format`: cel-go's printf
//! (<https://github.com/google/cel-spec/blob/master/doc/extensions/strings.md#format>).

use std::fmt::Write as _;

use crate::expr::error::EvalError;
use crate::expr::machine::Machine;
use crate::value::Value;

use super::no_overload;

/// The most digits after the point that a clause may ask for, as in cel-go.
const MAX_PRECISION: usize = 100;

pub(super) fn format<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Str(template), list] = args else {
        return Err(no_overload("format", args));
    };
    let Value::List(items) = machine.open(list.clone())? else {
        return Err(no_overload("format", args));
    };
    machine.spend_bytes(template.len())?;
    let mut out = String::new();
    let mut items = items.iter();
    let mut rest: &str = template;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (precision, after) = precision(after)?;
        let mut clause = after.chars();
        let letter = clause
            .next()
            .ok_or_else(|| EvalError::invalid("a format ends after %"))?;
        let item = items
            .next()
            .ok_or_else(|| EvalError::invalid("a format has more clauses than values"))?;
        let start = out.len();
        one(machine, letter, precision, item, &mut out)?;
        machine.spend_bytes(out.len() - start)?;
        rest = clause.as_str();
    }
    out.push_str(rest);
    Ok(Value::string(out))
}

fn precision(clause: &str) -> Result<(usize, &str), EvalError> {
    let Some(digits) = clause.strip_prefix('.') else {
        return Ok((6, clause));
    };
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = digits.strip_suffix(rest).unwrap_or_default();
    match number.parse() {
        Ok(number) if number <= MAX_PRECISION => Ok((number, rest)),
        _ => Err(EvalError::invalid(format!(
            "a format's precision is a number from 0 to {MAX_PRECISION}"
        ))),
    }
}

fn one(
    machine: &mut Machine<'_>,
    letter: char,
    precision: usize,
    item: &Value<'_>,
    out: &mut String,
) -> Result<(), EvalError> {
    let refuse = |clause: &'static str| Err(no_overload(clause, std::slice::from_ref(item)));
    // Writing to a string does not fail.
    let _ = match (letter, item) {
        ('s', _) => return plain(machine, item, out),
        ('d', Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::BigInt(_)) => {
            return plain(machine, item, out);
        }
        ('d', _) => return refuse("%d"),
        ('f' | 'e', _) => {
            let Some(number) = item.as_double() else {
                return refuse(if letter == 'f' { "%f" } else { "%e" });
            };
            if !number.is_finite() {
                out.push_str(not_finite(number));
            } else if letter == 'f' {
                let _ = write!(out, "{number:.precision$}");
            } else {
                scientific(number, precision, out);
            }
            Ok(())
        }
        ('b', Value::Bool(b)) => write!(out, "{}", u8::from(*b)),
        ('b', Value::Int(n)) => write!(out, "{}{:b}", sign(*n), n.unsigned_abs()),
        ('b', Value::Uint(n)) => write!(out, "{n:b}"),
        ('b', _) => return refuse("%b"),
        ('o', Value::Int(n)) => write!(out, "{}{:o}", sign(*n), n.unsigned_abs()),
        ('o', Value::Uint(n)) => write!(out, "{n:o}"),
        ('o', _) => return refuse("%o"),
        ('x', Value::Int(n)) => write!(out, "{}{:x}", sign(*n), n.unsigned_abs()),
        ('X', Value::Int(n)) => write!(out, "{}{:X}", sign(*n), n.unsigned_abs()),
        ('x', Value::Uint(n)) => write!(out, "{n:x}"),
        ('X', Value::Uint(n)) => write!(out, "{n:X}"),
        ('x', Value::Str(text)) => text.bytes().try_for_each(|byte| write!(out, "{byte:02x}")),
        ('X', Value::Str(text)) => text.bytes().try_for_each(|byte| write!(out, "{byte:02X}")),
        ('x', Value::Bytes(bytes)) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        ('X', Value::Bytes(bytes)) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02X}")),
        ('x' | 'X', _) => return refuse("%x"),
        _ => return Err(EvalError::invalid(format!("a format has no clause %{letter}"))),
    };
    Ok(())
}

fn sign(number: i64) -> &'static str {
    if number < 0 { "-" } else { "" }
}

fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// `1.234560e+03`: Rust writes the exponent without a sign and as short as it can.
fn scientific(number: f64, precision: usize, out: &mut String) {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |digits| ('-', digits));
    let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
}

/// `%s`: any value as text. Maps are sorted by their keys' text.
fn plain(machine: &mut Machine<'_>, value: &Value<'_>, out: &mut String) -> Result<(), EvalError> {
    machine.spend(1)?;
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Str(text) => {
            machine.spend_bytes(text.len())?;
            out.push_str(text);
        }
        Value::Bytes(bytes) => {
            machine.spend_bytes(bytes.len())?;
            out.push_str(&String::from_utf8_lossy(bytes));
        }
        Value::Type(kind) => out.push_str(kind.name()),
        Value::Int(n) => out.push_str(itoa::Buffer::new().format(*n)),
        Value::Uint(n) => out.push_str(itoa::Buffer::new().format(*n)),
        Value::BigInt(digits) => out.push_str(digits),
        Value::Double(n) if n.is_finite() => {
            let _ = write!(out, "{n}");
        }
        Value::Double(n) => out.push_str(not_finite(*n)),
        Value::Timestamp(time) => {
            let _ = write!(out, "{time}");
        }
        Value::Duration(span) => {
            let _ = write!(out, "{span}");
        }
        Value::Json(text) => {
            machine.spend_bytes(8 * text.len())?;
            let parsed = crate::value::parse(text, &mut crate::value::ParseLimit::none())?;
            plain(machine, &parsed, out)?;
        }
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                plain(machine, item, out)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for (key, value) in map.entries() {
                let (mut key_text, mut value_text) = (String::new(), String::new());
                plain(machine, key, &mut key_text)?;
                plain(machine, value, &mut value_text)?;
                entries.push((key_text, value_text));
            }
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                let _ = write!(out, "{}{key}: {value}", if at > 0 { ", " } else { "" });
            }
            out.push('}');
        }
    }
    Ok(())
}
