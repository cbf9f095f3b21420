//! A field of a message, as the decoder leaves it for expressions: borrowed, never copied, parsed no deeper
//! than needed.

/// What one path of one message holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// The message has no such path.
    Absent,
    /// JSON `null`.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A JSON number that a double holds exactly enough: every non-integer, and integers up to 2^53.
    Number(f64),
    /// A JSON integer beyond 2^53, as its digits (`-`? then digits, no fraction, no exponent). Its value for
    /// arithmetic is the nearest double; printed and compared it stays exact.
    BigInt(&'a str),
    /// A JSON string, unescaped.
    Str(&'a str),
    /// A JSON array or object, as its text: already checked to be valid JSON within the limits.
    Json(&'a str),
}
