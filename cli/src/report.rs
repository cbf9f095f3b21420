//! What the user is told about manifests: one finding, one place, one shape, whoever found it.

use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::{Value, json};
pub(crate) use streaming_containers::printable;

use crate::load::{Mark, Source};
use crate::style::Style;

/// Columns of a source line that are shown around the place that is meant.
const EXCERPT: usize = 120;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Nothing runs with it.
    Error,
    /// It runs, but perhaps not as meant.
    Warning,
}

/// A stretch of a file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The file.
    pub(crate) source: Rc<Source>,
    /// Where in it.
    pub(crate) mark: Mark,
}

/// One thing to tell.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// `CamelCase`; the same word that a condition on a cluster would carry.
    pub(crate) reason: String,
    /// The resource it is about, `Kind namespace/name`.
    pub(crate) subject: Option<String>,
    /// The field it is about, `spec.stream.where`.
    pub(crate) field: Option<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Where it stands.
    pub(crate) place: Option<Place>,
    /// A text of its own to show, where the file doesn't show it as it is: the text, and the place inside.
    pub(crate) excerpt: Option<(String, Mark)>,
}

impl Finding {
    /// An error without a place.
    pub(crate) fn error(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            reason: reason.into(),
            subject: None,
            field: None,
            message: message.into(),
            help: None,
            place: None,
            excerpt: None,
        }
    }

    /// A warning without a place.
    pub(crate) fn warning(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(reason, message)
        }
    }

    /// The same, with its place.
    #[must_use]
    pub(crate) fn at(self, place: Place) -> Self {
        Self {
            place: Some(place),
            ..self
        }
    }

    /// The same, about a resource's field.
    #[must_use]
    pub(crate) fn about(self, subject: impl Into<String>, field: impl Into<String>) -> Self {
        let field = field.into();
        Self {
            subject: Some(subject.into()),
            field: (!field.is_empty()).then_some(field),
            ..self
        }
    }

    /// The same, with advice.
    #[must_use]
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// As text of several lines, ending with a blank one.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut out = String::new();
        let name = match self.severity {
            Severity::Error => style.error("error"),
            Severity::Warning => style.warning("warning"),
        };
        let about = match (&self.subject, &self.field) {
            (Some(subject), Some(field)) => format!("{subject}: {field}: "),
            (Some(subject), None) => format!("{subject}: "),
            (None, Some(field)) => format!("{field}: "),
            (None, None) => String::new(),
        };
        let head = format!("{}{}", printable(&about), printable(&self.message));
        let _ = writeln!(
            out,
            "{name}{}: {}",
            style.bold(&format!("[{}]", self.reason)),
            style.bold(&head)
        );
        if let Some(Place { source, mark }) = &self.place {
            let at = format!("{}:{}:{}", printable(&source.name), mark.line, mark.column);
            let _ = writeln!(out, "  {} {at}", style.dim("-->"));
            if self.excerpt.is_none()
                && let Some((line, mark)) = source.shown(*mark)
            {
                excerpt(&mut out, &line, mark, style);
            }
        }
        if let Some((text, mark)) = &self.excerpt {
            let line = text.lines().nth(mark.line.saturating_sub(1)).unwrap_or("");
            excerpt(&mut out, line, *mark, style);
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  {} {}", style.dim("= help:"), printable(help));
        }
        out.push('\n');
        out
    }

    /// For machines.
    pub(crate) fn to_json(&self) -> Value {
        let place = self.place.as_ref();
        json!({
            "severity": match self.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "reason": self.reason,
            "resource": self.subject,
            "field": self.field,
            "message": self.message,
            "help": self.help,
            "file": place.map(|p| &p.source.name),
            "line": place.map(|p| p.mark.line),
            "column": place.map(|p| p.mark.column),
        })
    }
}

/// The line, with carets under the place; a long line is cut around it.
fn excerpt(out: &mut String, line: &str, mark: Mark, style: Style) {
    if line.trim().is_empty() {
        return;
    }
    let number = mark.line.to_string();
    let gutter = " ".repeat(number.len());
    let skip = if mark.column > EXCERPT {
        mark.column - EXCERPT / 2
    } else {
        0
    };
    let shown: String = line.chars().skip(skip).take(EXCERPT).collect();
    let width = shown.chars().count();
    let column = mark.column.saturating_sub(1 + skip).min(width);
    let carets = "^".repeat(mark.length.clamp(1, (width - column).max(1)));
    let bar = style.dim("|");
    let _ = writeln!(out, " {gutter} {bar}");
    let _ = writeln!(out, " {} {bar} {}", style.dim(&number), printable(&shown));
    let _ = writeln!(
        out,
        " {gutter} {bar} {}{}",
        " ".repeat(column),
        style.error(&carets)
    );
}

/// `2 errors and 1 warning`, or `None` if there is neither.
pub(crate) fn tally(findings: &[Finding]) -> Option<String> {
    let count = |severity, word: &str| {
        let n = findings.iter().filter(|f| f.severity == severity).count();
        (n > 0).then(|| {
            if n == 1 {
                format!("1 {word}")
            } else {
                format!("{n} {word}s")
            }
        })
    };
    match (
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
    ) {
        (Some(e), Some(w)) => Some(format!("{e} and {w}")),
        (e, w) => e.or(w),
    }
}

/// Whether any is an error.
pub(crate) fn any_error(findings: &[Finding]) -> bool {
    findings.iter().any(|f| f.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_with_carets() {
        let source = Source::new("a.yaml".into(), "spec:\n  whre: x\n".into());
        let finding = Finding::error("UnknownField", "no such field")
            .at(Place {
                source,
                mark: Mark {
                    line: 2,
                    column: 3,
                    length: 4,
                },
            })
            .about("Joiner default/j", "spec.whre")
            .help("did you mean `where`?");
        assert_eq!(
            finding.render(Style::plain()),
            "error[UnknownField]: Joiner default/j: spec.whre: no such field\n  --> a.yaml:2:3\n   |\n 2 |   whre: x\n   \
             |   ^^^^\n  = help: did you mean `where`?\n\n"
        );
        assert_eq!(tally(&[finding.clone(), finding]).as_deref(), Some("2 errors"));
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_stay_out() {
        let text = format!("{}\x1b[31mx", " y".repeat(5000));
        let source = Source::new("a.yaml".into(), text);
        for column in [1, 119, 120, 121, 4000, 10_005, 20_000] {
            let mark = Mark {
                line: 1,
                column,
                length: 300,
            };
            let place = Place {
                source: Rc::clone(&source),
                mark,
            };
            let shown = Finding::warning("W", "m\x07").at(place).render(Style::plain());
            assert!(shown.lines().all(|l| l.chars().count() < 140), "{shown}");
            assert!(!shown.contains(['\x1b', '\x07']));
        }
    }
}
