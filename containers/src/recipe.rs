//! `MESSAGE_EXPR`: a list of messages sent round and round, or a single one.
//!
//! Two variables change from message to message: `id`, an int, counts them from 1, and `timestamp` is the time of
//! the tick as an RFC 3339 string.

use streaming_engine::expr::{Context, Diagnostic, EvalError, Program, Row, Scope, compile};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;
use streaming_engine::time::Time;
use streaming_engine::value::Value;

use crate::clock::rfc3339;

/// `id` arrives as any number does, as a double; bound again by a comprehension it is the int that it should be.
const BEFORE: &str = "[int(id)].map(id, ";
/// On a line of its own, out of reach of a comment at the end of the expression.
const AFTER: &str = "\n)[0]";

/// How to make messages.
#[derive(Clone, Debug)]
pub enum Recipe {
    /// They are always the same: their JSON.
    Fixed(Vec<Vec<u8>>),
    /// Made anew for every tick.
    Fresh(Program),
}

/// Why an expression makes no messages.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// It doesn't compile.
    #[error("{}", .0.message)]
    Expression(Diagnostic),
    /// It fails.
    #[error("{0}")]
    Eval(#[from] EvalError),
    /// Nothing to send.
    #[error("an empty list makes no messages")]
    Empty,
    /// It gives something that JSON can't say.
    #[error("{0}")]
    NotJson(String),
}

impl Recipe {
    /// Compiles an expression, and tries it once so that what always fails fails now.
    pub fn compile(source: &str) -> Result<Self, RecipeError> {
        if let Ok(constant) = compile(source, &Scope::default()) {
            let rows: [&dyn Row; 0] = [];
            return fixed(&constant.bind(&[]).eval(&Context::new(&rows))?).map(Recipe::Fixed);
        }
        let scope = Scope::new(&["id", "timestamp"]).unwrap_or_default();
        // What is wrong with the text itself is told of the text itself; only the type of `id` needs the wrapper.
        if let Err(plain) = compile(source, &scope)
            && plain.reason != "NoSuchOverload"
        {
            return Err(RecipeError::Expression(plain));
        }
        let wrapped = format!("{BEFORE}{source}{AFTER}");
        let expr = compile(&wrapped, &scope).map_err(|d| {
            // Where both are wrong in the same way, the text as it was written says it without detours.
            let plain = compile(source, &scope)
                .err()
                .filter(|plain| plain.reason == d.reason);
            RecipeError::Expression(plain.unwrap_or_else(|| unwrap(d, source)))
        })?;
        let layout = Layout::new([[].as_slice()]);
        let recipe = Recipe::Fresh(expr.bind(&[&layout, &layout]));
        recipe.message(0, Time(0))?;
        Ok(recipe)
    }

    /// The JSON of message `number` (from 0), due at a time.
    pub fn message(&self, number: u64, at: Time) -> Result<Vec<u8>, RecipeError> {
        match self {
            Recipe::Fixed(all) => all
                .get(turn(number, all.len())?)
                .cloned()
                .ok_or(RecipeError::Empty),
            Recipe::Fresh(program) => {
                let timestamp = rfc3339(at);
                // Exact up to 2^53, which no generator reaches.
                #[allow(clippy::cast_precision_loss)]
                let id = [Field::Number((number + 1) as f64)];
                let timestamp = [Field::Str(&timestamp)];
                let rows: [&dyn Row; 2] = [&id, &timestamp];
                let value = program.eval(&Context::new(&rows))?;
                match &value {
                    Value::List(items) => {
                        json(items.get(turn(number, items.len())?).ok_or(RecipeError::Empty)?)
                    }
                    single => json(single),
                }
            }
        }
    }
}

fn turn(number: u64, length: usize) -> Result<usize, RecipeError> {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    number
        .checked_rem(length)
        .and_then(|n| usize::try_from(n).ok())
        .ok_or(RecipeError::Empty)
}

fn fixed(value: &Value<'_>) -> Result<Vec<Vec<u8>>, RecipeError> {
    match value {
        Value::List(items) if items.is_empty() => Err(RecipeError::Empty),
        Value::List(items) => items.iter().map(json).collect(),
        single => Ok(vec![json(single)?]),
    }
}

fn json(value: &Value<'_>) -> Result<Vec<u8>, RecipeError> {
    let mut out = Vec::new();
    value
        .write_json(&mut out)
        .map_err(|e| RecipeError::NotJson(e.to_string()))?;
    Ok(out)
}

/// A diagnostic about the wrapped text, told about the text that the user wrote.
fn unwrap(d: Diagnostic, source: &str) -> Diagnostic {
    let shift = |at: usize| at.saturating_sub(BEFORE.len()).min(source.len());
    let column = if d.line == 1 {
        d.column.saturating_sub(BEFORE.len()).max(1)
    } else {
        d.column
    };
    Diagnostic {
        span: shift(d.span.start)..shift(d.span.end),
        column,
        ..d
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(source: &str, n: u64) -> Vec<String> {
        let recipe = Recipe::compile(source).unwrap();
        (0..n)
            .map(|i| {
                recipe
                    .message(i, Time::from_millis(1500 + 1000 * i64::try_from(i).unwrap()))
                    .unwrap()
            })
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    #[test]
    fn a_list_goes_round_and_round() {
        let source = "[\n  {\"a\": 1, \"b\": 1.50},\n  {\"a\": 2},\n]\n";
        assert_eq!(
            messages(source, 3),
            [r#"{"a":1,"b":1.5}"#, r#"{"a":2}"#, r#"{"a":1,"b":1.5}"#]
        );
    }

    #[test]
    fn id_is_an_int_that_counts_and_timestamp_a_string() {
        let source = "{\"id\": id, \"odd\": id % 2 == 1, \"at\": timestamp} // what for";
        assert_eq!(
            messages(source, 2),
            [
                r#"{"id":1,"odd":true,"at":"1970-01-01T00:00:01.500Z"}"#,
                r#"{"id":2,"odd":false,"at":"1970-01-01T00:00:02.500Z"}"#
            ]
        );
        assert_eq!(messages("[id, -id, 'x']", 4), ["1", "-2", "\"x\"", "4"]);
    }

    #[test]
    fn what_makes_no_message_is_refused_with_its_place() {
        let place = |source: &str| match Recipe::compile(source) {
            Err(RecipeError::Expression(d)) => (d.line, d.column),
            other => panic!("{source}: {other:?}"),
        };
        assert_eq!(place("[1, idd]"), (1, 5));
        assert_eq!(place("[\n  id +\n]"), (3, 1));
        assert!(matches!(Recipe::compile("[]"), Err(RecipeError::Empty)));
        assert!(matches!(
            Recipe::compile("id / 0"),
            Err(RecipeError::Eval(_) | RecipeError::Expression(_))
        ));
        assert!(matches!(
            Recipe::compile("[1.0 / 0.0]"),
            Err(RecipeError::NotJson(_))
        ));
    }
}
