//! `size`, and the error of a function whose arguments have types that it does not take.

use crate::expr::error::EvalError;
use crate::expr::machine::Machine;
use crate::value::Value;

/// `operation` does not take arguments of these types.
pub(in crate::expr) fn no_overload(operation: &'static str, args: &[Value<'_>]) -> EvalError {
    EvalError::no_such_overload(operation, args.iter().map(Value::kind).collect::<Vec<_>>())
}

pub(super) fn size<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [value] = args else {
        return Err(no_overload("size", args));
    };
    let length = match machine.open(value.clone())? {
        Value::Str(text) => {
            machine.spend_bytes(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => return Err(no_overload("size", args)),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}
