//! MQTT 3.1.1 for a client that speaks MQTT 5: packets are translated on their way, as far as both versions have them
//! (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>). What only 5 has is left out, its properties
//! before all. Pure; a message's payload passes through without being gathered.

use bytes::{Buf as _, BufMut as _, BytesMut};

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const PINGREQ: u8 = 12;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;

/// A packet that can't be translated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packet that MQTT 3.1.1 does not have")]
pub(super) struct Malformed;

/// Where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToBroker,
    ToClient,
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Translator {
    direction: Direction,
    /// What has come of a packet that is not understood yet.
    gathered: BytesMut,
    /// How much of what comes next is payload. Nothing is gathered meanwhile.
    passing: usize,
    /// What is translated and not taken yet.
    pub(super) out: BytesMut,
}

/// The beginning of a packet: all of it but a message's payload.
struct Head {
    first: u8,
    /// Where it begins, after the fixed header, and where it ends.
    start: usize,
    end: usize,
    payload: usize,
}

impl Translator {
    pub(super) fn new(direction: Direction) -> Translator {
        Translator {
            direction,
            gathered: BytesMut::new(),
            passing: 0,
            out: BytesMut::new(),
        }
    }

    /// Takes in the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let (payload, bytes) = bytes.split_at(self.passing.min(bytes.len()));
        self.out.put_slice(payload);
        self.passing -= payload.len();
        self.gathered.put_slice(bytes);
        while let Some(head) = head(self.direction, &self.gathered)? {
            let body = self.gathered.get(head.start..head.end).ok_or(Malformed)?;
            match self.direction {
                Direction::ToBroker => to_broker(&head, body, &mut self.out),
                Direction::ToClient => to_client(&head, body, &mut self.out),
            }
            .ok_or(Malformed)?;
            self.gathered.advance(head.end);
            let here = head.payload.min(self.gathered.len());
            self.out.put_slice(&self.gathered.split_to(here));
            self.passing = head.payload - here;
        }
        Ok(())
    }
}

/// The head of the packet that begins here, once all of it is here.
fn head(direction: Direction, bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some(first) = bytes.first().copied() else {
        return Ok(None);
    };
    let Some((rest, length)) = number(&bytes[1..])? else {
        return Ok(None);
    };
    let start = 1 + length;
    let body = &bytes[start..];
    let whole = |end| Head {
        first,
        start,
        end: start + end,
        payload: rest - end,
    };
    if first >> 4 != PUBLISH {
        return Ok((body.len() >= rest).then(|| whole(rest)));
    }
    let Some(mut end) = before_properties(first, body) else {
        return Ok(None);
    };
    if direction == Direction::ToBroker {
        let Some((properties, length)) = number(body.get(end..).unwrap_or_default())? else {
            return Ok(None);
        };
        end += properties + length;
    }
    if end > rest {
        return Err(Malformed);
    }
    Ok((body.len() >= end).then(|| whole(end)))
}

/// Where a message's properties begin, or its payload: after its topic, and its packet identifier if it has one.
fn before_properties(first: u8, body: &[u8]) -> Option<usize> {
    let topic = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let identifier = if first & 0b110 == 0 { 0 } else { 2 };
    Some(2 + topic + identifier)
}

/// A number of one to four bytes, and how many it has; `None` if not all of them are here.
fn number(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Malformed) }
}

/// A packet's first byte, and how long it is.
fn put_header(first: u8, mut length: usize, out: &mut BytesMut) {
    out.put_u8(first);
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            return out.put_u8(low);
        }
        out.put_u8(low | 0x80);
    }
}

fn put(first: u8, body: &[&[u8]], out: &mut BytesMut) {
    put_header(first, body.iter().map(|part| part.len()).sum(), out);
    for part in body {
        out.put_slice(part);
    }
}

/// Splits a text or binary data off, with its length before it.
fn text<'b>(body: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = 2 + usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let (text, rest) = body.split_at_checked(length)?;
    *body = rest;
    Some(text)
}

fn skip_properties(body: &mut &[u8]) -> Option<()> {
    let (properties, length) = number(body).ok()??;
    *body = body.get(properties + length..)?;
    Some(())
}

fn to_broker(head: &Head, body: &[u8], out: &mut BytesMut) -> Option<()> {
    let mut rest = body;
    match head.first >> 4 {
        CONNECT => {
            let name = text(&mut rest)?;
            // The version, flags, and two bytes for the keep-alive. `Clean start` and `clean session` are the same flag.
            let (fixed, after) = rest.split_at_checked(4)?;
            rest = after;
            skip_properties(&mut rest)?;
            let client = text(&mut rest)?;
            if fixed[1] & 0b100 != 0 {
                skip_properties(&mut rest)?;
            }
            put(head.first, &[name, &[4], &fixed[1..], client, rest], out);
        }
        PUBLISH => {
            let end = before_properties(head.first, body)?;
            put_header(head.first, end + head.payload, out);
            out.put_slice(body.get(..end)?);
        }
        PUBACK..=PUBCOMP => put(head.first, &[body.get(..2)?], out),
        SUBSCRIBE => {
            let (identifier, after) = rest.split_at_checked(2)?;
            rest = after;
            skip_properties(&mut rest)?;
            let mut filters = BytesMut::new();
            while !rest.is_empty() {
                filters.put_slice(text(&mut rest)?);
                // Of its options only the quality of service.
                filters.put_u8(rest.try_get_u8().ok()? & 0b11);
            }
            put(head.first, &[identifier, &filters], out);
        }
        PINGREQ | DISCONNECT => put(head.first, &[], out),
        _ => return None,
    }
    Some(())
}

