//! The scanner: one pass over a payload that checks all of it and copies out what a layout asks for.

use super::MAX_DEPTH;
use super::error::{DecodeError, DecodeErrorKind};
use super::keys::{Frame, Keys};
use super::number::{self, Number};
use super::shape::Shape;
use super::text::{self, Span};
use crate::field::Field;
use crate::layout::{Name, Node};
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

/// On an error the scanner's position is where the payload is wrong.
type Result<T> = std::result::Result<T, DecodeErrorKind>;

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

    /// What is wrong with the payload, after an error.
    pub(super) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError {
            kind,
            offset: self.pos,
        }
    }

    fn fail_at<T>(&mut self, offset: usize, kind: DecodeErrorKind) -> Result<T> {
        self.pos = offset;
        Err(kind)
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
            Err(DecodeErrorKind::InvalidJson)
        }
    }

    /// Scans one value. What `node` asks for goes into the row.
    // Nearly all values are a few bytes: a call would cost as much as they do.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn value(&mut self, node: Option<Node<'_>>, row: &mut RowBuilder) -> Result<()> {
        match self.peek() {
            b'"' => self.string_value(node.and_then(Node::slot), row),
            b'-' | b'0'..=b'9' => {
                let start = self.pos;
                let number = number::scan(self.text.as_bytes(), &mut self.pos)?;
                if let Some(slot) = node.and_then(Node::slot) {
                    match number {
                        Number::Double(value) => row.set_number(slot, value),
                        Number::BigInt => row.set(slot, Field::BigInt(&self.text[start..self.pos])),
                    }
                }
                Ok(())
            }
            first => self.other_value(first, node, row),
        }
    }

    #[inline(never)]
    fn other_value(&mut self, first: u8, node: Option<Node<'_>>, row: &mut RowBuilder) -> Result<()> {
        let slot = node.and_then(Node::slot);
        match first {
            b'{' | b'[' => {
                let start = self.pos;
                // A slot for the whole covers all below it.
                let inner = node.filter(|_| slot.is_none());
                if first == b'{' {
                    self.object(None, |scanner, name| {
                        let child = inner.and_then(|node| node.member(name));
                        scanner.value(child, row)
                    })?;
                } else {
                    self.array(row)?;
                }
                if let Some(slot) = slot {
                    row.set(slot, Field::Json(&self.text[start..self.pos]));
                }
                Ok(())
            }
            b't' => self.literal("true", slot, Field::Bool(true), row),
            b'f' => self.literal("false", slot, Field::Bool(false), row),
            b'n' => self.literal("null", slot, Field::Null, row),
            _ => Err(DecodeErrorKind::InvalidJson),
        }
    }

    #[inline]
    fn string_value(&mut self, slot: Option<usize>, row: &mut RowBuilder) -> Result<()> {
        let start = self.pos + 1;
        if let Some(end) = text::plain(self.text.as_bytes(), start) {
            self.pos = end + 1;
            if let Some(slot) = slot {
                row.set_str(slot, &self.text[start..end]);
            }
            return Ok(());
        }
        let span = self.string()?;
        if let Some(slot) = slot {
            let text = &self.text[span.start..span.end];
            row.set_str_with(slot, |out| text::unescape(text, out));
        }
        Ok(())
    }

    /// Scans a string whose opening quote is here.
    pub(super) fn string(&mut self) -> Result<Span> {
        match text::scan(self.text.as_bytes(), self.pos + 1) {
            Ok(span) => {
                self.pos = span.end + 1;
                Ok(span)
            }
            Err((kind, offset)) => self.fail_at(offset, kind),
        }
    }

    /// Scans an object whose brace is here; `member` is called with each name where its value begins. With a
    /// shape, which has begun, the names are expected to be those of the last object that was scanned with it; where it
    /// has followed the object already, it is the comma before the next member that is here.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut shape: Option<&mut Shape>,
        mut member: impl FnMut(&mut Self, Name<'_>) -> Result<()>,
    ) -> Result<()> {
        self.enter()?;
        let bytes = self.text.as_bytes();
        let mut frame = self.keys.enter();
        let begun = shape.as_ref().is_some_and(|shape| shape.has_begun());
        if self.peek() == b'}' && !begun {
            self.pos += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return Err(DecodeErrorKind::InvalidJson);
            }
            let rest = bytes.get(self.pos..).unwrap_or(&[]);
            if let Some((name, len)) = shape.as_mut().and_then(|shape| shape.next(rest)) {
                self.pos += len;
                member(self, name)?;
            } else {
                self.member(shape.as_deref_mut(), &mut frame, &mut member)?;
            }
            match self.peek() {
                b',' => self.pos += 1,
                b'}' => break,
                _ => return Err(DecodeErrorKind::InvalidJson),
            }
        }
        self.pos += 1;
        self.depth -= 1;
        match self.keys.leave(bytes, &frame) {
            Some(offset) => self.fail_at(offset, DecodeErrorKind::DuplicateKey),
            None => Ok(()),
        }
    }

    /// Scans a member whose quote is here.
    #[inline]
    fn member(
        &mut self,
        mut shape: Option<&mut Shape>,
        frame: &mut Frame,
        mut member: impl FnMut(&mut Self, Name<'_>) -> Result<()>,
    ) -> Result<()> {
        let bytes = self.text.as_bytes();
        let offset = self.pos;
        let start = offset + 1;
        if let Some(shape) = &mut shape
            && shape.follows()
        {
            shape.depart(self.keys, frame);
        }
        if let Some(end) = text::plain(bytes, start) {
            self.pos = end + 1;
            self.colon()?;
            let name = Name::at(bytes, start, end - start);
            if !self.keys.add(bytes, frame, start, name) {
                return self.fail_at(offset, DecodeErrorKind::DuplicateKey);
            }
            if let Some(shape) = shape {
                shape.learn(name, &bytes[offset..self.pos]);
            }
            return member(self, name);
        }
        let span = self.string()?;
        self.colon()?;
        let mut name = std::mem::take(self.name);
        name.clear();
        text::unescape(&self.text[span.start..span.end], &mut name);
        if !self.keys.add_escaped(bytes, frame, offset, Name::new(&name)) {
            return self.fail_at(offset, DecodeErrorKind::DuplicateKey);
        }
        if let Some(shape) = shape {
            shape.learn(Name::new(&name), &bytes[offset..self.pos]);
        }
        member(self, Name::new(&name))?;
        *self.name = name;
        Ok(())
    }

    #[inline]
    fn colon(&mut self) -> Result<()> {
        if self.peek() != b':' {
            return Err(DecodeErrorKind::InvalidJson);
        }
        self.pos += 1;
        Ok(())
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
                _ => return Err(DecodeErrorKind::InvalidJson),
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
            return Err(DecodeErrorKind::TooDeep);
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
            return Err(DecodeErrorKind::InvalidJson);
        }
        self.pos += word.len();
        if let Some(slot) = slot {
            row.set(slot, field);
        }
        Ok(())
    }
}
