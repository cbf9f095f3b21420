//! MQTT 3.1.1, for what the client library's codec has of MQTT 5 only: the packets by which a connection and a subscription
//! begin are translated, as far as both versions have them (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>).
//! What only 5 has is left out, its properties before all. Pure.

use bytes::{BufMut as _, BytesMut};

use super::frame::{Malformed, head, put_number, put_text, split, split_bytes, split_number, split_u16};

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;

/// A CONNECT or SUBSCRIBE of MQTT 5.
pub(super) fn to_broker(packet: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
    let (first, mut body) = body(packet)?;
    match first >> 4 {
        CONNECT => {
            let name = split_bytes(&mut body)?;
            // The version, flags, and two bytes for the keep-alive. `Clean start` and `clean session` are the same flag.
            let fixed = split(&mut body, 4)?;
            skip_properties(&mut body)?;
            let mut begin = BytesMut::new();
            put_text(name, &mut begin);
            begin.put_u8(4);
            begin.put_slice(fixed.get(1..).unwrap_or_default());
            put(first, &[&begin, body], out);
        }
        SUBSCRIBE => {
            let identifier = split_u16(&mut body)?;
            skip_properties(&mut body)?;
            let mut filters = BytesMut::new();
            while !body.is_empty() {
                put_text(split_bytes(&mut body)?, &mut filters);
                // Of its options only the quality of service.
                let options = split(&mut body, 1)?;
                filters.extend(options.iter().map(|options| options & 0b11));
            }
            put(first, &[&identifier.to_be_bytes(), &filters], out);
        }
        _ => return Err(Malformed::new("a packet that MQTT 3.1.1 does not have")),
    }
    Ok(())
}

/// A packet of a broker's as MQTT 5 has it.
pub(super) fn to_client(packet: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
    /// No properties.
    const NONE: &[u8] = &[0];
    let (first, mut body) = body(packet)?;
    match (first >> 4, body) {
        (CONNACK, [present, code]) => put(first, &[&[*present, refusal(*code)], NONE], out),
        (SUBACK, _) => {
            let identifier = split_u16(&mut body)?;
            put(first, &[&identifier.to_be_bytes(), NONE, body], out);
        }
        _ => out.put_slice(packet),
    }
    Ok(())
}

fn body(packet: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let head = head(packet)?.ok_or_else(|| Malformed::new("a packet without a length"))?;
    Ok((head.first, packet.get(head.start..).unwrap_or_default()))
}

fn put(first: u8, body: &[&[u8]], out: &mut BytesMut) {
    out.put_u8(first);
    put_number(body.iter().map(|part| part.len()).sum(), out);
    for part in body {
        out.put_slice(part);
    }
}

fn skip_properties(body: &mut &[u8]) -> Result<(), Malformed> {
    let length = split_number(body)?;
    split(body, length)?;
    Ok(())
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

    fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::new();
        put(first, body, &mut out);
        out.to_vec()
    }

    fn translated(translate: fn(&[u8], &mut BytesMut) -> Result<(), Malformed>, packet: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        translate(packet, &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn a_client_s_packets_lose_what_only_5_has() {
        // With a user and a password, and properties.
        let five = packet(
            0x10,
            &[
                b"\0\x04MQTT",
                &[5, 0b1100_0010, 0, 60],
                &[5, 0x11, 0, 0, 0, 9],
                b"\0\x01c",
                b"\0\x01u\0\x01p",
            ],
        );
        let older = packet(
            0x10,
            &[
                b"\0\x04MQTT",
                &[4, 0b1100_0010, 0, 60],
                b"\0\x01c",
                b"\0\x01u\0\x01p",
            ],
        );
        assert_eq!(translated(to_broker, &five), older);
        let five = packet(
            0x82,
            &[&[0, 7], &[0], b"\0\x03a/#", &[0b0010_0101], b"\0\x01b", &[0]],
        );
        let older = packet(0x82, &[&[0, 7], b"\0\x03a/#", &[1], b"\0\x01b", &[0]]);
        assert_eq!(translated(to_broker, &five), older);
        to_broker(&packet(0xc0, &[]), &mut BytesMut::new()).unwrap_err();
    }

    #[test]
    fn a_broker_s_packets_get_what_only_5_has() {
        for (older, five) in [
            (packet(0x20, &[&[1, 0]]), packet(0x20, &[&[1, 0, 0]])),
            (packet(0x20, &[&[0, 5]]), packet(0x20, &[&[0, 0x87, 0]])),
            (
                packet(0x90, &[&[0, 7, 1, 0x80]]),
                packet(0x90, &[&[0, 7, 0, 1, 0x80]]),
            ),
            (packet(0xd0, &[]), packet(0xd0, &[])),
        ] {
            assert_eq!(translated(to_client, &older), five);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_translated_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = BytesMut::new();
            let _ = (to_broker(&bytes, &mut out), to_client(&bytes, &mut out));
        }
    }
}
