//! CEL's grammar (<https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>), by recursive descent over
//! tokens. Depth is capped here and in [`Tree::add`]; nothing recurses on input without one of the two.

use super::ast::{Binary, Kind, NodeId, Tree, Unary, too_deep};
use super::diagnostic::{Fault, Span};
use super::lexer::lex;
use super::limits::MAX_DEPTH;
use super::literal;
use super::mistakes;
use super::token::{Lexeme, RESERVED, Token};

/// Parses a whole source.
pub(super) fn parse(source: &str) -> Result<Tree, Fault> {
    let tokens = lex(source)?;
    let mut parser = Parser {
        source,
        tokens,
        at: 0,
        depth: 0,
        tree: Tree::new(),
        open: Vec::new(),
    };
    if parser.peek() == Token::End {
        let fault = Fault::new("Empty", Span::new(0, 0), "the expression is empty");
        return Err(fault.help("leave the field out if there is nothing to say"));
    }
    let root = parser.expression()?;
    if parser.peek() != Token::End {
        return Err(parser.unexpected("an operator"));
    }
    parser.tree.root = root;
    Ok(parser.tree)
}

pub(super) struct Parser<'s> {
    pub(super) source: &'s str,
    tokens: Vec<Lexeme>,
    at: usize,
    depth: u16,
    tree: Tree,
    /// Brackets that are open, innermost last.
    pub(super) open: Vec<Lexeme>,
}

