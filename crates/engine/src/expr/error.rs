//! What goes wrong while an expression is evaluated: small, cheap to make, and told apart by reason.

use std::fmt;
use std::sync::Arc;

use crate::value::{Kind, NotJson, ParseError};

/// Why an evaluation gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError(Box<Cause>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    NoSuchField(Arc<str>),
    NoSuchKey(Box<str>),
    IndexOutOfRange(Box<str>),
    NoSuchOverload {
        operation: &'static str,
        kinds: Vec<Kind>,
    },
    DivisionByZero,
    Overflow(&'static str),
    NotOrdered,
    RepeatedKey(Box<str>),
    InvalidArgument(Box<str>),
    InvalidJson,
    NotJson(NotJson),
    CostExceeded,
}

impl EvalError {
    /// The class of the error in CamelCase: a metric's label and a dead letter's reason.
    pub fn reason(&self) -> &'static str {
        match &*self.0 {
            Cause::NoSuchField(_) => "NoSuchField",
            Cause::NoSuchKey(_) => "NoSuchKey",
            Cause::IndexOutOfRange(_) => "IndexOutOfRange",
            Cause::NoSuchOverload { .. } => "NoSuchOverload",
            Cause::DivisionByZero => "DivisionByZero",
            Cause::Overflow(_) => "Overflow",
            Cause::NotOrdered => "NotOrdered",
            Cause::RepeatedKey(_) => "RepeatedKey",
            Cause::InvalidArgument(_) => "InvalidArgument",
            Cause::InvalidJson => "InvalidJson",
            Cause::NotJson(_) => "NotJson",
            Cause::CostExceeded => "CostExceeded",
        }
    }

    /// Every reason there is, so that a metric can start all of them at zero.
    pub const REASONS: [&'static str; 12] = [
        "NoSuchField",
        "NoSuchKey",
        "IndexOutOfRange",
        "NoSuchOverload",
        "DivisionByZero",
        "Overflow",
        "NotOrdered",
        "RepeatedKey",
        "InvalidArgument",
        "InvalidJson",
        "NotJson",
        "CostExceeded",
    ];

    pub(super) fn no_such_field(path: Arc<str>) -> EvalError {
        EvalError(Box::new(Cause::NoSuchField(path)))
    }

    pub(super) fn no_such_key(key: impl Into<Box<str>>) -> EvalError {
        EvalError(Box::new(Cause::NoSuchKey(key.into())))
    }

    pub(super) fn index_out_of_range(index: impl Into<Box<str>>) -> EvalError {
        EvalError(Box::new(Cause::IndexOutOfRange(index.into())))
    }

    pub(crate) fn no_such_overload(operation: &'static str, kinds: impl Into<Vec<Kind>>) -> EvalError {
        EvalError(Box::new(Cause::NoSuchOverload {
            operation,
            kinds: kinds.into(),
        }))
    }

    pub(super) fn division_by_zero() -> EvalError {
        EvalError(Box::new(Cause::DivisionByZero))
    }

    pub(super) fn overflow(what: &'static str) -> EvalError {
        EvalError(Box::new(Cause::Overflow(what)))
    }

    pub(crate) fn not_ordered() -> EvalError {
        EvalError(Box::new(Cause::NotOrdered))
    }

    pub(super) fn repeated_key(key: impl Into<Box<str>>) -> EvalError {
        EvalError(Box::new(Cause::RepeatedKey(key.into())))
    }

    pub(crate) fn invalid(message: impl Into<Box<str>>) -> EvalError {
        EvalError(Box::new(Cause::InvalidArgument(message.into())))
    }

    pub(super) fn cost_exceeded() -> EvalError {
        EvalError(Box::new(Cause::CostExceeded))
    }

    /// Whether something that was looked for is not there.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            *self.0,
            Cause::NoSuchField(_) | Cause::NoSuchKey(_) | Cause::IndexOutOfRange(_)
        )
    }

    /// Whether the evaluation has used up what it may, so that no operator may carry on in spite of the error.
    pub(super) fn is_final(&self) -> bool {
        matches!(*self.0, Cause::CostExceeded)
    }
}

impl From<NotJson> for EvalError {
    fn from(error: NotJson) -> Self {
        EvalError(Box::new(Cause::NotJson(error)))
    }
}

impl From<ParseError> for EvalError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Invalid => EvalError(Box::new(Cause::InvalidJson)),
            ParseError::Limit => EvalError::cost_exceeded(),
        }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::NoSuchField(path) => write!(f, "there is no field {path}"),
            Cause::NoSuchKey(key) => write!(f, "there is no key {key}"),
            Cause::IndexOutOfRange(index) => write!(f, "there is no element {index}"),
            Cause::NoSuchOverload { operation, kinds } => {
                write!(f, "`{operation}` does not take ")?;
                for (at, kind) in kinds.iter().enumerate() {
                    write!(f, "{}{kind}", if at > 0 { " and " } else { "" })?;
                }
                if *operation == "%" && kinds.contains(&Kind::Double) {
                    f.write_str("; numbers in messages are doubles: use int(x) % n")?;
                }
                Ok(())
            }
            Cause::DivisionByZero => f.write_str("an integer is divided by zero"),
            Cause::Overflow(what) => write!(f, "the result is out of range for {what}"),
            Cause::NotOrdered => f.write_str("NaN is neither less nor greater than anything"),
            Cause::RepeatedKey(key) => write!(f, "the key {key} is there twice"),
            Cause::InvalidArgument(message) => f.write_str(message),
            Cause::InvalidJson => f.write_str("a part of the message is not valid JSON"),
            Cause::NotJson(error) => error.fmt(f),
            Cause::CostExceeded => f.write_str("the expression costs more than one evaluation may"),
        }
    }
}

impl std::error::Error for EvalError {}
