//! The messages of one input in one window: rows in chunks, so that growing moves nothing and holds nothing twice.

use crate::id::Id;
use crate::row::Row;
use crate::tokens::Tokens;

/// Rows of one chunk.
const ROWS: usize = 1024;
/// Text of one chunk, unless one row has more.
const TEXT: usize = 128 * 1024;
/// A first chunk starts with this much text and grows: most windows are small.
const FIRST_TEXT: usize = 1024;

/// Before a row's slots: the message's id, and the chunk and place of its text.
const HEADER: usize = 16 + 4 + 4;

/// Rows by order of arrival.
#[derive(Debug)]
pub(super) struct Store {
    /// Bytes of a row without its text.
    stride: usize,
    len: usize,
    rows: Vec<Vec<u8>>,
    texts: Vec<String>,
    /// The runner's handles of the messages.
    tokens: Tokens,
    /// Bytes of chunks that will not grow any more.
    full: usize,
    /// Bytes of all of them.
    chunks: usize,
}

impl Store {
    pub(super) fn new() -> Store {
        Store {
            stride: 0,
            len: 0,
            rows: Vec::new(),
            texts: Vec::new(),
            tokens: Tokens::default(),
            full: 0,
            chunks: 0,
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a row. All rows of a store have the same number of slots. If its text is that of the row that is `like`
    /// it, it is not stored twice: often the key is all the text that there is.
    // Chunks are counted in u32: 2^32 of them do not fit into memory; a message's text is below 2 GiB.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn push(&mut self, id: Id, token: u64, (slots, text): (&[u8], &str), like: Option<u32>) {
        self.stride = HEADER + slots.len();
        let known = like.and_then(|row| self.find_text(row as usize, text));
        // The first chunk grows as it fills: it is not worth telling when.
        let grows = known.is_none() || self.len < ROWS || self.len.is_multiple_of(ROWS);
        let (chunk, at) = known.unwrap_or_else(|| self.push_text(text));
        if self.len.is_multiple_of(ROWS) {
            self.full += self.rows.last().map_or(0, Vec::capacity);
            // The first chunk grows as it fills, all others are sure to be needed.
            self.rows.push(Vec::with_capacity(if self.len == 0 {
                0
            } else {
                ROWS * self.stride
            }));
        }
        if let Some(row) = self.rows.last_mut() {
            let mut header = [0; HEADER];
            header[..16].copy_from_slice(&id.0);
            header[16..20].copy_from_slice(&(chunk as u32).to_le_bytes());
            header[20..].copy_from_slice(&(at as u32).to_le_bytes());
            row.extend_from_slice(&header);
            row.extend_from_slice(slots);
            self.tokens.push(token);
            self.len += 1;
        }
        if grows {
            self.chunks = self.count_chunks();
        }
    }

    fn count_chunks(&self) -> usize {
        self.full
            + self.rows.last().map_or(0, Vec::capacity)
            + self.texts.last().map_or(0, String::capacity)
            + (self.rows.capacity() + self.texts.capacity()) * size_of::<String>()
    }

    /// Forgets all rows, but not the handles of their messages.
    pub(super) fn clear(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        *self = Store {
            tokens,
            ..Store::new()
        };
    }

    /// Has these rows instead of its own, of the same messages.
    pub(super) fn refill(&mut self, rows: Store) {
        let tokens = std::mem::take(&mut self.tokens);
        *self = Store { tokens, ..rows };
    }

    /// Notes a message that nothing is kept of but what its ack needs.
    pub(super) fn push_token(&mut self, token: u64) {
        self.tokens.push(token);
    }

    /// Takes back the last of them.
    pub(super) fn pop_token(&mut self) -> Option<u64> {
        self.tokens.pop()
    }

    /// Where a row's text is, if it begins with this.
    fn find_text(&self, row: usize, text: &str) -> Option<(usize, usize)> {
        let (chunk, at) = Self::text_of(self.bytes_of(row));
        let found = self.texts.get(chunk)?.as_bytes().get(at..at + text.len())?;
        (found == text.as_bytes()).then_some((chunk, at))
    }

    fn push_text(&mut self, text: &str) -> (usize, usize) {
        let fits = |chunk: &String| chunk.is_empty() || chunk.len() + text.len() <= TEXT;
        if !self.texts.last().is_some_and(fits) {
            let capacity = if self.texts.is_empty() {
                FIRST_TEXT.min(TEXT)
            } else {
                TEXT
            };
            if let Some(last) = self.texts.last_mut() {
                // What a row too large for the rest leaves unused.
                last.shrink_to_fit();
                self.full += last.capacity();
            }
            self.texts.push(String::with_capacity(capacity.max(text.len())));
        }
        let chunk = self.texts.len() - 1;
        let at = self.texts.last_mut().map_or(0, |all| {
            all.push_str(text);
            all.len() - text.len()
        });
        (chunk, at)
    }

    /// The chunk of a row's text, and where in it the text begins.
    #[inline]
    fn text_of(row: &[u8]) -> (usize, usize) {
        (word(row, 16), word(row, 20))
    }

    #[inline]
    fn bytes_of(&self, row: usize) -> &[u8] {
        let start = row % ROWS * self.stride;
        self.rows
            .get(row / ROWS)
            .and_then(|chunk| chunk.get(start..start + self.stride))
            .unwrap_or(&[])
    }

    /// A row's fields.
    #[inline]
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let bytes = self.bytes_of(row);
        let (chunk, at) = Self::text_of(bytes);
        let text = self.texts.get(chunk).map_or("", String::as_str);
        Row::new(bytes.get(HEADER..).unwrap_or(&[]), text, at)
    }

