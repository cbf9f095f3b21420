//! Lines of recorded messages and deliveries: `{"at": seconds, "data": ...}`.

use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use streaming_engine::time::Time;

use crate::load::{Mark, Source};
use crate::report::{Finding, Place};

/// Seconds of a virtual clock that can be said: past any pipeline, and far from overflowing microseconds.
const MAX_SECONDS: f64 = 1e12;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// When, on the virtual clock that starts at 0.
    pub(crate) at: Time,
    /// What.
    pub(crate) data: Content,
    /// For input of a Stream whose topic has wildcards: the topic that it is published to.
    pub(crate) topic: Option<String>,
    /// For a dead letter: why. Compared only where the expected line says it.
    pub(crate) dead_letter: Option<String>,
    /// The line it stands on, from 1; 0 if it stands in no file.
    pub(crate) line: usize,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// JSON, as its text.
    Json(String),
    /// Bytes that are no JSON.
    Bytes(Vec<u8>),
}

impl Content {
    /// The bytes of the message.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Content::Json(text) => text.as_bytes(),
            Content::Bytes(bytes) => bytes,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    at: f64,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    topic: Option<String>,
    #[serde(rename = "deadLetter")]
    dead_letter: Option<String>,
}

/// `null` is data too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Record {
    /// As a line, with its line break.
    pub(crate) fn to_line(&self) -> String {
        let data = match &self.data {
            Content::Json(text) => format!(r#""data":{text}"#),
            Content::Bytes(bytes) => format!(r#""data_base64":"{}""#, STANDARD.encode(bytes)),
        };
        let dead_letter = self
            .dead_letter
            .as_ref()
            .map(|r| format!(r#","deadLetter":{}"#, serde_json::Value::from(r.as_str())));
        format!(
            "{{\"at\":{},{data}{}}}\n",
            seconds(self.at),
            dead_letter.unwrap_or_default()
        )
    }
}

/// Microseconds as the shortest decimal number of seconds.
pub(crate) fn seconds(at: Time) -> String {
    let (whole, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000));
    if micros == 0 {
        return whole.to_string();
    }
    format!("{whole}.{micros:06}").trim_end_matches('0').to_owned()
}

/// Reads a file of lines. All lines that are wrong are told, not only the first.
pub(crate) fn read(path: &Path, findings: &mut Vec<Finding>) -> io::Result<Vec<Record>> {
    let text = match String::from_utf8(fs::read(path)?) {
        Ok(text) => text,
        Err(e) => {
            let line = e.as_bytes()[..e.utf8_error().valid_up_to()]
                .split(|b| *b == b'\n')
                .count();
            let source = Source::new(path.display().to_string(), String::new());
            let mark = Mark {
                line,
                column: 1,
                length: 1,
            };
            findings.push(Finding::error("InvalidUtf8", "not UTF-8").at(Place { source, mark }));
            return Ok(Vec::new());
        }
    };
    let mut records = Vec::new();
    let mut wrong = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match record(line, index + 1) {
            Ok(record) => records.push(record),
            Err((column, message)) => wrong.push((
                Mark {
                    line: index + 1,
                    column,
                    length: 1,
                },
                message,
            )),
        }
    }
    if !wrong.is_empty() {
        let source = Source::new(path.display().to_string(), text);
        findings.extend(wrong.into_iter().map(|(mark, message)| {
            let help = "a line is an object: {\"at\": seconds, \"data\": ...}";
            Finding::error("InvalidRecord", message).help(help).at(Place {
                source: Rc::clone(&source),
                mark,
            })
        }));
    }
    Ok(records)
}

fn record(text: &str, line: usize) -> Result<Record, (usize, String)> {
    let parsed: Line<'_> = serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(m, _)| m);
        (e.column().max(1), message.to_owned())
    })?;
    if !(0.0..=MAX_SECONDS).contains(&parsed.at) {
        return Err((1, format!("`at` must be between 0 and {MAX_SECONDS} seconds")));
    }
    let data = match (parsed.data, parsed.data_base64) {
        (Some(json), None) => Content::Json(json.get().to_owned()),
        (None, Some(text)) => Content::Bytes(
            STANDARD
                .decode(text)
                .map_err(|e| (1, format!("`data_base64`: {e}")))?,
        ),
        _ => return Err((1, "needs exactly one of `data` and `data_base64`".to_owned())),
    };
    // Within range by the check above.
    #[allow(clippy::cast_possible_truncation)]
    let at = Time((parsed.at * 1e6).round() as i64);
    Ok(Record {
        at,
        data,
        topic: parsed.topic,
        dead_letter: parsed.dead_letter,
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written_alike() {
        for line in [
            r#"{"at":0,"data":{"a": [1, 2.50]}}"#,
            r#"{"at":20.5,"data":null}"#,
            r#"{"at":0.000001,"data_base64":"/w=="}"#,
            r#"{"at":1,"data":12345678901234567890123,"deadLetter":"NoSuchField"}"#,
        ] {
            assert_eq!(record(line, 1).unwrap().to_line(), format!("{line}\n"));
        }
    }

    #[test]
    fn wrong_lines_are_told_with_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let good = r#"{"at": 1, "data": 1}"#;
        let bad = [
            "{",
            "[]",
            r#"{"at": -1, "data": 1}"#,
            r#"{"at": 1}"#,
            r#"{"data": 1}"#,
            r#"{"at": 1e999, "data": 1}"#,
            r#"{"at": 1, "data": 1, "x": 2}"#,
            r#"{"at": 1, "data_base64": "!"}"#,
            r#"{"at": 1, "data": 01}"#,
            r#"{"at": "1", "data": 1}"#,
            r#"{"at": 1, "data": 1} x"#,
        ];
        fs::write(&path, format!("{good}\n\n{}\n{good}\n", bad.join("\n"))).unwrap();
        let mut findings = Vec::new();
        let records = read(&path, &mut findings).unwrap();
        assert_eq!(
            records.iter().map(|r| r.line).collect::<Vec<_>>(),
            [1, bad.len() + 3]
        );
        let lines: Vec<_> = findings
            .iter()
            .map(|f| f.place.as_ref().unwrap().mark.line)
            .collect();
        assert_eq!(lines, (3..bad.len() + 3).collect::<Vec<_>>());
    }
}
