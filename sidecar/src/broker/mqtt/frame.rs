//! What every MQTT packet is made of: a header with its length, numbers and texts. Pure.

use bytes::{BufMut as _, BytesMut};

/// PUBLISH and its answers, in the upper half of a packet's first byte.
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;

/// What a text or binary data may be, in bytes.
pub(super) const LONGEST: usize = u16::MAX as usize;
/// What a packet may be, in bytes, after its header.
pub(super) const LARGEST: usize = (1 << 28) - 1;

/// Which MQTT is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Five,
    /// 3.1.1.
    Older,
}

/// Something that is no MQTT, or not what may come just then.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) String);

impl Malformed {
    pub(super) fn new(what: &str) -> Malformed {
        Malformed(what.to_owned())
    }
}

/// Where a packet begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) first: u8,
    /// Where its body begins.
    pub(super) start: usize,
    /// Where the next packet begins.
    pub(super) end: usize,
}

/// The head of the packet that begins here, once all of the head is here.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let head = |(body, length)| Head {
        first: *first,
        start: 1 + length,
        end: 1 + length + body,
    };
    Ok(number(rest)?.map(head))
}

/// A number of one to four bytes, and how many it has; `None` if not all of them are here.
pub(super) fn number(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() < 4 {
        Ok(None)
    } else {
        Err(Malformed::new("a number without an end"))
    }
}

/// How many bytes a number has.
pub(super) fn number_length(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

pub(super) fn put_number(mut value: usize, out: &mut BytesMut) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.put_u8(low);
        }
        out.put_u8(low | 0x80);
    }
}

/// A text of at most [`LONGEST`] bytes.
pub(super) fn put_text(text: &[u8], out: &mut BytesMut) {
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text);
}

/// Splits so many bytes off.
pub(super) fn split<'b>(body: &mut &'b [u8], count: usize) -> Result<&'b [u8], Malformed> {
    let (part, rest) = body.split_at_checked(count).ok_or_else(short)?;
    *body = rest;
    Ok(part)
}

pub(super) fn split_u16(body: &mut &[u8]) -> Result<u16, Malformed> {
    match split(body, 2)? {
        [high, low] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(short()),
    }
}

pub(super) fn split_number(body: &mut &[u8]) -> Result<usize, Malformed> {
    let (value, length) = number(body)?.ok_or_else(short)?;
    split(body, length)?;
    Ok(value)
}

/// Splits binary data off, which has its length before it.
pub(super) fn split_bytes<'b>(body: &mut &'b [u8]) -> Result<&'b [u8], Malformed> {
    let length = split_u16(body)?;
    split(body, length.into())
}

pub(super) fn split_text<'b>(body: &mut &'b [u8]) -> Result<&'b str, Malformed> {
    let text = std::str::from_utf8(split_bytes(body)?);
    text.map_err(|_| Malformed::new("a text that is not UTF-8"))
}

/// A packet identifier.
pub(super) fn split_identifier(body: &mut &[u8]) -> Result<u16, Malformed> {
    match split_u16(body)? {
        0 => Err(Malformed::new("a packet with the identifier 0")),
        identifier => Ok(identifier),
    }
}

fn short() -> Malformed {
    Malformed::new("a packet that is shorter than it says")
}
