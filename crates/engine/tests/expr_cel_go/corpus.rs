//! The written corpus, `tests/cel_corpus.txt`.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::compare::{Verdict, compare};
use crate::oracle::ask_all;
use crate::support::eval;

/// The corpus' expressions with their data. One expression a line; `# data: {...}` sets the data of what follows; a
/// line that starts with `json:` holds its expression as a JSON string; other lines with `#` in front are comments.
fn cases() -> Vec<(String, Json)> {
    let mut data = json!({});
    let mut cases = Vec::new();
    for line in include_str!("../cel_corpus.txt").lines() {
        if let Some(text) = line.strip_prefix("# data:") {
            data = serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}"));
        } else if let Some(text) = line.strip_prefix("json:") {
            cases.push((
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{line}: {error}")),
                data.clone(),
            ));
        } else if !line.starts_with('#') && !line.trim().is_empty() {
            cases.push((line.to_owned(), data.clone()));
        }
    }
    cases
}

#[test]
fn the_corpus_evaluates_as_in_cel_go() {
    let cases = cases();
    let questions: Vec<(&str, &Json)> = cases.iter().map(|(expr, data)| (expr.as_str(), data)).collect();
    let mut tally: BTreeMap<Verdict, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for ((expr, data), theirs) in questions.iter().zip(ask_all(&questions)) {
        let ours = eval(expr, data);
        let verdict = compare(&ours, &theirs);
        *tally.entry(verdict).or_default() += 1;
        // What the engine refuses early belongs into the list of differences.
        if matches!(verdict, Verdict::Different | Verdict::Stricter) {
            failures.push(format!(
                "{expr}\n  data:   {data}\n  engine: {ours:?}\n  cel-go: {theirs:?}"
            ));
        }
    }
    println!("{} expressions: {tally:?}", cases.len());
    assert!(
        failures.is_empty(),
        "{} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
