//! That docs/operator.md says what the code says.

use std::fmt::Write as _;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::reason;

const DOCUMENTATION: &str = include_str!("../../docs/operator.md");
const OURS: &str = include_str!("reason.rs");
const COMPILERS: &str = include_str!("../../crates/compiler/src/reason.rs");
const MANIFEST: &str = include_str!("../../manifests/operator.yaml");

/// A table of the constants of a source: the word, and what its comment says.
fn table(source: &str) -> String {
    let mut table = String::new();
    let mut comment = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
            continue;
        }
        let word = line
            .strip_prefix("pub const ")
            .and_then(|rest| rest.split_once(": &str = \""))
            .and_then(|(_, rest)| rest.split('"').next());
        if let Some(word) = word {
            writeln!(table, "| `{word}` | {} |", comment.join(" ")).unwrap();
        }
        comment.clear();
    }
    table
}

fn is_documented(table: &str) {
    assert!(table.lines().count() > 3, "{table}");
    assert!(
        DOCUMENTATION.contains(table),
        "docs/operator.md should have this table:\n{table}"
    );
}

#[test]
fn every_condition_is_documented() {
    let (conditions, _) = OURS.split_once("\n}").unwrap();
    let table = table(conditions);
    assert_eq!(table.lines().count(), reason::CONDITIONS.len());
    is_documented(&table);
}

#[test]
fn every_reason_is_documented() {
    let (_, reasons) = OURS.split_once("\n}").unwrap();
    let ours = table(reasons);
    for reason in reason::REASONS {
        assert!(ours.contains(&format!("| `{reason}` |")), "{reason}");
    }
    is_documented(&ours);
    // What is wrong with a resource's form, an API server refuses.
    let (_, among_others) = COMPILERS
        .split_once("// --- the resource among others ---")
        .unwrap();
    let (problems, warnings) = among_others.split_once("// --- warnings").unwrap();
    is_documented(&table(problems));
    is_documented(&table(warnings));
}

#[test]
fn every_metric_is_documented() {
    let metrics = Metrics::new();
    // What was never counted is not shown.
    metrics.reconciled(Duration::ZERO, Some(reason::APPLY_FAILED));
    metrics.written("Deployment", "apply", true);
    metrics.watch_failed("Deployment");
    let text = metrics.text();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert_eq!(names.len(), 4, "{text}");
    for name in names {
        assert!(DOCUMENTATION.contains(&format!("| `{name}")), "{name}");
    }
}

#[test]
fn the_operator_may_not_read_secrets() {
    assert!(!MANIFEST.contains("secrets") && !MANIFEST.contains("\"*\""));
}
