//! A decoded message as bytes: one fixed-size slot for each path that expressions read, and the text that
//! strings among them point into. Between decoding and delivery this is all that the engine keeps of it.

use crate::field::Field;

/// Bytes of one slot: a tag, then a double or where the text is.
const SLOT: usize = 9;

const ABSENT: u8 = 0;
const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const BIG_INT: u8 = 5;
const STR: u8 = 6;
const JSON: u8 = 7;

/// One message's slots. Copying it copies two pointers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    slots: &'a [u8],
    text: &'a str,
    /// Where the row's own text begins in `text`. Not cut off before a string is read: to look at the text of
    /// every row of a window would cost as much as the rest of the join.
    base: usize,
}

impl<'a> Row<'a> {
    /// Puts together what [`RowBuilder::parts`] took apart. The row's text is in `text` from `base` on.
    pub(crate) fn new(slots: &'a [u8], text: &'a str, base: usize) -> Row<'a> {
        Row { slots, text, base }
    }

    /// What the message holds at the path of a slot; absent if there is no such slot.
    #[inline]
    pub fn field(&self, slot: usize) -> Field<'a> {
        let Some(&[tag, ref value @ ..]) = self
            .slots
            .get(slot * SLOT..)
            .and_then(<[u8]>::first_chunk::<SLOT>)
        else {
            return Field::Absent;
        };
        match tag {
            NULL => Field::Null,
            FALSE => Field::Bool(false),
            TRUE => Field::Bool(true),
            NUMBER => Field::Number(f64::from_le_bytes(*value)),
            BIG_INT => Field::BigInt(self.text(*value)),
            STR => Field::Str(self.text(*value)),
            JSON => Field::Json(self.text(*value)),
            _ => Field::Absent,
        }
    }

    /// The slots and the text that they point into, to be stored apart from what is around them.
    pub(crate) fn parts(&self) -> (&'a [u8], &'a str) {
        let end = |slot: &'a [u8]| match slot.first_chunk::<SLOT>()? {
            [BIG_INT | STR | JSON, place @ ..] => {
                let (start, len) = place_of(*place);
                Some(start + len)
            }
            _ => None,
        };
        let len = self.slots.chunks_exact(SLOT).filter_map(end).max().unwrap_or(0);
        let text = self.text.get(self.base..self.base + len).unwrap_or("");
        (self.slots, text)
    }

    #[inline]
    fn text(&self, at: [u8; 8]) -> &'a str {
        let (start, len) = place_of(at);
        let start = self.base + start;
        self.text.get(start..start + len).unwrap_or("")
    }
}

/// Where a slot's text begins, and its length.
// The halves are 32 bits each, and so are positions on any machine this runs on.
#[allow(clippy::cast_possible_truncation)]
#[inline]
fn place_of(slot: [u8; 8]) -> (usize, usize) {
    let place = u64::from_le_bytes(slot);
    (place as u32 as usize, (place >> 32) as usize)
}

/// Fills a row's slots while its message is decoded. Reused from message to message.
#[derive(Debug, Default)]
pub struct RowBuilder {
    slots: Vec<u8>,
    text: String,
}

/// Text of more than this many bytes kept for the next message would be memory that only one message needed.
const KEEP: usize = 64 * 1024;

impl RowBuilder {
    /// Starts a row whose slots are all absent.
    pub fn reset(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots * SLOT, ABSENT);
        self.text.clear();
        self.text.shrink_to(KEEP);
    }

    /// Makes the row what [`RowBuilder::parts`] gave.
    pub(crate) fn restore(&mut self, slots: &[u8], text: &str) {
        self.reset(0);
        self.slots.extend_from_slice(slots);
        self.text.push_str(text);
    }

    /// Sets a slot to what the message holds at its path.
    #[inline]
    pub fn set(&mut self, slot: usize, field: Field<'_>) {
        match field {
            Field::Absent => self.put(slot, ABSENT, [0; 8]),
            Field::Null => self.put(slot, NULL, [0; 8]),
            Field::Bool(false) => self.put(slot, FALSE, [0; 8]),
            Field::Bool(true) => self.put(slot, TRUE, [0; 8]),
            Field::Number(number) => self.set_number(slot, number),
            Field::BigInt(text) => self.put_text(slot, BIG_INT, |out| out.push_str(text)),
            Field::Str(text) => self.set_str(slot, text),
            Field::Json(text) => self.put_text(slot, JSON, |out| out.push_str(text)),
        }
    }

    /// Sets a slot to a number.
    #[inline]
    pub(crate) fn set_number(&mut self, slot: usize, number: f64) {
        self.put(slot, NUMBER, number.to_le_bytes());
    }

    /// Sets a slot to a string.
    #[inline]
    pub(crate) fn set_str(&mut self, slot: usize, text: &str) {
        self.put_text(slot, STR, |out| out.push_str(text));
    }

    /// Sets a slot to a string that `write` appends.
    pub(crate) fn set_str_with(&mut self, slot: usize, write: impl FnOnce(&mut String)) {
        self.put_text(slot, STR, write);
    }

    /// Sets a slot to a whole message's JSON text, whatever its type.
    pub(crate) fn set_json(&mut self, slot: usize, text: &str) {
        self.set(slot, Field::Json(text));
    }

    /// The row as it is now.
    pub fn row(&self) -> Row<'_> {
        Row::new(&self.slots, &self.text, 0)
    }

    /// The row's slots and its text, to be stored apart.
    pub(crate) fn parts(&self) -> (&[u8], &str) {
        (&self.slots, &self.text)
    }

    // Messages are at most 1 GiB (the decoder's limit is clamped), so positions in their text fit in 32 bits.
    #[inline]
    fn put_text(&mut self, slot: usize, tag: u8, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        let len = self.text.len() - start;
        let value = ((len as u64) << 32 | start as u64).to_le_bytes();
        self.put(slot, tag, value);
    }

    #[inline]
    fn put(&mut self, slot: usize, tag: u8, value: [u8; 8]) {
        if let Some(bytes) = self
            .slots
            .get_mut(slot * SLOT..)
            .and_then(<[u8]>::first_chunk_mut::<SLOT>)
        {
            bytes[0] = tag;
            bytes[1..].copy_from_slice(&value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_back_what_was_set() {
        let fields = [
            Field::Absent,
            Field::Null,
            Field::Bool(true),
            Field::Bool(false),
            Field::Number(-0.5),
            Field::BigInt("123456789012345678901"),
            Field::Str("na\u{ef}ve"),
            Field::Json("[1, {}]"),
            Field::Str(""),
        ];
        let mut builder = RowBuilder::default();
        for _ in 0..2 {
            builder.reset(fields.len() + 1);
            for (slot, field) in fields.iter().enumerate() {
                builder.set(slot, *field);
            }
            for (slot, field) in fields.iter().enumerate() {
                assert_eq!(builder.row().field(slot), *field);
            }
            assert_eq!(builder.row().field(fields.len()), Field::Absent);
            assert_eq!(builder.row().field(fields.len() + 1), Field::Absent);
        }
    }
}
