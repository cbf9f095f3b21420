//! JSON text into values, when an expression looks into an array or object that the decoder left as text.
//!
//! The decoder has checked the text already, so errors here mean a caller that did not; they are still errors and
//! never panics.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Map, Text, Value};

/// How deep arrays and objects may nest: the decoder's limit, and what bounds every recursion over values.
pub(crate) const MAX_DEPTH: u32 = 128;

/// The largest integer up to which every integer is a double.
const EXACT: u64 = 1 << 53;

/// What parsing may cost, in values made.
pub(crate) struct ParseLimit {
    /// Values left.
    pub(crate) values: u64,
}

impl ParseLimit {
    /// Bounded only by the text.
    pub(crate) fn none() -> ParseLimit {
        ParseLimit { values: u64::MAX }
    }
}

/// Why text did not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// It is not JSON, or nests too deep.
    Invalid,
    /// The limit is spent.
    Limit,
}

/// Parses one JSON text. Integers beyond 2^53 keep their digits, other numbers are doubles.
pub(crate) fn parse<'a>(text: &'a str, limit: &mut ParseLimit) -> Result<Value<'a>, ParseError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(limit, MAX_DEPTH)?;
    reader.space();
    if reader.at == text.len() {
        Ok(value)
    } else {
        Err(ParseError::Invalid)
    }
}

/// The text of a member of an object, found without parsing the rest. `None` if it is no object or has no such
/// member.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    reader.expect(b'{').ok()?;
    reader.space();
    while reader.peek() == Some(b'"') {
        let key = reader.string().ok()?;
        reader.space();
        reader.expect(b':').ok()?;
        reader.space();
        let start = reader.at;
        reader.skip().ok()?;
        if key == name {
            return text.get(start..reader.at);
        }
        reader.space();
        if reader.expect(b',').is_err() {
            break;
        }
        reader.space();
    }
    None
}

