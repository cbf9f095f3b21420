//! Values that outlive the message that they came from, as bytes: what `first`, `min`, `collect` and `previous` keep.

use crate::expr::EvalError;
use crate::value::{Duration, MAX_DEPTH, Map, Timestamp, Value};

/// How deep a value may nest: what an expression can make, and so all that was ever written.
const MAX_NESTING: u32 = 3 * MAX_DEPTH;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const UINT: u8 = 4;
const DOUBLE: u8 = 5;
const DIGITS: u8 = 6;
const STR: u8 = 7;
const BYTES: u8 = 8;
const TIMESTAMP: u8 = 9;
const DURATION: u8 = 10;
const JSON: u8 = 11;
const LIST: u8 = 12;
const MAP: u8 = 13;

/// Appends a value. On an error `out` may end in a part of it.
pub(super) fn write(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(n) => fixed(INT, n.to_be_bytes(), out),
        Value::Uint(n) => fixed(UINT, n.to_be_bytes(), out),
        Value::Double(n) => fixed(DOUBLE, n.to_be_bytes(), out),
        Value::BigInt(digits) => text(DIGITS, digits.as_bytes(), out),
        Value::Str(string) => text(STR, string.as_bytes(), out),
        Value::Bytes(bytes) => text(BYTES, bytes, out),
        Value::Timestamp(time) => fixed(TIMESTAMP, time.nanos().to_be_bytes(), out),
        Value::Duration(span) => fixed(DURATION, span.0.to_be_bytes(), out),
        Value::Json(_) => {
            let mut compact = Vec::new();
            value.write_json(&mut compact)?;
            text(JSON, &compact, out);
        }
        Value::List(items) => {
            fixed(LIST, size(items.len()), out);
            for item in items.iter() {
                write(item, out)?;
            }
        }
        Value::Map(map) => {
            fixed(MAP, size(map.len()), out);
            for (key, value) in map.entries() {
                write(key, out)?;
                write(value, out)?;
            }
        }
        Value::Type(_) => return Err(crate::value::NotJson::Type(value.kind()).into()),
    }
    Ok(())
}

fn size(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

fn fixed<const N: usize>(tag: u8, bytes: [u8; N], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&bytes);
}

fn text(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    fixed(tag, size(bytes.len()), out);
    out.extend_from_slice(bytes);
}

/// Takes a value off the front of bytes; `None` if there is none.
pub(super) fn read<'a>(from: &mut &'a [u8]) -> Option<Value<'a>> {
    read_at(from, MAX_NESTING)
}

fn read_at<'a>(from: &mut &'a [u8], depth: u32) -> Option<Value<'a>> {
    let tag = *from.split_off_first()?;
    Some(match tag {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => Value::Int(i64::from_be_bytes(take(from)?)),
        UINT => Value::Uint(u64::from_be_bytes(take(from)?)),
        DOUBLE => Value::Double(f64::from_be_bytes(take(from)?)),
        DIGITS => Value::BigInt(digits(string(from)?)?),
        STR => Value::string(string(from)?),
        BYTES => Value::Bytes(counted(from)?.into()),
        TIMESTAMP => Value::Timestamp(Timestamp::from_nanos(i128::from_be_bytes(take(from)?))?),
        DURATION => Value::Duration(Duration(i64::from_be_bytes(take(from)?))),
        JSON => Value::Json(string(from)?),
        LIST => {
            let depth = depth.checked_sub(1)?;
            let count = u32::from_be_bytes(take(from)?);
            let mut items = Vec::with_capacity(usable(count, from));
            for _ in 0..count {
                items.push(read_at(from, depth)?);
            }
            Value::list(items)
        }
        MAP => {
            let depth = depth.checked_sub(1)?;
            let count = u32::from_be_bytes(take(from)?);
            let mut entries = Vec::with_capacity(usable(count, from));
            for _ in 0..count {
                let key = read_at(from, depth)?;
                entries.push((key, read_at(from, depth)?));
            }
            Value::Map(Map::new(entries).into())
        }
        _ => return None,
    })
}

/// So many values take at least as many bytes: no more room is made than these could need.
fn usable(count: u32, from: &[u8]) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).min(from.len())
}

/// An integer's digits, as JSON has them.
pub(super) fn digits(text: &str) -> Option<&str> {
    let bare = text.strip_prefix('-').unwrap_or(text);
    (!bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// Takes bytes of a fixed number off the front.
pub(super) fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    from.split_off(..N)?.first_chunk().copied()
}

/// Takes bytes off the front that their number stands before.
pub(super) fn counted<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(u32::from_be_bytes(take(from)?)).ok()?;
    from.split_off(..len)
}

fn string<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(counted(from)?).ok()
}
