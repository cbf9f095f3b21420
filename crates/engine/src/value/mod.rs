//! Values: what expressions read from messages, compute with and leave behind for a recipient.
//!
//! A value borrows from the message or the program wherever it can; lists and maps are shared, never copied.
//! JSON that is only passed through stays the text it was.

mod compare;
mod hash;
mod json;
mod map;
mod number;
mod parse;
mod time;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::field::Field;

pub(crate) use compare::{Meter, OrderClass};
pub use json::NotJson;
pub(crate) use json::{write_number, write_string};
pub use map::Map;
pub(crate) use number::{double_to_int, double_to_uint};
pub(crate) use parse::{MAX_DEPTH, ParseError, ParseLimit, element, member, parse};
pub use time::{Duration, Timestamp};

/// A string: a part of a message or program, or one that an expression made.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Lives in the message or the program.
    Borrowed(&'a str),
    /// Was made by an expression.
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text::Shared(text.into())
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text::Borrowed(text)
    }
}

/// A CEL value (<https://github.com/google/cel-spec/blob/master/doc/langdef.md#values>).
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit signed integer. Numbers in messages are never this: they are doubles.
    Int(i64),
    /// A 64-bit unsigned integer.
    Uint(u64),
    /// A double: every JSON number that it holds exactly enough.
    Double(f64),
    /// A JSON integer beyond 2^53, as its digits. It is a `double` to expressions, but is compared and printed
    /// exactly.
    BigInt(&'a str),
    /// A string.
    Str(Text<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<Vec<Value<'a>>>),
    /// A map.
    Map(Arc<Map<'a>>),
    /// A JSON array or object that nothing has looked into yet, as its text.
    Json(&'a str),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(Duration),
    /// A type, as `type(x)` gives it.
    Type(Kind),
}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null_type`
    Null,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `uint`
    Uint,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `list`
    List,
    /// `map`
    Map,
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// `google.protobuf.Duration`
    Duration,
    /// `type`
    Type,
}

impl Kind {
    /// All of them, in the order in which messages list them.
    pub const ALL: [Kind; 12] = [
        Kind::Null,
        Kind::Bool,
        Kind::Int,
        Kind::Uint,
        Kind::Double,
        Kind::String,
        Kind::Bytes,
        Kind::List,
        Kind::Map,
        Kind::Timestamp,
        Kind::Duration,
        Kind::Type,
    ];

    /// The name that an expression uses for the type.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Null => "null_type",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Uint => "uint",
            Kind::Double => "double",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::List => "list",
            Kind::Map => "map",
            Kind::Timestamp => "google.protobuf.Timestamp",
            Kind::Duration => "google.protobuf.Duration",
            Kind::Type => "type",
        }
    }

    /// The word for the type in a message to a person.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Timestamp => "timestamp",
            Kind::Duration => "duration",
            other => other.name(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl<'a> Value<'a> {
    /// The value's type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Int(_) => Kind::Int,
            Value::Uint(_) => Kind::Uint,
            Value::Double(_) | Value::BigInt(_) => Kind::Double,
            Value::Str(_) => Kind::String,
            Value::Bytes(_) => Kind::Bytes,
            Value::List(_) => Kind::List,
            Value::Json(text) if text.trim_ascii_start().starts_with('[') => Kind::List,
            Value::Map(_) | Value::Json(_) => Kind::Map,
            Value::Timestamp(_) => Kind::Timestamp,
            Value::Duration(_) => Kind::Duration,
            Value::Type(_) => Kind::Type,
        }
    }

    /// What a filter makes of the value: nothing but a bool is true or false.
    pub fn truthy(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The value of a field that is there; `None` for one that is not.
    pub fn from_field(field: Field<'a>) -> Option<Value<'a>> {
        Some(match field {
            Field::Absent => return None,
            Field::Null => Value::Null,
            Field::Bool(b) => Value::Bool(b),
            Field::Number(n) => Value::Double(n),
            Field::BigInt(digits) => Value::BigInt(digits),
            Field::Str(text) => Value::Str(Text::Borrowed(text)),
            Field::Json(text) => Value::Json(text),
        })
    }

    /// A string that an expression made.
    pub(crate) fn string(text: impl Into<Text<'a>>) -> Value<'a> {
        Value::Str(text.into())
    }

    /// A list that an expression made.
    pub(crate) fn list(items: Vec<Value<'a>>) -> Value<'a> {
        Value::List(Arc::new(items))
    }
}

impl Value<'_> {
    /// The value on its own, if it is one that a program can keep: no part of a message.
    pub(crate) fn into_static(self) -> Option<Value<'static>> {
        Some(match self {
            Value::Null => Value::Null,
            Value::Bool(b) => Value::Bool(b),
            Value::Int(n) => Value::Int(n),
            Value::Uint(n) => Value::Uint(n),
            Value::Double(n) => Value::Double(n),
            Value::Str(text) => Value::Str(Text::Shared(match text {
                Text::Borrowed(text) => text.into(),
                Text::Shared(text) => text,
            })),
            Value::Bytes(bytes) => Value::Bytes(bytes),
            Value::Timestamp(time) => Value::Timestamp(time),
            Value::Duration(span) => Value::Duration(span),
            Value::Type(kind) => Value::Type(kind),
            Value::List(items) => {
                let items: Option<_> = items.iter().cloned().map(Value::into_static).collect();
                Value::list(items?)
            }
            Value::Map(map) => {
                let pair = |(key, value): &(Value<'_>, Value<'_>)| {
                    Some((key.clone().into_static()?, value.clone().into_static()?))
                };
                let entries: Option<_> = map.entries().iter().map(pair).collect();
                Value::Map(Map::new(entries?).into())
            }
            Value::BigInt(_) | Value::Json(_) => return None,
        })
    }
}
