//! CloudEvents 1.0, structured JSON mode
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).
//!
//! A message is one if its top level has `specversion` `1.x` and the attributes that the specification requires.
//! Anything less is plain data: a payload must not fail because it has a member of that name.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{DecodeError, DecodeErrorKind};
use super::scan::Scanner;
use super::text::{self, Span};
use crate::layout::Layout;
use crate::row::RowBuilder;

/// What tells a CloudEvent from all others: producers keep `source` and `id` unique together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity<'p> {
    /// The attribute `source`.
    pub source: Cow<'p, str>,
    /// The attribute `id`.
    pub id: Cow<'p, str>,
    /// The attribute `type`.
    pub kind: Cow<'p, str>,
    /// The extension attribute `watermark`: of the events that come after this one, none happened before.
    pub watermark: Option<Cow<'p, str>>,
    /// The extension attribute `traceparent`
    /// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md>).
    pub traceparent: Option<Cow<'p, str>>,
    /// The extension attribute `tracestate`.
    pub tracestate: Option<Cow<'p, str>>,
}

/// Where the parts of a CloudEvent are in its text.
pub(super) struct Envelope {
    source: Span,
    id: Span,
    kind: Span,
    watermark: Option<Span>,
    traceparent: Option<Span>,
    tracestate: Option<Span>,
    data: Data,
}

#[derive(Clone, Copy)]
enum Data {
    /// The event has none.
    None,
    /// A string, the span of its content.
    Text(Span),
    /// Any other JSON, from where to where.
    Json(usize, usize),
    /// The content of `data_base64`.
    Base64(Span),
}

/// Scans a message as a CloudEvent, its data into `row`. `None` if it is plain data after all.
pub(super) fn scan(
    scanner: &mut Scanner<'_>,
    layout: &Layout,
    row: &mut RowBuilder,
) -> Result<Option<Envelope>, DecodeError> {
    let mut version = None;
    let (mut source, mut id, mut kind) = (None, None, None);
    let (mut data, mut base64, mut watermark) = (Data::None, None, None);
    let (mut traceparent, mut tracestate) = (None, None);
    scanner.peek();
    let outcome = scanner.object(None, |scanner, name| {
        let attribute = match name.text {
            b"specversion" => &mut version,
            b"source" => &mut source,
            b"id" => &mut id,
            b"type" => &mut kind,
            b"data_base64" => &mut base64,
            b"watermark" => &mut watermark,
            b"traceparent" => &mut traceparent,
            b"tracestate" => &mut tracestate,
            b"data" => {
                let is_text = scanner.peek() == b'"';
                let start = scanner.pos;
                scanner.value(Some(layout.root()), row)?;
                data = if is_text {
                    let (start, end) = (start + 1, scanner.pos - 1);
                    Data::Text(Span {
                        start,
                        end,
                        escaped: true,
                    })
                } else {
                    Data::Json(start, scanner.pos)
                };
                return Ok(());
            }
            _ => return scanner.value(None, row),
        };
        if scanner.peek() == b'"' {
            *attribute = Some(scanner.string()?);
            Ok(())
        } else {
            scanner.value(None, row)
        }
    });
    outcome
        .and_then(|()| scanner.end())
        .map_err(|kind| scanner.error(kind))?;
    if let (Data::None, Some(span)) = (data, base64) {
        data = Data::Base64(span);
    }
    let is_one = version.is_some_and(|span: Span| scanner.text[span.start..span.end].starts_with("1."));
    let required = |span: Option<Span>| span.filter(|span| is_one && span.start < span.end);
    Ok(match (required(source), required(id), required(kind)) {
        (Some(source), Some(id), Some(kind)) => Some(Envelope {
            source,
            id,
            kind,
            watermark,
            traceparent,
            tracestate,
            data,
        }),
        _ => None,
    })
}

impl Envelope {
    pub(super) fn identity<'p>(&self, text: &'p str) -> Identity<'p> {
        Identity {
            source: value(text, self.source),
            id: value(text, self.id),
            kind: value(text, self.kind),
            watermark: self.watermark.map(|span| value(text, span)),
            traceparent: self.traceparent.map(|span| value(text, span)),
            tracestate: self.tracestate.map(|span| value(text, span)),
        }
    }

    /// The data's own JSON text, for data that is not wrapped any further.
    pub(super) fn data<'p>(&self, text: &'p str) -> &'p str {
        match self.data {
            Data::None | Data::Base64(_) => "null",
            Data::Text(span) => &text[span.start - 1..=span.end],
            Data::Json(start, end) => &text[start..end],
        }
    }

    pub(super) fn data_is_text(&self) -> bool {
        matches!(self.data, Data::Text(_))
    }

    /// The text to decode in place of the event's data, if that is JSON wrapped in base64 or in a string.
    ///
    /// A publisher that hands Dapr bytes without a content type, or JSON text with a wrong one, ends up with its
    /// object inside a string; Dapr's SDKs unwrap that on arrival, and so does this. Only objects and arrays:
    /// the text `"12"` stays a text.
    pub(super) fn inner(&self, text: &str) -> Result<Option<String>, DecodeError> {
        match self.data {
            Data::None => Ok(Some("null".to_owned())),
            Data::Json(..) => Ok(None),
            Data::Text(span) => {
                let raw = text[span.start..span.end].trim_start();
                // White space may be escaped too; that a text starts with an escaped brace is not expected.
                let looks = raw.starts_with(['{', '[', '\\']);
                Ok(looks
                    .then(|| value(text, span).into_owned())
                    .filter(|inner| inner.trim_start().starts_with(['{', '['])))
            }
            Data::Base64(span) => {
                let wrong = |kind| DecodeError {
                    kind,
                    offset: span.start,
                };
                let bytes = STANDARD
                    .decode(value(text, span).as_bytes())
                    .map_err(|_| wrong(DecodeErrorKind::InvalidBase64))?;
                String::from_utf8(bytes)
                    .map(Some)
                    .map_err(|_| wrong(DecodeErrorKind::InvalidUtf8))
            }
        }
    }
}

fn value(text: &str, span: Span) -> Cow<'_, str> {
    let raw = &text[span.start..span.end];
    if !span.escaped {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    text::unescape(raw, &mut out);
    Cow::Owned(out)
}
