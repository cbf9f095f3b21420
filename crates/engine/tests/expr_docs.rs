//! docs/expressions.md, row by row: every example in its tables is evaluated.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

#[path = "expr/support.rs"]
mod support;

use serde_json::Value as Json;
use support::{Outcome, eval};

const DOCUMENT: &str = include_str!("../../../docs/expressions.md");

/// The messages that the document shows.
fn data() -> Json {
    let (_, rest) = DOCUMENT.split_once("```json\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    serde_json::from_str(text).unwrap()
}

/// A table row's cells; a `\|` is a bar inside of one.
fn cells(row: &str) -> Vec<String> {
    let inner = row
        .trim()
        .trim_start_matches('|')
        .trim_end_matches('|')
        .replace("\\|", "\u{0}");
    inner
        .split('|')
        .map(|cell| cell.replace('\u{0}', "|").trim().to_owned())
        .collect()
}

/// What stands between a cell's backticks.
fn code(cell: &str) -> &str {
    match cell.strip_prefix("``") {
        Some(inner) => inner.strip_suffix("``").unwrap().trim(),
        None => cell
            .strip_prefix('`')
            .and_then(|inner| inner.strip_suffix('`'))
            .unwrap_or_else(|| panic!("{cell}")),
    }
}

#[test]
fn every_example_gives_what_the_document_says() {
    let data = data();
    let mut examples = false;
    let mut count = 0;
    for line in DOCUMENT.lines() {
        if !line.starts_with('|') {
            examples = false;
            continue;
        }
        let cells = cells(line);
        if cells == ["expression", "result"] {
            examples = true;
            continue;
        }
        if !examples || cells[0].starts_with("---") {
            continue;
        }
        let (source, expected) = (code(&cells[0]), &cells[1]);
        let found = eval(source, &data);
        let as_said = match (&found, expected.split_once(' ')) {
            (Outcome::Failed(reason, _), Some(("error", wanted)))
            | (Outcome::Refused(reason, _), Some(("refused", wanted))) => *reason == code(wanted),
            (Outcome::Value(value), _) => *value == serde_json::from_str::<Json>(code(expected)).unwrap(),
            _ => false,
        };
        assert!(as_said, "{source}\n  said:  {expected}\n  found: {found:?}");
        count += 1;
    }
    assert!(count > 140, "{count} examples");
}
