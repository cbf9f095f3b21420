//! Another name for an input: what a resource wrote for its own name, another resource knows by an alias.

use super::evalexpr;
use super::lexer::lex;
use super::token::Token;

/// The expression with the variable `from` called `to`. `None` if it already has a `to`, which would then be another
/// thing, or can't be read.
pub fn rename(source: &str, from: &str, to: &str) -> Option<String> {
    if from == to {
        return Some(source.to_owned());
    }
    if evalexpr::body_start(source).is_some() {
        return None;
    }
    let mut renamed = String::with_capacity(source.len());
    let (mut copied, mut before) = (0, Token::End);
    for lexeme in lex(source).ok()? {
        let text = lexeme.span.of(source);
        let is_variable = lexeme.token == Token::Ident && before != Token::Dot;
        before = lexeme.token;
        if is_variable && text == to {
            return None;
        }
        if is_variable && text == from {
            let span = lexeme.span.range();
            renamed.push_str(source.get(copied..span.start)?);
            renamed.push_str(to);
            copied = span.end;
        }
    }
    renamed.push_str(source.get(copied..)?);
    Some(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_variable_gets_another_name() {
        for (source, renamed) in [
            ("a.t", Some("b.t")),
            ("timestamp(a.a.t)", Some("timestamp(b.a.t)")),
            ("a.list.map(x, x + a.n)[0]", Some("b.list.map(x, x + b.n)[0]")),
            ("'a.t' + a . t // a", Some("'a.t' + b . t // a")),
            ("{\"a\": a}", Some("{\"a\": b}")),
            ("a.b", Some("b.b")),
            ("a.list.exists(b, b == a.n)", None),
            ("a.t + '", None),
        ] {
            assert_eq!(rename(source, "a", "b").as_deref(), renamed, "{source}");
        }
        assert_eq!(rename("a.t + '", "a", "a").as_deref(), Some("a.t + '"));
    }
}
