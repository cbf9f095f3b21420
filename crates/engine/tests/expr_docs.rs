//! docs/expressions.md, row by row: every example in its tables is evaluated.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

#[path = "expr/support.rs"]
mod support;

use serde_json::Value as Json;
use streaming_engine::aggregate::{GroupResult, GroupSpec, Groups};
use streaming_engine::expr::{Context, Expr, Row, Scope, compile_grouped};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;
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

/// What an expression gives for the group that the document shows.
fn of_group(source: &str) -> Outcome {
    let (_, rest) = DOCUMENT.split_once("## Aggregates").unwrap();
    let (_, rest) = rest.split_once("```json\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let messages: Vec<serde_json::Map<String, Json>> = serde_json::from_str(text).unwrap();
    let scope = Scope::new(&["power"]).unwrap().with_window();
    let grouped = match compile_grouped(&["power.sensor"], Some(source), None, None, &scope) {
        Ok(grouped) => grouped,
        Err(problems) => return Outcome::Refused(problems[0].1.reason, problems[0].1.message.clone()),
    };
    let paths: Vec<&[Box<str>]> = grouped
        .row_level()
        .flat_map(Expr::accesses)
        .map(|access| &*access.path)
        .collect();
    let layout = Layout::new(paths.iter().copied());
    let spec = GroupSpec::new(&grouped, &[&layout]);
    let mut groups = Groups::new();
    for (number, message) in messages.iter().enumerate() {
        let mut slots = vec![None; layout.slots()];
        for path in &paths {
            let (slot, covered) = layout.resolve(path).unwrap();
            let (name, inner) = path[..covered].split_first().unwrap();
            let found = inner.iter().try_fold(message.get(&**name), |at, name| {
                Some(at?.as_object()?.get(&**name))
            });
            slots[slot] = found.flatten().map(Json::to_string);
        }
        let row: Vec<Field<'_>> = slots
            .iter()
            .map(|text| text.as_deref().map_or(Field::Absent, support::field))
            .collect();
        let rows: [&dyn Row; 1] = [&row];
        let cx = Context::new(&rows);
        let key = spec.key(&cx).unwrap();
        let id = u128::try_from(number).unwrap().to_be_bytes();
        groups.add(&spec, &key, &cx, id, &mut |error| panic!("{source}: {error}"));
    }
    let all = groups.sorted();
    let [(key, group)] = all[..] else { panic!() };
    let mut out = Vec::new();
    match GroupResult::new(&spec, key, group, None, None).select(&mut out) {
        Ok(()) => Outcome::Value(serde_json::from_slice(&out).unwrap()),
        Err(error) => support::failed(&error),
    }
}

#[test]
fn every_example_gives_what_the_document_says() {
    let data = data();
    let (mut examples, mut about_group) = (false, false);
    let mut count = 0;
    for line in DOCUMENT.lines() {
        if !line.starts_with('|') {
            examples = false;
            continue;
        }
        let cells = cells(line);
        if cells == ["expression", "result"] || cells == ["aggregate", "result"] {
            examples = true;
            about_group = cells[0] == "aggregate";
            continue;
        }
        if !examples || cells[0].starts_with("---") {
            continue;
        }
        let (source, expected) = (code(&cells[0]), &cells[1]);
        let found = if about_group {
            of_group(source)
        } else {
            eval(source, &data)
        };
        let as_said = match (&found, expected.split_once(' ')) {
            (Outcome::Failed(reason, _), Some(("error", wanted)))
            | (Outcome::Refused(reason, _), Some(("refused", wanted))) => *reason == code(wanted),
            (Outcome::Value(value), _) => *value == serde_json::from_str::<Json>(code(expected)).unwrap(),
            _ => false,
        };
        assert!(as_said, "{source}\n  said:  {expected}\n  found: {found:?}");
        count += 1;
    }
    assert!(count > 165, "{count} examples");
}
