//! What the evalexpr crate is allowed to see, and where names and literals stand in it.
//!
//! The crate recurses on prefix operators and, when it drops a tree, on everything: a source is refused here before
//! it could get deep, whatever strings and comments are in it.

use crate::expr::diagnostic::{Fault, Span};
use crate::expr::limits::MAX_SOURCE;

/// The most words and operators.
const MAX_TOKENS: usize = 1000;
/// How deep parentheses may nest.
const MAX_PARENTHESES: usize = 64;
/// The most operators and functions that could stand before a value.
const MAX_PREFIXES: usize = 150;

/// The places of names and literals in source order; `start` is the body's place in the whole source.
pub(super) fn scan(body: &str, start: usize) -> Result<Vec<Span>, Fault> {
    if start + body.len() > MAX_SOURCE {
        let message = format!("the expression is longer than {MAX_SOURCE} bytes");
        return Err(Fault::new("TooLong", Span::new(0, 0), message));
    }
    let mut scanner = Scanner {
        body,
        at: 0,
        start,
        leaves: Vec::new(),
        open: Vec::new(),
        tokens: 0,
        prefixes: 0,
    };
    while scanner.at < body.len() {
        scanner.token()?;
    }
    match scanner.open.last() {
        Some(open) => {
            let span = Span::new(start + open, start + open + 1);
            Err(Fault::new("UnclosedBracket", span, "this `(` is not closed").help("close it with `)`"))
        }
        None => Ok(scanner.leaves),
    }
}

struct Scanner<'s> {
    body: &'s str,
    at: usize,
    start: usize,
    leaves: Vec<Span>,
    open: Vec<usize>,
    tokens: usize,
    prefixes: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.body.get(self.at..).unwrap_or_default()
    }

    fn span(&self, from: usize) -> Span {
        Span::new(self.start + from, self.start + self.at)
    }

    fn token(&mut self) -> Result<(), Fault> {
        let from = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(());
        };
        if first.is_whitespace() {
            self.at += first.len_utf8();
            return Ok(());
        }
        if rest.starts_with("//") {
            self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            return Ok(());
        }
        if rest.starts_with("/*") {
            let Some(end) = rest.get(2..).and_then(|inner| inner.find("*/")) else {
                let span = Span::new(self.start + from, self.start + from + 2);
                return Err(Fault::new("UnclosedComment", span, "this comment is not closed")
                    .help("close it with */"));
            };
            self.at += end + 4;
            return Ok(());
        }
        self.tokens += 1;
        match first {
            '"' => {
                self.string()?;
                self.leaves.push(self.span(from));
            }
            '(' => {
                self.open.push(self.at);
                self.at += 1;
                if self.open.len() > MAX_PARENTHESES {
                    let message = format!("parentheses nest more than {MAX_PARENTHESES} levels deep");
                    return Err(Fault::new("TooDeep", self.span(from), message));
                }
            }
            ')' => {
                self.at += 1;
                if self.open.pop().is_none() {
                    let message = "there is no bracket open that `)` could close";
                    return Err(Fault::new("UnexpectedToken", self.span(from), message).help("remove it"));
                }
            }
            '+' | '*' | '/' | '%' | '^' | ',' | ';' | '=' | '>' | '<' | '&' | '|' => self.at += 1,
            '-' | '!' => {
                self.at += 1;
                self.prefixes += usize::from(!self.rest().starts_with('='));
            }
            _ => self.word(),
        }
        if self.tokens > MAX_TOKENS {
            let message = format!("the expression has more than {MAX_TOKENS} words and operators");
            return Err(Fault::new("TooLong", self.span(from), message));
        }
        if self.prefixes > MAX_PREFIXES {
            let message = format!("the expression has more than {MAX_PREFIXES} minuses, nots and functions");
            return Err(Fault::new("TooDeep", self.span(from), message).help("split the work"));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.rest().chars().next() {
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => {
                    let escaped = self.rest().chars().nth(1);
                    self.at += 1 + escaped.map_or(0, char::len_utf8);
                }
                Some(c) => self.at += c.len_utf8(),
                None => {
                    let span = Span::new(self.start + from, self.start + from + 1);
                    return Err(Fault::new("UnclosedString", span, "this string is not closed")
                        .help("close it with \""));
                }
            }
        }
    }

    /// A run of what the crate takes for a name or number, with the exponent's sign of a number.
    fn word(&mut self) {
        let from = self.at;
        self.run();
        let text = self.body.get(from..self.at).unwrap_or_default();
        let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        if number && text.ends_with(['e', 'E']) && self.rest().starts_with(['+', '-']) {
            let back = self.at;
            self.at += 1;
            self.run();
            let whole = self.body.get(from..self.at).unwrap_or_default();
            if whole.parse::<f64>().is_err() {
                self.at = back;
            }
        }
        self.leaves.push(self.span(from));
        // A name before another value is a function.
        self.prefixes += usize::from(
            self.rest()
                .trim_start()
                .starts_with(|c: char| c == '(' || c == '"' || !special(c)),
        );
    }

    fn run(&mut self) {
        let length = self
            .rest()
            .find(|c: char| c == '"' || special(c) || c.is_whitespace());
        self.at += length.unwrap_or(self.rest().len());
    }
}

fn special(c: char) -> bool {
    "+-*/%^(),;=!><&|".contains(c)
}
