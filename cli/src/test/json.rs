//! JSON compared as what it means: numbers by value, objects whatever their order.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// One level of a JSON text; what is inside stays text.
#[derive(Debug)]
pub(crate) enum Level<'a> {
    /// Members by name; of two with one name the last.
    Object(BTreeMap<String, &'a RawValue>),
    /// Items.
    Array(Vec<&'a RawValue>),
    /// A number, as it is written.
    Number(&'a str),
    /// A string, unescaped.
    String(String),
    /// `null`, `true` or `false`; or what is no JSON.
    Word(&'a str),
}

impl<'a> Level<'a> {
    /// Takes the outermost level of a text apart.
    pub(crate) fn of(text: &'a str) -> Self {
        let text = text.trim_ascii();
        let parsed = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(Level::Object).ok(),
            Some(b'[') => serde_json::from_str(text).map(Level::Array).ok(),
            Some(b'"') => serde_json::from_str(text).map(Level::String).ok(),
            Some(b'-' | b'0'..=b'9') => Some(Level::Number(text)),
            _ => None,
        };
        parsed.unwrap_or(Level::Word(text))
    }
}

/// Whether two JSON texts mean the same.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a == b
        || match (Level::of(a), Level::of(b)) {
            (Level::Object(a), Level::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(&b)
                        .all(|((k, x), (l, y))| k == l && same(x.get(), y.get()))
            }
            (Level::Array(a), Level::Array(b)) => {
                a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| same(x.get(), y.get()))
            }
            (Level::Number(a), Level::Number(b)) => same_number(a, b),
            (Level::String(a), Level::String(b)) => a == b,
            (Level::Word(a), Level::Word(b)) => a == b,
            _ => false,
        }
}

/// Integers are compared exactly, however long; other numbers as the doubles that they are read as.
fn same_number(a: &str, b: &str) -> bool {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.parse::<f64>().ok().is_some_and(|x| b.parse() == Ok(x)),
        _ => false,
    }
}

/// Sign, significant digits and trailing zeros of a number without a fraction.
fn integer(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let zeros = exponent.parse::<i64>().ok()?.checked_add(dropped)?;
    let zeros = zeros.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    (zeros >= 0).then(|| (negative, significant.trim_start_matches('0').to_owned(), zeros))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn numbers_are_equal_by_value() {
        for (a, b, equal) in [
            ("1", "1.0", true),
            ("100", "1e2", true),
            ("1E+2", "100.00", true),
            ("0", "-0.0", true),
            ("0", "0e99", true),
            ("0.5", "5e-1", true),
            ("1.50", "1.5", true),
            ("10e-1", "1", true),
            ("9007199254740993", "9007199254740992", false),
            ("9007199254740993", "9007199254740993.0", true),
            ("0.1234567890123456789", "0.12345678901234568", true),
            ("0.3", "0.30000000000000004", false),
            ("-1", "1", false),
            ("1", "\"1\"", false),
            ("0.5", "5", false),
        ] {
            assert_eq!(same(a, b), equal, "{a} {b}");
            assert_eq!(same(b, a), equal, "{b} {a}");
        }
    }

    #[test]
    fn objects_are_equal_in_any_order_and_lists_only_in_theirs() {
        assert!(same(
            r#"{"a": 1, "b": [1, {"c": null}]}"#,
            r#"{"b":[1.0,{"c":null}],"a":1}"#
        ));
        assert!(same(r#"{"\u0061": "\u00e9"}"#, r#"{"a": "é"}"#));
        assert!(!same("[1, 2]", "[2, 1]"));
        assert!(!same("[1, 2]", "[1]"));
        assert!(!same(r#"{"a": 1}"#, r#"{"b": 1}"#));
        assert!(!same(r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#));
        assert!(!same("null", "false"));
    }
}
