//! What is wrong with an expression, and where: told to a person before anything runs.

use std::fmt::Write as _;
use std::ops::Range;

/// Why an expression did not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// The bytes of the source that it is about.
    pub span: Range<usize>,
    /// The line that they start on, from 1.
    pub line: usize,
    /// The column that they start at, from 1, in characters.
    pub column: usize,
    /// How to put it right.
    pub help: Option<String>,
    /// The class of the mistake in CamelCase, for conditions and metrics.
    pub reason: &'static str,
}

/// A diagnostic whose place in the source has not been worked out yet. Boxed, because everything that recurses
/// over a source returns it, and what recurses should need little stack.
#[derive(Debug)]
pub(super) struct Fault(Box<Report>);

#[derive(Debug)]
struct Report {
    span: Span,
    message: String,
    help: Option<String>,
    reason: &'static str,
}

/// A range of bytes in a source that is at most [`super::limits::MAX_SOURCE`] long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Span {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: clamp(start),
            end: clamp(end),
        }
    }

    pub(super) fn to(self, end: Span) -> Span {
        Span {
            start: self.start,
            end: end.end,
        }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) fn of(self, source: &str) -> &str {
        source.get(self.range()).unwrap_or_default()
    }
}

impl Fault {
    pub(super) fn new(reason: &'static str, span: Span, message: impl Into<String>) -> Fault {
        Fault(Box::new(Report {
            span,
            message: one_line(message.into()),
            help: None,
            reason,
        }))
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Fault {
        self.0.help = Some(one_line(help.into()));
        self
    }

    /// Whether it is for this reason and about exactly this span.
    pub(super) fn is(&self, reason: &'static str, span: Span) -> bool {
        self.0.reason == reason && self.0.span == span
    }

    pub(super) fn locate(self, source: &str) -> Diagnostic {
        let Report {
            span,
            message,
            help,
            reason,
        } = *self.0;
        // An escape sequence that is cut short may end inside of a character.
        let span =
            source.floor_char_boundary(span.start as usize)..source.ceil_char_boundary(span.end as usize);
        let before = source.get(..span.start).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Diagnostic {
            message,
            span,
            line,
            column,
            help,
            reason,
        }
    }
}

/// Parts of a source that a message quotes may span lines; the message does not.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        text
    }
}

/// How many characters of a long line are shown to each side of the mistake.
const CONTEXT: usize = 60;

impl Diagnostic {
    /// The diagnostic with the line that it is about, as rustc shows them.
    pub fn render(&self, source: &str) -> String {
        let mut out = format!("error: {}\n", self.message);
        let line = source
            .split('\n')
            .nth(self.line - 1)
            .unwrap_or_default()
            .trim_end_matches('\r');
        let line: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let width = source.get(self.span.clone()).map_or(1, |text| {
            text.split('\n').next().unwrap_or_default().chars().count()
        });
        let skipped = (self.column - 1).saturating_sub(CONTEXT);
        let shown: String = line.chars().skip(skipped).take(2 * CONTEXT).collect();
        let more = line.chars().count() > skipped + 2 * CONTEXT;
        let (head, tail) = (if skipped > 0 { "…" } else { "" }, if more { "…" } else { "" });
        let indent: usize = shown.chars().take(self.column - 1 - skipped).map(cells).sum();
        let marked: usize = shown
            .chars()
            .skip(self.column - 1 - skipped)
            .take(width)
            .map(cells)
            .sum();
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // Writing to a string does not fail.
        let _ = writeln!(out, "{gutter}--> line {}, column {}", self.line, self.column);
        let _ = writeln!(out, "{gutter} |");
        let _ = writeln!(out, "{number} | {head}{shown}{tail}");
        let pad = " ".repeat(indent + head.chars().count());
        let _ = writeln!(out, "{gutter} | {pad}{}", "^".repeat(marked.max(1)));
        if let Some(help) = &self.help {
            let _ = writeln!(out, "{gutter} = help: {help}");
        }
        out
    }
}

/// How many cells of a terminal a character takes. The wide ranges of Unicode are enough here.
fn cells(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}
