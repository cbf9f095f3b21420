//! What types a part of an expression can have, as a set: enough to tell what can never work, without claiming to
//! know what a message holds.

use std::fmt;

use crate::value::Kind;

use super::ast::Binary;

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u16);

impl Types {
    pub(super) const NULL: Types = Types::of(Kind::Null);
    pub(super) const BOOL: Types = Types::of(Kind::Bool);
    pub(super) const INT: Types = Types::of(Kind::Int);
    pub(super) const UINT: Types = Types::of(Kind::Uint);
    pub(super) const DOUBLE: Types = Types::of(Kind::Double);
    pub(super) const STRING: Types = Types::of(Kind::String);
    pub(super) const BYTES: Types = Types::of(Kind::Bytes);
    pub(super) const LIST: Types = Types::of(Kind::List);
    pub(super) const MAP: Types = Types::of(Kind::Map);
    pub(super) const TIMESTAMP: Types = Types::of(Kind::Timestamp);
    pub(super) const DURATION: Types = Types::of(Kind::Duration);
    pub(super) const TYPE: Types = Types::of(Kind::Type);
    /// `int`, `uint`, `double`.
    pub(super) const NUMBER: Types = Types::INT.or(Types::UINT).or(Types::DOUBLE);
    /// What JSON can hold: its numbers are doubles.
    pub(super) const JSON: Types = Types::NULL
        .or(Types::BOOL)
        .or(Types::DOUBLE)
        .or(Types::STRING)
        .or(Types::LIST)
        .or(Types::MAP);
    /// Anything.
    pub(super) const ANY: Types = Types((1 << Kind::ALL.len()) - 1);

    pub(super) const fn of(kind: Kind) -> Types {
        Types(1 << kind as u16)
    }

    pub(super) const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub(super) const fn meets(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn and(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .into_iter()
            .filter(move |kind| self.meets(Types::of(*kind)))
    }

    /// What a binary operator makes of these types; empty if it takes none of their combinations.
    pub(super) fn binary(op: Binary, left: Types, right: Types) -> Types {
        match op {
            Binary::Equal | Binary::NotEqual => {
                let widen = |t: Types| {
                    if t.meets(Types::NUMBER) {
                        t.or(Types::NUMBER)
                    } else {
                        t
                    }
                };
                if widen(left).meets(widen(right)) {
                    Types::BOOL
                } else {
                    Types(0)
                }
            }
            Binary::In => {
                if right.meets(Types::LIST.or(Types::MAP)) {
                    Types::BOOL
                } else {
                    Types(0)
                }
            }
            Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => {
                let ordered = Types::BOOL
                    .or(Types::STRING)
                    .or(Types::BYTES)
                    .or(Types::TIMESTAMP)
                    .or(Types::DURATION);
                let numbers = left.meets(Types::NUMBER) && right.meets(Types::NUMBER);
                if numbers || left.and(right).meets(ordered) {
                    Types::BOOL
                } else {
                    Types(0)
                }
            }
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
                let mut out = Types(0);
                for a in left.kinds() {
                    for b in right.kinds() {
                        if let Some(kind) = arithmetic(op, a, b) {
                            out = out.or(Types::of(kind));
                        }
                    }
                }
                out
            }
        }
    }
}

/// The type of `a op b`, if there is one.
pub(super) fn arithmetic(op: Binary, a: Kind, b: Kind) -> Option<Kind> {
    use Kind::{Bytes, Double, Duration, Int, List, String, Timestamp, Uint};
    Some(match (op, a, b) {
        (_, Int, Int) => Int,
        (_, Uint, Uint) => Uint,
        (Binary::Remainder, ..) => return None,
        (_, Double, Double | Int | Uint) | (_, Int | Uint, Double) => Double,
        (Binary::Add, String, String) => String,
        (Binary::Add, Bytes, Bytes) => Bytes,
        (Binary::Add, List, List) => List,
        (Binary::Add | Binary::Subtract, Timestamp, Duration) | (Binary::Add, Duration, Timestamp) => {
            Timestamp
        }
        (Binary::Add | Binary::Subtract, Duration, Duration) | (Binary::Subtract, Timestamp, Timestamp) => {
            Duration
        }
        _ => return None,
    })
}

impl fmt::Display for Types {
    /// `a string`, `a string, bytes or a list`; `a field's value` for what JSON can hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Types::ANY {
            return f.write_str("a value");
        }
        if *self == Types::JSON {
            return f.write_str("a field's value");
        }
        let count = self.kinds().count();
        for (at, kind) in self.kinds().enumerate() {
            f.write_str(match at {
                0 => "",
                at if at + 1 == count => " or ",
                _ => ", ",
            })?;
            match kind {
                Kind::Null => f.write_str("null")?,
                Kind::Bytes => f.write_str("bytes")?,
                Kind::Int => f.write_str("an int")?,
                other => write!(f, "a {other}")?,
            }
        }
        Ok(())
    }
}
