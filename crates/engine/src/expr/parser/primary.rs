//! What an expression is made of: literals, names, calls, lists, maps and what parentheses hold.

use crate::expr::ast::{Kind, NodeId};
use crate::expr::diagnostic::Fault;
use crate::expr::literal;
use crate::expr::mistakes;
use crate::expr::token::{RESERVED, Token};

use super::Parser;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<NodeId, Fault> {
        let lexeme = self.lexeme(0);
        let text = lexeme.span.of(self.source);
        let kind = match lexeme.token {
            Token::Null => Kind::Null,
            Token::True => Kind::Bool(true),
            Token::False => Kind::Bool(false),
            Token::Int => Kind::Int(literal::int(text, false, lexeme.span)?),
            Token::Uint => Kind::Uint(literal::uint(text, lexeme.span)?),
            Token::Double => Kind::Double(literal::double(text, lexeme.span)?),
            Token::Str => Kind::Str(literal::string(text, lexeme.span)?.into()),
            Token::Bytes => Kind::Bytes(literal::bytes(text, lexeme.span)?.into()),
            Token::Minus => return self.negative_number(),
            Token::Ident | Token::Dot => return self.name(),
            Token::OpenParen => return self.parenthesised(),
            Token::OpenBracket => return self.list(),
            Token::OpenBrace => return self.map(),
            _ => return Err(self.unexpected("a value")),
        };
        self.take();
        if matches!(self.peek(), Token::Str | Token::Bytes) && matches!(kind, Kind::Str(_)) {
            return Err(mistakes::adjacent_strings(self));
        }
        self.tree.add(kind, lexeme.span)
    }

    fn negative_number(&mut self) -> Result<NodeId, Fault> {
        let minus = self.take();
        let number = self.take();
        let (text, span) = (number.span.of(self.source), minus.span.to(number.span));
        let kind = match number.token {
            Token::Int => Kind::Int(literal::int(text, true, span)?),
            _ => Kind::Double(-literal::double(text, span)?),
        };
        self.tree.add(kind, span)
    }

    fn name(&mut self) -> Result<NodeId, Fault> {
        let dot = self.accept(Token::Dot);
        let name = self.lexeme(0);
        if name.token != Token::Ident {
            return Err(self.unexpected("a name"));
        }
        let text = name.span.of(self.source);
        if RESERVED.contains(&text) {
            return Err(mistakes::reserved(self));
        }
        self.take();
        let start = dot.unwrap_or(name.span);
        if self.peek() == Token::OpenParen {
            let (args, end) = self.arguments()?;
            return self.tree.add(
                Kind::Call {
                    target: None,
                    name: text.into(),
                    at: name.span,
                    args,
                },
                start.to(end),
            );
        }
        self.tree.add(
            Kind::Ident {
                name: text.into(),
                absolute: dot.is_some(),
            },
            start.to(name.span),
        )
    }

    fn parenthesised(&mut self) -> Result<NodeId, Fault> {
        let open = self.take();
        self.open.push(open);
        let inner = self.expression()?;
        let end = self.close(Token::CloseParen, "`)`")?;
        self.tree.widen(inner, open.span.to(end));
        Ok(inner)
    }

    fn list(&mut self) -> Result<NodeId, Fault> {
        let open = self.take();
        self.open.push(open);
        let mut items = Vec::new();
        // A comma may follow the last item; CEL's grammar has it even where there is no item.
        while self.peek() != Token::CloseBracket {
            if items.is_empty() && self.accept(Token::Comma).is_some() {
                break;
            }
            items.push(self.expression()?);
            if self.accept(Token::Comma).is_none() {
                break;
            }
        }
        let end = self.close(Token::CloseBracket, "`,` or `]`")?;
        self.tree.add(Kind::List(items), open.span.to(end))
    }

    fn map(&mut self) -> Result<NodeId, Fault> {
        let open = self.take();
        self.open.push(open);
        let mut entries = Vec::new();
        while self.peek() != Token::CloseBrace {
            if entries.is_empty() && self.accept(Token::Comma).is_some() {
                break;
            }
            let key = self.expression()?;
            if self.accept(Token::Colon).is_none() {
                return Err(self.unexpected("`:` after this key"));
            }
            entries.push((key, self.expression()?));
            if self.accept(Token::Comma).is_none() {
                break;
            }
        }
        let end = self.close(Token::CloseBrace, "`,` or `}`")?;
        self.tree.add(Kind::Map(entries), open.span.to(end))
    }
}
