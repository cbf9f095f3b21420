//! A message as it is written: where it stands in the order of its run, and what is kept of it.

use super::super::store::Store;
use crate::id::Id;
use crate::tokens;

/// The key of a message: its part of the window, then its input, then its place among the messages of that.
pub(super) fn key(bucket: u16, input: usize, number: u32) -> [u8; 7] {
    let [b0, b1] = bucket.to_be_bytes();
    let [n0, n1, n2, n3] = number.to_be_bytes();
    // There are two at most.
    [b0, b1, u8::from(input > 0), n0, n1, n2, n3]
}

/// What [`key`] was made of.
pub(super) fn place(key: &[u8]) -> Option<(u16, usize, u32)> {
    let [b0, b1, input, number @ ..] = key else {
        return None;
    };
    let number = u32::from_be_bytes(number.try_into().ok()?);
    Some((u16::from_be_bytes([*b0, *b1]), usize::from(*input), number))
}

/// Appends a message.
pub(super) fn write(store: &Store, row: usize, out: &mut Vec<u8>) {
    let (slots, text) = store.row(row).parts();
    out.extend_from_slice(&store.id(row).0);
    for part in [slots, text.as_bytes()] {
        tokens::write(part.len() as u64, out);
        out.extend_from_slice(part);
    }
}

/// Takes a message off the front: its id, slots and text.
pub(super) fn read<'e>(from: &mut &'e [u8]) -> Option<(Id, &'e [u8], &'e str)> {
    let (id, rest) = from.split_first_chunk()?;
    *from = rest;
    let mut part = || {
        let len = usize::try_from(tokens::read(from)?).ok()?;
        from.split_off(..len)
    };
    let (slots, text) = (part()?, part()?);
    Some((Id(*id), slots, std::str::from_utf8(text).ok()?))
}
