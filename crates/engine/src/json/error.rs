//! Why a payload is not a message: the reason on the dead letter and the label of its counter.

use std::fmt;

use thiserror::Error;

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DecodeErrorKind {
    /// More bytes than the limit for one message.
    MessageTooLarge,
    /// Bytes that are not UTF-8 (RFC 8259, 8.1).
    InvalidUtf8,
    /// Text outside of RFC 8259's grammar.
    InvalidJson,
    /// Arrays and objects nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// An object that names a member twice (RFC 7493, 2.3).
    DuplicateKey,
    /// A number whose nearest double is infinite.
    NumberOutOfRange,
    /// An escape that is half of a surrogate pair, so no Unicode text (RFC 7493, 2.1).
    LoneSurrogate,
    /// A `data_base64` that is not base64 (RFC 4648, 4).
    InvalidBase64,
}

impl DecodeErrorKind {
    /// The reason as dead letters and metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            DecodeErrorKind::MessageTooLarge => "MessageTooLarge",
            DecodeErrorKind::InvalidUtf8 => "InvalidUtf8",
            DecodeErrorKind::InvalidJson => "InvalidJson",
            DecodeErrorKind::TooDeep => "TooDeep",
            DecodeErrorKind::DuplicateKey => "DuplicateKey",
            DecodeErrorKind::NumberOutOfRange => "NumberOutOfRange",
            DecodeErrorKind::LoneSurrogate => "LoneSurrogate",
            DecodeErrorKind::InvalidBase64 => "InvalidBase64",
        }
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeErrorKind::MessageTooLarge => "the message is larger than allowed",
            DecodeErrorKind::InvalidUtf8 => "not UTF-8",
            DecodeErrorKind::InvalidJson => "not JSON",
            DecodeErrorKind::TooDeep => "arrays and objects nest too deep",
            DecodeErrorKind::DuplicateKey => "an object names a member twice",
            DecodeErrorKind::NumberOutOfRange => "a number is beyond what a double can hold",
            DecodeErrorKind::LoneSurrogate => "an escape is half of a surrogate pair",
            DecodeErrorKind::InvalidBase64 => "`data_base64` is not base64",
        })
    }
}

/// A payload that could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} (at byte {offset})")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where, in bytes from the start of the payload; within the decoded data if that was base64 or a string.
    pub offset: usize,
}

impl DecodeError {
    /// The reason as dead letters and metrics name it.
    pub fn reason(&self) -> &'static str {
        self.kind.reason()
    }
}
