//! PUBLISH, which all messages are sent and come by (MQTT 5, 3.3): written without anything in between, and read without
//! copying the payload. Pure; the client library's codec is what it is tested against.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use rumqttc::QoS;

use super::super::{Outgoing, headers};
use super::frame::{
    self, LARGEST, LONGEST, Malformed, PUBLISH, Version, number_length, put_number, put_text, split,
    split_bytes, split_identifier, split_number, split_text,
};

const CONTENT_TYPE: u8 = 3;
const USER_PROPERTY: u8 = 38;

/// A message that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// 0 with `QoS` 0.
    pub(super) identifier: u16,
    pub(super) qos: QoS,
    /// It was given before, to an earlier connection.
    pub(super) again: bool,
    pub(super) topic: Arc<str>,
    pub(super) headers: Option<Box<Headers>>,
    pub(super) payload: Bytes,
    /// Of its identifier and all that it says; 0 with `QoS` 0.
    pub(super) fingerprint: u64,
}

/// What a message says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) user: Vec<(String, String)>,
    pub(super) content_type: Option<String>,
}

/// How messages are published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) version: Version,
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

impl Manner {
    fn properties(self, message: &Outgoing) -> usize {
        if self.version == Version::Older {
            return 0;
        }
        let user = properties(message).map(|(name, value)| 5 + name.len() + value.len());
        3 + message.content_type.len() + user.sum::<usize>()
    }

    /// What follows the header.
    fn body(self, message: &Outgoing, properties: usize) -> usize {
        let identifier = if self.qos == QoS::AtMostOnce { 0 } else { 2 };
        let before = match self.version {
            Version::Five => number_length(properties),
            Version::Older => 0,
        };
        2 + message.topic.len() + identifier + before + properties + message.payload.len()
    }

    /// How many bytes a message will be; `None` if no packet can hold it.
    pub(super) fn size(self, message: &Outgoing) -> Option<usize> {
        let body = self.body(message, self.properties(message));
        (body <= LARGEST).then(|| 1 + number_length(body) + body)
    }

    /// Writes a message that has a [`Manner::size`]. The identifier counts unless `QoS` is 0.
    pub(super) fn write(self, message: &Outgoing, identifier: u16, out: &mut BytesMut) {
        let properties_length = self.properties(message);
        let body = self.body(message, properties_length);
        out.reserve(5 + body);
        out.put_u8(PUBLISH << 4 | (self.qos as u8) << 1 | u8::from(self.retain));
        put_number(body, out);
        put_text(message.topic.as_bytes(), out);
        if self.qos != QoS::AtMostOnce {
            out.put_u16(identifier);
        }
        if self.version == Version::Five {
            put_number(properties_length, out);
            out.put_u8(CONTENT_TYPE);
            put_text(message.content_type.as_bytes(), out);
            for (name, value) in properties(message) {
                out.put_u8(USER_PROPERTY);
                put_text(name.as_bytes(), out);
                put_text(value.as_bytes(), out);
            }
        }
        out.put_slice(&message.payload);
    }
}

/// Headers that a property can hold.
fn properties(message: &Outgoing) -> impl Iterator<Item = (&'static str, &str)> {
    headers(message.trace.as_deref()).filter(|(_, value)| value.len() <= LONGEST)
}

/// Reads a packet that is a PUBLISH. `last` is the topic of the message before it, which most have as well.
pub(super) fn read(packet: &Bytes, version: Version, last: &mut Arc<str>) -> Result<Published, Malformed> {
    let head = frame::head(packet)?.ok_or_else(|| Malformed::new("a packet without a length"))?;
    let whole = packet.get(head.start..head.end).unwrap_or_default();
    let mut body = whole;
    let qos = match head.first >> 1 & 0b11 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        2 => QoS::ExactlyOnce,
        _ => return Err(Malformed::new("a message with QoS 3")),
    };
    let topic = split_bytes(&mut body)?;
    if topic != last.as_bytes() {
        let topic = std::str::from_utf8(topic).map_err(|_| Malformed::new("a topic that is not UTF-8"))?;
        *last = topic.into();
    }
    let (identifier, fingerprint) = match qos {
        QoS::AtMostOnce => (0, 0),
        QoS::AtLeastOnce | QoS::ExactlyOnce => (split_identifier(&mut body)?, fingerprint(whole)),
    };
    let headers = match version {
        Version::Five => {
            let length = split_number(&mut body)?;
            read_headers(split(&mut body, length)?)?
        }
        Version::Older => None,
    };
    Ok(Published {
        identifier,
        qos,
        again: head.first & 0b1000 != 0,
        topic: Arc::clone(last),
        headers,
        payload: packet.slice(head.end - body.len()..head.end),
        fingerprint,
    })
}

fn fingerprint(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    hasher.finish()
}

