//! Lines of recorded messages and deliveries: `{"at": seconds, "data": ...}`.

mod line;
mod seconds;

use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streaming_engine::time::Time;

use crate::load::{Mark, Source, utf8};
use crate::report::{Finding, Place};

pub(crate) use seconds::seconds;

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

/// Reads a file of lines. All lines that are wrong are told, not only the first.
pub(crate) fn read(path: &Path, findings: &mut Vec<Finding>) -> io::Result<Vec<Record>> {
    let name = path.display().to_string();
    let text = match utf8(fs::read(path)?) {
        Ok(text) => text,
        Err((mark, text)) => {
            let source = Source::new(name, text);
            let finding = Finding::error("InvalidUtf8", "this byte is not UTF-8")
                .help("bytes that are no text are given as \"data_base64\"");
            findings.push(finding.at(Place { source, mark }));
            return Ok(Vec::new());
        }
    };
    let mut records = Vec::new();
    let mut wrong = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match line::parse(line, index + 1) {
            Ok(record) => records.push(record),
            Err(fault) => wrong.push((index + 1, fault)),
        }
    }
    if !wrong.is_empty() {
        let source = Source::new(name, text);
        findings.extend(wrong.into_iter().map(|(line, fault)| {
            let help = fault
                .help
                .unwrap_or_else(|| "a line is an object: {\"at\": seconds, \"data\": ...}".to_owned());
            Finding::error("InvalidRecord", fault.message)
                .help(help)
                .at(Place {
                    source: Rc::clone(&source),
                    mark: Mark {
                        line,
                        column: fault.column,
                        length: fault.length,
                    },
                })
        }));
    }
    Ok(records)
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
            assert_eq!(line::parse(line, 1).unwrap().to_line(), format!("{line}\n"));
        }
    }

    #[test]
    fn wrong_lines_are_told_with_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let good = r#"{"at": 1, "data": 1}"#;
        let bad = [
            ("{", 1, "ends before"),
            (r#"{"at": 1, "data": "x}"#, 21, "ends before"),
            ("[]", 1, "a list, not an object"),
            (r#"{"at": -1, "data": 1}"#, 8, "before the clock starts"),
            (r#"{"at": 1}"#, 1, "`data` is missing"),
            (r#"{"data": 1}"#, 1, "`at` is missing"),
            (r#"{"at": 1e999, "data": 1}"#, 8, "beyond"),
            (r#"{"at": 1, "data": 1, "x": 2}"#, 27, "no `x` here"),
            (r#"{"at": 1, "data_base64": "!"}"#, 26, "not base64"),
            (r#"{"at": 1, "data_base64": "", "data": 1}"#, 1, "both"),
            (r#"{"at": 1, "data": 01}"#, 20, "number"),
            (r#"{"at": "1", "data": 1}"#, 8, "a string, not a number"),
            (r#"{"at": 1, "data": 1} x"#, 22, "after the object"),
            (r#"{"at": 1, "data": 1,}"#, 21, "comma"),
            (r#"{"at": 1, "at": 2, "data": 1}"#, 17, "twice"),
            (r#"{"at": 1, "data": tru}"#, 22, "not JSON"),
            (
                r#"{"at": 1, "data": 1, "topic": 7}"#,
                31,
                "a number, not a string",
            ),
            (r#"{'at': 1, "data": 1}"#, 2, "double quotes"),
            (r#"{"é": 1}"#, 7, "no `é` here"),
            (r#"{"at": 1.0000001, "data": 1}"#, 8, "finer than a microsecond"),
            (r#"{"at": 1e-7, "data": 1}"#, 8, "finer than a microsecond"),
            ("\u{feff}{}", 1, "byte order mark"),
        ];
        let lines: Vec<&str> = bad.iter().map(|(line, ..)| *line).collect();
        fs::write(&path, format!("{good}\n\n{}\n{good}\n", lines.join("\n"))).unwrap();
        let mut findings = Vec::new();
        let records = read(&path, &mut findings).unwrap();
        assert_eq!(
            records.iter().map(|r| r.line).collect::<Vec<_>>(),
            [1, bad.len() + 3]
        );
        assert_eq!(findings.len(), bad.len());
        for (at, (finding, (line, column, says))) in findings.iter().zip(&bad).enumerate() {
            let mark = finding.place.as_ref().unwrap().mark;
            assert_eq!(
                (mark.line, mark.column),
                (at + 3, *column),
                "{line} {}",
                finding.message
            );
            assert!(finding.message.contains(says), "{line}: {}", finding.message);
        }
    }
}
