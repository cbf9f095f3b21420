//! A recording against files, or against another recording.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;

use super::case::Case;
use super::diff::{self, Strictness};
use super::record::Record;
use super::simulate::Recording;
use crate::report::printable;
use crate::style::Style;

/// Text that tells what differs from what is expected; `None` if nothing does.
pub(crate) fn with_expected(case: &Case, recording: &Recording, style: Style) -> Option<String> {
    let names: BTreeSet<&String> = case.expected.keys().chain(recording.delivered.keys()).collect();
    let mut out = String::new();
    for name in names {
        let actual: Vec<Record> = recording
            .delivered
            .get(name)
            .into_iter()
            .flatten()
            .map(|(_, record)| record.clone())
            .collect();
        let file = printable(&case.expected_file(name).display().to_string());
        let (expected, note) = match case.expected.get(name) {
            Some(expected) => (expected.as_slice(), String::new()),
            None => (&[][..], format!(" (there is no {file})")),
        };
        if let Some(text) = diff::compare(expected, &actual, Strictness::Times, &file, style) {
            let _ = write!(
                out,
                "  {}: {} expected, {} came{note}\n{text}",
                style.bold(&printable(name)),
                expected.len(),
                actual.len()
            );
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Text that tells what differs between two runs; `None` if nothing does. What different senders gave to one
/// recipient may come in another order.
pub(crate) fn two_runs(
    whole: &Recording,
    resumed: &Recording,
    strictness: Strictness,
    style: Style,
) -> Option<String> {
    let (whole, resumed) = (by_sender(whole), by_sender(resumed));
    let senders: BTreeSet<_> = whole.keys().chain(resumed.keys()).collect();
    let mut out = String::new();
    for (name, from) in senders {
        let key = (name.clone(), from.clone());
        let none = Vec::new();
        let (expected, actual) = (
            whole.get(&key).unwrap_or(&none),
            resumed.get(&key).unwrap_or(&none),
        );
        if let Some(text) = diff::compare(expected, actual, strictness, "delivery", style) {
            let (name, from) = (printable(name), printable(from));
            let counts = format!("{} without crashes, {} with them", expected.len(), actual.len());
            let _ = write!(out, "  {from} to {}: {counts}\n{text}", style.bold(&name));
        }
    }
    (!out.is_empty()).then_some(out)
}

fn by_sender(recording: &Recording) -> BTreeMap<(String, String), Vec<Record>> {
    let mut sorted: BTreeMap<(String, String), Vec<Record>> = BTreeMap::new();
    for (name, records) in &recording.delivered {
        for (from, record) in records {
            let list = sorted.entry((name.clone(), from.clone())).or_default();
            list.push(Record {
                line: list.len() + 1,
                ..record.clone()
            });
        }
    }
    sorted
}

/// Writes what came as what is expected, and takes away the files of recipients that got nothing.
pub(crate) fn update(case: &Case, recording: &Recording) -> io::Result<usize> {
    fs::create_dir_all(case.expected_file("x").parent().unwrap_or(&case.folder))?;
    for name in case
        .expected
        .keys()
        .filter(|name| !recording.delivered.contains_key(*name))
    {
        fs::remove_file(case.expected_file(name))?;
    }
    for (name, records) in &recording.delivered {
        let path = case.expected_file(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(
            path,
            records
                .iter()
                .map(|(_, record)| record.to_line())
                .collect::<String>(),
        )?;
    }
    Ok(recording.delivered.len())
}
