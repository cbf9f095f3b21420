//! CEL's grammar (<https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>), by recursive descent over
//! tokens. Depth is capped here and in [`Tree::add`]; nothing recurses on input without one of the two.

use super::ast::{Binary, Kind, NodeId, Tree, Unary, too_deep};
use super::diagnostic::{Fault, Span};
use super::lexer::lex;
use super::limits::MAX_DEPTH;
use super::mistakes;
use super::token::{Lexeme, Token};

mod primary;

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
            let Some(question) = self.accept(Token::Question) else {
                break condition;
            };
            let next = self.lexeme(0);
            let member = next.token == Token::Dot && next.span.start == question.end;
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
                let optional = member.then(|| mistakes::optional_member(question));
                return Err(optional.unwrap_or_else(|| self.unexpected("`:` and the other value")));
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
        let first = self.binary(0)?;
        let mut items = vec![first];
        while self.accept(Token::AndAnd).is_some() {
            items.push(self.binary(0)?);
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

    /// Operators that bind at least as strongly as `weakest`, those of one precedence from the left.
    fn binary(&mut self, weakest: u8) -> Result<NodeId, Fault> {
        let mut left = self.unary()?;
        while let Some((op, strength)) = operator(self.peek()).filter(|(_, strength)| *strength >= weakest) {
            let at = self.take().span;
            let right = self.binary(strength + 1)?;
            let span = self.span(left).to(self.span(right));
            left = self.tree.add(Kind::Binary { op, at, left, right }, span)?;
        }
        Ok(left)
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
}

/// A binary operator and how strongly it binds.
fn operator(token: Token) -> Option<(Binary, u8)> {
    Some(match token {
        Token::EqualEqual => (Binary::Equal, 0),
        Token::BangEqual => (Binary::NotEqual, 0),
        Token::Less => (Binary::Less, 0),
        Token::LessEqual => (Binary::LessEqual, 0),
        Token::Greater => (Binary::Greater, 0),
        Token::GreaterEqual => (Binary::GreaterEqual, 0),
        Token::In => (Binary::In, 0),
        Token::Plus => (Binary::Add, 1),
        Token::Minus => (Binary::Subtract, 1),
        Token::Star => (Binary::Multiply, 2),
        Token::Slash => (Binary::Divide, 2),
        Token::Percent => (Binary::Remainder, 2),
        _ => return None,
    })
}
