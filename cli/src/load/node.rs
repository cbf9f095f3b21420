//! A manifest's tree with the place of every node: what turns `spec.stream.where` back into a line and a column.

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::secrets::Secrets;

/// A manifest file, or what came in on stdin.
#[derive(Debug)]
pub(crate) struct Source {
    /// How messages name it: the path as the user gave it, or `<stdin>`.
    pub(crate) name: String,
    /// Its whole text.
    pub(crate) text: String,
    /// What of it must not be shown, once it has been read.
    pub(crate) secrets: OnceCell<Secrets>,
    /// Where its lines begin, once one was asked for: of a large file, as many may be as there are findings.
    starts: OnceCell<Vec<usize>>,
}

impl Source {
    /// A text that has nothing to hide as yet.
    pub(crate) fn new(name: String, text: String) -> Rc<Self> {
        Rc::new(Self {
            name,
            text,
            secrets: OnceCell::new(),
            starts: OnceCell::new(),
        })
    }

    /// Line `line` (1-based) without its line break; empty past the end.
    pub(crate) fn line(&self, line: usize) -> &str {
        let starts = self.starts.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(breaks).collect()
        });
        let start = starts.get(line.saturating_sub(1)).copied();
        let rest = start.and_then(|start| self.text.get(start..));
        rest.and_then(|rest| rest.lines().next()).unwrap_or("")
    }
}

/// Bytes as text; or the place of the first that is none, and the text with a placeholder for all of those.
pub(crate) fn utf8(bytes: Vec<u8>) -> Result<String, (Mark, String)> {
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&e.as_bytes()[..good]);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let mark = Mark {
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            length: 1,
        };
        (mark, String::from_utf8_lossy(e.as_bytes()).into_owned())
    })
}

/// A stretch of a source, on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// 1-based.
    pub(crate) line: usize,
    /// 1-based, in characters.
    pub(crate) column: usize,
    /// In characters, at least 1.
    pub(crate) length: usize,
}

/// How a string stands in its file, which decides whether a place inside it has a place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// On one line with nothing escaped; the text starts this many characters after the mark.
    Verbatim(usize),
    /// A literal block (`|`): the mark is at its first line that isn't blank.
    Block,
    /// Folded, escaped or spread over lines: only its start has a place.
    Opaque,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where its value starts.
    pub(crate) mark: Mark,
    /// Line and column (1-based) right after it.
    pub(crate) end: (usize, usize),
    /// What it is.
    pub(crate) kind: Kind,
    /// How many nodes and bytes it stands for with its aliases expanded.
    pub(crate) weight: u64,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A mapping, in the order written.
    Object(Vec<Entry>),
    /// A sequence.
    Array(Vec<Rc<Node>>),
    /// Null, a boolean, a number or a string.
    Scalar(Value, Style),
}

/// One key of a mapping.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) mark: Mark,
    /// Its value.
    pub(crate) value: Rc<Node>,
}

impl Node {
    /// The value of a key of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Rc<Node>> {
        match &self.kind {
            Kind::Object(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(Value::String(s), _) => Some(s),
            _ => None,
        }
    }

    /// The items of an array.
    pub(crate) fn items(&self) -> &[Rc<Node>] {
        match &self.kind {
            Kind::Array(items) => items,
            _ => &[],
        }
    }

    /// As plain JSON. Depth was capped when the tree was built.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Object(entries) => Value::Object(
                entries
                    .iter()
                    .map(|e| (e.key.clone(), e.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
            Kind::Array(items) => Value::Array(items.iter().map(|n| n.to_json()).collect()),
            Kind::Scalar(value, _) => value.clone(),
        }
    }

    /// The place of a field path such as `spec.stream.from[1]`, or of its nearest ancestor that is there.
    /// A key may hold dots itself: the longest key that fits is taken.
    pub(crate) fn locate(&self, path: &str) -> Located<'_> {
        let mut at = Located {
            mark: self.mark,
            node: Some(self),
        };
        let mut rest = path;
        let mut node = self;
        while !rest.is_empty() {
            let Some((mark, next, left)) = node.step(rest) else {
                return Located { node: None, ..at };
            };
            at = Located {
                mark,
                node: Some(next),
            };
            (node, rest) = (next, left);
        }
        at
    }

    /// The place of an unknown or superfluous key itself.
    pub(crate) fn locate_key(&self, path: &str) -> Mark {
        let Some((parent, _)) = path.rsplit_once('.') else {
            return self.key_mark(path).unwrap_or(self.mark);
        };
        let parent_at = self.locate(parent);
        let key = &path[parent.len() + 1..];
        parent_at
            .node
            .and_then(|n| n.key_mark(key))
            .unwrap_or_else(|| self.locate(path).mark)
    }

    fn key_mark(&self, key: &str) -> Option<Mark> {
        match &self.kind {
            Kind::Object(entries) => entries.iter().find(|e| e.key == key).map(|e| e.mark),
            _ => None,
        }
    }

    fn step<'p>(&self, path: &'p str) -> Option<(Mark, &Node, &'p str)> {
        match &self.kind {
            Kind::Object(entries) => {
                let fits = |key: &str| {
                    let rest = path.strip_prefix(key)?;
                    match rest.as_bytes().first() {
                        None | Some(b'[') => Some(rest),
                        Some(b'.') => Some(&rest[1..]),
                        Some(_) => None,
                    }
                };
                let (entry, rest) = entries
                    .iter()
                    .filter_map(|e| Some((e, fits(&e.key)?)))
                    .max_by_key(|(e, _)| e.key.len())?;
                // A collection's value starts on a later line; its key is the better place to point at.
                let mark = match entry.value.kind {
                    Kind::Scalar(Value::Null, _) | Kind::Object(_) | Kind::Array(_) => entry.mark,
                    Kind::Scalar(..) => entry.value.mark,
                };
                Some((mark, &entry.value, rest))
            }
            Kind::Array(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some((item.mark, item, rest.strip_prefix('.').unwrap_or(rest)))
            }
            Kind::Scalar(..) => None,
        }
    }
}

/// What [`Node::locate`] found.
#[derive(Clone, Copy)]
pub(crate) struct Located<'a> {
    /// The place of the field, or of its nearest ancestor.
    pub(crate) mark: Mark,
    /// The field's node; `None` if only an ancestor is there.
    pub(crate) node: Option<&'a Node>,
}

impl Located<'_> {
    /// The file's place of line and column (1-based) inside this field's text, where that can be said.
    pub(crate) fn inside(&self, line: usize, column: usize, length: usize) -> Option<Mark> {
        let node = self.node?;
        let Kind::Scalar(Value::String(text), style) = &node.kind else {
            return None;
        };
        match style {
            Style::Verbatim(skip) if line == 1 => Some(Mark {
                line: node.mark.line,
                column: node.mark.column + skip + column - 1,
                length,
            }),
            Style::Block => {
                let blank = text.bytes().take_while(|b| *b == b'\n').count();
                let line = (node.mark.line + line).checked_sub(1 + blank)?;
                Some(Mark {
                    line,
                    column: node.mark.column + column - 1,
                    length,
                })
            }
            Style::Verbatim(_) | Style::Opaque => None,
        }
    }
}
