//! A message as it is written, or a row of some: where it stands in the order of its run, and what is kept of it.

use super::super::store::Store;
use crate::id::Id;
use crate::tokens;

/// Bytes of a key before its numbers.
const PLACE: usize = 3;

/// Begins a key with what is joined by it: its part of the window, and whether it is the step's own message or a row of
/// the steps before.
pub(super) fn begin(part: u16, own: bool, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(&part.to_be_bytes());
    key.push(u8::from(own));
}

/// What [`begin`] was given, and the numbers that follow it.
pub(super) fn place(key: &[u8]) -> Option<(u16, bool, &[u8])> {
    let [b0, b1, own, numbers @ ..] = key else {
        return None;
    };
    Some((u16::from_be_bytes([*b0, *b1]), *own > 0, numbers))
}

/// The numbers of a key that begins with a place.
pub(super) fn numbers(key: &[u8]) -> &[u8] {
    key.get(PLACE..).unwrap_or_default()
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
