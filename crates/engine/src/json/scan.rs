//! The scanner: one pass over a payload that checks all of it and copies out what a layout asks for.

use super::MAX_DEPTH;
use super::error::{DecodeError, DecodeErrorKind};
use super::keys::Keys;
use super::number::{self, Number};
use super::text::{self, Span};
use crate::field::Field;
use crate::layout::{Name, Node, prefix};
use crate::row::RowBuilder;

/// A position in a payload, with what is needed to check the rest of it.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) pos: usize,
    depth: usize,
    keys: &'a mut Keys,
    /// Where names with escapes are resolved.
    name: &'a mut String,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, keys: &'a mut Keys, name: &'a mut String) -> Scanner<'a> {
        keys.clear();
        Scanner {
            text,
            pos: 0,
            depth: 0,
            keys,
            name,
        }
    }

    pub(super) fn fail<T>(&self, kind: DecodeErrorKind) -> Result<T> {
        Err(DecodeError {
            kind,
            offset: self.pos,
        })
    }

    /// The next byte that is not white space; 0 at the end (which no grammar rule accepts either).
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.text.as_bytes().get(self.pos) {
                Some(byte) if *byte > b' ' => return *byte,
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pos += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    /// Checks that nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<()> {
        self.peek();
        if self.pos == self.text.len() {
            Ok(())
        } else {
            self.fail(DecodeErrorKind::InvalidJson)
        }
    }

    /// Scans one value. What `node` asks for goes into the row.
    pub(super) fn value(&mut self, node: Option<Node<'_>>, row: &mut RowBuilder) -> Result<()> {
        let first = self.peek();
        let slot = node.and_then(Node::slot);
        match first {
            b'"' => {
                let span = self.string()?;
                if let Some(slot) = slot {
                    let text = &self.text[span.start..span.end];
                    if span.escaped {
                        row.set_str_with(slot, |out| text::unescape(text, out));
                    } else {
                        row.set(slot, Field::Str(text));
                    }
                }
            }
            b'{' | b'[' => {
                let start = self.pos;
                // A slot for the whole covers all below it.
                let inner = if slot.is_some() { None } else { node };
                if first == b'{' {
                    self.object(|scanner, name| {
                        let child = inner.and_then(|node| node.member(name));
                        scanner.value(child, row)
                    })?;
                } else {
                    self.array(row)?;
                }
                if let Some(slot) = slot {
                    row.set(slot, Field::Json(&self.text[start..self.pos]));
                }
            }
            b't' => self.literal("true", slot, Field::Bool(true), row)?,
            b'f' => self.literal("false", slot, Field::Bool(false), row)?,
            b'n' => self.literal("null", slot, Field::Null, row)?,
            b'-' | b'0'..=b'9' => {
                let start = self.pos;
                let number = number::scan(self.text.as_bytes(), &mut self.pos);
                let number = number.or_else(|kind| self.fail(kind))?;
                if let Some(slot) = slot {
                    row.set(
                        slot,
                        match number {
                            Number::Double(value) => Field::Number(value),
                            Number::BigInt => Field::BigInt(&self.text[start..self.pos]),
                        },
                    );
                }
            }
            _ => return self.fail(DecodeErrorKind::InvalidJson),
        }
        Ok(())
    }

    /// Scans a string whose opening quote is here.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Span> {
        let span = text::scan(self.text.as_bytes(), self.pos + 1)
            .map_err(|(kind, offset)| DecodeError { kind, offset })?;
        self.pos = span.end + 1;
        Ok(span)
    }

    /// Scans an object whose brace is here; `member` is called with each name where its value begins.
    pub(super) fn object(&mut self, mut member: impl FnMut(&mut Self, Name<'_>) -> Result<()>) -> Result<()> {
        self.enter()?;
        let frame = self.keys.enter();
        if self.peek() == b'}' {
            self.pos += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return self.fail(DecodeErrorKind::InvalidJson);
            }
            let offset = self.pos;
            let span = self.string()?;
            if self.peek() != b':' {
                return self.fail(DecodeErrorKind::InvalidJson);
            }
            self.pos += 1;
            let text = self.text;
            let raw = &text[span.start..span.end];
            if span.escaped {
                self.name.clear();
                text::unescape(raw, self.name);
                let name = std::mem::take(self.name);
                let fresh = self.keys.add_escaped(text, frame, offset, Name::new(&name));
                let outcome = unless_duplicate(fresh, offset).and_then(|()| member(self, Name::new(&name)));
                *self.name = name;
                outcome?;
            } else {
                let prefix = prefix(text.as_bytes(), span.start, raw.len());
                let name = Name { text: raw, prefix };
                let fresh = self.keys.add(text, frame, span.start, name);
                unless_duplicate(fresh, offset)?;
                member(self, name)?;
            }
            match self.peek() {
                b',' => self.pos += 1,
                b'}' => break,
                _ => return self.fail(DecodeErrorKind::InvalidJson),
            }
        }
        self.pos += 1;
        self.depth -= 1;
        match self.keys.leave(self.text, frame) {
            Some(offset) => unless_duplicate(false, offset),
            None => Ok(()),
        }
    }

    fn array(&mut self, row: &mut RowBuilder) -> Result<()> {
        self.enter()?;
        if self.peek() == b']' {
            self.pos += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            self.value(None, row)?;
            match self.peek() {
                b',' => self.pos += 1,
                b']' => break,
                _ => return self.fail(DecodeErrorKind::InvalidJson),
            }
        }
        self.pos += 1;
        self.depth -= 1;
        Ok(())
    }

    /// Bounds the scanner's own recursion too.
    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(DecodeErrorKind::TooDeep);
        }
        self.pos += 1;
        Ok(())
    }

    fn literal(
        &mut self,
        word: &str,
        slot: Option<usize>,
        field: Field<'_>,
        row: &mut RowBuilder,
    ) -> Result<()> {
        if !self.text.as_bytes()[self.pos..].starts_with(word.as_bytes()) {
            return self.fail(DecodeErrorKind::InvalidJson);
        }
        self.pos += word.len();
        if let Some(slot) = slot {
            row.set(slot, field);
        }
        Ok(())
    }
}

fn unless_duplicate(fresh: bool, offset: usize) -> Result<()> {
    if fresh {
        Ok(())
    } else {
        Err(DecodeError {
            kind: DecodeErrorKind::DuplicateKey,
            offset,
        })
    }
}
