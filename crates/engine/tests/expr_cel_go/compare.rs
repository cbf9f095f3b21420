//! When two evaluators agree.

use serde_json::{Number, Value as Json};

use crate::oracle::Answer;
use crate::support::Outcome;

/// How two answers relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The same value.
    SameValue,
    /// Neither gives a value.
    BothFail,
    /// The same value, thanks to a rule that cel-go was taught.
    Rule,
    /// cel-go's type checker refuses what both would evaluate to the same value: `[1, "a"] == x`, `c ? 1 : "a"`.
    /// The engine refuses only what can never work.
    Laxer,
    /// The engine refuses at once what can never work; cel-go fails only when it gets there, and it does not always
    /// get there.
    Stricter,
    /// They disagree.
    Different,
}

/// Mistakes that the engine refuses although an evaluation may never meet them.
const CERTAIN: [&str; 7] = [
    "NoSuchOverload",
    "InvalidPattern",
    "InvalidDuration",
    "InvalidTimestamp",
    "InvalidKey",
    "RepeatedKey",
    "WrongArgumentCount",
];

impl Verdict {
    /// For the summary that the tests print.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Verdict::SameValue => "same value",
            Verdict::BothFail => "both fail",
            Verdict::Rule => "same value by a documented rule",
            Verdict::Laxer => "same value, refused by cel-go's type checker",
            Verdict::Stricter => "refused early, same with hidden types",
            Verdict::Different => "different",
        }
    }
}

pub(crate) fn compare(ours: &Outcome, theirs: &Answer) -> Verdict {
    match (theirs, ours) {
        (Answer::Value(theirs, rules), Outcome::Value(ours)) if same(theirs, ours) => {
            if rules.is_empty() {
                Verdict::SameValue
            } else {
                Verdict::Rule
            }
        }
        (Answer::Value(..), Outcome::Refused(reason, _)) if CERTAIN.contains(reason) => Verdict::Stricter,
        (
            Answer::Check {
                unchecked: Some(theirs),
                ..
            },
            Outcome::Value(ours),
        ) if same(theirs, ours) => Verdict::Laxer,
        // math.least([]) and the like: refused while parsing, even where nothing evaluates it.
        (Answer::Check { message, unchecked: None }, Outcome::Value(_)) if message.contains(": math.") => Verdict::Laxer,
        (Answer::Check { .. } | Answer::Syntax(_) | Answer::Failed(..), Outcome::Refused(..))
        | (Answer::Check { unchecked: None, .. } | Answer::Failed(..), Outcome::Failed(..))
        // -(-9223372036854775808) without the parentheses: the engine reads it, and computes it.
        | (Answer::Syntax(_), Outcome::Failed("Overflow", _)) => Verdict::BothFail,
        _ => Verdict::Different,
    }
}

/// Equality of JSON with numbers by value.
pub(crate) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => same_number(a, b),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    let integer = |n: &Number| n.as_i64().map(i128::from).or(n.as_u64().map(i128::from));
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a == b,
        #[allow(clippy::float_cmp)] // the same double, or not
        _ => a.as_f64() == b.as_f64(),
    }
}
