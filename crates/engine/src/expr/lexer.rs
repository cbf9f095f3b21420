//! Source text into tokens, and the mistakes that show there: unclosed strings, single `=`, `AND`, `'` from a word
//! processor.

use super::diagnostic::{Fault, Span};
use super::limits::{MAX_SOURCE, MAX_TOKENS};
use super::token::{Lexeme, Token};

/// Splits a source into tokens; the last is [`Token::End`].
pub(super) fn lex(source: &str) -> Result<Vec<Lexeme>, Fault> {
    if source.len() > MAX_SOURCE {
        let message = format!(
            "the expression is {} bytes long; at most {MAX_SOURCE} are allowed",
            source.len()
        );
        return Err(Fault::new("TooLong", Span::new(0, 0), message));
    }
    let mut lexer = Lexer {
        source,
        bytes: source.as_bytes(),
        at: 0,
    };
    let mut out = Vec::new();
    loop {
        let lexeme = lexer.next()?;
        if out.len() == MAX_TOKENS {
            let message = format!("the expression has more than {MAX_TOKENS} words and operators");
            return Err(Fault::new("TooLong", lexeme.span, message));
        }
        out.push(lexeme);
        if lexeme.token == Token::End {
            return Ok(out);
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    bytes: &'s [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn lexeme(&mut self, token: Token, length: usize) -> Lexeme {
        let start = self.at;
        self.at += length;
        Lexeme {
            token,
            span: Span::new(start, self.at),
        }
    }

    fn skip_while(&mut self, mut inside: impl FnMut(u8) -> bool) {
        while self.at < self.bytes.len() && inside(self.peek(0)) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<Lexeme, Fault> {
        loop {
            self.skip_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 12));
            if self.peek(0) != b'/' || self.peek(1) != b'/' {
                break;
            }
            self.skip_while(|b| b != b'\n');
        }
        if self.at >= self.bytes.len() {
            return Ok(self.lexeme(Token::End, 0));
        }
        let (a, b) = (self.peek(0), self.peek(1));
        Ok(match (a, b) {
            (b'"' | b'\'', _) => return self.string(0, Token::Str, false),
            (b'r' | b'R', b'"' | b'\'') => return self.string(1, Token::Str, true),
            (b'b' | b'B', b'"' | b'\'') => return self.string(1, Token::Bytes, false),
            (b'b' | b'B', b'r' | b'R') if matches!(self.peek(2), b'"' | b'\'') => {
                return self.string(2, Token::Bytes, true);
            }
            (b'0'..=b'9', _) | (b'.', b'0'..=b'9') => return self.number(),
            (b'a'..=b'z' | b'A'..=b'Z' | b'_', _) => self.word(),
            (b'`', _) => return self.escaped(),
            (b'=', b'=') if self.peek(2) != b'=' => self.lexeme(Token::EqualEqual, 2),
            (b'!', b'=') if self.peek(2) != b'=' => self.lexeme(Token::BangEqual, 2),
            (b'<', b'=') => self.lexeme(Token::LessEqual, 2),
            (b'>', b'=') => self.lexeme(Token::GreaterEqual, 2),
            (b'&', b'&') => self.lexeme(Token::AndAnd, 2),
            (b'|', b'|') => self.lexeme(Token::OrOr, 2),
            (b'<', b'>') | (b'=' | b'&' | b'|', _) | (b'!', b'=') => return Err(self.mistaken()),
            _ => match single(a) {
                Some(token) => self.lexeme(token, 1),
                None => return Err(self.mistaken()),
            },
        })
    }

    fn word(&mut self) -> Lexeme {
        let start = self.at;
        self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_');
        let token = match self.source.get(start..self.at) {
            Some("true") => Token::True,
            Some("false") => Token::False,
            Some("null") => Token::Null,
            Some("in") => Token::In,
            _ => Token::Ident,
        };
        Lexeme {
            token,
            span: Span::new(start, self.at),
        }
    }

    fn escaped(&mut self) -> Result<Lexeme, Fault> {
        let start = self.at;
        self.at += 1;
        self.skip_while(|b| b != b'`' && b != b'\n');
        if self.peek(0) != b'`' {
            let fault = Fault::new(
                "UnclosedString",
                Span::new(start, start + 1),
                "this backtick is not closed",
            );
            return Err(fault.help("a backtick quotes a field's name, as in a.`some-name`"));
        }
        self.at += 1;
        if self.at == start + 2 {
            let fault = Fault::new(
                "InvalidName",
                Span::new(start, self.at),
                "there is no name between these backticks",
            );
            return Err(fault.help("a backtick quotes a field's name, as in a.`some-name`"));
        }
        Ok(Lexeme {
            token: Token::Escaped,
            span: Span::new(start, self.at),
        })
    }

    fn number(&mut self) -> Result<Lexeme, Fault> {
        let start = self.at;
        let mut token = Token::Int;
        if self.peek(0) == b'0' && self.peek(1) == b'x' {
            self.at += 2;
            self.skip_while(|b| b.is_ascii_hexdigit());
        } else {
            self.skip_while(|b| b.is_ascii_digit());
            if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
                token = Token::Double;
                self.at += 1;
                self.skip_while(|b| b.is_ascii_digit());
            }
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
                token = Token::Double;
                self.at += 1 + sign;
                self.skip_while(|b| b.is_ascii_digit());
            }
        }
        if token == Token::Int && matches!(self.peek(0), b'u' | b'U') {
            token = Token::Uint;
            self.at += 1;
        }
        let end = self.at;
        self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_');
        let text = self.source.get(start..self.at).unwrap_or_default();
        if self.at > end || text == "0x" {
            let span = Span::new(start, self.at);
            let fault = Fault::new("InvalidNumber", span, format!("`{text}` is not a number"));
            let unit = self.source.get(end..self.at).unwrap_or_default();
            return Err(if matches!(unit, "s" | "m" | "h" | "ms" | "us" | "ns") {
                fault.help(format!("a span of time is written duration(\"{text}\")"))
            } else {
                fault.help("numbers look like 5, 5u, 0x1f, 5.0 or 5e3; a name can't start with a digit")
            });
        }
        Ok(Lexeme {
            token,
            span: Span::new(start, end),
        })
    }

    /// A string or bytes literal whose prefix is `prefix` bytes long.
    fn string(&mut self, prefix: usize, token: Token, raw: bool) -> Result<Lexeme, Fault> {
        let start = self.at;
        self.at += prefix;
        let quote = self.peek(0);
        let triple = self.peek(1) == quote && self.peek(2) == quote;
        self.at += if triple { 3 } else { 1 };
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            if byte == b'\\' && !raw {
                self.at += 2;
            } else if byte == quote && (!triple || (self.peek(1) == quote && self.peek(2) == quote)) {
                self.at += if triple { 3 } else { 1 };
                return Ok(Lexeme {
                    token,
                    span: Span::new(start, self.at),
                });
            } else if !triple && matches!(byte, b'\n' | b'\r') {
                break;
            } else {
                self.at += 1;
            }
        }
        let opening = prefix + if triple { 3 } else { 1 };
        let quotes = char::from(quote).to_string().repeat(if triple { 3 } else { 1 });
        let fault = Fault::new(
            "UnclosedString",
            Span::new(start, start + opening),
            "this string is not closed",
        );
        Err(fault.help(if triple {
            format!("close it with {quotes}")
        } else {
            format!(
                "close it with {quotes} on the same line, or quote it with {}",
                quotes.repeat(3)
            )
        }))
    }

    /// A character or operator that is not CEL's, and what was probably meant.
    fn mistaken(&self) -> Fault {
        let rest = self.source.get(self.at..).unwrap_or_default();
        let known = MISTAKES.iter().find(|(text, ..)| rest.starts_with(text));
        if let Some((text, message, help)) = known {
            let span = Span::new(self.at, self.at + text.len());
            return Fault::new("UnknownOperator", span, *message).help(*help);
        }
        let c = rest.chars().next().unwrap_or(' ');
        let span = Span::new(self.at, self.at + c.len_utf8());
        let shown = if c.is_control() {
            format!("U+{:04X}", u32::from(c))
        } else {
            format!("`{c}`")
        };
        let fault = Fault::new("UnexpectedCharacter", span, format!("{shown} can't stand here"));
        if c.is_alphabetic() {
            fault.help("names are made of a-z, A-Z, 0-9 and _; a field with another name is a[\"name\"]")
        } else if c.is_whitespace() {
            fault.help("this is a special space; use an ordinary one")
        } else {
            fault
        }
    }
}