impl Parser<'_> {
    pub(super) fn lexeme(&self, ahead: usize) -> Lexeme {
        let end = Lexeme {
            token: Token::End,
            span: Span::new(self.source.len(), self.source.len()),
        };
        self.tokens.get(self.at + ahead).copied().unwrap_or(end)
    }

    pub(super) fn previous(&self) -> Option<Lexeme> {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).copied()
    }

    pub(super) fn peek(&self) -> Token {
        self.lexeme(0).token
    }

    fn take(&mut self) -> Lexeme {
        let lexeme = self.lexeme(0);
        self.at += 1;
        lexeme
    }

    fn accept(&mut self, token: Token) -> Option<Span> {
        (self.peek() == token).then(|| self.take().span)
    }

    fn span(&self, id: NodeId) -> Span {
        self.tree.get(id).span
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        mistakes::unexpected(self, wanted)
    }

    fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(too_deep(self.lexeme(0).span))
        } else {
            Ok(())
        }
    }

    /// `a || b ? c || d : e`. In a loop, because `e` may be another conditional, and so on.
    fn expression(&mut self) -> Result<NodeId, Fault> {
        self.enter()?;
        let mut branches = Vec::new();
        let last = loop {
            let condition = self.or()?;
            if self.accept(Token::Question).is_none() {
                break condition;
            }
            let then = self.or()?;
            if self.peek() == Token::Question {
                let fault = Fault::new(
                    "UnexpectedToken",
                    self.lexeme(0).span,
                    "a conditional can't stand here as it is",
                );
                return Err(fault.help("put the inner conditional in parentheses: a ? (b ? c : d) : e"));
            }
            if self.accept(Token::Colon).is_none() {
                return Err(self.unexpected("`:` and the value for when the condition is false"));
            }
            branches.push((condition, then));
        };
        let mut otherwise = last;
        while let Some((condition, then)) = branches.pop() {
            let span = self.span(condition).to(self.span(otherwise));
            otherwise = self.tree.add(
                Kind::Conditional {
                    condition,
                    then,
                    otherwise,
                },
                span,
            )?;
        }
        self.depth -= 1;
        Ok(otherwise)
    }

    fn or(&mut self) -> Result<NodeId, Fault> {
        let first = self.and()?;
        let mut items = vec![first];
        while self.accept(Token::OrOr).is_some() {
            items.push(self.and()?);
        }
        self.flatten(items, Kind::Or)
    }

    fn and(&mut self) -> Result<NodeId, Fault> {
        let first = self.relation()?;
        let mut items = vec![first];
        while self.accept(Token::AndAnd).is_some() {
            items.push(self.relation()?);
        }
        self.flatten(items, Kind::And)
    }

    fn flatten(&mut self, items: Vec<NodeId>, kind: fn(Vec<NodeId>) -> Kind) -> Result<NodeId, Fault> {
        match (items.first(), items.last()) {
            (Some(first), Some(last)) if first != last => {
                let span = self.span(*first).to(self.span(*last));
                self.tree.add(kind(items), span)
            }
            (Some(only), _) => Ok(*only),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Operators of one precedence, from the left.
    fn binary(
        &mut self,
        operand: fn(&mut Self) -> Result<NodeId, Fault>,
        operator: fn(Token) -> Option<Binary>,
    ) -> Result<NodeId, Fault> {
        let mut left = operand(self)?;
        while let Some(op) = operator(self.peek()) {
            let at = self.take().span;
            let right = operand(self)?;
            let span = self.span(left).to(self.span(right));
            left = self.tree.add(Kind::Binary { op, at, left, right }, span)?;
        }
        Ok(left)
    }

    fn relation(&mut self) -> Result<NodeId, Fault> {
        self.binary(Self::sum, |token| {
            Some(match token {
                Token::EqualEqual => Binary::Equal,
                Token::BangEqual => Binary::NotEqual,
                Token::Less => Binary::Less,
                Token::LessEqual => Binary::LessEqual,
                Token::Greater => Binary::Greater,
                Token::GreaterEqual => Binary::GreaterEqual,
                Token::In => Binary::In,
                _ => return None,
            })
        })
    }

    fn sum(&mut self) -> Result<NodeId, Fault> {
        self.binary(Self::product, |token| match token {
            Token::Plus => Some(Binary::Add),
            Token::Minus => Some(Binary::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Result<NodeId, Fault> {
        self.binary(Self::unary, |token| match token {
            Token::Star => Some(Binary::Multiply),
            Token::Slash => Some(Binary::Divide),
            Token::Percent => Some(Binary::Remainder),
            _ => None,
        })
    }

    fn unary(&mut self) -> Result<NodeId, Fault> {
        let mut operators = Vec::new();
        while let Token::Bang | Token::Minus = self.peek() {
            // A minus right before a number is a part of it: -9223372036854775808 is an int, its digits are not.
            if self.peek() == Token::Minus && matches!(self.lexeme(1).token, Token::Int | Token::Double) {
                break;
            }
            operators.push(self.take());
            if operators.len() > usize::from(MAX_DEPTH) {
                return Err(too_deep(self.lexeme(0).span));
            }
        }
        let mut operand = self.member()?;
        while let Some(operator) = operators.pop() {
            let op = if operator.token == Token::Bang {
                Unary::Not
            } else {
                Unary::Negate
            };
            let span = operator.span.to(self.span(operand));
            operand = self.tree.add(Kind::Unary { op, operand }, span)?;
        }
        Ok(operand)
    }

    fn member(&mut self) -> Result<NodeId, Fault> {
        let mut operand = self.primary()?;
        loop {
            let start = self.span(operand);
            operand = match self.peek() {
                Token::Dot => {
                    self.take();
                    let name = self.take();
                    let text = match name.token {
                        Token::Ident => name.span.of(self.source),
                        Token::Escaped => name.span.of(self.source).trim_matches('`'),
                        _ => {
                            self.at -= 1;
                            return Err(mistakes::member(self));
                        }
                    };
                    if name.token == Token::Ident && self.peek() == Token::OpenParen {
                        let (args, end) = self.arguments()?;
                        let (target, at) = (Some(operand), name.span);
                        self.tree.add(
                            Kind::Call {
                                target,
                                name: text.into(),
                                at,
                                args,
                            },
                            start.to(end),
                        )?
                    } else {
                        let kind = Kind::Select {
                            operand,
                            field: text.into(),
                            at: name.span,
                        };
                        self.tree.add(kind, start.to(name.span))?
                    }
                }
                Token::OpenBracket => {
                    let open = self.take();
                    self.open.push(open);
                    let index = self.expression()?;
                    let end = self.close(Token::CloseBracket, "`]`")?;
                    self.tree.add(Kind::Index { operand, index }, start.to(end))?
                }
                Token::OpenBrace => return Err(mistakes::message(self)),
                _ => return Ok(operand),
            };
        }
    }

    /// The arguments of a call, from its opening parenthesis to its closing one.
    fn arguments(&mut self) -> Result<(Vec<NodeId>, Span), Fault> {
        let open = self.take();
        self.open.push(open);
        let mut args = Vec::new();
        if self.peek() != Token::CloseParen {
            loop {
                args.push(self.expression()?);
                if self.accept(Token::Comma).is_none() {
                    break;
                }
            }
        }
        let end = self.close(Token::CloseParen, "`,` or `)`")?;
        Ok((args, end))
    }

    fn close(&mut self, token: Token, wanted: &str) -> Result<Span, Fault> {
        match self.accept(token) {
            Some(span) => {
                self.open.pop();
                Ok(span)
            }
            None => Err(self.unexpected(wanted)),
        }
    }

    fn primary(&mut self) -> Result<NodeId, Fault> {
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
                return Err(self.unexpected("`:` and the value of this key"));
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
