//! What of a manifest is never shown: when a message quotes a line, properties of brokers, which may be passwords, stay
//! out of it, wherever and however they are written.

use std::rc::Rc;

use super::node::{Kind, Mark, Node, Source};

/// What stands in place of a value.
const STARS: &str = "***";
/// Words in a text that can't be read, which say that there may be a password in it.
const SUSPICIOUS: [&str; 4] = ["clusterstream", "properties", "secret", "password"];
/// Fields of a `ClusterStream` whose values are no properties, even where the others lost their indentation.
const HARMLESS: [&str; 8] = [
    "apiVersion",
    "kind",
    "metadata",
    "protocol",
    "authType",
    "propertiesFrom",
    "tls",
    "status",
];

/// What of a source must not be shown.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    /// From line and column up to line and column.
    spans: Vec<[(usize, usize); 2]>,
    /// Parts of it could not be read, so nobody knows what they are, and some look like a password.
    all: bool,
}

impl Secrets {
    /// Finds them in all that could be read of a source.
    pub(crate) fn find(documents: &[Rc<Node>], whole: bool, text: &str) -> Self {
        let mut secrets = Self::default();
        for document in documents {
            secrets.collect(document, is_connection(document));
        }
        if !whole {
            let text = text.to_ascii_lowercase();
            secrets.all = SUSPICIOUS.iter().any(|word| text.contains(word));
        }
        secrets
    }

    fn collect(&mut self, node: &Node, hide: bool) {
        match &node.kind {
            Kind::Object(entries) => {
                for entry in entries {
                    let key = entry.key.as_str();
                    if names_secrets(key) {
                        self.values(&entry.value);
                    } else {
                        self.collect(&entry.value, hide && !HARMLESS.contains(&key));
                    }
                }
            }
            Kind::Array(items) => {
                for item in items {
                    self.collect(item, hide || is_connection(item));
                }
            }
            Kind::Scalar(value, _) => {
                if hide || value.as_str().is_some_and(has_credentials) {
                    self.hide(node);
                }
            }
        }
    }

    /// The values of properties, whatever they are: an unquoted `{abc}` is a mapping, but was meant as a password.
    fn values(&mut self, properties: &Node) {
        if let Kind::Object(entries) = &properties.kind {
            for entry in entries {
                self.hide(&entry.value);
            }
        } else {
            self.hide(properties);
        }
    }

    fn hide(&mut self, node: &Node) {
        self.spans.push([(node.mark.line, node.mark.column), node.end]);
    }
}

fn is_connection(node: &Node) -> bool {
    node.get("kind").and_then(|kind| kind.as_str()) == Some("ClusterStream")
}

fn names_secrets(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "properties" || key == "stringdata" || key == "clientkey" || key.contains("password")
}

/// A URL with a user.
fn has_credentials(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

impl Source {
    /// The line of a place as it may be shown, and the place in it; `None` if it may not be.
    pub(crate) fn shown(&self, mark: Mark) -> Option<(String, Mark)> {
        let line = self.line(mark.line);
        let Some(secrets) = self.secrets.get() else {
            return Some((line.to_owned(), mark));
        };
        if secrets.all {
            return None;
        }
        let chars: Vec<char> = line.chars().collect();
        let mut hidden: Vec<(usize, usize)> = secrets
            .spans
            .iter()
            .filter(|[from, to]| from.0 <= mark.line && mark.line <= to.0)
            .map(|[from, to]| {
                // Of what began on an earlier line, the indentation may be seen.
                let indent = chars.iter().take_while(|c| c.is_whitespace()).count();
                let start = if from.0 == mark.line { from.1 - 1 } else { indent };
                let end = if to.0 == mark.line { to.1 - 1 } else { chars.len() };
                (start, end.min(chars.len()))
            })
            .filter(|(start, end)| start < end)
            .collect();
        hidden.sort_unstable();
        let (mut out, mut at) = (String::new(), 0);
        let (mut column, mut length) = (mark.column, mark.length);
        for (start, end) in hidden {
            if start < at {
                continue;
            }
            out.extend(&chars[at..start]);
            let shown_at = out.chars().count() + 1;
            out.push_str(STARS);
            at = end;
            if (start..end).contains(&(mark.column - 1)) {
                (column, length) = (shown_at, STARS.len());
            } else if mark.column > end {
                column = out.chars().count() + mark.column - end;
            }
        }
        out.extend(&chars[at..]);
        Some((
            out,
            Mark {
                column,
                length,
                ..mark
            },
        ))
    }
}
