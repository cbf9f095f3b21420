//! The table in docs/windows.md.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use streaming_engine::query::Query;

use crate::manifest::fields;
use crate::queries::Question;

const BEGIN: &str = "<!-- What follows is written by the tier `flink`. -->\n";
const END: &str = "<!-- End of what the tier `flink` writes. -->\n";

/// A line of the table.
#[derive(Debug)]
pub struct Line<'a> {
    /// What was asked.
    pub question: &'a Question,
    /// Over how many inputs.
    pub inputs: usize,
    /// Rows that both gave.
    pub rows: usize,
}

/// As Markdown.
pub fn render(lines: &[Line<'_>]) -> String {
    let mut out = String::from(
        "| case | Flink SQL | here | inputs | rows | equal |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for line in lines {
        let question = line.question;
        let equal = if question.rounded { "yes, to 1e-9" } else { "yes" };
        // Writing to a String can't fail.
        let _ = writeln!(
            out,
            "| {} | `{}` | {} | {} | {} | {equal} |",
            question.name,
            question.sql.replace('|', "\\|"),
            here(&question.query),
            line.inputs,
            line.rows,
        );
    }
    out
}

/// The fields that a resource has for a query.
fn here(query: &Query) -> String {
    let (stream, mut spec) = fields(query);
    spec.remove("emit");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields: Vec<String> = spec
        .iter()
        .chain(&stream)
        .map(|(name, value)| format!("`{name}: {}`", text(value).replace('|', "\\|")))
        .collect();
    fields.join("<br>")
}

/// Writes the table, or checks that it is what is written.
pub fn settle(page: &Path, table: &str, write: bool) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let start = text
        .find(BEGIN)
        .context("docs/windows.md has no place for the table")?
        + BEGIN.len();
    let end = text
        .find(END)
        .context("docs/windows.md has no end of the table")?;
    let fresh = format!("{}\n{table}\n{}", &text[..start], &text[end..]);
    if write {
        fs::write(page, fresh)?;
        return Ok(());
    }
    ensure!(
        fresh == text,
        "the table in docs/windows.md is not what came out; to write it: UPDATE_TABLE=1 cargo xtask test flink"
    );
    Ok(())
}
