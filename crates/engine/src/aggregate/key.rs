//! Values as bytes that sort as the values do: the keys of groups, in memory and in a store.
//!
//! null < bool < number < string < bytes < timestamp < duration < list < map. Numbers go by value, whatever their
//! type, so that 5 and 5.0 are one key; NaN, which equals nothing in expressions, is one key here, after all others.
//! Values that are equal give equal bytes, and a value's bytes never begin another's.

use std::cmp::Ordering;

use crate::expr::{EvalError, Numbers};
use crate::value::{Duration, Map, ParseLimit, Timestamp, Value, parse};

use super::stored::digits;

const END: u8 = 0;
const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const STR: u8 = 5;
const BYTES: u8 = 6;
const TIMESTAMP: u8 = 7;
const DURATION: u8 = 8;
const LIST: u8 = 9;
const MAP: u8 = 10;

/// The number is its double, or is less or greater than it, and its digits follow.
const LESS: u8 = 1;
const EXACT: u8 = 2;
const GREATER: u8 = 3;

/// The longest key, in bytes: stores have a limit, and a key is kept with every group.
pub(super) const MAX_KEY: usize = 16 * 1024;

/// The longest value that `countDistinct` tells from others, in bytes of a key. Only its hash is kept.
pub(super) const MAX_COUNTED: usize = 1 << 20;

/// How deep a key may nest.
const MAX_NESTING: u32 = 64;

/// Appends a value, up to so many bytes in all. On an error `out` may end in a part of it.
pub(super) fn write(value: &Value<'_>, out: &mut Vec<u8>, most: usize) -> Result<(), EvalError> {
    write_at(value, out, most, MAX_NESTING)?;
    if out.len() > most {
        return Err(too_long(most));
    }
    Ok(())
}

fn write_at(value: &Value<'_>, out: &mut Vec<u8>, most: usize, depth: u32) -> Result<(), EvalError> {
    if out.len() > most {
        return Err(too_long(most));
    }
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Double(number) => write_double(*number, out),
        Value::Int(number) => write_integer(itoa::Buffer::new().format(*number), value, out),
        Value::Uint(number) => write_integer(itoa::Buffer::new().format(*number), value, out),
        Value::BigInt(digits) => write_integer(digits, value, out),
        Value::Str(text) => write_text(STR, text.as_bytes(), out),
        Value::Bytes(bytes) => write_text(BYTES, bytes, out),
        Value::Timestamp(time) => {
            out.push(TIMESTAMP);
            // The sign bit turned over sorts negative numbers first.
            out.extend_from_slice(&(time.nanos() ^ i128::MIN).to_be_bytes());
        }
        Value::Duration(span) => {
            out.push(DURATION);
            out.extend_from_slice(&(span.0 ^ i64::MIN).to_be_bytes());
        }
        Value::Json(text) => {
            let mut limit = ParseLimit { values: most as u64 };
            write_at(&parse(text, &mut limit)?, out, most, depth)?;
        }
        Value::List(items) => {
            let depth = depth.checked_sub(1).ok_or(crate::value::NotJson::TooDeep)?;
            out.push(LIST);
            for item in items.iter() {
                write_at(item, out, most, depth)?;
            }
            out.push(END);
        }
        Value::Map(map) => {
            let depth = depth.checked_sub(1).ok_or(crate::value::NotJson::TooDeep)?;
            out.push(MAP);
            let mut entries = Vec::with_capacity(map.len());
            for (key, value) in map.entries() {
                let mut bytes = Vec::new();
                write_at(key, &mut bytes, most, depth)?;
                entries.push((bytes, value));
            }
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, value) in entries {
                out.extend_from_slice(&key);
                write_at(value, out, most, depth)?;
            }
            out.push(END);
        }
        Value::Type(_) => return Err(crate::value::NotJson::Type(value.kind()).into()),
    }
    Ok(())
}

fn too_long(most: usize) -> EvalError {
    EvalError::invalid(format!(
        "a group's key, or a value to be counted, is more than {most} bytes"
    ))
}