/// The text of one element of an array, found without parsing the rest.
pub(crate) fn element(text: &str, index: usize) -> Option<&str> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    reader.expect(b'[').ok()?;
    reader.space();
    let mut at = 0;
    while !matches!(reader.peek(), None | Some(b']')) {
        let start = reader.at;
        reader.skip().ok()?;
        if at == index {
            return text.get(start..reader.at);
        }
        at += 1;
        reader.space();
        reader.expect(b',').ok()?;
        reader.space();
    }
    None
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        if self.peek() != Some(byte) {
            return Err(ParseError::Invalid);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, ParseError> {
        let rest = self.text.get(self.at..).ok_or(ParseError::Invalid)?;
        if !rest.starts_with(word) {
            return Err(ParseError::Invalid);
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, limit: &mut ParseLimit, depth: u32) -> Result<Value<'a>, ParseError> {
        limit.values = limit.values.checked_sub(1).ok_or(ParseError::Limit)?;
        self.space();
        match self.peek().ok_or(ParseError::Invalid)? {
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'"' => Ok(Value::Str(match self.string()? {
                Cow::Borrowed(text) => Text::Borrowed(text),
                Cow::Owned(text) => Text::Shared(text.into()),
            })),
            b'[' => self.array(limit, depth.checked_sub(1).ok_or(ParseError::Invalid)?),
            b'{' => self.object(limit, depth.checked_sub(1).ok_or(ParseError::Invalid)?),
            _ => self.number(),
        }
    }

    fn array(&mut self, limit: &mut ParseLimit, depth: u32) -> Result<Value<'a>, ParseError> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.space();
        if self.expect(b']').is_err() {
            loop {
                items.push(self.value(limit, depth)?);
                self.space();
                if self.expect(b',').is_err() {
                    break;
                }
            }
            self.expect(b']')?;
        }
        Ok(Value::List(Arc::new(items)))
    }

    fn object(&mut self, limit: &mut ParseLimit, depth: u32) -> Result<Value<'a>, ParseError> {
        self.expect(b'{')?;
        let mut entries = Vec::new();
        self.space();
        if self.expect(b'}').is_err() {
            loop {
                self.space();
                let key = match self.string()? {
                    Cow::Borrowed(text) => Text::Borrowed(text),
                    Cow::Owned(text) => Text::Shared(text.into()),
                };
                self.space();
                self.expect(b':')?;
                entries.push((Value::Str(key), self.value(limit, depth)?));
                self.space();
                if self.expect(b',').is_err() {
                    break;
                }
            }
            self.expect(b'}')?;
        }
        Ok(Value::Map(Arc::new(Map::new(entries))))
    }

    fn number(&mut self) -> Result<Value<'a>, ParseError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = self.text.get(start..self.at).ok_or(ParseError::Invalid)?;
        if text.contains(['.', 'e', 'E']) {
            let number: f64 = text.parse().map_err(|_| ParseError::Invalid)?;
            return if number.is_finite() {
                Ok(Value::Double(number))
            } else {
                Err(ParseError::Invalid)
            };
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseError::Invalid);
        }
        match text.parse::<i64>() {
            #[allow(clippy::cast_precision_loss)] // within 2^53 there is none
            Ok(n) if n.unsigned_abs() <= EXACT => {
                Ok(Value::Double(if text == "-0" { -0.0 } else { n as f64 }))
            }
            _ => Ok(Value::BigInt(text)),
        }
    }

    /// A string at the cursor, unescaped; borrowed where there is nothing to unescape.
    fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        self.expect(b'"')?;
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).ok_or(ParseError::Invalid)?;
        let plain = memchr::memchr2(b'"', b'\\', rest).ok_or(ParseError::Invalid)?;
        self.at = start + plain;
        let head = self.text.get(start..self.at).ok_or(ParseError::Invalid)?;
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(head));
        }
        let mut out = head.to_owned();
        loop {
            let from = self.at;
            let rest = self.text.as_bytes().get(from..).ok_or(ParseError::Invalid)?;
            self.at = from + memchr::memchr2(b'"', b'\\', rest).ok_or(ParseError::Invalid)?;
            out.push_str(self.text.get(from..self.at).ok_or(ParseError::Invalid)?);
            let quote = self.peek() == Some(b'"');
            self.at += 1;
            if quote {
                return Ok(Cow::Owned(out));
            }
            let escape = self.peek().ok_or(ParseError::Invalid)?;
            self.at += 1;
            out.push(match escape {
                b'"' | b'\\' | b'/' => char::from(escape),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.unicode()?,
                _ => return Err(ParseError::Invalid),
            });
        }
    }

    /// What follows `\u`. A surrogate without its other half becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, ParseError> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high) && self.text.get(self.at..self.at + 2) == Some("\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, ParseError> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(ParseError::Invalid)?;
        self.at += 4;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseError::Invalid);
        }
        u32::from_str_radix(digits, 16).map_err(|_| ParseError::Invalid)
    }

    /// Moves past one value. Brackets are counted, not matched: the text is known to be valid.
    fn skip(&mut self) -> Result<(), ParseError> {
        let mut depth = 0usize;
        loop {
            match self.peek().ok_or(ParseError::Invalid)? {
                b'"' => self.skip_string()?,
                b'[' | b'{' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b']' | b'}' => {
                    depth = depth.checked_sub(1).ok_or(ParseError::Invalid)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
                    while self.peek().is_some_and(inside) {
                        self.at += 1;
                    }
                }
                _ => return Err(ParseError::Invalid),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), ParseError> {
        self.expect(b'"')?;
        loop {
            let rest = self.text.as_bytes().get(self.at..).ok_or(ParseError::Invalid)?;
            let stop = memchr::memchr2(b'"', b'\\', rest).ok_or(ParseError::Invalid)?;
            let quote = rest.get(stop) == Some(&b'"');
            self.at += stop + if quote { 1 } else { 2 };
            if quote {
                return Ok(());
            }
        }
    }
}
