//! Frames, as bytes: cut out of what was read, and written into what leaves next.

use amq_protocol::frame::{AMQPFrame, gen_frame};
use amq_protocol::protocol::{AMQPClass, parse_class};

use super::fault::Fault;

pub(super) const METHOD: u8 = 1;
pub(super) const HEADER: u8 = 2;
pub(super) const BODY: u8 = 3;
pub(super) const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
/// Type, channel and size before a frame's payload, and one byte behind it.
const BEFORE: usize = 7;
const AROUND: usize = BEFORE + 1;

/// The class of everything that is about messages, and its methods that are many.
const BASIC: u16 = 60;
const PUBLISH: u16 = 40;
const DELIVER: u16 = 60;
const ACK: u16 = 80;
const NACK: u16 = 120;

/// Which properties a message has (the bits of its header's flags).
pub(super) const CONTENT_TYPE: u16 = 1 << 15;
pub(super) const CONTENT_ENCODING: u16 = 1 << 14;
pub(super) const HEADERS: u16 = 1 << 13;
pub(super) const DELIVERY_MODE: u16 = 1 << 12;
pub(super) const PRIORITY: u16 = 1 << 11;
pub(super) const CORRELATION_ID: u16 = 1 << 10;
pub(super) const REPLY_TO: u16 = 1 << 9;
pub(super) const EXPIRATION: u16 = 1 << 8;
pub(super) const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;

/// What a client says first.
pub(super) const GREETING: [u8; 8] = *b"AMQP\0\0\x09\x01";

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'b> {
    pub(super) kind: u8,
    pub(super) channel: u16,
    pub(super) payload: &'b [u8],
}

impl Frame<'_> {
    /// With everything around it.
    pub(super) fn len(&self) -> usize {
        self.payload.len() + AROUND
    }
}

/// The first frame of what was read; `None` while it isn't whole.
pub(super) fn next(read: &[u8], most: u32) -> Result<Option<Frame<'_>>, Fault> {
    let mut rest = Reader(read);
    let (Some(kind), Some(channel), Some(size)) = (rest.u8(), rest.u16(), rest.u32()) else {
        return Ok(None);
    };
    if kind == GREETING[0] {
        // A broker that can't speak this version says which one it speaks, and hangs up.
        return Err(Fault::Unexpected(
            "another version of the protocol than AMQP 0-9-1",
        ));
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(AROUND) {
        return Err(Fault::Unexpected("a frame that is too large, or no AMQP at all"));
    }
    match (rest.take(size), rest.u8()) {
        (Some(payload), Some(END)) => Ok(Some(Frame {
            kind,
            channel,
            payload,
        })),
        (Some(_), Some(_)) => Err(Fault::Unexpected("a frame without its end")),
        _ => Ok(None),
    }
}

/// A method, as it is read.
#[derive(Debug, PartialEq)]
pub(super) enum Method<'b> {
    /// A message for a consumer; its properties and its body follow.
    Deliver {
        tag: u64,
        redelivered: bool,
        key: &'b str,
    },
    /// The broker has taken, or not, what was published under a number; `multiple`: and all before it.
    Confirm {
        tag: u64,
        multiple: bool,
        taken: bool,
    },
    Other(AMQPClass),
}

/// Reads a method frame's payload.
pub(super) fn method(payload: &[u8]) -> Result<Method<'_>, Fault> {
    let mut rest = Reader(payload);
    let (class, id) = (rest.u16(), rest.u16());
    let seldom = || match parse_class(payload) {
        Ok(([], class)) => Some(Method::Other(class)),
        _ => None,
    };
    let read = match (class, id) {
        (Some(BASIC), Some(DELIVER)) => rest.deliver(),
        (Some(BASIC), Some(id @ (ACK | NACK))) => rest.confirm(id == ACK),
        _ => seldom(),
    };
    read.ok_or(Fault::Unexpected("a method that can't be read"))
}

