//! Patterns, and what they mean in words.

use std::collections::HashMap;

use regex::Regex;
use streaming_api::pattern;

/// The key of a label or annotation
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).
pub(super) const LABEL_KEY: &str =
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";

/// Compiled patterns.
#[derive(Default)]
pub(super) struct Patterns(HashMap<String, Option<Regex>>);

impl Patterns {
    /// Whether a text fits. A pattern that did not compile would fit everything; a test compiles them all.
    pub(super) fn matches(&mut self, pattern: &str, text: &str) -> bool {
        self.get(pattern).is_none_or(|regex| regex.is_match(text))
    }

    #[cfg(test)]
    pub(super) fn compiles(&mut self, pattern: &str) -> bool {
        self.get(pattern).is_some()
    }

    fn get(&mut self, pattern: &str) -> Option<&Regex> {
        if !self.0.contains_key(pattern) {
            self.0.insert(pattern.to_owned(), Regex::new(pattern).ok());
        }
        self.0.get(pattern)?.as_ref()
    }
}

/// What a text that does not fit should look like, with a suggestion where one is plain.
pub(super) fn words(pattern: &str, text: &str) -> String {
    match pattern {
        pattern::RESOURCE_NAME => {
            let form = "names hold lower-case letters, digits, `-` and `.`, and begin and end with a letter or digit";
            match as_name(text) {
                Some(name) => format!("{form}: `{name}`"),
                None => form.to_owned(),
            }
        }
        pattern::NO_WHITE_SPACE => "it must not hold white space or control characters".to_owned(),
        pattern::STREAM_REF => {
            "write `clusterStream/topic`, or a Stream's name, without white space".to_owned()
        }
        pattern::QUANTITY => {
            "write a number with one of Kubernetes' units, as in 256Mi, 1Gi or 500m (a thousandth)".to_owned()
        }
        pattern::ROUTE => {
            "a route is the path of a URL, as `/orders`; write other characters as %XX".to_owned()
        }
        pattern::INPUT_REF => {
            "write a Stream's name, or `name as alias` with an alias of letters, digits and `_`".to_owned()
        }
        pattern::COMPONENT_REF => {
            "write `component`, or `component/route`; a component's name holds lower-case letters, \
             digits and `-`"
                .to_owned()
        }
        LABEL_KEY => {
            "keys hold letters, digits, `-`, `_` and `.`, after an optional domain and `/`".to_owned()
        }
        _ => format!("it must match {pattern}"),
    }
}

/// The name that was probably meant.
fn as_name(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    // What has a slash is no misspelt name but a path.
    (!name.is_empty() && name.len() <= 63 && !text.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_a_name() {
        let help = words(pattern::RESOURCE_NAME, "Redis_Stream");
        assert!(help.ends_with("`redis-stream`"), "{help}");
    }
}
