//! cel-go's math extension.

use std::cmp::Ordering;

use crate::expr::error::EvalError;
use crate::expr::machine::Machine;
use crate::value::Value;

use super::no_overload;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

/// The argument that comes first in an order, of the arguments or of the one list that is the argument.
fn extreme<'a>(
    machine: &mut Machine<'a>,
    name: &'static str,
    args: &[Value<'a>],
    wanted: Ordering,
) -> Result<'a> {
    let opened;
    let numbers = match args {
        [list @ (Value::List(_) | Value::Json(_))] => {
            opened = machine.open(list.clone())?;
            let Value::List(items) = &opened else {
                return Err(no_overload(name, args));
            };
            items.as_slice()
        }
        numbers => numbers,
    };
    let mut best: Option<&Value<'a>> = None;
    for number in numbers {
        machine.spend(1)?;
        if number.as_double().is_none() {
            return Err(no_overload(name, std::slice::from_ref(number)));
        }
        best = match best {
            None => Some(number),
            Some(best) => match number.order(best) {
                None => return Err(EvalError::not_ordered()),
                Some(order) if order == wanted => Some(number),
                Some(_) => Some(best),
            },
        };
    }
    best.cloned()
        .ok_or_else(|| EvalError::invalid(format!("{name} of nothing")))
}

pub(super) fn greatest<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    extreme(machine, "math.greatest", args, Ordering::Greater)
}

pub(super) fn least<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    extreme(machine, "math.least", args, Ordering::Less)
}

/// The one argument of a function over doubles.
fn double(name: &'static str, args: &[Value<'_>]) -> std::result::Result<f64, EvalError> {
    match args {
        [value @ (Value::Double(_) | Value::BigInt(_))] => Ok(value.as_double().unwrap_or(f64::NAN)),
        _ => Err(no_overload(name, args)),
    }
}

pub(super) fn ceil<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Double(double("math.ceil", args)?.ceil()))
}

pub(super) fn floor<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Double(double("math.floor", args)?.floor()))
}

pub(super) fn round<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Double(double("math.round", args)?.round()))
}

pub(super) fn trunc<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Double(double("math.trunc", args)?.trunc()))
}

pub(super) fn is_nan<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Bool(double("math.isNaN", args)?.is_nan()))
}

pub(super) fn is_inf<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Bool(double("math.isInf", args)?.is_infinite()))
}

pub(super) fn is_finite<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    Ok(Value::Bool(double("math.isFinite", args)?.is_finite()))
}

pub(super) fn sqrt<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [number] => number.as_double().map(|n| Value::Double(n.sqrt())),
        _ => None,
    }
    .ok_or_else(|| no_overload("math.sqrt", args))
}

/// Not in cel-go's extension: it is what evalexpr's `^` is translated to.
pub(super) fn pow<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [base, exponent] => base
            .as_double()
            .zip(exponent.as_double())
            .map(|(x, y)| Value::Double(x.powf(y))),
        _ => None,
    }
    .ok_or_else(|| no_overload("math.pow", args))
}

pub(super) fn abs<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(n)] => n
            .checked_abs()
            .map(Value::Int)
            .ok_or_else(|| EvalError::overflow("int")),
        [Value::Uint(n)] => Ok(Value::Uint(*n)),
        _ => Ok(Value::Double(double("math.abs", args)?.abs())),
    }
}

pub(super) fn sign<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(n)] => Ok(Value::Int(n.signum())),
        [Value::Uint(n)] => Ok(Value::Uint((*n).min(1))),
        _ => {
            let number = double("math.sign", args)?;
            Ok(Value::Double(if number == 0.0 || number.is_nan() {
                number.abs()
            } else {
                number.signum()
            }))
        }
    }
}

pub(super) fn bit_and<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => Ok(Value::Int(a & b)),
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(a & b)),
        _ => Err(no_overload("math.bitAnd", args)),
    }
}

pub(super) fn bit_or<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => Ok(Value::Int(a | b)),
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(a | b)),
        _ => Err(no_overload("math.bitOr", args)),
    }
}

pub(super) fn bit_xor<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => Ok(Value::Int(a ^ b)),
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(a ^ b)),
        _ => Err(no_overload("math.bitXor", args)),
    }
}

pub(super) fn bit_not<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(a)] => Ok(Value::Int(!a)),
        [Value::Uint(a)] => Ok(Value::Uint(!a)),
        _ => Err(no_overload("math.bitNot", args)),
    }
}

/// How far to shift: 64 and more leave nothing.
fn bits(bits: i64) -> std::result::Result<u32, EvalError> {
    if bits < 0 {
        return Err(EvalError::invalid("bits can't be shifted by less than 0"));
    }
    Ok(u32::try_from(bits).unwrap_or(64))
}

pub(super) fn bit_shift_left<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(a), Value::Int(by)] => Ok(Value::Int(a.checked_shl(bits(*by)?).unwrap_or(0))),
        [Value::Uint(a), Value::Int(by)] => Ok(Value::Uint(a.checked_shl(bits(*by)?).unwrap_or(0))),
        _ => Err(no_overload("math.bitShiftLeft", args)),
    }
}

/// The sign is shifted like any other bit, as in cel-go.
pub(super) fn bit_shift_right<'a>(_: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    match args {
        [Value::Int(a), Value::Int(by)] => {
            let shifted = a.cast_unsigned().checked_shr(bits(*by)?).unwrap_or(0);
            Ok(Value::Int(shifted.cast_signed()))
        }
        [Value::Uint(a), Value::Int(by)] => Ok(Value::Uint(a.checked_shr(bits(*by)?).unwrap_or(0))),
        _ => Err(no_overload("math.bitShiftRight", args)),
    }
}