/// A content type alone says nothing that is asked for.
fn read_headers(mut properties: &[u8]) -> Result<Option<Box<Headers>>, Malformed> {
    let (mut user, mut content_type) = (Vec::new(), None);
    while !properties.is_empty() {
        match split(&mut properties, 1)? {
            [CONTENT_TYPE] => content_type = Some(split_text(&mut properties)?),
            [USER_PROPERTY] => {
                let (name, value) = (split_text(&mut properties)?, split_text(&mut properties)?);
                user.push((name.to_owned(), value.to_owned()));
            }
            // What its payload is.
            [1] => drop(split(&mut properties, 1)?),
            // When it expires.
            [2] => drop(split(&mut properties, 4)?),
            // Where an answer is wanted, and what shall be said there.
            [8 | 9] => drop(split_bytes(&mut properties)?),
            // Of which subscription it is.
            [11] => drop(split_number(&mut properties)?),
            // An alias instead of a topic isn't one either: none are allowed to who doesn't ask for them.
            other => {
                return Err(Malformed(format!("a message with the property {other:?}")));
            }
        }
    }
    let content_type = content_type.map(str::to_owned);
    Ok((!user.is_empty()).then(|| Box::new(Headers { user, content_type })))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rumqttc::{Packet, Publish, PublishProperties};
    use streaming_engine::event::Trace;

    use super::*;

    const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

    fn outgoing(topic: &str, payload: Vec<u8>, traced: bool) -> Outgoing {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        Outgoing {
            topic: topic.into(),
            id: "1".into(),
            content_type: "application/json",
            trace: Trace::new(parent, "a=1").filter(|_| traced).map(Arc::new),
            payload: payload.into(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_the_library_reads(
            topic in "[a-zäß/]{1,300}",
            payload in prop::collection::vec(any::<u8>(), 0..3_000),
            (qos, retain, traced) in (0..3_usize, any::<bool>(), any::<bool>()),
            identifier in 1..=u16::MAX,
        ) {
            let message = outgoing(&topic, payload, traced);
            let manner = Manner { version: Version::Five, qos: QOS[qos], retain };
            let mut out = BytesMut::new();
            manner.write(&message, identifier, &mut out);
            prop_assert_eq!(manner.size(&message), Some(out.len()));
            let Packet::Publish(read) = Packet::read(&mut out, None).unwrap() else { panic!() };
            prop_assert!(out.is_empty() && !read.dup);
            prop_assert_eq!((read.qos, read.retain), (QOS[qos], retain));
            prop_assert_eq!((&read.topic[..], read.payload), (topic.as_bytes(), message.payload.clone()));
            prop_assert_eq!(read.pkid, if qos == 0 { 0 } else { identifier });
            let properties = read.properties.unwrap();
            prop_assert_eq!(properties.content_type.as_deref(), Some("application/json"));
            let names: Vec<&str> = properties.user_properties.iter().map(|(name, _)| name.as_str()).collect();
            prop_assert_eq!(names, if traced { vec!["traceparent", "tracestate"] } else { vec![] });

            // And in 3.1.1, where properties are left out.
            let manner = Manner { version: Version::Older, ..manner };
            manner.write(&message, identifier, &mut out);
            prop_assert_eq!(manner.size(&message), Some(out.len()));
            let read = super::read(&out.freeze(), Version::Older, &mut "t".into()).unwrap();
            prop_assert_eq!((&*read.topic, read.payload, read.qos), (&*topic, message.payload, QOS[qos]));
        }

        #[test]
        fn what_the_library_writes_is_read(
            topic in "[a-zäß/]{1,300}",
            payload in prop::collection::vec(any::<u8>(), 0..3_000),
            (qos, retain, dup) in (0..3_usize, any::<bool>(), any::<bool>()),
            pkid in 1..=u16::MAX,
            user in prop::collection::vec(("[a-z]{0,9}", "[a-zß]{0,200}"), 0..4),
            content_type in prop::option::of("[a-z/]{0,30}"),
            rest in any::<bool>(),
        ) {
            let properties = PublishProperties {
                payload_format_indicator: rest.then_some(1),
                message_expiry_interval: rest.then_some(7),
                response_topic: rest.then(|| "r".to_owned()),
                correlation_data: rest.then(|| Bytes::from_static(b"\xff")),
                subscription_identifiers: if rest { vec![1, 300] } else { vec![] },
                user_properties: user.clone(),
                content_type: content_type.clone(),
                topic_alias: None,
            };
            let (qos, dup) = (QOS[qos], dup && qos > 0);
            let publish = Publish {
                dup,
                qos,
                retain,
                topic: topic.clone().into(),
                pkid,
                payload: payload.into(),
                properties: Some(properties),
            };
            let mut out = BytesMut::new();
            publish.write(&mut out).unwrap();
            let read = super::read(&out.freeze(), Version::Five, &mut "t".into()).unwrap();
            let expected = Published {
                identifier: if qos == QoS::AtMostOnce { 0 } else { pkid },
                qos,
                again: dup,
                topic: (&*topic).into(),
                headers: (!user.is_empty()).then(|| Box::new(Headers { user, content_type })),
                payload: publish.payload,
                fingerprint: read.fingerprint,
            };
            prop_assert_eq!(read.fingerprint == 0, qos == QoS::AtMostOnce);
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn whatever_comes_is_read_or_refused(mut packet in prop::collection::vec(any::<u8>(), 2..100)) {
            packet[1] = u8::try_from(packet.len() - 2).unwrap();
            let packet = Bytes::from(packet);
            for version in [Version::Five, Version::Older] {
                let _ = super::read(&packet, version, &mut "t".into());
            }
        }
    }

    #[test]
    fn what_no_packet_holds_has_no_size() {
        let manner = Manner {
            version: Version::Older,
            qos: QoS::AtLeastOnce,
            retain: false,
        };
        let message = outgoing("t", vec![0; LARGEST - 5], false);
        assert_eq!(manner.size(&message), Some(5 + LARGEST));
        let message = outgoing("t", vec![0; LARGEST - 4], false);
        assert_eq!(manner.size(&message), None);
    }
}
