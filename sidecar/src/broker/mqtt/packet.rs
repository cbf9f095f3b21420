//! What a broker says, packet by packet. Messages and their answers are read here, what is seldom said by the client library's
//! codec. Pure.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use rumqttc::{
    ConnAck, Connect, ConnectAuth, Disconnect, DisconnectReasonCode, Packet as Five, Subscribe,
    SubscribeFilter, SubscribeReasonCode,
};

use super::frame::{Malformed, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Version, head, split_identifier};
use super::older;
use super::publish::{self, Published};

/// PINGREQ, the same in MQTT 5 (3.12) and 3.1.1.
pub(super) const PINGREQ: &[u8] = &[0xc0, 0];
/// Of a SUBSCRIBE: who reads has one subscription and publishes nothing.
const SUBSCRIPTION: u16 = 1;
/// 3.1.1's CONNACK has so many bytes; 5's has more.
const OLDER_CONNACK: usize = 4;
const CONNACK: u8 = 2;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Message(Published),
    Answer(Answer),
    /// PUBREL: the broker will not send a message with this identifier again.
    Released(u16),
    Connected(Box<ConnAck>),
    Subscribed(Vec<SubscribeReasonCode>),
    Disconnected(DisconnectReasonCode),
    /// PINGRESP.
    Here,
}

/// What a broker says of a message that was published.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) step: Step,
    pub(super) identifier: u16,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// PUBACK.
    Acknowledged,
    /// PUBREC.
    Received,
    /// PUBCOMP.
    Complete,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// It is, and nobody reads its topic.
    Unread,
    Refused(String),
}

/// Reads the next packet, once all of it is here. `last` is the topic of the last message.
pub(super) fn read(
    unread: &mut BytesMut,
    version: Version,
    last: &mut Arc<str>,
) -> Result<Option<Packet>, Malformed> {
    let Some(head) = head(unread)?.filter(|head| head.end <= unread.len()) else {
        return Ok(None);
    };
    let packet = unread.split_to(head.end).freeze();
    let mut body = packet.get(head.start..).unwrap_or_default();
    let step = match (head.first >> 4, head.first & 0b1111) {
        (PUBLISH, _) => return publish::read(&packet, version, last).map(|came| Some(Packet::Message(came))),
        (PUBREL, 0b0010) => return Ok(Some(Packet::Released(split_identifier(&mut body)?))),
        (PUBACK, 0) => Step::Acknowledged,
        (PUBREC, 0) => Step::Received,
        (PUBCOMP, 0) => Step::Complete,
        _ => return seldom(&packet, version).map(Some),
    };
    let identifier = split_identifier(&mut body)?;
    let verdict = match body.first() {
        None | Some(0) => Verdict::Taken,
        Some(16) => Verdict::Unread,
        // It has been taken, and this is only about the handshake's end.
        Some(_) if step == Step::Complete => Verdict::Taken,
        Some(code) => Verdict::Refused(refusal(&packet).unwrap_or_else(|| format!("reason {code:#04x}"))),
    };
    Ok(Some(Packet::Answer(Answer {
        step,
        identifier,
        verdict,
    })))
}

/// How long the packet is of which this is the beginning, if that can be told.
pub(super) fn length(unread: &[u8]) -> Option<usize> {
    head(unread).ok().flatten().map(|head| head.end)
}

fn seldom(packet: &Bytes, version: Version) -> Result<Packet, Malformed> {
    let mut five = BytesMut::new();
    let is_older = packet.first().is_some_and(|first| first >> 4 == CONNACK) && packet.len() == OLDER_CONNACK;
    if version == Version::Older || is_older {
        older::to_client(packet, &mut five)?;
    } else {
        five.put_slice(packet);
    }
    match Five::read(&mut five, None) {
        Ok(Five::ConnAck(answer)) => Ok(Packet::Connected(Box::new(answer))),
        Ok(Five::SubAck(answer)) => Ok(Packet::Subscribed(answer.return_codes)),
        Ok(Five::Disconnect(Disconnect { reason_code, .. })) => Ok(Packet::Disconnected(reason_code)),
        Ok(Five::PingResp) => Ok(Packet::Here),
        Ok(_) => Err(Malformed::new("a packet that no broker sends")),
        Err(error) => Err(Malformed(error.to_string())),
    }
}

/// Why a message was refused, in the library's words.
fn refusal(packet: &Bytes) -> Option<String> {
    match Five::read(&mut BytesMut::from(&packet[..]), None).ok()? {
        Five::PubAck(answer) => Some(format!("{:?}", answer.reason)),
        Five::PubRec(answer) => Some(format!("{:?}", answer.reason)),
        _ => None,
    }
}

