//! Decoding: the first thing that happens to a message. Its bytes are checked completely, once, and what
//! expressions read is copied into a row; the rest is never looked at again.
//!
//! Stricter than RFC 8259 where two readers could otherwise see two messages (`docs/decisions/0006-message-limits.md`):
//! no member name twice in an object, no half of a surrogate pair, no number that overflows a double, no nesting
//! beyond [`MAX_DEPTH`], no message above a size limit.

mod envelope;
mod error;
mod keys;
mod number;
mod scan;
mod shape;
mod text;

use std::borrow::Cow;

pub use envelope::Identity;
pub use error::{DecodeError, DecodeErrorKind};
pub(crate) use text::special;

use crate::field::Field;
use crate::layout::Layout;
use crate::row::RowBuilder;
use keys::Keys;
use scan::Scanner;
use shape::{Followed, Shape};

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 128;

/// The member that makes a message look like a CloudEvent.
const SPEC_VERSION: &[u8] = b"specversion";

/// The usual limit for one message, in bytes: Dapr's default for a request body.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Decodes messages one after the other, keeping its buffers. It is fastest on messages that are alike.
#[derive(Default)]
pub struct Decoder {
    keys: Keys,
    shape: Shape,
    name: String,
    /// What a message is asked for that is passed on as it is: always the same, so that it is told at a glance.
    nothing: Layout,
    max_bytes: usize,
}

/// A message that is what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'p> {
    /// The message's own identity, if it came as a CloudEvent.
    pub identity: Option<Identity<'p>>,
    /// The message's data as JSON text, borrowed from the payload unless it was wrapped in base64 or a string.
    pub data: Cow<'p, str>,
}

impl Decoder {
    /// A decoder that refuses messages of more than `max_bytes` (clamped to 1 GiB).
    pub fn new(max_bytes: usize) -> Decoder {
        Decoder {
            max_bytes: max_bytes.min(1 << 30),
            ..Decoder::default()
        }
    }

