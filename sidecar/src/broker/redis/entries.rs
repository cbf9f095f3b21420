//! What Redis answers, taken apart without copying payloads. An answer of another shape is no error but nothing.

use std::sync::Arc;

use bytes::Bytes;
use redis::Value;
use streaming_engine::event::Trace;

use super::super::trace;
use super::tokens::Id;

/// The field that holds a message, as with Dapr.
pub(super) const FIELD: &str = "data";

/// An entry of a stream.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) id: Id,
    /// `None` if the entry is pending but gone: deleted, or trimmed off the stream.
    pub(super) payload: Option<Bytes>,
    /// The trace that its fields say it is part of: what other protocols have in headers, an entry has beside its payload.
    pub(super) trace: Option<Arc<Trace>>,
}

/// The entries in an answer to XREADGROUP of one stream.
pub(super) fn read(answer: Value) -> Vec<Entry> {
    let stream = array(answer).into_iter().next().map(array);
    stream
        .and_then(|mut stream| stream.pop())
        .map(entries)
        .unwrap_or_default()
}

/// The entries in an answer to XCLAIM, and whether it has places with nothing in them.
pub(super) fn claimed(list: Value) -> (Vec<Entry>, bool) {
    let list = array(list);
    let nameless = list.contains(&Value::Nil);
    (entries(Value::Array(list)), nameless)
}

/// The entries in an answer to XRANGE, or in one stream of XREADGROUP's.
pub(super) fn entries(list: Value) -> Vec<Entry> {
    array(list).into_iter().filter_map(entry).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let mut parts = array(value).into_iter();
    let id = Id::parse(&bytes(parts.next()?)?)?;
    let (payload, trace) = match parts.next()? {
        Value::Nil => (None, None),
        fields => {
            let (payload, trace) = content(array(fields));
            (Some(payload), trace)
        }
    };
    Some(Entry { id, payload, trace })
}

/// The field `data`, and what others say about a trace; without it a text that says so and has the fields, which is no
/// JSON, so that the entry is dead-lettered with all that it had.
fn content(fields: Vec<Value>) -> (Bytes, Option<Arc<Trace>>) {
    let (mut data, mut other) = (None, Vec::new());
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next().and_then(bytes), fields.next().and_then(bytes)) {
        if data.is_none() && name == FIELD.as_bytes() {
            data = Some(value);
        } else {
            other.push((name, value));
        }
    }
    let trace = trace(other.iter().filter_map(text));
    let payload = data.unwrap_or_else(|| {
        let field = |(name, value): &(Vec<u8>, Vec<u8>)| [b"\n", &**name, b"=", value].concat();
        let said = format!("entry without a field `{FIELD}`:").into_bytes();
        [said, other.iter().flat_map(field).collect()].concat()
    });
    (payload.into(), trace)
}

/// A field, where it is a text.
fn text((name, value): &(Vec<u8>, Vec<u8>)) -> Option<(&str, &str)> {
    Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
}

/// How often each entry in an answer to XPENDING was delivered, and to whom.
pub(super) fn pending(answer: Value) -> Vec<(Id, Vec<u8>, u32)> {
    let row = |row: Value| {
        let mut parts = array(row).into_iter();
        let id = Id::parse(&bytes(parts.next()?)?)?;
        let consumer = bytes(parts.next()?)?;
        let Some(Value::Int(deliveries)) = parts.nth(1) else {
            return None;
        };
        Some((id, consumer, u32::try_from(deliveries).unwrap_or(u32::MAX)))
    };
    array(answer).into_iter().filter_map(row).collect()
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(items.into_iter().collect())
    }

    #[test]
    fn an_answer_gives_its_entries() {
        let first = list([
            text("1-0"),
            list([text("traceid"), text("x"), text("data"), text("{}")]),
        ]);
        let other = list([
            text("2-0"),
            list([text("temp"), text("20"), text("unit"), text("C")]),
        ]);
        let gone = list([text("3-0"), Value::Nil]);
        let answer = list([list([text("topic"), list([first, other, gone])])]);
        let entries = read(answer);
        let payloads: Vec<Option<&[u8]>> = entries.iter().map(|entry| entry.payload.as_deref()).collect();
        assert_eq!(payloads[0], Some(&b"{}"[..]));
        assert_eq!(
            payloads[1],
            Some(&b"entry without a field `data`:\ntemp=20\nunit=C"[..])
        );
        assert_eq!(payloads[2], None);
        assert_eq!(entries[2].id.millis, 3);
    }

    #[test]
    fn nonsense_gives_nothing() {
        for answer in [
            Value::Nil,
            Value::Int(1),
            list([]),
            list([list([text("t")])]),
            list([Value::Okay]),
        ] {
            assert_eq!(read(answer), []);
        }
        assert_eq!(entries(list([list([text("x"), Value::Nil]), list([])])), []);
    }

    #[test]
    fn what_is_claimed_may_have_no_name() {
        let there = || list([text("1-0"), list([text("data"), text("{}")])]);
        assert_eq!(claimed(list([there()])), (entries(list([there()])), false));
        assert_eq!(
            claimed(list([Value::Nil, there()])),
            (entries(list([there()])), true)
        );
    }

    #[test]
    fn pending_rows_give_deliveries() {
        let row = list([text("5-1"), text("me"), Value::Int(900), Value::Int(3)]);
        let id = Id {
            millis: 5,
            sequence: 1,
        };
        assert_eq!(pending(list([row, list([])])), [(id, b"me".to_vec(), 3)]);
    }
}