/// A double's bits, so that they sort as the doubles do.
pub(super) fn ordered(number: f64) -> u64 {
    let bits = if number == 0.0 {
        0
    } else if number.is_nan() {
        f64::NAN.to_bits() & !(1 << 63)
    } else {
        number.to_bits()
    };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The double that bits stand for.
pub(super) fn unordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

fn write_double(number: f64, out: &mut Vec<u8>) {
    out.push(NUMBER);
    out.extend_from_slice(&ordered(number).to_be_bytes());
    out.push(EXACT);
}

fn write_integer(digits: &str, value: &Value<'_>, out: &mut Vec<u8>) {
    let double = value.as_double().unwrap_or(f64::NAN);
    let place = match value.order(&Value::Double(double)) {
        Some(Ordering::Less) => LESS,
        Some(Ordering::Greater) => GREATER,
        _ => return write_double(double, out),
    };
    out.push(NUMBER);
    out.extend_from_slice(&ordered(double).to_be_bytes());
    out.push(place);
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits.trim_start_matches('0')),
        None => (false, digits.trim_start_matches('0')),
    };
    // More digits are a greater number, unless it is negative.
    let flip = if negative { 0xff } else { 0 };
    let len = u32::try_from(digits.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend(len.iter().chain(digits.as_bytes()).map(|byte| byte ^ flip));
    // And as they are read again.
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(digits.as_bytes());
}

/// Text whose zeros are doubled, and that ends in a single one: a text sorts before those that it begins.
fn write_text(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// The values of a key. Numbers of the key itself become ints or uints where its expression only gives those.
pub(super) fn read_all(mut key: &[u8], numbers: impl Iterator<Item = Numbers>) -> Option<Vec<Value<'_>>> {
    let mut values = Vec::new();
    for numbers in numbers {
        let value = read(&mut key, MAX_NESTING)?;
        values.push(match (numbers, value.as_integer()) {
            (Numbers::Int, Some(number)) => i64::try_from(number).map_or(value, Value::Int),
            (Numbers::Uint, Some(number)) => u64::try_from(number).map_or(value, Value::Uint),
            _ => value,
        });
    }
    key.is_empty().then_some(values)
}

fn read<'a>(from: &mut &'a [u8], depth: u32) -> Option<Value<'a>> {
    let tag = *from.split_off_first()?;
    Some(match tag {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        NUMBER => read_number(from)?,
        STR => Value::string(String::from_utf8(read_text(from)?).ok()?),
        BYTES => Value::Bytes(read_text(from)?.into()),
        TIMESTAMP => {
            let nanos = i128::from_be_bytes(super::stored::take(from)?) ^ i128::MIN;
            Value::Timestamp(Timestamp::from_nanos(nanos)?)
        }
        DURATION => Value::Duration(Duration(
            i64::from_be_bytes(super::stored::take(from)?) ^ i64::MIN,
        )),
        LIST => {
            let depth = depth.checked_sub(1)?;
            let mut items = Vec::new();
            while *from.first()? != END {
                items.push(read(from, depth)?);
            }
            from.split_off_first()?;
            Value::list(items)
        }
        MAP => {
            let depth = depth.checked_sub(1)?;
            let mut entries = Vec::new();
            while *from.first()? != END {
                let key = match read(from, depth)? {
                    // Keys of maps are never doubles.
                    Value::Double(number) => Value::Int(crate::value::double_to_int(number)?),
                    other => other,
                };
                entries.push((key, read(from, depth)?));
            }
            from.split_off_first()?;
            Value::Map(Map::new(entries).into())
        }
        _ => return None,
    })
}

fn read_number<'a>(from: &mut &'a [u8]) -> Option<Value<'a>> {
    let double = unordered(u64::from_be_bytes(super::stored::take(from)?));
    if *from.split_off_first()? == EXACT {
        return Some(Value::Double(double));
    }
    let flip = if double < 0.0 { 0xff } else { 0 };
    let len = super::stored::take::<4>(from)?.map(|byte| byte ^ flip);
    let len = usize::try_from(u32::from_be_bytes(len)).ok()?;
    from.split_off(..len)?;
    let text = from.split_off(..len + usize::from(double < 0.0))?;
    Some(Value::BigInt(digits(std::str::from_utf8(text).ok()?)?))
}

fn read_text(from: &mut &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let at = memchr::memchr(0, from)?;
        out.extend_from_slice(from.split_off(..at)?);
        match *from.split_off(..2)? {
            [_, 0xff] => out.push(0),
            [_, 0] => return Some(out),
            _ => return None,
        }
    }
}
