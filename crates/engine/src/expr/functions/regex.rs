//! `matches`: regular expressions in RE2's syntax, which CEL prescribes, on the regex crate: linear in the text,
//! whatever the pattern.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

use crate::expr::error::EvalError;
use crate::expr::limits::{MAX_PATTERN, MAX_PATTERN_SIZE};
use crate::expr::machine::Machine;
use crate::value::Value;

use super::no_overload;

/// A pattern, compiled; or what is wrong with it.
pub(in crate::expr) fn pattern(source: &str) -> Result<Regex, String> {
    if source.len() > MAX_PATTERN {
        return Err(format!(
            "the pattern is {} bytes long; at most {MAX_PATTERN} are allowed",
            source.len()
        ));
    }
    let translated = translate(source);
    let mut builder = RegexBuilder::new(&translated);
    let built = builder
        .size_limit(MAX_PATTERN_SIZE)
        .dfa_size_limit(MAX_PATTERN_SIZE)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "the pattern is too large once its repetitions are written out".to_owned()
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or("it is no regular expression");
            format!("the pattern is wrong: {}", last.trim_start_matches("error: "))
        }
    })
}

/// A pattern of RE2 as one of the regex crate, where the two read the same text differently: RE2's `\d \s \w \b`
/// know ASCII only, `\Q...\E` quotes, `\<` is a `<`, and a class has no classes or operators in it.
fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let mut rest = source.chars();
    let mut class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('Q') => {
                    let (quoted, after) = rest.as_str().split_once("\\E").unwrap_or((rest.as_str(), ""));
                    out.push_str(&regex::escape(quoted));
                    rest = after.chars();
                }
                Some(escaped) => escape(escaped, class, &mut out),
                None => out.push('\\'),
            },
            '[' if !class => {
                class = true;
                out.push('[');
                // A bracket that closes right away is a member of the class.
                for first in ["^", "]"] {
                    if let Some(after) = rest.as_str().strip_prefix(first) {
                        let _ = write!(out, "{}{first}", if first == "]" { "\\" } else { "" });
                        rest = after.chars();
                    }
                }
            }
            '[' => match rest
                .as_str()
                .strip_prefix(':')
                .and_then(|after| after.split_once(":]"))
            {
                Some((name, after)) => {
                    let _ = write!(out, "[:{name}:]");
                    rest = after.chars();
                }
                None => out.push_str("\\["),
            },
            ']' => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// What follows a backslash.
fn escape(escaped: char, class: bool, out: &mut String) {
    let set = match escaped.to_ascii_lowercase() {
        'd' => "0-9",
        's' => "\\t\\n\\f\\r\\x20",
        'w' => "0-9A-Za-z_",
        'b' if !class && escaped == 'b' => return out.push_str("(?-u:\\b)"),
        '<' | '>' | '_' => return out.push(escaped),
        _ => {
            out.push('\\');
            return out.push(escaped);
        }
    };
    let _ = match (escaped.is_ascii_uppercase(), class) {
        (true, _) => write!(out, "[^{set}]"),
        (false, true) => write!(out, "{set}"),
        (false, false) => write!(out, "[{set}]"),
    };
}

pub(super) fn matches<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Str(text), Value::Str(source)] = args else {
        return Err(no_overload("matches", args));
    };
    // A pattern that is not known before the message costs what compiling it takes.
    machine.spend(2000 + 100 * source.len() as u64)?;
    machine.spend_bytes(8 * text.len())?;
    let pattern = pattern(source).map_err(EvalError::invalid)?;
    Ok(Value::Bool(pattern.is_match(text)))
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn patterns_mean_what_re2_has_them_mean() {
        for (source, text, expected) in [
            (r"^\w+$", "aé", false),
            (r"^\W$", "é", true),
            (r"^\d$", "٣", false),
            (r"\s", "\u{b}", false),
            (r"\s", "\u{c}", true),
            (r"^[\w-]+$", "a-b", true),
            (r"^[^\s]$", "x", true),
            (r"^[\D]$", "1", false),
            (r"\bé", "aé", true),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b", "a.b", true),
            (r"\<x\>", "<x>", true),
            (r"^[[a]$", "[", true),
            (r"^[]a]$", "]", true),
            (r"^[^]a]$", "]", false),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[[:alpha:]_]+$", "a_b", true),
            (r"^\pL+$", "é", true),
            (r"(?i)É", "é", true),
            ("^.$", "😀", true),
        ] {
            assert_eq!(
                pattern(source).unwrap().is_match(text),
                expected,
                "{source} {text}"
            );
        }
        for source in ["(", "a**", "(?=a)", r"\1", r"\8", "[", "a{2,1}"] {
            assert!(pattern(source).is_err(), "{source}");
        }
    }
}
