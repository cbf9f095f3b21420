//! Values as JSON: what recipients get.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::parse::MAX_DEPTH;
use super::{Kind, Value};

/// A value that JSON has no form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// NaN or an infinity.
    #[error("JSON has no number for {0}")]
    NotFinite(&'static str),
    /// A value of this type.
    #[error("JSON has no form for a value of type {0}")]
    Type(Kind),
    /// Two keys that are different values and the same text, such as `1` and `"1"`.
    #[error("two keys of a map are the same as text")]
    RepeatedKey,
    /// Lists and maps in each other beyond what a message may have.
    #[error("the value nests more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// More text than any recipient takes.
    #[error("the value is more than {MAX_SIZE} bytes of JSON")]
    TooLarge,
}

/// The most JSON that one value may become, in bytes. What an expression repeats costs nothing until it is written.
const MAX_SIZE: usize = 16 << 20;

/// Doubles below this print as integers where they are integral, as ECMAScript prints them.
const PLAIN: f64 = 1e21;

/// 2^53: every integer below has a double of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Value<'_> {
    /// Appends the value as compact JSON, on one line. Integral doubles print without `.0`, bytes as base64,
    /// timestamps as RFC 3339, durations as seconds (`"1.5s"`), map keys as strings.
    ///
    /// On an error `out` may hold a part of the value; callers cut it off.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        self.write_json_at(out, 0)
    }

    /// The same for a value inside so many lists and maps that are written already.
    pub(crate) fn write_json_at(&self, out: &mut Vec<u8>, depth: u32) -> Result<(), NotJson> {
        let left = MAX_DEPTH.checked_sub(depth).ok_or(NotJson::TooDeep)?;
        self.write(out, out.len().saturating_add(MAX_SIZE), left)
    }

    fn write(&self, out: &mut Vec<u8>, end: usize, depth: u32) -> Result<(), NotJson> {
        if out.len() > end {
            return Err(NotJson::TooLarge);
        }
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Value::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Value::Double(n) if n.is_nan() => return Err(NotJson::NotFinite("NaN")),
            Value::Double(n) if n.is_infinite() => return Err(NotJson::NotFinite("infinity")),
            Value::Double(n) => write_number(*n, out),
            Value::BigInt(digits) => out.extend_from_slice(digits.as_bytes()),
            Value::Str(text) => write_string(text, out),
            Value::Bytes(bytes) => write_string(&STANDARD.encode(bytes), out),
            Value::Timestamp(time) => write_string(&time.to_string(), out),
            Value::Duration(span) => write_string(&span.to_string(), out),
            Value::Type(_) => return Err(NotJson::Type(Kind::Type)),
            Value::Json(text) => compact(text, out, depth)?,
            Value::List(items) => {
                let depth = depth.checked_sub(1).ok_or(NotJson::TooDeep)?;
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out, end, depth)?;
                }
                out.push(b']');
            }
            Value::Map(map) => {
                let depth = depth.checked_sub(1).ok_or(NotJson::TooDeep)?;
                if map.has_repeated_names() {
                    return Err(NotJson::RepeatedKey);
                }
                out.push(b'{');
                for (at, (key, value)) in map.entries().iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    key.write_key(out);
                    out.push(b':');
                    value.write(out, end, depth)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }

    /// The text of a map's key as the name of a JSON member.
    pub(super) fn name(&self) -> String {
        match self {
            Value::Bool(b) => b.to_string(),
            Value::Int(n) => n.to_string(),
            Value::Uint(n) => n.to_string(),
            Value::Str(text) => text.to_string(),
            _ => String::new(),
        }
    }

    /// The value as the name of a JSON member. Map keys are bools, integers and strings only.
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        match self {
            Value::Str(text) => write_string(text, out),
            other => write_string(&other.name(), out),
        }
    }
}

/// Appends a finite double: an integral one without `.0`, others as the shortest text that reads back as the same
/// double.
pub(crate) fn write_number(number: f64, out: &mut Vec<u8>) {
    // The nearest integer to a double below 2^53 is the double itself, if it is integral: rounding takes a call
    // where the processor may be an old one.
    #[allow(clippy::cast_possible_truncation)]
    let nearest = number as i64;
    #[allow(clippy::cast_precision_loss, clippy::float_cmp)] // integral, not nearly so
    let small = number.abs() < EXACT && nearest as f64 == number;
    #[allow(clippy::float_cmp)]
    let integral = small || number.trunc() == number;
    if integral && number.abs() < PLAIN {
        if number == 0.0 && number.is_sign_negative() {
            out.push(b'-');
        }
        let mut buffer = itoa::Buffer::new();
        #[allow(clippy::cast_possible_truncation)]
        let digits = if small {
            buffer.format(nearest)
        } else {
            buffer.format(number as i128)
        };
        out.extend_from_slice(digits.as_bytes());
    } else {
        out.extend_from_slice(zmij::Buffer::new().format(number).as_bytes());
    }
}

/// Appends a JSON string.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    loop {
        let at = crate::json::special(bytes, done);
        out.extend_from_slice(bytes.get(done..at).unwrap_or_default());
        done = at + 1;
        let Some(byte) = bytes.get(at) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            other => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(other >> 4)]);
                out.push(HEX[usize::from(other & 15)]);
            }
        }
    }
    out.push(b'"');
}

/// Appends JSON text without the space between its tokens, and with its numbers as [`write_number`] has them, so
/// that looking into a value or passing it through makes no difference.
fn compact(text: &str, out: &mut Vec<u8>, mut depth: u32) -> Result<(), NotJson> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'"' => at = string_end(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'-' | b'0'..=b'9' => {
                while matches!(
                    bytes.get(at),
                    Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
                ) {
                    at += 1;
                }
                let number = text.get(start..at).unwrap_or_default();
                if number.contains(['.', 'e', 'E'])
                    && let Ok(value) = number.parse::<f64>()
                    && value.is_finite()
                {
                    write_number(value, out);
                    continue;
                }
            }
            b'[' | b'{' => {
                depth = depth.checked_sub(1).ok_or(NotJson::TooDeep)?;
                at += 1;
            }
            b']' | b'}' => {
                depth = depth.saturating_add(1);
                at += 1;
            }
            _ => at += 1,
        }
        out.extend_from_slice(bytes.get(start..at).unwrap_or_default());
    }
    Ok(())
}

/// Where the string that starts at `at` ends.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        let Some(stop) = bytes
            .get(at..)
            .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
        else {
            return bytes.len();
        };
        at += stop;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
}
