//! Strings: finding their end, and resolving their escapes.

use super::error::DecodeErrorKind;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;
const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);

/// A string between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it has escapes, so that its text is not its value.
    pub(super) escaped: bool,
}

/// The end of a string without escapes whose opening quote is just before `start`: where its closing quote is.
#[inline]
pub(super) fn plain(bytes: &[u8], start: usize) -> Option<usize> {
    let end = special(bytes, start);
    (bytes.get(end) == Some(&b'"')).then_some(end)
}

/// Scans a string whose opening quote is just before `start`. The closing quote is at the span's end.
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<Span, (DecodeErrorKind, usize)> {
    let mut i = start;
    let mut escaped = false;
    loop {
        i = special(bytes, i);
        match bytes.get(i) {
            Some(b'"') => {
                return Ok(Span {
                    start,
                    end: i,
                    escaped,
                });
            }
            Some(b'\\') => {
                escaped = true;
                i = escape(bytes, i)?.1;
            }
            _ => return Err((DecodeErrorKind::InvalidJson, i)),
        }
    }
}

/// The first position from `i` on that holds a quote, a backslash or a control character, eight bytes a step. The
/// length if there is none: what comes before can stand in a JSON string as it is.
#[inline]
pub(crate) fn special(bytes: &[u8], mut i: usize) -> usize {
    while let Some(chunk) = bytes.get(i..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        // A byte that is zero borrows into its high bit; a borrow can only mislead above the first such byte. None
        // of the three bytes that are looked for has its own high bit set, so that this is taken out only once.
        let quote = (word ^ QUOTES).wrapping_sub(ONES);
        let backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
        let control = word.wrapping_sub(SPACES);
        let found = (quote | backslash | control) & !word & HIGHS;
        if found != 0 {
            return i + (found.trailing_zeros() / 8) as usize;
        }
        i += 8;
    }
    while bytes
        .get(i)
        .is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
    {
        i += 1;
    }
    i
}

/// The character that the escape at `i` stands for, and where the escape ends.
fn escape(bytes: &[u8], i: usize) -> Result<(char, usize), (DecodeErrorKind, usize)> {
    let simple = match bytes.get(i + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(bytes, i),
        _ => return Err((DecodeErrorKind::InvalidJson, i + 1)),
    };
    Ok((simple, i + 2))
}

fn unicode(bytes: &[u8], i: usize) -> Result<(char, usize), (DecodeErrorKind, usize)> {
    let invalid = (DecodeErrorKind::InvalidJson, i);
    let first = hex(bytes, i + 2).ok_or(invalid)?;
    if !(0xd800..0xe000).contains(&first) {
        return char::from_u32(first).map(|c| (c, i + 6)).ok_or(invalid);
    }
    let lone = (DecodeErrorKind::LoneSurrogate, i);
    if first >= 0xdc00 || bytes.get(i + 6..i + 8) != Some(b"\\u") {
        return Err(lone);
    }
    let second = hex(bytes, i + 8).ok_or((DecodeErrorKind::InvalidJson, i + 6))?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(lone);
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map(|c| (c, i + 12)).ok_or(lone)
}

fn hex(bytes: &[u8], i: usize) -> Option<u32> {
    bytes.get(i..i + 4)?.iter().try_fold(0, |value, byte| {
        Some(value * 16 + char::from(*byte).to_digit(16)?)
    })
}

/// Appends the value of a string that [`scan`] accepted.
pub(super) fn unescape(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut i = 0;
    while let Some(run) = memchr::memchr(b'\\', &bytes[i..]) {
        out.push_str(&text[i..i + run]);
        i += run;
        // Scanned before, so this does not fail; were it to, the backslash would stand for itself.
        let (c, next) = escape(bytes, i).unwrap_or(('\\', i + 1));
        out.push(c);
        i = next;
    }
    out.push_str(&text[i..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Result<String, DecodeErrorKind> {
        let span = scan(json.as_bytes(), 1).map_err(|(kind, _)| kind)?;
        let mut out = String::new();
        unescape(&json[span.start..span.end], &mut out);
        Ok(out)
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(
            value(r#""a\n\"\\\/\u0041\ud83d\ude00z""#).unwrap(),
            "a\n\"\\/A\u{1f600}z"
        );
        assert_eq!(
            value("\"a long enough plain text, \u{e9}t\u{e9}\"").unwrap(),
            "a long enough plain text, été"
        );
    }

    #[test]
    fn half_pairs_are_refused() {
        for json in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud83dx""#] {
            assert_eq!(value(json), Err(DecodeErrorKind::LoneSurrogate), "{json}");
        }
    }

    #[test]
    fn the_grammar_is_kept() {
        for json in [
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\u{1}\"",
            "\"0123456\n\"",
            "\"\\",
        ] {
            assert_eq!(value(json), Err(DecodeErrorKind::InvalidJson), "{json:?}");
        }
    }
}
