//! One line of a recording, and what is wrong with it in the words of who wrote it.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Content, Record, seconds};

const KEYS: [&str; 5] = ["at", "data", "data_base64", "topic", "deadLetter"];

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where, in characters from 1.
    pub(super) column: usize,
    pub(super) length: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    fn new(column: usize, message: impl Into<String>) -> Self {
        Self {
            column,
            length: 1,
            message: message.into(),
            help: None,
        }
    }
}

/// The members of an object as they stand in the text, repeats included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Reads a line.
pub(super) fn parse(text: &str, line: usize) -> Result<Record, Fault> {
    // The column of a part of the text.
    let column = |part: &str| {
        let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        text.get(..offset).map_or(1, |before| before.chars().count() + 1)
    };
    let Members(members) = serde_json::from_str(text).map_err(|e| syntax(text, &e))?;
    for (at, (key, value)) in members.iter().enumerate() {
        let fault = |message| Fault::new(column(value.get()), message);
        if !KEYS.contains(&key.as_ref()) {
            let message = format!("there is no `{key}` here: a line has {}", KEYS.join(", "));
            return Err(fault(message));
        }
        if members[..at].iter().any(|(other, _)| other == key) {
            return Err(fault(format!("`{key}` is given twice")));
        }
    }
    let get = |name: &str| {
        members
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    };
    let wrong = |name: &str, value: &RawValue, wanted: &str| Fault {
        length: value.get().chars().count(),
        ..Fault::new(
            column(value.get()),
            format!(
                "`{name}` must be {wanted}: this is {}, not {wanted}",
                what(value.get())
            ),
        )
    };
    let string = |name: &str| -> Result<Option<String>, Fault> {
        get(name)
            .map(|value| serde_json::from_str(value.get()).map_err(|_| wrong(name, value, "a string")))
            .transpose()
    };
    let Some(at) = get("at") else {
        return Err(Fault::new(1, "`at` is missing: the time in seconds, from 0"));
    };
    if !at.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(wrong("at", at, "a number"));
    }
    let time = seconds::parse(at.get()).map_err(|message| Fault {
        length: at.get().chars().count(),
        help: Some("write it in seconds with at most 6 decimals, from 0".to_owned()),
        ..Fault::new(column(at.get()), message)
    })?;
    let data = match (get("data"), get("data_base64")) {
        (Some(json), None) => Content::Json(json.get().to_owned()),
        (None, Some(value)) => {
            let text = string("data_base64")?.unwrap_or_default();
            let bytes = STANDARD.decode(text).map_err(|_| Fault {
                help: Some("with padding, as `base64` writes it".to_owned()),
                ..Fault::new(column(value.get()), "`data_base64` is not base64")
            })?;
            Content::Bytes(bytes)
        }
        (None, None) => {
            return Err(Fault::new(
                1,
                "`data` is missing (or `data_base64`, for bytes that are no JSON)",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Fault::new(
                1,
                "has both `data` and `data_base64`: one message has one of them",
            ));
        }
    };
    Ok(Record {
        at: time,
        data,
        topic: string("topic")?,
        dead_letter: string("deadLetter")?,
        line,
    })
}

/// What a JSON text is.
fn what(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The JSON reader's complaint in plain words, and its place in characters.
fn syntax(text: &str, error: &serde_json::Error) -> Fault {
    let trimmed = text.trim_start();
    if trimmed.starts_with('\u{feff}') {
        return Fault::new(1, "begins with a byte order mark, which is no JSON; remove it");
    }
    let bytes = error.column().saturating_sub(1).min(text.len());
    let column = String::from_utf8_lossy(&text.as_bytes()[..bytes]).chars().count() + 1;
    if error.classify() == Category::Data {
        return Fault::new(1, format!("the line is {}, not an object", what(trimmed)));
    }
    if error.classify() == Category::Eof {
        let message = "the line ends before its JSON does: a quote, bracket or brace is not closed";
        return Fault::new(column, message);
    }
    let told = error.to_string();
    let says = |part: &str| told.starts_with(part);
    let message = if says("trailing characters") {
        "there is more after the object; a line holds one"
    } else if says("trailing comma") {
        "a comma before the end of an object or a list is no JSON"
    } else if says("key must be a string") {
        "not JSON: a key stands in double quotes"
    } else if says("expected `,`") {
        "not JSON: a comma or the end of the object or list is missing here"
    } else if says("expected `:`") {
        "not JSON: a colon is missing here"
    } else if says("invalid number") || says("number out of range") {
        "not JSON: a number is written as 5, -0.5 or 1e3"
    } else if says("invalid escape") || says("lone leading surrogate") || says("unexpected end of hex") {
        "not JSON: a string has an escape that there is none of"
    } else if says("control character") {
        "not JSON: a string has a control character, which must be escaped as in \\n or \\u0000"
    } else if says("recursion limit") {
        "nested too deep"
    } else {
        "this is not JSON"
    };
    Fault::new(column, message)
}