    /// Something of all that is kept of a row, which may begin and end in different lines of memory.
    pub(super) fn touch(&self, row: usize) -> u8 {
        let bytes = self.bytes_of(row);
        let (chunk, at) = Self::text_of(bytes);
        let text = self.texts.get(chunk).and_then(|text| text.as_bytes().get(at));
        bytes.first().unwrap_or(&0) ^ bytes.last().unwrap_or(&0) ^ text.unwrap_or(&0)
    }

    /// The id of a row's message.
    pub(super) fn id(&self, row: usize) -> Id {
        Id(self
            .bytes_of(row)
            .first_chunk::<16>()
            .copied()
            .unwrap_or_default())
    }

    /// The tokens of all messages, in order.
    pub(super) fn into_tokens(mut self) -> Tokens {
        self.tokens.shrink();
        self.tokens
    }

    /// Bytes allocated for rows.
    pub(super) fn row_bytes(&self) -> usize {
        self.bytes() - self.tokens.bytes()
    }

    /// Bytes allocated.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.chunks + self.tokens.bytes()
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk::<4>)
        .map_or(0, |word| u32::from_le_bytes(*word) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;
    use crate::row::RowBuilder;

    #[test]
    fn rows_come_back_whatever_their_size() {
        let text = |n: usize| "x".repeat([0, 3, 70_000, 200, 150_000][n % 5]) + &n.to_string();
        let mut store = Store::new();
        let mut builder = RowBuilder::default();
        for n in 0..3_000 {
            builder.reset(2);
            #[allow(clippy::cast_precision_loss)]
            builder.set(0, Field::Number(n as f64));
            builder.set(1, Field::Str(&text(if n < 20 { n } else { 0 })));
            store.push(
                Id([(n % 251).try_into().unwrap(); 16]),
                n as u64,
                builder.parts(),
                None,
            );
        }
        for n in 0..3_000 {
            let row = store.row(n);
            #[allow(clippy::cast_precision_loss)]
            let number = Field::Number(n as f64);
            assert_eq!(row.field(0), number);
            assert_eq!(row.field(1), Field::Str(&text(if n < 20 { n } else { 0 })));
            assert_eq!(store.id(n), Id([(n % 251).try_into().unwrap(); 16]));
        }
        let used: usize = store.rows.iter().map(Vec::len).sum::<usize>()
            + store.texts.iter().map(String::len).sum::<usize>();
        assert!(
            store.bytes() >= used && store.bytes() < used + 300_000,
            "{} of {used}",
            store.bytes()
        );
        assert_eq!(store.into_tokens(), (0..3_000).collect());
    }

    #[test]
    fn text_that_is_there_already_is_shared() {
        let mut store = Store::new();
        let mut builder = RowBuilder::default();
        let texts = ["a key", "a key", "another", "a key", "a key!", ""];
        for (n, text) in texts.iter().enumerate() {
            builder.reset(1);
            builder.set(0, Field::Str(text));
            let like = n.checked_sub(1).map(|_| 0);
            store.push(Id([0; 16]), n as u64, builder.parts(), like);
        }
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(store.row(n).field(0), Field::Str(text));
        }
        assert_eq!(store.texts, ["a keyanothera key!"]);
    }
}
