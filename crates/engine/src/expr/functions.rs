//! The functions of the language: the standard library and the strings and math extensions, in one table that the
//! compiler checks calls against and the documentation is tested against.

use crate::value::Value;

use super::error::EvalError;
use super::machine::Machine;
use super::types::Types;

mod convert;
mod format;
mod math;
mod re2;
mod regex;
mod size;
mod strings;
mod time;

pub(super) use regex::{Pattern, pattern};
pub(super) use size::no_overload;

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `f(x)`
    Global,
    /// `x.f()`
    Member,
    /// Either.
    Both,
}

/// What carries a function out. Arguments are evaluated; of a member function the first is its target.
pub(super) type Builtin = for<'a> fn(&mut Machine<'a>, &[Value<'a>]) -> Result<Value<'a>, EvalError>;

/// A function, for one number of arguments.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// The types that each argument can have, the target's first.
    args: &'static [Types],
    /// Whether the last argument may be repeated.
    variadic: bool,
    result: Types,
    pub(super) call: Builtin,
    /// How a member function's call is written, or a global one's.
    usage: &'static str,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    /// Whether it gives how much a number is without its sign.
    pub(super) fn is_absolute(&self) -> bool {
        self.name == "math.abs"
    }

    /// Whether it can be called with so many arguments.
    pub(super) fn takes(&self, args: usize) -> bool {
        args == self.args.len() || (self.variadic && args > self.args.len())
    }

    /// The types that an argument can have.
    pub(super) fn argument(&self, place: usize) -> Types {
        self.args
            .get(place)
            .or(self.args.last())
            .copied()
            .unwrap_or(Types::ANY)
    }

    /// The types that the result can have, given those of the arguments.
    pub(super) fn result_of(&self, args: &[Types]) -> Types {
        let given = args
            .iter()
            .copied()
            .reduce(Types::or)
            .unwrap_or(Types::ANY)
            .and(self.result);
        if self.result == Types::NUMBER && !given.is_empty() {
            given
        } else {
            self.result
        }
    }

    pub(super) fn usage(&self) -> &'static str {
        self.usage
    }

    /// The usage in one of two forms.
    pub(super) fn usage_as(&self, form: Form) -> String {
        match (self.form, form) {
            (Form::Both, Form::Member) if self.args.len() == 1 => format!("x.{}()", self.name),
            _ => self.usage.to_owned(),
        }
    }
}

const fn global(
    name: &'static str,
    usage: &'static str,
    args: &'static [Types],
    result: Types,
    call: Builtin,
) -> Function {
    Function {
        name,
        form: Form::Global,
        args,
        variadic: false,
        result,
        call,
        usage,
    }
}

const fn member(
    name: &'static str,
    usage: &'static str,
    args: &'static [Types],
    result: Types,
    call: Builtin,
) -> Function {
    Function {
        name,
        form: Form::Member,
        args,
        variadic: false,
        result,
        call,
        usage,
    }
}

const ANY: Types = Types::ANY;
const B: Types = Types::BOOL;
const I: Types = Types::INT;
const U: Types = Types::UINT;
const D: Types = Types::DOUBLE;
const N: Types = Types::NUMBER;
const S: Types = Types::STRING;
const Y: Types = Types::BYTES;
const L: Types = Types::LIST;
const M: Types = Types::MAP;
const T: Types = Types::TIMESTAMP;
const P: Types = Types::DURATION;
const IU: Types = I.or(U);
const TP: Types = T.or(P);

