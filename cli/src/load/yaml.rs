//! YAML or JSON text into trees with places. One pass over the parser's events with an explicit stack, so that
//! nesting costs no call stack, and with aliases shared, so that ten lines can't become a terabyte.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag, options};
use serde_json::Value;

use super::node::{Entry, Kind, Mark, Node, Style};
use super::scalar;

/// Mappings and sequences inside each other; Kubernetes' own types need about 20.
const MAX_DEPTH: usize = 64;
/// Nodes and bytes of all documents of a file with their aliases expanded.
const MAX_WEIGHT: u64 = 32 << 20;

/// Why a document can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// Where.
    pub(crate) mark: Mark,
    /// `CamelCase`.
    pub(crate) reason: &'static str,
    /// What is wrong, and what may help.
    pub(crate) message: String,
}

type Result<T> = std::result::Result<T, YamlError>;

/// All documents of a text, and what is wrong with those that can't be read: a broken document doesn't hide the
/// ones after its `---`. Empty documents are left out.
pub(crate) fn parse(text: &str) -> (Vec<Rc<Node>>, Vec<YamlError>) {
    let limits = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        simple_key_max_lookahead: 1024,
    };
    let mut parser = Parser::new_from_str_with_options(text, limits);
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    let mut builder = Builder::new(text);
    while let Some(next) = parser.next() {
        let step = match next {
            Ok((event, span)) => builder.event(event, span),
            Err(e) => {
                let at = e.marker();
                let mark = Mark {
                    line: at.line(),
                    column: at.col() + 1,
                    length: 1,
                };
                Err(YamlError {
                    mark,
                    reason: "InvalidYaml",
                    message: e.info(),
                })
            }
        };
        match step {
            Ok(Some(root)) => documents.push(root),
            Ok(None) => {}
            Err(error) => {
                let fatal = error.reason == "TooLarge";
                errors.push(error);
                if fatal || !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
                builder.forget_document();
            }
        }
    }
    (documents, errors)
}

struct Builder<'t> {
    text: &'t str,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Rc<Node>>,
    weight: u64,
}

struct Frame {
    mark: Mark,
    anchor: usize,
    weight: u64,
    items: Items,
}

enum Items {
    Array(Vec<Rc<Node>>),
    Object {
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<(String, Mark)>,
        merges: Vec<(Rc<Node>, Mark)>,
    },
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            stack: Vec::new(),
            anchors: HashMap::new(),
            weight: 0,
        }
    }

    fn forget_document(&mut self) {
        self.stack.clear();
        self.anchors.clear();
    }

    /// Takes one event; returns a document's root when that is complete and not empty.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<Option<Rc<Node>>> {
        let mark = mark(&span);
        match event {
            Event::DocumentStart(..) => self.forget_document(),
            Event::SequenceStart(_, anchor, tag) => {
                only(tag.as_deref(), "seq", mark)?;
                self.open(mark, anchor, Items::Array(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                only(tag.as_deref(), "map", mark)?;
                let items = Items::Object {
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(mark, anchor, items)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.stack.pop() else {
                    return Ok(None);
                };
                let anchor = frame.anchor;
                let node = Rc::new(frame.close(end(&span))?);
                return self.place(node, anchor);
            }
            Event::Scalar(value, style, anchor, tag) => {
                let no_value = |e: scalar::NoValue| YamlError {
                    mark,
                    reason: "InvalidValue",
                    message: e.0,
                };
                let json = match tag.as_deref() {
                    Some(tag) => match tag.core_suffix() {
                        Some(suffix) => scalar::tagged(suffix, &value).map_err(no_value)?,
                        None => return Err(unknown_tag(mark)),
                    },
                    None if style == ScalarStyle::Plain => scalar::plain(&value).map_err(no_value)?,
                    None => Value::String(value.into_owned()),
                };
                let weight = 16 + json.as_str().map_or(0, str::len) as u64;
                let kind = Kind::Scalar(json, self.style(style, &span));
                let node = Node {
                    mark,
                    end: end(&span),
                    kind,
                    weight,
                };
                return self.place(Rc::new(node), anchor);
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    let message = "this alias stands inside the very node that it names".to_owned();
                    return Err(YamlError {
                        mark,
                        reason: "InvalidYaml",
                        message,
                    });
                };
                return self.place(node, 0);
            }
            _ => {}
        }
        Ok(None)
    }

    fn open(&mut self, mark: Mark, anchor: usize, items: Items) -> Result<()> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(YamlError {
                mark,
                reason: "TooDeep",
                message,
            });
        }
        self.stack.push(Frame {
            mark,
            anchor,
            weight: 16,
            items,
        });
        Ok(())
    }

    /// Hands a complete node to what encloses it.
    fn place(&mut self, node: Rc<Node>, anchor: usize) -> Result<Option<Rc<Node>>> {
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.weight = self.weight.saturating_add(node.weight);
            if self.weight > MAX_WEIGHT {
                return Err(too_large(node.mark));
            }
            let empty = matches!(node.kind, Kind::Scalar(Value::Null, _));
            return Ok((!empty).then_some(node));
        };
        frame.weight = frame.weight.saturating_add(node.weight);
        if frame.weight > MAX_WEIGHT {
            return Err(too_large(node.mark));
        }
        frame.items.push(node)?;
        Ok(None)
    }

    fn style(&self, style: ScalarStyle, span: &Span) -> Style {
        let raw = span.slice(self.text).unwrap_or("");
        let one_line = !raw.contains('\n');
        match style {
            ScalarStyle::Plain if one_line => Style::Verbatim(0),
            ScalarStyle::SingleQuoted if one_line && !raw.trim_matches('\'').contains('\'') => {
                Style::Verbatim(1)
            }
            ScalarStyle::DoubleQuoted if one_line && !raw.contains('\\') => Style::Verbatim(1),
            ScalarStyle::Literal => Style::Block,
            _ => Style::Opaque,
        }
    }
}

