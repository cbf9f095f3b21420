//! What a syntax error probably meant: the words for a token that can't stand where it stands.

use super::diagnostic::{Fault, Span};
use super::parser::Parser;
use super::token::{KEYWORDS, Token};

/// Words of other languages that CEL writes with an operator.
const WORDS: [(&str, &str); 9] = [
    ("and", "and is written &&"),
    ("or", "or is written ||"),
    ("not", "not is written !"),
    ("is", "values are compared with =="),
    ("eq", "values are compared with =="),
    ("like", "use text.contains(\"part\") or text.matches(\"pattern\")"),
    ("between", "write low <= x && x <= high"),
    ("mod", "the remainder of two ints is written a % b"),
    ("div", "a quotient is written a / b"),
];

/// A token that nothing allows here. `wanted` names what would have been.
pub(super) fn unexpected(parser: &Parser<'_>, wanted: &str) -> Fault {
    let lexeme = parser.lexeme(0);
    let text = lexeme.span.of(parser.source);
    let fault = |message: String| Fault::new("UnexpectedToken", lexeme.span, message);
    let lower = text.to_ascii_lowercase();
    if lexeme.token == Token::Ident
        && let Some((_, help)) = WORDS.iter().find(|(word, _)| *word == lower)
    {
        return fault(format!("`{text}` is not an operator")).help(*help);
    }
    if lexeme.token == Token::End {
        return at_end(parser, wanted);
    }
    let closing = matches!(
        lexeme.token,
        Token::CloseParen | Token::CloseBracket | Token::CloseBrace
    );
    if closing && wanted == "an operator" {
        return fault(format!("there is no bracket open that `{text}` could close")).help("remove it");
    }
    if closing && let Some(open) = parser.open.last() {
        let open_text = open.span.of(parser.source);
        if closer(open.token) != Some(text) {
            let message = format!("`{text}` does not close the `{open_text}` that is open here");
            return fault(message).help(format!(
                "close it with `{}`",
                closer(open.token).unwrap_or_default()
            ));
        }
    }
    let previous = parser
        .previous()
        .map(|p| p.span.of(parser.source))
        .unwrap_or_default();
    if wanted == "an operator" && previous.eq_ignore_ascii_case("not") {
        let span = parser.previous().map_or(lexeme.span, |p| p.span);
        return Fault::new(
            "UnexpectedToken",
            span,
            format!("`{previous}` is not an operator"),
        )
        .help("not is written !");
    }
    match (previous, text) {
        ("+", "+") | ("-", "-") => return fault(format!("there is no operator `{text}{text}`")),
        ("*", "*") => {
            return fault("there is no operator `**`".into()).help("a power is written math.pow(x, y)");
        }
        ("?", "?") => return fault("there is no operator `??`".into()).help("write has(a.b) ? a.b : other"),
        ("?", ".") => {
            return fault("there is no operator `?.`".into())
                .help("write has(a.b) to ask whether a field is there");
        }
        _ => {}
    }
    if wanted == "a value" {
        if lexeme.token == Token::In {
            return fault("there is nothing before `in`".into()).help("write value in list, or key in map");
        }
        return fault(format!("a value was expected, not `{text}`"));
    }
    if wanted == "an operator" {
        let value = matches!(
            lexeme.token,
            Token::Ident
                | Token::Int
                | Token::Uint
                | Token::Double
                | Token::Str
                | Token::Null
                | Token::True
                | Token::False
        );
        if lexeme.token == Token::Comma {
            return fault("an expression is one value; there is a second one after this comma".into())
                .help("a list is written [a, b], a map {\"a\": x, \"b\": y}");
        }
        if lexeme.token == Token::Colon {
            return fault("there is no `?` for this `:`".into())
                .help("a conditional is written condition ? a : b");
        }
        if value {
            return fault(format!("there is no operator before `{text}`"))
                .help("conditions are combined with && and ||, text is joined with +");
        }
    }
    fault(format!("{wanted} was expected, not `{text}`"))
}

