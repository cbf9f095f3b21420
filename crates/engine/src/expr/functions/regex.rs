//! `matches`: regular expressions in RE2's syntax, which CEL prescribes, on the regex crate: linear in the text,
//! whatever the pattern.

use regex::bytes::{Regex, RegexBuilder};

use crate::expr::error::EvalError;
use crate::expr::limits::{MAX_PATTERN, MAX_PATTERN_SIZE};
use crate::expr::machine::Machine;
use crate::value::Value;

use super::no_overload;
use super::re2::translate;

/// A pattern, compiled; or what is wrong with it.
pub(in crate::expr) fn pattern(source: &str) -> Result<Regex, String> {
    if source.len() > MAX_PATTERN {
        return Err(format!(
            "the pattern is {} bytes long; at most {MAX_PATTERN} are allowed",
            source.len()
        ));
    }
    let translated = translate(source).map_err(|error| format!("the pattern is wrong: {error}"))?;
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

pub(super) fn matches<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Str(text), Value::Str(source)] = args else {
        return Err(no_overload("matches", args));
    };
    // A pattern that is not known before the message costs what compiling it takes.
    machine.spend(2000 + 100 * source.len() as u64)?;
    machine.spend_bytes(8 * text.len())?;
    let pattern = pattern(source).map_err(EvalError::invalid)?;
    Ok(Value::Bool(pattern.is_match(text.as_bytes())))
}