/// A message's header: the size of its body, and its properties from their flags on.
pub(super) fn header(payload: &[u8]) -> Result<(u64, &[u8]), Fault> {
    let mut rest = Reader(payload);
    match (rest.u16(), rest.u16(), rest.u64()) {
        (Some(BASIC), Some(_), Some(size)) => Ok((size, rest.0)),
        _ => Err(Fault::Unexpected("a message's header that can't be read")),
    }
}

/// Reads numbers and strings one after the other; `None` where there is too little left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Up to 255 bytes.
    pub(super) fn short(&mut self) -> Option<&'b [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    pub(super) fn long(&mut self) -> Option<&'b [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn deliver(&mut self) -> Option<Method<'b>> {
        let _consumer = self.short()?;
        let (tag, flags) = (self.u64()?, self.u8()?);
        let _exchange = self.short()?;
        Some(Method::Deliver {
            tag,
            redelivered: flags & 1 != 0,
            key: std::str::from_utf8(self.short()?).ok()?,
        })
    }

    fn confirm(&mut self, taken: bool) -> Option<Method<'b>> {
        let (tag, flags) = (self.u64()?, self.u8()?);
        Some(Method::Confirm {
            tag,
            multiple: flags & 1 != 0,
            taken,
        })
    }
}

/// A message to publish. Names of more than 255 bytes are cut: who has them has refused them before.
#[derive(Clone, Debug)]
pub(crate) struct Publication<'m> {
    pub(crate) exchange: &'m str,
    pub(crate) key: &'m str,
    /// It comes back if no queue takes it.
    pub(crate) mandatory: bool,
    pub(crate) content_type: &'m str,
    pub(crate) headers: Vec<(&'m str, &'m str)>,
    /// On the broker's disk before it is confirmed.
    pub(crate) persistent: bool,
    pub(crate) id: Option<&'m str>,
    /// Seconds since 1970.
    pub(crate) timestamp: u64,
    pub(crate) payload: &'m [u8],
}

/// Writes a message: the method, the header, and its body in as many frames as it takes.
pub(super) fn publish(out: &mut Vec<u8>, channel: u16, message: &Publication<'_>, most: u32) {
    frame(out, METHOD, channel, |out| {
        ids(out, PUBLISH);
        // A ticket that nobody looks at any more.
        out.extend([0, 0]);
        short(out, message.exchange);
        short(out, message.key);
        out.push(message.mandatory.into());
    });
    frame(out, HEADER, channel, |out| {
        // A weight that nobody looks at either.
        ids(out, 0);
        out.extend((message.payload.len() as u64).to_be_bytes());
        properties(out, message);
    });
    let most = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(AROUND);
    for part in message.payload.chunks(most.max(1)) {
        frame(out, BODY, channel, |out| out.extend_from_slice(part));
    }
}

fn properties(out: &mut Vec<u8>, message: &Publication<'_>) {
    let headers = if message.headers.is_empty() { 0 } else { HEADERS };
    let id = message.id.map_or(0, |_| MESSAGE_ID);
    let flags = CONTENT_TYPE | headers | DELIVERY_MODE | id | TIMESTAMP;
    out.extend(flags.to_be_bytes());
    short(out, message.content_type);
    if headers != 0 {
        sized(out, |out| {
            for (name, value) in &message.headers {
                short(out, name);
                out.push(b'S');
                sized(out, |out| out.extend_from_slice(value.as_bytes()));
            }
        });
    }
    out.push(if message.persistent { 2 } else { 1 });
    if let Some(id) = message.id {
        short(out, id);
    }
    out.extend(message.timestamp.to_be_bytes());
}

/// Writes the ack of a delivery, `multiple`: and of all before it.
pub(super) fn ack(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    frame(out, METHOD, channel, |out| {
        ids(out, ACK);
        out.extend(tag.to_be_bytes());
        out.push(multiple.into());
    });
}

