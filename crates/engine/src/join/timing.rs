//! When a message happened: the first that is asked of it once it is decoded, in event time.

use super::spec::{Clause, SpecError};
use crate::expr::{self, Context, EvalError, Expr, Program, Row, Scope};
use crate::layout::Layout;
use crate::query::{EventTime, Query};
use crate::time::Time;
use crate::value::{Timestamp, Value};

/// Why a message has no time.
#[derive(Debug)]
pub(crate) enum TimeError {
    /// The expression failed.
    Eval(EvalError),
    /// Its value is no time.
    NotATime(String),
}

impl TimeError {
    /// A dead letter's reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            TimeError::Eval(error) => error.reason(),
            TimeError::NotATime(_) => "BadTimestamp",
        }
    }
}

impl std::fmt::Display for TimeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TimeError::Eval(error) => write!(f, "timestamp: {error}"),
            TimeError::NotATime(what) => write!(
                f,
                "timestamp: {what} is no time between the years 1 and 9999: a timestamp, RFC 3339 text, or milliseconds since 1970"
            ),
        }
    }
}

/// When the events of one input happened.
#[derive(Clone, Debug)]
pub(crate) struct InputTime {
    timestamp: Program,
    pub(crate) out_of_orderness: i64,
    pub(crate) idle_timeout: Option<i64>,
}

/// The same before the layouts are known.
pub(super) struct Unbound<'q>(Vec<Option<(Expr, &'q EventTime)>>);

impl<'q> Unbound<'q> {
    /// Compiles what says when events happened, for each input that says it.
    pub(super) fn compile(query: &'q Query) -> Result<Unbound<'q>, Vec<SpecError>> {
        let mut errors = Vec::new();
        let mut times = Vec::new();
        for (at, input) in query.inputs.iter().enumerate() {
            let time = input.time.as_ref().and_then(|time| {
                let expr = Scope::new(&[&input.variable])
                    .map_err(SpecError::Scope)
                    .and_then(|scope| {
                        expr::compile(&time.timestamp, &scope).map_err(|diagnostic| SpecError::Expression {
                            clause: Clause::Timestamp(at),
                            diagnostic,
                        })
                    });
                expr.map_err(|error| errors.push(error))
                    .ok()
                    .map(|expr| (expr, time))
            });
            times.push(time);
        }
        let streams = query.inputs.iter().filter(|input| input.table.is_none());
        let mut have_times = streams.map(|input| input.time.is_some());
        let first = have_times.next();
        if have_times.any(|has| Some(has) != first) {
            errors.push(SpecError::MixedTime);
        }
        if errors.is_empty() {
            Ok(Unbound(times))
        } else {
            Err(errors)
        }
    }

    /// The fields that say when an input's events happened.
    pub(super) fn paths(&self, input: usize) -> impl Iterator<Item = &[Box<str>]> {
        let time = self.0.get(input).and_then(Option::as_ref);
        time.into_iter()
            .flat_map(|(expr, _)| expr.accesses())
            .map(|access| access.path.as_slice())
    }

    /// Binds them to the layouts. `None` in receipt time.
    pub(super) fn bind(self, layouts: &[Layout]) -> Option<Vec<Option<InputTime>>> {
        let bind = |(time, layout): (Option<(Expr, &EventTime)>, &Layout)| {
            time.map(|(expr, time)| InputTime {
                timestamp: expr.bind(&[layout]),
                out_of_orderness: time.out_of_orderness,
                idle_timeout: time.idle_timeout,
            })
        };
        let times: Vec<Option<InputTime>> = self.0.into_iter().zip(layouts).map(bind).collect();
        times.iter().any(Option::is_some).then_some(times)
    }
}

impl InputTime {
    /// When a message happened.
    pub(crate) fn of(&self, row: &dyn Row) -> Result<Time, TimeError> {
        let rows = [row];
        let cx = Context::new(&rows);
        let value = self.timestamp.eval(&cx).map_err(TimeError::Eval)?;
        let timestamp = match &value {
            Value::Timestamp(timestamp) => Some(*timestamp),
            Value::Str(text) => Timestamp::parse(text),
            Value::Int(millis) => Timestamp::from_nanos(i128::from(*millis) * 1_000_000),
            Value::Uint(millis) => Timestamp::from_nanos(i128::from(*millis) * 1_000_000),
            Value::Double(millis) => from_millis(*millis),
            Value::BigInt(digits) => digits.parse().ok().and_then(from_millis),
            _ => None,
        };
        let micros = timestamp.and_then(|timestamp| i64::try_from(timestamp.nanos().div_euclid(1000)).ok());
        micros.map(Time).ok_or_else(|| {
            TimeError::NotATime(match &value {
                Value::Str(text) => format!("`{}`", text.chars().take(64).collect::<String>()),
                Value::Double(number) => number.to_string(),
                other => format!("a value of type {}", other.kind().name()),
            })
        })
    }
}

/// To the nearest microsecond: a fraction of a millisecond is hardly ever exact.
fn from_millis(millis: f64) -> Option<Timestamp> {
    let micros = (millis * 1000.0).round();
    // Far beyond the year 9999, and exact in a double's range up to there.
    #[allow(clippy::cast_possible_truncation)]
    (micros.abs() < 1e18)
        .then(|| Timestamp::from_nanos(i128::from(micros as i64) * 1000))
        .flatten()
}

/// Reads the watermark that a message carries.
pub(crate) fn watermark(text: &str) -> Option<Time> {
    let nanos = Timestamp::parse(text)?.nanos();
    i64::try_from(nanos.div_euclid(1000)).ok().map(Time)
}
