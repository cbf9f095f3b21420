//! Conditions that tests can evaluate by themselves, and messages that they tell apart.

// Each test uses a part of it; helpers outside of the test functions may fail the test too.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Number, Value, json};

pub const NAMES: [&str; 4] = ["a", "b", "c", "d"];
pub const LENGTH: i64 = 10;

/// A side of a comparison.
#[derive(Clone, Debug)]
pub enum Term {
    Field(usize, &'static str),
    Sum(usize, usize),
    Number(i64),
}

/// A condition that this file can evaluate by itself. `None` from an evaluation is an error.
#[derive(Clone, Debug)]
pub enum Test {
    Equal(Term, Term),
    Less(Term, Term),
    Either(Box<Test>, Box<Test>),
    True,
    False,
}

impl Term {
    pub fn source(&self) -> String {
        match self {
            Term::Field(input, name) => format!("{}.{name}", NAMES[*input]),
            Term::Sum(a, b) => format!("({}.k + {}.k)", NAMES[*a], NAMES[*b]),
            Term::Number(n) => n.to_string(),
        }
    }

    pub fn eval(&self, row: &[Option<&Value>]) -> Option<Value> {
        match self {
            Term::Field(input, name) => field_of(row[*input], name),
            Term::Number(n) => Some(json!(n)),
            Term::Sum(a, b) => match (field_of(row[*a], "k")?, field_of(row[*b], "k")?) {
                (Value::Number(a), Value::Number(b)) => Some(json!(a.as_f64()? + b.as_f64()?)),
                (Value::String(a), Value::String(b)) => Some(json!(format!("{a}{b}"))),
                (Value::Array(a), Value::Array(b)) => Some(Value::Array([a, b].concat())),
                _ => None,
            },
        }
    }
}

impl Test {
    /// The inputs that it reads.
    pub fn inputs(&self) -> Vec<usize> {
        let mut inputs = Vec::new();
        let mut add = |term: &Term| match term {
            Term::Field(input, _) => inputs.push(*input),
            Term::Sum(a, b) => inputs.extend([*a, *b]),
            Term::Number(_) => {}
        };
        match self {
            Test::Equal(a, b) | Test::Less(a, b) => [a, b].into_iter().for_each(&mut add),
            Test::Either(a, b) => inputs.extend([a.inputs(), b.inputs()].concat()),
            Test::True | Test::False => {}
        }
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }

    pub fn source(&self) -> String {
        match self {
            Test::Equal(a, b) => format!("{} == {}", a.source(), b.source()),
            Test::Less(a, b) => format!("{} < {}", a.source(), b.source()),
            Test::Either(a, b) => format!("({} || {})", a.source(), b.source()),
            Test::True => "true".to_owned(),
            Test::False => "1 > 2".to_owned(),
        }
    }

    pub fn eval(&self, row: &[Option<&Value>]) -> Option<bool> {
        match self {
            Test::Equal(a, b) => Some(equal(&a.eval(row)?, &b.eval(row)?)),
            Test::Less(a, b) => match (a.eval(row)?, b.eval(row)?) {
                (Value::Number(a), Value::Number(b)) => Some(order(&a, &b)? == Ordering::Less),
                (Value::String(a), Value::String(b)) => Some(a.cmp(&b) == Ordering::Less),
                (Value::Bool(a), Value::Bool(b)) => Some(!a & b),
                _ => None,
            },
            Test::Either(a, b) => match (a.eval(row), b.eval(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Test::True => Some(true),
            Test::False => Some(false),
        }
    }
}

/// A field; one of a message that is missing is null.
fn field_of(message: Option<&Value>, name: &str) -> Option<Value> {
    message.map_or(Some(Value::Null), |message| message.get(name).cloned())
}

/// Exact, also where two integers share their nearest double.
pub fn order(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

#[allow(clippy::cast_possible_truncation)]
pub fn integer(number: &Number) -> Option<i128> {
    let double = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e30);
    number.as_i64().map(i128::from).or(double.map(|n| n as i128))
}

pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

pub fn term(inputs: usize) -> impl Strategy<Value = Term> {
    prop_oneof![
        6 => (0..inputs, prop::sample::select(vec!["k", "k", "v"])).prop_map(|(i, f)| Term::Field(i, f)),
        1 => (0..inputs, 0..inputs).prop_map(|(a, b)| Term::Sum(a, b)),
        1 => (0i64..3).prop_map(Term::Number),
    ]
}

pub fn test(inputs: usize) -> impl Strategy<Value = Test> {
    let simple = move || {
        prop_oneof![
            8 => (term(inputs), term(inputs)).prop_map(|(a, b)| Test::Equal(a, b)),
            3 => (term(inputs), term(inputs)).prop_map(|(a, b)| Test::Less(a, b)),
            1 => Just(Test::True),
        ]
    };
    prop_oneof![
        20 => simple(),
        3 => (simple(), simple()).prop_map(|(a, b)| Test::Either(Box::new(a), Box::new(b))),
        1 => Just(Test::False),
    ]
}

/// Values that are equal in more than one spelling, and such that are easily taken for each other.
pub fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0",
        "1",
        "1.0",
        "1e0",
        "2",
        "-0.0",
        "\"1\"",
        "\"a\"",
        "\"\\u0061\"",
        "null",
        "true",
        "[1]",
        "[1.0]",
        "[]",
        "{\"x\":1,\"y\":2}",
        "{\"y\":2.0, \"x\":1}",
        "9007199254740993",
        "9007199254740992",
        "1",
        "2",
        "1",
    ])
}

#[derive(Clone, Debug)]
pub struct Fields {
    pub input: usize,
    pub at: i64,
    pub k: Option<&'static str>,
    pub v: Option<&'static str>,
}

pub fn messages(inputs: usize, count: usize) -> impl Strategy<Value = Vec<Fields>> {
    let message = (
        0..inputs,
        0..3 * LENGTH,
        prop::option::weighted(0.9, field()),
        prop::option::of(field()),
    );
    prop::collection::vec(message, 0..count).prop_map(|mut all| {
        all.sort_by_key(|(_, at, ..)| *at);
        all.into_iter()
            .map(|(input, at, k, v)| Fields { input, at, k, v })
            .collect()
    })
}

pub fn payload(number: usize, fields: &Fields) -> String {
    let member =
        |name: &str, value: Option<&str>| value.map_or(String::new(), |v| format!(",\"{name}\":{v}"));
    format!(
        "{{\"i\":{number}{}{}}}",
        member("k", fields.k),
        member("v", fields.v)
    )
}
