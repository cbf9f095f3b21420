//! `eval`: one expression against the keys of a JSON object, as a component would evaluate it against its streams.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::value::RawValue;
use streaming_engine::expr::{Context, Diagnostic, NoRow, Row, Scope, compile};
use streaming_engine::field::Field;
use streaming_engine::json::Decoder;
use streaming_engine::layout::Layout;
use streaming_engine::row::RowBuilder;

use crate::args;
use crate::exit;
use crate::load::Mark;
use crate::report::Finding;
use crate::style::Style;

/// Names that one expression can have in scope.
const MAX_NAMES: usize = 64;
/// Data may be this large, in bytes.
const MAX_DATA: usize = 64 << 20;

/// Runs the command.
pub(crate) fn eval(args: &args::Eval) -> anyhow::Result<ExitCode> {
    let data = match args.data.as_deref().map(read).transpose() {
        Ok(data) => data.unwrap_or_else(|| b"{}".to_vec()),
        Err(e) => return Ok(fail(&Finding::error("Unreadable", e.to_string()))),
    };
    match evaluate(&args.expression, &data) {
        Ok((mut json, warning)) => {
            if let Some(warning) = warning {
                say_text!("{}", warning.render(Style::of(&io::stderr())));
            }
            json.push(b'\n');
            match io::stdout().write_all(&json) {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e.into()),
                _ => Ok(exit::OK),
            }
        }
        Err(finding) => Ok(fail(&finding)),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut data = Vec::new();
        io::stdin().lock().read_to_end(&mut data)?;
        return Ok(data);
    }
    fs::read(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

fn fail(finding: &Finding) -> ExitCode {
    say_text!("{}", finding.render(Style::of(&io::stderr())));
    exit::PROBLEMS
}

/// The JSON of the expression's value and what is to be said about its data, or what is wrong.
fn evaluate(source: &str, data: &[u8]) -> Result<(Vec<u8>, Option<Finding>), Box<Finding>> {
    // Checked as strictly as a message, and first: what this accepts the next line reads too.
    // Inside another object it is never taken for a CloudEvent, whose `data` alone expressions would see.
    let wrapped = [br#"{"d":"#, data, b"}"].concat();
    let check = |data: &[u8]| {
        Decoder::new(MAX_DATA)
            .decode(data, &Layout::default(), 0, &mut RowBuilder::default())
            .map(drop)
    };
    if check(&wrapped).is_err() {
        // Told by its place in the text as it was given.
        check(data).map_err(|e| Finding::error(e.reason(), format!("--data: {e}")))?;
    }
    let keys: BTreeMap<String, &RawValue> = serde_json::from_slice(data).map_err(|_| {
        Finding::error(
            "NotAnObject",
            "--data must be a JSON object: its keys are the names in scope",
        )
    })?;
    let names = names(keys.into_keys(), source);
    let variables: Vec<&str> = names.usable.keys().map(String::as_str).collect();
    let scope = Scope::new(&variables).map_err(|e| Finding::error("InvalidName", format!("--data: {e}")))?;
    let expr = compile(source, &scope).map_err(|d| {
        if let Some(cause) = names.cause(source, &d) {
            return cause;
        }
        let length = source
            .get(d.span.clone())
            .map_or(1, |text| text.lines().next().unwrap_or("").chars().count());
        let mark = Mark {
            line: d.line,
            column: d.column,
            length: length.max(1),
        };
        let finding = Finding::error(d.reason, d.message);
        Finding {
            help: d.help,
            excerpt: Some((source.to_owned(), mark)),
            ..finding
        }
    })?;
    let paths: Vec<[Box<str>; 2]> = names
        .usable
        .values()
        .map(|key| ["d".into(), key.as_str().into()])
        .collect();
    let layout = Layout::new(paths.iter().map(<[Box<str>; 2]>::as_slice));
    let mut row = RowBuilder::default();
    Decoder::new(MAX_DATA)
        .decode(&wrapped, &layout, 0, &mut row)
        .map_err(|e| Finding::error(e.reason(), format!("--data: {e}")))?;
    let row = row.row();
    let fields: Vec<[Field<'_>; 1]> = paths
        .iter()
        .map(|path| {
            [layout
                .resolve(path)
                .map_or(Field::Absent, |(slot, _)| row.field(slot))]
        })
        .collect();
    let rows: Vec<&dyn Row> = fields.iter().map(|field| field as &dyn Row).collect();
    let whole = Layout::new([[].as_slice()]);
    let layouts: Vec<&Layout> = rows.iter().map(|_| &whole).collect();
    let mut json = Vec::new();
    let program = expr.bind(&layouts);
    let none: [&dyn Row; 1] = [&NoRow];
    let rows = if rows.is_empty() { &none[..] } else { &rows };
    program
        .write_json(&Context::new(rows), &mut json)
        .map_err(|e| Finding::error(e.reason(), e.to_string()))?;
    Ok((json, names.warning()))
}

/// What the keys of the data are called in the expression.
struct Names {
    /// Key by name.
    usable: BTreeMap<String, String>,
    /// What can't be used, and why.
    unusable: Vec<Unusable>,
}

struct Unusable {
    name: String,
    reason: &'static str,
    why: String,
}

/// The name of each key that is in scope, as a manifest would name a Stream: what names can't hold becomes `_`.
/// Of more keys than can be in scope, those count whose names the expression holds.
fn names(keys: impl Iterator<Item = String>, source: &str) -> Names {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in keys {
        let name = key
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '_' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        all.entry(name).or_default().push(key);
    }
    let (mut usable, mut unusable) = (BTreeMap::new(), Vec::new());
    for (name, mut keys) in all {
        let scope = Scope::new(&[&name]);
        match (scope, keys.pop()) {
            (Ok(_), Some(key)) if keys.is_empty() => drop(usable.insert(name, key)),
            (Ok(_), last) => {
                let keys: Vec<String> = keys.iter().chain(&last).map(|key| format!("`{key}`")).collect();
                let why = format!("the keys {} would all be `{name}`", keys.join(", "));
                let reason = "NameCollision";
                unusable.push(Unusable { name, reason, why });
            }
            (Err(error), _) => {
                let (reason, why) = ("InvalidName", error.to_string());
                unusable.push(Unusable { name, reason, why });
            }
        }
    }
    if usable.len() > MAX_NAMES {
        usable.retain(|name, _| source.contains(name.as_str()));
    }
    Names { usable, unusable }
}

impl Names {
    /// What a mistake in an expression comes from, if it is about a key that can't be used.
    fn cause(&self, source: &str, mistake: &Diagnostic) -> Option<Finding> {
        let word = source.get(mistake.span.clone())?;
        let unusable = self.unusable.iter().find(|unusable| unusable.name == word)?;
        Some(Finding::error(
            unusable.reason,
            format!("--data: {}", unusable.why),
        ))
    }

    /// What is said about keys that no name leads to.
    fn warning(&self) -> Option<Finding> {
        let first = self.unusable.first()?;
        let more = match self.unusable.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        let message = format!("--data: {}; it is not in scope{more}", first.why);
        Some(Finding::warning(first.reason, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &str, data: &str) -> String {
        String::from_utf8(evaluate(source, data.as_bytes()).unwrap().0).unwrap()
    }

    fn reason(source: &str, data: &str) -> String {
        evaluate(source, data.as_bytes()).unwrap_err().reason
    }

    #[test]
    fn keys_are_names() {
        assert_eq!(value("1 + 2", "{}"), "3");
        assert_eq!(
            value("t.id == 7 && n > 1", r#"{"t": {"id": 7.0}, "n": 2}"#),
            "true"
        );
        assert_eq!(value("big", r#"{"big": 9007199254740993}"#), "9007199254740993");
        assert_eq!(
            value(
                "{'a': my_stream.x[1], 'b': s}",
                r#"{"my-stream": {"x": [1, 2.50]}, "s": "é"}"#
            ),
            r#"{"a":2.5,"b":"é"}"#
        );
        assert_eq!(value("has(t.x) || t.y == null", r#"{"t": {"y": null}}"#), "true");
    }

    #[test]
    fn many_keys_are_no_hindrance() {
        let data: Vec<String> = (0..1000).map(|n| format!("\"k{n}\": {n}")).collect();
        assert_eq!(value("k999 - k7", &format!("{{{}}}", data.join(","))), "992");
    }

    #[test]
    fn keys_that_are_not_used_do_not_matter() {
        let data = r#"{"x": 1, "a-b": 1, "a_b": 2, "window": 3, "in": 4, "2nd": 5, "": 6}"#;
        let (json, warning) = evaluate("x + 1 in [2]", data.as_bytes()).unwrap();
        assert_eq!(json, b"true");
        let message = warning.unwrap().message;
        assert!(message.contains("not in scope (and 4 more)"), "{message}");
        assert!(evaluate("x", br#"{"x": 1, "y-z": 2}"#).unwrap().1.is_none());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(reason("1", "[1]"), "NotAnObject");
        assert_eq!(reason("1", "{"), "InvalidJson");
        assert_eq!(reason("1", r#"{"a": 1, "a": 2}"#), "DuplicateKey");
        assert_eq!(reason("a_b", r#"{"a-b": 1, "a_b": 2}"#), "NameCollision");
        assert_eq!(reason("window", r#"{"window": 1}"#), "InvalidName");
        assert_eq!(reason("t.x", r#"{"t": {}}"#), "NoSuchField");
        assert!(
            evaluate("tenat", br#"{"tenant": 1}"#)
                .unwrap_err()
                .help
                .is_some_and(|h| h.contains("tenant"))
        );
    }
}