/// Operators of other languages: what was written, what is wrong with it, what to write.
const MISTAKES: [(&str, &str, &str); 21] = [
    ("===", "there is no operator `===`", "values are compared with =="),
    ("!==", "there is no operator `!==`", "values are compared with !="),
    ("=~", "there is no operator `=~`", "use text.matches(\"pattern\")"),
    ("=>", "there is no operator `=>`", "at least is written >="),
    ("=<", "there is no operator `=<`", "at most is written <="),
    ("=", "`=` is not an operator here", "values are compared with =="),
    ("<>", "there is no operator `<>`", "not equal is written !="),
    (
        "&",
        "`&` is not an operator here",
        "and is written &&; bits are combined with math.bitAnd(a, b)",
    ),
    (
        "|",
        "`|` is not an operator here",
        "or is written ||; bits are combined with math.bitOr(a, b)",
    ),
    (
        "^",
        "there is no operator `^`",
        "a power is written math.pow(x, y), bits are combined with math.bitXor(a, b)",
    ),
    (
        "~",
        "there is no operator `~`",
        "bits are inverted with math.bitNot(a)",
    ),
    (
        "${",
        "`${` is not used here",
        "write the expression as it is, without ${ }",
    ),
    (
        "$",
        "`$` is not used here",
        "streams and fields are named as they are, without $",
    ),
    (
        "#",
        "`#` does not start a comment here",
        "a comment starts with //",
    ),
    (
        "@",
        "`@` is not used here",
        "streams and fields are named as they are, without @",
    ),
    (
        ";",
        "`;` is not used here",
        "an expression is one value; combine conditions with && and ||",
    ),
    (
        "\\",
        "`\\` can't stand outside of a string",
        "an expression may span lines as it is",
    ),
    (
        "\u{201c}",
        "`\u{201c}` is not a quote that strings can have",
        "use \" or '",
    ),
    (
        "\u{201d}",
        "`\u{201d}` is not a quote that strings can have",
        "use \" or '",
    ),
    (
        "\u{2018}",
        "`\u{2018}` is not a quote that strings can have",
        "use \" or '",
    ),
    (
        "\u{2019}",
        "`\u{2019}` is not a quote that strings can have",
        "use \" or '",
    ),
];

fn single(byte: u8) -> Option<Token> {
    Some(match byte {
        b'(' => Token::OpenParen,
        b')' => Token::CloseParen,
        b'[' => Token::OpenBracket,
        b']' => Token::CloseBracket,
        b'{' => Token::OpenBrace,
        b'}' => Token::CloseBrace,
        b'.' => Token::Dot,
        b',' => Token::Comma,
        b':' => Token::Colon,
        b'?' => Token::Question,
        b'+' => Token::Plus,
        b'-' => Token::Minus,
        b'*' => Token::Star,
        b'/' => Token::Slash,
        b'%' => Token::Percent,
        b'!' => Token::Bang,
        b'<' => Token::Less,
        b'>' => Token::Greater,
        _ => return None,
    })
}
