//! `matches`: regular expressions in RE2's syntax, which CEL prescribes, on the regex crate: linear in the text,
//! whatever the pattern.

use regex::bytes::{Regex, RegexBuilder};

use crate::expr::error::EvalError;
use crate::expr::limits::{MAX_DYNAMIC_PATTERN_SIZE, MAX_PATTERN, MAX_PATTERN_SIZE};
use crate::expr::machine::Machine;
use crate::value::Value;

use super::no_overload;
use super::re2::translate;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(in crate::expr) struct Pattern {
    source: Box<str>,
    regex: Regex,
    /// What matching it costs for 16 bytes of text.
    cost: u64,
}

/// A pattern that is known before any message, compiled; or what is wrong with it.
pub(in crate::expr) fn pattern(source: &str) -> Result<Pattern, String> {
    compile(source, MAX_PATTERN_SIZE)
}

fn compile(source: &str, size: usize) -> Result<Pattern, String> {
    if source.len() > MAX_PATTERN {
        return Err(format!(
            "the pattern is {} bytes long; at most {MAX_PATTERN} are allowed",
            source.len()
        ));
    }
    let (translated, weight) = translate(source).map_err(|error| format!("the pattern is wrong: {error}"))?;
    let built = RegexBuilder::new(&translated)
        .size_limit(size)
        .dfa_size_limit(MAX_PATTERN_SIZE)
        .build();
    let regex = built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "the pattern is too large once its repetitions are written out".to_owned()
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or("it is no regular expression");
            format!("the pattern is wrong: {}", last.trim_start_matches("error: "))
        }
    })?;
    // Most patterns take the same little for each byte; a large one may have to follow all its parts at once.
    Ok(Pattern {
        source: source.into(),
        regex,
        cost: 8 + weight / 4,
    })
}

impl<'a> Machine<'a> {
    /// Whether a pattern matches a part of a text.
    pub(in crate::expr) fn is_match(
        &mut self,
        pattern: &Pattern,
        text: &str,
    ) -> Result<Value<'a>, EvalError> {
        self.spend((text.len() as u64 / 16 + 1).saturating_mul(pattern.cost))?;
        Ok(Value::Bool(pattern.regex.is_match(text.as_bytes())))
    }
}

pub(super) fn matches<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Str(text), Value::Str(source)] = args else {
        return Err(no_overload("matches", args));
    };
    // In a loop it is mostly one pattern for all elements.
    let known = machine
        .pattern
        .take()
        .filter(|pattern| *pattern.source == **source);
    let pattern = if let Some(pattern) = known {
        pattern
    } else {
        machine.spend(40_000)?;
        Box::new(compile(source, MAX_DYNAMIC_PATTERN_SIZE).map_err(EvalError::invalid)?)
    };
    let result = machine.is_match(&pattern, text);
    machine.pattern = Some(pattern);
    result
}

#[cfg(test)]
impl Pattern {
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}
