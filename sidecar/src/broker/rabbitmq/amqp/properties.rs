//! A message's properties, of which only few are ever looked at. What publishers put into headers may be nested as deep
//! as they like: it is stepped over, never into.

use super::wire::{
    CONTENT_ENCODING, CONTENT_TYPE, CORRELATION_ID, DELIVERY_MODE, EXPIRATION, HEADERS, MESSAGE_ID, PRIORITY,
    REPLY_TO, Reader,
};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Properties<'b> {
    pub(crate) content_type: Option<&'b str>,
    pub(super) id: Option<&'b [u8]>,
    headers: &'b [u8],
}

/// A header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'b> {
    /// A string.
    Text(&'b str),
    /// Any integer.
    Number(i64),
    /// Anything else.
    Other,
}

impl<'b> Properties<'b> {
    /// Reads them from their flags on; `None` if they can't be.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Properties<'b>> {
        let mut rest = Reader(bytes);
        let flags = rest.u16()?;
        let has = |flag: u16| flags & flag != 0;
        let mut read = Properties {
            content_type: None,
            id: None,
            headers: &[],
        };
        if has(CONTENT_TYPE) {
            read.content_type = std::str::from_utf8(rest.short()?).ok();
        }
        if has(CONTENT_ENCODING) {
            rest.short()?;
        }
        if has(HEADERS) {
            read.headers = rest.long()?;
        }
        for one in [DELIVERY_MODE, PRIORITY] {
            if has(one) {
                rest.u8()?;
            }
        }
        for name in [CORRELATION_ID, REPLY_TO, EXPIRATION] {
            if has(name) {
                rest.short()?;
            }
        }
        if has(MESSAGE_ID) {
            read.id = Some(rest.short()?);
        }
        Some(read)
    }

    /// The headers, up to the first that can't be read.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'b str, Value<'b>)> + use<'b> {
        let mut rest = Reader(self.headers);
        std::iter::from_fn(move || header(&mut rest))
    }
}

fn header<'b>(rest: &mut Reader<'b>) -> Option<(&'b str, Value<'b>)> {
    let name = std::str::from_utf8(rest.short()?).ok()?;
    // The types are those that RabbitMQ has (<https://www.rabbitmq.com/docs/amqp-0-9-1-errata#section_3>).
    let value = match rest.u8()? {
        b'S' => match std::str::from_utf8(rest.long()?) {
            Ok(text) => Value::Text(text),
            Err(_) => Value::Other,
        },
        b'b' => Value::Number(i8::from_be_bytes(rest.array()?).into()),
        b'B' => Value::Number(rest.u8()?.into()),
        b's' | b'U' => Value::Number(i16::from_be_bytes(rest.array()?).into()),
        b'u' => Value::Number(rest.u16()?.into()),
        b'I' => Value::Number(i32::from_be_bytes(rest.array()?).into()),
        b'i' => Value::Number(rest.u32()?.into()),
        b'l' | b'L' => Value::Number(i64::from_be_bytes(rest.array()?)),
        other => {
            let size = match other {
                b'V' => 0,
                b't' => 1,
                b'f' => 4,
                b'D' => 5,
                b'd' | b'T' => 8,
                b'A' | b'F' | b'x' => usize::try_from(rest.u32()?).ok()?,
                _ => return None,
            };
            rest.take(size)?;
            Value::Other
        }
    };
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
    use amq_protocol::protocol::BasicProperties;
    use amq_protocol::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};

    use super::*;
    use crate::broker::rabbitmq::amqp::wire::{header, next};

    fn table_of<'n>(entries: impl IntoIterator<Item = (&'n str, AMQPValue)>) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert(name.into(), value);
        }
        table
    }

    #[test]
    fn headers_of_every_type_are_read_or_stepped_over() {
        let nested = table_of([("inner", AMQPValue::LongString("x".into()))]);
        let array = FieldArray::from(vec![AMQPValue::FieldTable(nested.clone())]);
        let decimal = DecimalValue { scale: 2, value: 7 };
        let all = [
            ("a", AMQPValue::Boolean(true), Value::Other),
            ("b", AMQPValue::ShortShortInt(-1), Value::Number(-1)),
            ("c", AMQPValue::ShortShortUInt(200), Value::Number(200)),
            ("d", AMQPValue::ShortInt(-300), Value::Number(-300)),
            ("e", AMQPValue::ShortUInt(60_000), Value::Number(60_000)),
            ("f", AMQPValue::LongInt(-70_000), Value::Number(-70_000)),
            ("g", AMQPValue::LongUInt(u32::MAX), Value::Number(u32::MAX.into())),
            ("h", AMQPValue::LongLongInt(i64::MIN), Value::Number(i64::MIN)),
            ("i", AMQPValue::Float(1.5), Value::Other),
            ("j", AMQPValue::Double(1.5), Value::Other),
            ("k", AMQPValue::DecimalValue(decimal), Value::Other),
            ("l", AMQPValue::FieldArray(array), Value::Other),
            ("m", AMQPValue::Timestamp(7), Value::Other),
            ("n", AMQPValue::FieldTable(nested), Value::Other),
            ("o", AMQPValue::ByteArray(vec![1, 2, 3].into()), Value::Other),
            ("p", AMQPValue::Void, Value::Other),
            ("q", AMQPValue::LongString(vec![0xff].into()), Value::Other),
            ("r", AMQPValue::LongString("Grüße".into()), Value::Text("Grüße")),
        ];
        let table = table_of(all.iter().map(|(name, value, _)| (*name, value.clone())));
        let properties = BasicProperties::default()
            .with_content_type("text/plain".into())
            .with_content_encoding("gzip".into())
            .with_headers(table)
            .with_priority(1)
            .with_reply_to("there".into())
            .with_expiration("1".into())
            .with_message_id("7".into());
        let sent = AMQPContentHeader {
            class_id: 60,
            body_size: 0,
            properties,
        };
        let bytes = gen_frame::<Vec<u8>>(&AMQPFrame::Header(1, sent))(Vec::new().into())
            .unwrap()
            .into_inner()
            .0;
        let frame = next(&bytes, 1 << 10).unwrap().unwrap();
        let read = Properties::read(header(frame.payload).unwrap().1).unwrap();
        assert_eq!(
            (read.content_type, read.id),
            (Some("text/plain"), Some(&b"7"[..]))
        );
        let expected: Vec<_> = all.iter().map(|(name, _, value)| (*name, *value)).collect();
        assert_eq!(read.headers().collect::<Vec<_>>(), expected);
    }
}
