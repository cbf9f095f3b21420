//! Literals: the text of a number, string or bytes token into its value.

use super::diagnostic::{Fault, Span};

/// The value of a string token, prefix and quotes included.
pub(super) fn string(text: &str, span: Span) -> Result<String, Fault> {
    let bytes = unquote(text, span, false)?;
    String::from_utf8(bytes)
        .map_err(|_| Fault::new("InvalidEscape", span, "this string is not valid Unicode"))
}

/// The value of a bytes token, prefix and quotes included.
pub(super) fn bytes(text: &str, span: Span) -> Result<Vec<u8>, Fault> {
    unquote(text, span, true)
}

fn unquote(text: &str, span: Span, bytes: bool) -> Result<Vec<u8>, Fault> {
    let body = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let prefix = text.len() - body.len();
    let raw = text.get(..prefix).is_some_and(|p| p.contains(['r', 'R']));
    let quotes = if body.len() >= 6 && (body.starts_with("\"\"\"") || body.starts_with("'''")) {
        3
    } else {
        1
    };
    let inner = body
        .get(quotes..body.len().saturating_sub(quotes))
        .unwrap_or_default();
    // A line ends with a line feed, whatever the file's line endings are (cel-go normalises them too).
    if inner.contains('\r') {
        let text = format!(
            "{}{}{}",
            text.get(..prefix + quotes).unwrap_or_default(),
            inner.replace("\r\n", "\n").replace('\r', "\n"),
            body.get(body.len().saturating_sub(quotes)..).unwrap_or_default()
        );
        return unquote(&text, span, bytes);
    }
    if raw {
        return Ok(inner.as_bytes().to_vec());
    }
    let mut escape = Unescape {
        inner,
        at: 0,
        start: span.start as usize + prefix + quotes,
        bytes,
    };
    let mut out = Vec::with_capacity(inner.len());
    while let Some(c) = inner.get(escape.at..).and_then(|rest| rest.chars().next()) {
        if c == '\\' {
            escape.next(&mut out)?;
        } else {
            let from = escape.at;
            escape.at += c.len_utf8();
            out.extend_from_slice(inner.as_bytes().get(from..escape.at).unwrap_or_default());
        }
    }
    Ok(out)
}

struct Unescape<'s> {
    inner: &'s str,
    at: usize,
    /// Where `inner` starts in the source.
    start: usize,
    bytes: bool,
}

impl Unescape<'_> {
    fn fault(&self, length: usize, message: impl Into<String>) -> Fault {
        let start = self.start + self.at;
        let end = (start + length).min(self.start + self.inner.len());
        Fault::new("InvalidEscape", Span::new(start, end), message)
    }

    /// One escape sequence, at the cursor.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let escaped = self
            .inner
            .get(self.at + 1..)
            .and_then(|rest| rest.chars().next())
            .unwrap_or(' ');
        let plain = match escaped {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '"' | '\'' | '?' | '`' => escaped as u8,
            'x' | 'X' => return self.code(2, 2, 16, out),
            'u' | 'U' if self.bytes => {
                return Err(self
                    .fault(2, format!("`\\{escaped}` can't stand in bytes"))
                    .help("use \\x and two digits"));
            }
            'u' => return self.code(2, 4, 16, out),
            'U' => return self.code(2, 8, 16, out),
            '0'..='3' => return self.code(1, 3, 8, out),
            _ => {
                let line_end = matches!(escaped, '\n' | ' ');
                let shown = if line_end {
                    "a backslash before a space or line end".into()
                } else {
                    format!("`\\{escaped}`")
                };
                let fault = self.fault(1 + escaped.len_utf8(), format!("{shown} is no escape sequence"));
                return Err(fault.help("a backslash is written \\\\, or the string raw: r\"\\d+\""));
            }
        };
        out.push(plain);
        self.at += 2;
        Ok(())
    }

    /// A code point or byte of `digits` digits that start `skip` bytes on.
    fn code(&mut self, skip: usize, digits: usize, radix: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        let from = self.at + skip;
        let text = self
            .inner
            .get(from..from + digits)
            .filter(|text| text.chars().all(|c| c.is_digit(radix)));
        let Some(code) = text.and_then(|text| u32::from_str_radix(text, radix).ok()) else {
            let kind = if radix == 8 { "octal" } else { "hexadecimal" };
            return Err(self.fault(skip + digits, format!("this escape needs {digits} {kind} digits")));
        };
        match (self.bytes, u8::try_from(code)) {
            (true, Ok(byte)) => out.push(byte),
            _ => match char::from_u32(code) {
                Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => return Err(self.fault(skip + digits, format!("U+{code:04X} is not a character"))),
            },
        }
        self.at = from + digits;
        Ok(())
    }
}

/// The value of an int token; `negative` if a minus stands before it.
pub(super) fn int(text: &str, negative: bool, span: Span) -> Result<i64, Fault> {
    let digits = magnitude(text);
    let value = digits.and_then(|n| {
        if negative {
            0i64.checked_sub_unsigned(n)
        } else {
            i64::try_from(n).ok()
        }
    });
    value.ok_or_else(|| {
        let fault = Fault::new(
            "NumberOutOfRange",
            span,
            format!("`{text}` is too large for an int"),
        );
        fault.help(format!(
            "ints reach from {} to {}; with a decimal point it is a double",
            i64::MIN,
            i64::MAX
        ))
    })
}

/// The value of a uint token.
pub(super) fn uint(text: &str, span: Span) -> Result<u64, Fault> {
    magnitude(text.trim_end_matches(['u', 'U'])).ok_or_else(|| {
        Fault::new(
            "NumberOutOfRange",
            span,
            format!("`{text}` is too large for a uint"),
        )
    })
}

fn magnitude(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The value of a double token.
pub(super) fn double(text: &str, span: Span) -> Result<f64, Fault> {
    let value: Option<f64> = text.parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| {
        Fault::new(
            "NumberOutOfRange",
            span,
            format!("`{text}` is too large for a double"),
        )
    })
}