fn to_client(head: &Head, body: &[u8], out: &mut BytesMut) -> Option<()> {
    /// No properties.
    const NONE: &[u8] = &[0];
    match head.first >> 4 {
        CONNACK => {
            let [present, code] = body else { return None };
            put(head.first, &[&[*present, refusal(*code)], NONE], out);
        }
        PUBLISH => {
            put_header(head.first, body.len() + NONE.len() + head.payload, out);
            out.put_slice(body);
            out.put_slice(NONE);
        }
        PUBACK..=PUBCOMP | PINGRESP => put(head.first, &[body], out),
        SUBACK => {
            let (identifier, codes) = body.split_at_checked(2)?;
            put(head.first, &[identifier, NONE, codes], out);
        }
        _ => return None,
    }
    Some(())
}

/// Why a broker refuses a client, in MQTT 5's words.
fn refusal(code: u8) -> u8 {
    match code {
        0 => 0,
        1 => 0x84,
        2 => 0x85,
        3 => 0x88,
        4 => 0x86,
        5 => 0x87,
        _ => 0x80,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Translates what comes in pieces.
    fn translated(direction: Direction, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut translator = Translator::new(direction);
        for piece in bytes.chunks(piece) {
            translator.push(piece).unwrap();
        }
        assert!(translator.gathered.is_empty() && translator.passing == 0);
        translator.out.to_vec()
    }

    fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::new();
        put(first, body, &mut out);
        out.to_vec()
    }

    #[test]
    fn a_client_s_packets_lose_what_only_5_has() {
        // With a will, a user and a password, and properties wherever there may be some.
        let five = [
            packet(
                0x10,
                &[
                    b"\0\x04MQTT",
                    &[5, 0b1100_0110, 0, 60],
                    &[5, 0x11, 0, 0, 0, 9],
                    b"\0\x01c",
                    &[2, 1, 1],
                    b"\0\x01w\0\x02xy",
                    b"\0\x01u\0\x01p",
                ],
            ),
            packet(
                0x82,
                &[&[0, 7], &[0], b"\0\x03a/#", &[0b0010_0101], b"\0\x01b", &[0]],
            ),
            packet(0x33, &[b"\0\x01t", &[0, 9], &[2, 1, 1], b"payload"]),
            packet(0x30, &[b"\0\x01t", &[0]]),
            packet(0x40, &[&[0, 9, 0x10, 0]]),
            packet(0xc0, &[]),
            packet(0xe0, &[&[0, 0]]),
        ]
        .concat();
        let older = [
            packet(
                0x10,
                &[
                    b"\0\x04MQTT",
                    &[4, 0b1100_0110, 0, 60],
                    b"\0\x01c",
                    b"\0\x01w\0\x02xy",
                    b"\0\x01u\0\x01p",
                ],
            ),
            packet(0x82, &[&[0, 7], b"\0\x03a/#", &[1], b"\0\x01b", &[0]]),
            packet(0x33, &[b"\0\x01t", &[0, 9], b"payload"]),
            packet(0x30, &[b"\0\x01t"]),
            packet(0x40, &[&[0, 9]]),
            packet(0xc0, &[]),
            packet(0xe0, &[]),
        ]
        .concat();
        for piece in 1..=five.len() {
            assert_eq!(translated(Direction::ToBroker, &five, piece), older);
        }
    }

    #[test]
    fn a_broker_s_packets_get_what_only_5_has() {
        let older = [
            packet(0x20, &[&[1, 0]]),
            packet(0x20, &[&[0, 5]]),
            packet(0x90, &[&[0, 7, 1, 0x80]]),
            packet(0x3b, &[b"\0\x01t", &[0, 9], &[b'x'; 200]]),
            packet(0x62, &[&[0, 9]]),
            packet(0xd0, &[]),
        ]
        .concat();
        let five = [
            packet(0x20, &[&[1, 0, 0]]),
            packet(0x20, &[&[0, 0x87, 0]]),
            packet(0x90, &[&[0, 7, 0, 1, 0x80]]),
            packet(0x3b, &[b"\0\x01t", &[0, 9], &[0], &[b'x'; 200]]),
            packet(0x62, &[&[0, 9]]),
            packet(0xd0, &[]),
        ]
        .concat();
        for piece in 1..=older.len() {
            assert_eq!(translated(Direction::ToClient, &older, piece), five);
        }
    }

    #[test]
    fn a_payload_is_not_gathered() {
        let mut translator = Translator::new(Direction::ToClient);
        let message = packet(0x30, &[b"\0\x01t", &vec![b'x'; 100_000]]);
        translator.push(&message[..50_000]).unwrap();
        assert!(translator.out.len() > 49_000 && translator.gathered.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_translated_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            piece in 1..50_usize,
        ) {
            for direction in [Direction::ToBroker, Direction::ToClient] {
                let mut translator = Translator::new(direction);
                let _ = bytes.chunks(piece).try_for_each(|piece| translator.push(piece));
            }
        }
    }
}