/// Every function.
pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        form: Form::Both,
        ..global("size", "size(x)", &[S.or(Y).or(L).or(M)], I, size::size)
    },
    // Conversions.
    global("int", "int(x)", &[N.or(S).or(TP)], I, convert::int),
    global("uint", "uint(x)", &[N.or(S)], U, convert::uint),
    global("double", "double(x)", &[N.or(S)], D, convert::double),
    global(
        "string",
        "string(x)",
        &[B.or(N).or(S).or(Y).or(TP)],
        S,
        convert::string,
    ),
    global("bytes", "bytes(x)", &[S.or(Y)], Y, convert::bytes),
    global("bool", "bool(x)", &[B.or(S)], B, convert::bool),
    global(
        "timestamp",
        "timestamp(x)",
        &[S.or(I).or(T)],
        T,
        convert::timestamp,
    ),
    global("duration", "duration(x)", &[S.or(P)], P, convert::duration),
    global("type", "type(x)", &[ANY], Types::TYPE, convert::kind),
    global("dyn", "dyn(x)", &[ANY], ANY, convert::dyn_),
    // Strings.
    member("contains", "text.contains(part)", &[S, S], B, strings::contains),
    member(
        "startsWith",
        "text.startsWith(part)",
        &[S, S],
        B,
        strings::starts_with,
    ),
    member("endsWith", "text.endsWith(part)", &[S, S], B, strings::ends_with),
    Function {
        form: Form::Both,
        ..member("matches", "text.matches(pattern)", &[S, S], B, regex::matches)
    },
    member("charAt", "text.charAt(index)", &[S, I], S, strings::char_at),
    member("indexOf", "text.indexOf(part)", &[S, S], I, strings::index_of),
    member(
        "indexOf",
        "text.indexOf(part, from)",
        &[S, S, I],
        I,
        strings::index_of,
    ),
    member(
        "lastIndexOf",
        "text.lastIndexOf(part)",
        &[S, S],
        I,
        strings::last_index_of,
    ),
    member(
        "lastIndexOf",
        "text.lastIndexOf(part, from)",
        &[S, S, I],
        I,
        strings::last_index_of,
    ),
    member("join", "list.join()", &[L], S, strings::join),
    member("join", "list.join(separator)", &[L, S], S, strings::join),
    member("lowerAscii", "text.lowerAscii()", &[S], S, strings::lower_ascii),
    member("upperAscii", "text.upperAscii()", &[S], S, strings::upper_ascii),
    member(
        "replace",
        "text.replace(old, new)",
        &[S, S, S],
        S,
        strings::replace,
    ),
    member(
        "replace",
        "text.replace(old, new, limit)",
        &[S, S, S, I],
        S,
        strings::replace,
    ),
    member("split", "text.split(separator)", &[S, S], L, strings::split),
    member(
        "split",
        "text.split(separator, limit)",
        &[S, S, I],
        L,
        strings::split,
    ),
    member(
        "substring",
        "text.substring(start)",
        &[S, I],
        S,
        strings::substring,
    ),
    member(
        "substring",
        "text.substring(start, end)",
        &[S, I, I],
        S,
        strings::substring,
    ),
    member("trim", "text.trim()", &[S], S, strings::trim),
    member("reverse", "text.reverse()", &[S], S, strings::reverse),
    member("format", "text.format([x, ...])", &[S, L], S, format::format),
    global("strings.quote", "strings.quote(text)", &[S], S, strings::quote),
    // Numbers.
    Function {
        variadic: true,
        ..global(
            "math.greatest",
            "math.greatest(a, b)",
            &[N.or(L)],
            N,
            math::greatest,
        )
    },
    Function {
        variadic: true,
        ..global("math.least", "math.least(a, b)", &[N.or(L)], N, math::least)
    },
    global("math.ceil", "math.ceil(x)", &[D], D, math::ceil),
    global("math.floor", "math.floor(x)", &[D], D, math::floor),
    global("math.round", "math.round(x)", &[D], D, math::round),
    global("math.trunc", "math.trunc(x)", &[D], D, math::trunc),
    global("math.abs", "math.abs(x)", &[N], N, math::abs),
    global("math.sign", "math.sign(x)", &[N], N, math::sign),
    global("math.sqrt", "math.sqrt(x)", &[N], D, math::sqrt),
    global("math.pow", "math.pow(x, y)", &[N, N], D, math::pow),
    global("math.isNaN", "math.isNaN(x)", &[D], B, math::is_nan),
    global("math.isInf", "math.isInf(x)", &[D], B, math::is_inf),
    global("math.isFinite", "math.isFinite(x)", &[D], B, math::is_finite),
    global("math.bitAnd", "math.bitAnd(a, b)", &[IU, IU], IU, math::bit_and),
    global("math.bitOr", "math.bitOr(a, b)", &[IU, IU], IU, math::bit_or),
    global("math.bitXor", "math.bitXor(a, b)", &[IU, IU], IU, math::bit_xor),
    global("math.bitNot", "math.bitNot(a)", &[IU], IU, math::bit_not),
    global(
        "math.bitShiftLeft",
        "math.bitShiftLeft(a, bits)",
        &[IU, I],
        IU,
        math::bit_shift_left,
    ),
    global(
        "math.bitShiftRight",
        "math.bitShiftRight(a, bits)",
        &[IU, I],
        IU,
        math::bit_shift_right,
    ),
    // Time.
    member("getFullYear", "time.getFullYear()", &[T], I, time::full_year),
    member(
        "getFullYear",
        "time.getFullYear(zone)",
        &[T, S],
        I,
        time::full_year,
    ),
    member("getMonth", "time.getMonth()", &[T], I, time::month),
    member("getMonth", "time.getMonth(zone)", &[T, S], I, time::month),
    member("getDate", "time.getDate()", &[T], I, time::date),
    member("getDate", "time.getDate(zone)", &[T, S], I, time::date),
    member(
        "getDayOfMonth",
        "time.getDayOfMonth()",
        &[T],
        I,
        time::day_of_month,
    ),
    member(
        "getDayOfMonth",
        "time.getDayOfMonth(zone)",
        &[T, S],
        I,
        time::day_of_month,
    ),
    member("getDayOfWeek", "time.getDayOfWeek()", &[T], I, time::day_of_week),
    member(
        "getDayOfWeek",
        "time.getDayOfWeek(zone)",
        &[T, S],
        I,
        time::day_of_week,
    ),
    member("getDayOfYear", "time.getDayOfYear()", &[T], I, time::day_of_year),
    member(
        "getDayOfYear",
        "time.getDayOfYear(zone)",
        &[T, S],
        I,
        time::day_of_year,
    ),
    member("getHours", "time.getHours()", &[TP], I, time::hours),
    member("getHours", "time.getHours(zone)", &[T, S], I, time::hours),
    member("getMinutes", "time.getMinutes()", &[TP], I, time::minutes),
    member("getMinutes", "time.getMinutes(zone)", &[T, S], I, time::minutes),
    member("getSeconds", "time.getSeconds()", &[TP], I, time::seconds),
    member("getSeconds", "time.getSeconds(zone)", &[T, S], I, time::seconds),
    member(
        "getMilliseconds",
        "time.getMilliseconds()",
        &[TP],
        I,
        time::milliseconds,
    ),
    member(
        "getMilliseconds",
        "time.getMilliseconds(zone)",
        &[T, S],
        I,
        time::milliseconds,
    ),
];

#[cfg(test)]
mod tests {
    use super::FUNCTIONS;

    /// Its examples are evaluated by the test of the document; here none may be missing.
    #[test]
    fn the_documentation_has_an_example_of_every_function() {
        let document = include_str!("../../../../docs/expressions.md");
        for function in FUNCTIONS {
            let called = [
                format!(".{}(", function.name),
                format!("`{}(", function.name),
                format!(" {}(", function.name),
            ];
            assert!(
                called.iter().any(|call| document.contains(call)),
                "{}",
                function.name
            );
        }
    }
}