impl Items {
    fn push(&mut self, node: Rc<Node>) -> Result<()> {
        match self {
            Items::Array(items) => items.push(node),
            Items::Object {
                entries,
                seen,
                key,
                merges,
            } => match key.take() {
                None => *key = Some(as_key(&node)?),
                Some((key, mark)) if key == "<<" => merges.push((node, mark)),
                Some((key, mark)) => {
                    if !seen.insert(key.clone()) {
                        let first = entries.iter().find(|e| e.key == key).map_or(0, |e| e.mark.line);
                        let message = format!("the key `{key}` is already there, on line {first}");
                        return Err(YamlError {
                            mark,
                            reason: "DuplicateKey",
                            message,
                        });
                    }
                    entries.push(Entry {
                        key,
                        mark,
                        value: node,
                    });
                }
            },
        }
        Ok(())
    }
}

impl Frame {
    fn close(self, end: (usize, usize)) -> Result<Node> {
        let kind = match self.items {
            Items::Array(items) => Kind::Array(items),
            Items::Object {
                mut entries,
                mut seen,
                merges,
                ..
            } => {
                for (node, mark) in &merges {
                    for source in if let Kind::Array(all) = &node.kind {
                        all.as_slice()
                    } else {
                        std::slice::from_ref(node)
                    } {
                        let Kind::Object(merged) = &source.kind else {
                            let message = "`<<` takes a mapping or a list of mappings".to_owned();
                            return Err(YamlError {
                                mark: *mark,
                                reason: "InvalidYaml",
                                message,
                            });
                        };
                        for entry in merged {
                            if seen.insert(entry.key.clone()) {
                                entries.push(Entry {
                                    key: entry.key.clone(),
                                    mark: entry.mark,
                                    value: Rc::clone(&entry.value),
                                });
                            }
                        }
                    }
                }
                Kind::Object(entries)
            }
        };
        Ok(Node {
            mark: self.mark,
            end,
            kind,
            weight: self.weight,
        })
    }
}

fn as_key(node: &Node) -> Result<(String, Mark)> {
    let key = match &node.kind {
        Kind::Scalar(Value::String(s), _) => s.clone(),
        Kind::Scalar(value @ (Value::Number(_) | Value::Bool(_)), _) => value.to_string(),
        _ => {
            let message = "a key must be a string".to_owned();
            return Err(YamlError {
                mark: node.mark,
                reason: "InvalidYaml",
                message,
            });
        }
    };
    Ok((key, node.mark))
}

/// A collection's tag can only say what it is anyway.
fn only(tag: Option<&Tag>, own: &str, mark: Mark) -> Result<()> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(own) => Err(unknown_tag(mark)),
        _ => Ok(()),
    }
}

fn mark(span: &Span) -> Mark {
    let (start, end) = (span.start, span.end);
    let same_line = start.line() == end.line() && end.col() > start.col();
    let length = if same_line { end.col() - start.col() } else { 1 };
    Mark {
        line: start.line(),
        column: start.col() + 1,
        length,
    }
}

fn end(span: &Span) -> (usize, usize) {
    (span.end.line(), span.end.col() + 1)
}

fn unknown_tag(mark: Mark) -> YamlError {
    YamlError {
        mark,
        reason: "InvalidValue",
        message: scalar::UNKNOWN_TAG.to_owned(),
    }
}

fn too_large(mark: Mark) -> YamlError {
    let message = format!("larger than {} MiB with its aliases expanded", MAX_WEIGHT >> 20);
    YamlError {
        mark,
        reason: "TooLarge",
        message,
    }
}