    /// Decodes a message: a CloudEvent in structured JSON mode is unwrapped to its data, any other JSON is the
    /// data itself. The fields that `layout` asks for are in `row` afterwards (its slots, and `extra` more that
    /// are left absent).
    #[inline]
    pub fn decode<'p>(
        &mut self,
        payload: &'p [u8],
        layout: &Layout,
        extra: usize,
        row: &mut RowBuilder,
    ) -> Result<Decoded<'p>, DecodeError> {
        let text = self.text(payload)?;
        row.reset(layout.slots() + extra);
        if self.plain(text, layout, row)? {
            return Ok(Decoded {
                identity: None,
                data: Cow::Borrowed(text),
            });
        }
        self.wrapped(text, layout, extra, row)
    }

    /// Decodes a message that looks like a CloudEvent, apart from those that don't.
    #[inline(never)]
    fn wrapped<'p>(
        &mut self,
        text: &'p str,
        layout: &Layout,
        extra: usize,
        row: &mut RowBuilder,
    ) -> Result<Decoded<'p>, DecodeError> {
        row.reset(layout.slots() + extra);
        if let Some(envelope) = envelope::scan(&mut self.scanner(text), layout, row)? {
            let data = match envelope.inner(text)? {
                None => Cow::Borrowed(envelope.data(text)),
                Some(inner) => {
                    row.reset(layout.slots() + extra);
                    match self.data(&inner, layout, row) {
                        Ok(()) => Cow::Owned(inner),
                        Err(_) if envelope.data_is_text() => {
                            row.reset(layout.slots() + extra);
                            self.data(envelope.data(text), layout, row)?;
                            Cow::Borrowed(envelope.data(text))
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            return Ok(Decoded {
                identity: Some(envelope.identity(text)),
                data,
            });
        }
        row.reset(layout.slots() + extra);
        self.data(text, layout, row)?;
        Ok(Decoded {
            identity: None,
            data: Cow::Borrowed(text),
        })
    }

    /// Checks a message that will be passed on as it is. Gives its identity if it is a CloudEvent, whose data
    /// may then be anything.
    pub fn identify<'p>(&mut self, payload: &'p [u8]) -> Result<Option<Identity<'p>>, DecodeError> {
        let text = self.text(payload)?;
        let nothing = self.nothing.clone();
        let mut row = RowBuilder::default();
        if self.plain(text, &nothing, &mut row)? {
            return Ok(None);
        }
        let envelope = envelope::scan(&mut self.scanner(text), &nothing, &mut row)?;
        Ok(envelope.map(|envelope| envelope.identity(text)))
    }

    fn text<'p>(&self, payload: &'p [u8]) -> Result<&'p str, DecodeError> {
        if payload.len() > self.max_bytes {
            return Err(DecodeError {
                kind: DecodeErrorKind::MessageTooLarge,
                offset: self.max_bytes,
            });
        }
        std::str::from_utf8(payload).map_err(|error| DecodeError {
            kind: DecodeErrorKind::InvalidUtf8,
            offset: error.valid_up_to(),
        })
    }

    fn scanner<'a>(&'a mut self, text: &'a str) -> Scanner<'a> {
        Scanner::new(text, &mut self.keys, &mut self.name)
    }

    /// Scans a message as plain data; false, with the rest unread, once it looks like a CloudEvent.
    #[inline]
    fn plain(&mut self, text: &str, layout: &Layout, row: &mut RowBuilder) -> Result<bool, DecodeError> {
        self.shape.begin(layout);
        let mut pos = 0;
        if text.as_bytes().first() == Some(&b'{') && layout.root().slot().is_none() {
            match self.shape.follow(text, row) {
                Followed::End(end) if is_space(text.as_bytes().get(end..)) => return Ok(true),
                // Too much.
                Followed::End(_) => self.shape.begin(layout),
                Followed::Until(at) => pos = at - 1,
            }
        }
        self.closer(text, pos, layout, row)
    }

    /// The same for a message that is not like the last one, from the byte before a member on.
    #[inline(never)]
    fn closer(
        &mut self,
        text: &str,
        pos: usize,
        layout: &Layout,
        row: &mut RowBuilder,
    ) -> Result<bool, DecodeError> {
        let root = layout.root();
        let mut scanner = Scanner::new(text, &mut self.keys, &mut self.name);
        scanner.pos = pos;
        if pos == 0 && scanner.peek() != b'{' {
            let outcome = scanner.value(Some(root), row).and_then(|()| scanner.end());
            return outcome.map(|()| true).map_err(|kind| scanner.error(kind));
        }
        let start = scanner.pos;
        let mut envelope = false;
        let outcome = scanner.object(Some(&mut self.shape), |scanner, name| {
            if name.text == SPEC_VERSION {
                envelope = true;
                return Err(DecodeErrorKind::InvalidJson);
            }
            scanner.value(root.member(name), row)
        });
        if envelope {
            return Ok(false);
        }
        if let (Ok(()), Some(slot)) = (outcome, root.slot()) {
            row.set(slot, Field::Json(&text[start..scanner.pos]));
        }
        let outcome = outcome.and_then(|()| scanner.end());
        self.shape.settle(root, SPEC_VERSION);
        outcome.map(|()| true).map_err(|kind| scanner.error(kind))
    }

    /// Scans text that is data, whatever its members are called.
    fn data(&mut self, text: &str, layout: &Layout, row: &mut RowBuilder) -> Result<(), DecodeError> {
        let mut scanner = self.scanner(text);
        let outcome = scanner
            .value(Some(layout.root()), row)
            .and_then(|()| scanner.end());
        outcome.map_err(|kind| scanner.error(kind))
    }
}

#[inline]
fn is_space(rest: Option<&[u8]>) -> bool {
    rest.is_some_and(|rest| {
        rest.iter()
            .all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
    })
}

#[cfg(test)]
mod tests;
