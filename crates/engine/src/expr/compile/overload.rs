//! Operators between types that they never take: what is wrong, and how it is written instead.

use crate::expr::ast::Binary;
use crate::expr::diagnostic::{Fault, Span};
use crate::expr::types::Types;

use super::{Compiler, Typed};

impl Compiler<'_> {
    /// What to say of an operator between types that it never takes.
    pub(super) fn no_overload(&self, op: Binary, at: Span, span: Span, left: Typed, right: Typed) -> Fault {
        let symbol = op.symbol();
        let (left_text, right_text) = (self.unit.text(left.0), self.unit.text(right.0));
        let fault = |span: Span, message: String| Fault::new("NoSuchOverload", span, message);
        match op {
            Binary::Equal | Binary::NotEqual => {
                let fault = fault(span, format!("these are never equal: {} and {}", left.1, right.1));
                match (left.1, right.1) {
                    (Types::STRING, t) | (t, Types::STRING) if t.meets(Types::NUMBER) => {
                        fault.help("convert one of them: int(\"5\"), double(\"2.5\"), string(5)")
                    }
                    (Types::TIMESTAMP, _) | (_, Types::TIMESTAMP) => {
                        fault.help("convert the other: timestamp(x)")
                    }
                    (Types::DURATION, _) | (_, Types::DURATION) => {
                        fault.help("convert the other: duration(x)")
                    }
                    _ => fault,
                }
            }
            Binary::In => {
                let message = format!("`in` looks into a list or a map, but this is {}", right.1);
                let fault = fault(
                    self.unit.spans.get(right.0.0 as usize).copied().unwrap_or(at),
                    message,
                );
                if right.1 == Types::STRING {
                    fault.help(format!(
                        "whether text contains a part is {right_text}.contains({left_text})"
                    ))
                } else {
                    fault
                }
            }
            _ => {
                let message = format!("`{symbol}` does not take {} and {}", left.1, right.1);
                let fault = fault(span, message);
                let json = |t: Types| t == Types::JSON || t == Types::DOUBLE;
                if op == Binary::Remainder && (json(left.1) || json(right.1)) {
                    let int = |t: Types, text: &str| {
                        if json(t) {
                            format!("int({text})")
                        } else {
                            text.to_owned()
                        }
                    };
                    let (a, b) = (int(left.1, left_text), int(right.1, right_text));
                    return fault.help(format!(
                        "the numbers in messages are doubles, and `%` needs ints: {a} % {b}"
                    ));
                }
                if op == Binary::Add && (left.1 == Types::STRING || right.1 == Types::STRING) {
                    let text = |t: Types, text: &str| {
                        if t == Types::STRING {
                            text.to_owned()
                        } else {
                            format!("string({text})")
                        }
                    };
                    let (a, b) = (text(left.1, left_text), text(right.1, right_text));
                    return fault.help(format!("text is joined to text only: {a} + {b}"));
                }
                if left.1.or(right.1) == Types::INT.or(Types::UINT) {
                    return fault.help("an int and a uint don't mix: convert one with int() or uint()");
                }
                if left.1 == Types::BOOL || right.1 == Types::BOOL {
                    return fault.help("comparisons don't chain: write a < b && b < c");
                }
                fault
            }
        }
    }
}