/// Writes a packet that is nothing but an identifier, as PUBACK: all is well.
pub(super) fn put_answer(kind: u8, identifier: u16, out: &mut BytesMut) {
    out.put_u8(kind << 4 | if kind == PUBREL { 0b0010 } else { 0 });
    out.put_u8(2);
    out.put_u16(identifier);
}

/// Writes a CONNECT.
pub(super) fn put_connect(
    connect: &Connect,
    login: &ConnectAuth,
    version: Version,
    out: &mut BytesMut,
) -> Result<(), Malformed> {
    let mut five = BytesMut::new();
    let written = connect.write(&None, login, &mut five);
    written.map_err(|error| Malformed(error.to_string()))?;
    put(&five, version, out)
}

/// Writes the SUBSCRIBE of a connection that reads.
pub(super) fn put_subscribe(
    filter: SubscribeFilter,
    version: Version,
    out: &mut BytesMut,
) -> Result<(), Malformed> {
    let subscribe = Subscribe {
        pkid: SUBSCRIPTION,
        ..Subscribe::new(filter, None)
    };
    let mut five = BytesMut::new();
    let written = subscribe.write(&mut five);
    written.map_err(|error| Malformed(error.to_string()))?;
    put(&five, version, out)
}

fn put(five: &[u8], version: Version, out: &mut BytesMut) -> Result<(), Malformed> {
    match version {
        Version::Five => out.put_slice(five),
        Version::Older => older::to_broker(five, out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rumqttc::{PubAck, PubAckReason, PubComp, PubRec, PubRecReason, PubRel};

    use super::*;

    fn read_all(mut bytes: BytesMut, version: Version) -> Vec<Packet> {
        let mut last: Arc<str> = "".into();
        let mut packets = Vec::new();
        while let Some(packet) = read(&mut bytes, version, &mut last).unwrap() {
            packets.push(packet);
        }
        assert!(bytes.is_empty());
        packets
    }

    #[test]
    fn answers_are_read_as_the_library_writes_them() {
        let mut bytes = BytesMut::new();
        let refused = PubAck {
            reason: PubAckReason::QuotaExceeded,
            ..PubAck::new(2, None)
        };
        let unread = PubRec {
            reason: PubRecReason::NoMatchingSubscribers,
            ..PubRec::new(3, None)
        };
        PubAck::new(1, None).write(&mut bytes).unwrap();
        refused.write(&mut bytes).unwrap();
        unread.write(&mut bytes).unwrap();
        PubRel::new(4, None).write(&mut bytes).unwrap();
        PubComp::new(5, None).write(&mut bytes).unwrap();
        // A reason that the library doesn't know either.
        bytes.put_slice(&[0x40, 3, 0, 6, 0xff]);
        let answer = |step, identifier, verdict| {
            Packet::Answer(Answer {
                step,
                identifier,
                verdict,
            })
        };
        let expected = [
            answer(Step::Acknowledged, 1, Verdict::Taken),
            answer(
                Step::Acknowledged,
                2,
                Verdict::Refused("QuotaExceeded".to_owned()),
            ),
            answer(Step::Received, 3, Verdict::Unread),
            Packet::Released(4),
            answer(Step::Complete, 5, Verdict::Taken),
            answer(Step::Acknowledged, 6, Verdict::Refused("reason 0xff".to_owned())),
        ];
        assert_eq!(read_all(bytes, Version::Five), expected);
    }

    #[test]
    fn answers_are_written_as_the_library_reads_them() {
        let mut out = BytesMut::new();
        for kind in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
            put_answer(kind, 0x0102, &mut out);
        }
        let mut read = || Five::read(&mut out, None).unwrap();
        assert_eq!(read(), Five::PubAck(PubAck::new(0x0102, None)));
        assert_eq!(read(), Five::PubRec(PubRec::new(0x0102, None)));
        assert_eq!(read(), Five::PubRel(PubRel::new(0x0102, None)));
        assert_eq!(read(), Five::PubComp(PubComp::new(0x0102, None)));
    }

    #[test]
    fn an_older_broker_is_understood_before_its_version_is_known() {
        let bytes = BytesMut::from(&[0x20, 2, 0, 1][..]);
        let [Packet::Connected(answer)] = &read_all(bytes, Version::Five)[..] else {
            panic!()
        };
        assert_eq!(
            answer.code,
            rumqttc::ConnectReturnCode::UnsupportedProtocolVersion
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for version in [Version::Five, Version::Older] {
                let (mut unread, mut last) = (BytesMut::from(&bytes[..]), "".into());
                while let Ok(Some(_)) = read(&mut unread, version, &mut last) {}
            }
        }
    }
}