fn at_end(parser: &Parser<'_>, wanted: &str) -> Fault {
    if let Some(open) = parser.open.last() {
        let text = open.span.of(parser.source);
        if wanted != "a value" || parser.previous().is_some_and(|p| p.span == open.span) {
            let fault = Fault::new(
                "UnclosedBracket",
                open.span,
                format!("this `{text}` is not closed"),
            );
            return fault.help(format!(
                "close it with `{}`",
                closer(open.token).unwrap_or_default()
            ));
        }
    }
    let end = parser.previous().map_or(Span::default(), |p| p.span);
    let text = end.of(parser.source);
    Fault::new(
        "UnexpectedEnd",
        end,
        format!("the expression ends after `{text}`, where {wanted} was expected"),
    )
}

fn closer(open: Token) -> Option<&'static str> {
    match open {
        Token::OpenParen => Some(")"),
        Token::OpenBracket => Some("]"),
        Token::OpenBrace => Some("}"),
        _ => None,
    }
}

/// After a dot, something that is no field's name.
pub(super) fn member(parser: &Parser<'_>) -> Fault {
    let lexeme = parser.lexeme(0);
    let text = lexeme.span.of(parser.source);
    let fault = |message: String| Fault::new("UnexpectedToken", lexeme.span, message);
    match lexeme.token {
        Token::True | Token::False | Token::Null | Token::In => {
            fault(format!("`{text}` is a word of the language"))
                .help(format!("a field of that name is .`{text}`"))
        }
        Token::Str => fault("a field's name stands after the dot without quotes".into())
            .help(format!("write a.name, or a[{text}]")),
        Token::Int | Token::Double => {
            fault("an element of a list is not reached with a dot".into()).help(format!("write a[{text}]"))
        }
        Token::Question => {
            fault("there is no operator `.?`".into()).help("write has(a.b) to ask whether a field is there")
        }
        Token::OpenBracket => fault("there is no `.` before `[`".into()).help("write a[index]"),
        Token::End => {
            let dot = parser.previous().map_or(lexeme.span, |p| p.span);
            Fault::new(
                "UnexpectedEnd",
                dot,
                "the expression ends after this `.`, where a field's name was expected",
            )
        }
        _ => fault(format!("a field's name was expected after the dot, not `{text}`")),
    }
}

/// A name that CEL reserves.
pub(super) fn reserved(parser: &Parser<'_>) -> Fault {
    let lexeme = parser.lexeme(0);
    let text = lexeme.span.of(parser.source);
    let fault = Fault::new(
        "ReservedWord",
        lexeme.span,
        format!("`{text}` is reserved and can't be a name"),
    );
    match text {
        "if" | "else" => fault.help("a conditional is written condition ? a : b"),
        "for" | "while" | "loop" => {
            fault.help("lists are walked with list.map(x, ...), filter, exists and all")
        }
        "let" | "var" | "const" => {
            fault.help("a name for a part is written cel.bind(name, part, expression)")
        }
        "function" | "return" => fault.help("an expression is one value; there are no functions to define"),
        _ => fault.help("rename the stream with `as`; a field of that name is reached as a[\"name\"]"),
    }
}

/// Two strings side by side, which C joins and CEL does not.
pub(super) fn adjacent_strings(parser: &Parser<'_>) -> Fault {
    let span = parser.lexeme(0).span;
    Fault::new(
        "UnexpectedToken",
        span,
        "there is no operator between these strings",
    )
    .help("text is joined with +")
}

/// `Name{...}`: protocol buffer messages, which this has none of.
pub(super) fn message(parser: &Parser<'_>) -> Fault {
    let fault = Fault::new(
        "UnexpectedToken",
        parser.lexeme(0).span,
        "`{` can't follow a value",
    );
    fault.help(
        "a map is written {\"name\": value} on its own; message types of protocol buffers are not supported",
    )
}

/// Whether a word can never be a name.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

/// `a?.b`, which reads as a conditional without an end.
pub(super) fn optional_member(question: Span) -> Fault {
    Fault::new("UnexpectedToken", question, "there is no operator `?.`")
        .help("write has(a.b) to ask whether a field is there")
}