/// Writes that we are alive.
pub(super) fn heartbeat(out: &mut Vec<u8>) {
    frame(out, HEARTBEAT, 0, |_| {});
}

/// Writes any other method.
pub(super) fn call(out: &mut Vec<u8>, channel: u16, method: impl Into<AMQPClass>) -> Result<(), Fault> {
    let method = AMQPFrame::Method(channel, method.into());
    let written = gen_frame::<Vec<u8>>(&method)(Vec::new().into());
    let (written, _) = written
        .map_err(|_| Fault::Unexpected("a method that can't be written"))?
        .into_inner();
    out.extend_from_slice(&written);
    Ok(())
}

fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    sized(out, payload);
    out.push(END);
}

/// Writes something behind its size.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    out.extend([0; 4]);
    write(out);
    let size = u32::try_from(out.len() - before - 4).unwrap_or(u32::MAX);
    out[before..before + 4].copy_from_slice(&size.to_be_bytes());
}

fn ids(out: &mut Vec<u8>, method: u16) {
    out.extend(BASIC.to_be_bytes());
    out.extend(method.to_be_bytes());
}

fn short(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend_from_slice(&text.as_bytes()[..length.into()]);
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, parse_frame};
    use amq_protocol::protocol::{BasicProperties, basic};
    use amq_protocol::types::{AMQPValue, FieldTable};
    use proptest::prelude::*;

    use super::*;
    use crate::broker::rabbitmq::amqp::properties::Properties;

    /// All frames, by the library.
    fn parsed(mut bytes: &[u8]) -> Vec<AMQPFrame> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (rest, frame) = parse_frame(bytes).unwrap();
            frames.push(frame);
            bytes = rest;
        }
        frames
    }

    fn generated(frame: &AMQPFrame) -> Vec<u8> {
        gen_frame::<Vec<u8>>(frame)(Vec::new().into())
            .unwrap()
            .into_inner()
            .0
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-zé.]{0,60}"
    }

    proptest! {
        #[test]
        fn the_library_reads_what_is_published(
            channel in 1..9_u16,
            names in (text(), text(), text(), prop::option::of(text())),
            headers in prop::collection::btree_map("[a-z]{1,9}", text(), 0..3),
            flags in (any::<bool>(), any::<bool>()),
            timestamp: u64,
            payload in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let (exchange, key, content_type, id) = &names;
            let message = Publication {
                exchange,
                key,
                mandatory: flags.0,
                content_type,
                headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
                persistent: flags.1,
                id: id.as_deref(),
                timestamp,
                payload: &payload,
            };
            let mut out = Vec::new();
            publish(&mut out, channel, &message, 28);
            let mut properties = BasicProperties::default()
                .with_content_type(content_type.as_str().into())
                .with_delivery_mode(if flags.1 { 2 } else { 1 })
                .with_timestamp(timestamp);
            if let Some(id) = id {
                properties = properties.with_message_id(id.as_str().into());
            }
            if !headers.is_empty() {
                let mut table = FieldTable::default();
                for (name, value) in &headers {
                    table.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
                }
                properties = properties.with_headers(table);
            }
            let method = basic::Publish {
                exchange: exchange.as_str().into(),
                routing_key: key.as_str().into(),
                mandatory: flags.0,
                immediate: false,
            };
            let header = AMQPContentHeader { class_id: 60, body_size: payload.len() as u64, properties };
            let mut expected = vec![
                AMQPFrame::Method(channel, AMQPClass::Basic(basic::AMQPMethod::Publish(method))),
                AMQPFrame::Header(channel, header),
            ];
            expected.extend(payload.chunks(20).map(|part| AMQPFrame::Body(channel, part.to_vec())));
            prop_assert_eq!(parsed(&out), expected);
            // And what it writes is the same, byte for byte.
            let again: Vec<u8> = parsed(&out).iter().flat_map(generated).collect();
            prop_assert_eq!(again, out);
        }

        #[test]
        fn what_the_library_writes_is_read(
            channel in 1..9_u16,
            tag: u64,
            flag: bool,
            names in (text(), text(), text()),
            payload in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let (consumer, exchange, key) = &names;
            let deliver = basic::Deliver {
                consumer_tag: consumer.as_str().into(),
                delivery_tag: tag,
                redelivered: flag,
                exchange: exchange.as_str().into(),
                routing_key: key.as_str().into(),
            };
            let ack = basic::Ack { delivery_tag: tag, multiple: flag };
            let nack = basic::Nack { delivery_tag: tag, multiple: flag, requeue: true };
            let methods = [
                basic::AMQPMethod::Deliver(deliver),
                basic::AMQPMethod::Ack(ack),
                basic::AMQPMethod::Nack(nack),
            ];
            let expected = [
                Method::Deliver { tag, redelivered: flag, key },
                Method::Confirm { tag, multiple: flag, taken: true },
                Method::Confirm { tag, multiple: flag, taken: false },
            ];
            for (sent, expected) in methods.into_iter().zip(expected) {
                let bytes = generated(&AMQPFrame::Method(channel, AMQPClass::Basic(sent)));
                let frame = next(&bytes, 1 << 10).unwrap().unwrap();
                prop_assert_eq!((frame.kind, frame.channel, frame.len()), (METHOD, channel, bytes.len()));
                prop_assert_eq!(method(frame.payload).unwrap(), expected);
            }
            let body = generated(&AMQPFrame::Body(channel, payload.clone()));
            let frame = next(&body, 1 << 10).unwrap().unwrap();
            prop_assert_eq!((frame.kind, frame.payload), (BODY, &payload[..]));
            let properties = BasicProperties::default()
                .with_content_type(key.as_str().into())
                .with_correlation_id(exchange.as_str().into())
                .with_message_id(consumer.as_str().into());
            let sent = AMQPContentHeader { class_id: 60, body_size: tag, properties };
            let bytes = generated(&AMQPFrame::Header(channel, sent));
            let frame = next(&bytes, 1 << 10).unwrap().unwrap();
            let (size, properties) = header(frame.payload).unwrap();
            let properties = Properties::read(properties).unwrap();
            prop_assert_eq!((frame.kind, size), (HEADER, tag));
            prop_assert_eq!(properties.content_type, Some(key.as_str()));
            prop_assert_eq!(properties.id, Some(consumer.as_bytes()));
        }

        #[test]
        fn acks_are_the_library_s(channel in 1..9_u16, tag: u64, multiple: bool) {
            let mut out = Vec::new();
            ack(&mut out, channel, tag, multiple);
            heartbeat(&mut out);
            let expected = AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple }));
            prop_assert_eq!(parsed(&out), [AMQPFrame::Method(channel, expected), AMQPFrame::Heartbeat]);
        }

        #[test]
        fn nothing_that_comes_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            if let Ok(Some(frame)) = next(&bytes, 99) {
                prop_assert!(frame.len() <= bytes.len());
            }
            for start in [&[][..], &[0, 60, 0, 60], &[0, 60, 0, 80], &[0, 60, 0, 0]] {
                let bytes = [start, &bytes].concat();
                let _ = method(&bytes);
                let _ = header(&bytes);
                if let Some(properties) = Properties::read(&bytes) {
                    properties.headers().for_each(drop);
                }
            }
        }
    }

    #[test]
    fn a_frame_is_waited_for_until_it_is_whole() {
        let mut bytes = Vec::new();
        ack(&mut bytes, 1, 7, true);
        for part in 0..bytes.len() {
            assert_eq!(next(&bytes[..part], 99).unwrap(), None);
        }
        *bytes.last_mut().unwrap() = 0;
        assert!(next(&bytes, 99).is_err());
        assert!(next(&bytes[..7], 8).is_err());
        assert!(next(&GREETING, 99).is_err());
    }
}
