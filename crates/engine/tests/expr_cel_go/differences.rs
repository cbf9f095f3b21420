//! Where the engine departs from cel-go on purpose: every difference that a test knows of, with its reason. What
//! cel-go can be taught is in tests/cel-go (rules.go, rewrite.go) instead, and is compared there.

use serde_json::Value as Json;

use crate::compare::{Verdict, compare, same};
use crate::oracle::ask_all;
use crate::support::{Outcome, eval};

/// What the engine makes of an expression.
enum Ours {
    /// This JSON.
    Value(&'static str),
    /// A refusal, for this reason.
    Refused(&'static str),
    /// An error, for this reason.
    Failed(&'static str),
}

use Ours::{Failed, Refused, Value};

struct Difference {
    reason: &'static str,
    data: &'static str,
    cases: &'static [(&'static str, Ours)],
}

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: "Integers beyond 2^53 in a message stay exact where they are passed on, compared or converted; cel-go \
                 reads every JSON number as a double, so that identifiers change their last digits.",
        data: r#"{"m": {"id": 9007199254740993, "ids": [18446744073709551617]}}"#,
        cases: &[
            ("m.id", Value("9007199254740993")),
            ("m", Value(r#"{"id": 9007199254740993, "ids": [18446744073709551617]}"#)),
            ("m.id == 9007199254740992.0", Value("false")),
            ("int(m.id) + 1", Value("9007199254740994")),
            ("string(m.id)", Value(r#""9007199254740993""#)),
        ],
    },
    Difference {
        reason: "Numbers of different types are compared by value, exactly; cel-go rounds ints and uints to doubles.",
        data: "{}",
        cases: &[
            ("9007199254740993 == 9007199254740992.0", Value("false")),
            ("9007199254740993 > 9007199254740992.0", Value("true")),
            ("9007199254740993 <= 9007199254740992.0", Value("false")),
            ("9223372036854775807 == 9223372036854775808.0", Value("false")),
            ("9223372036854775807 < 9223372036854775808.0", Value("true")),
            ("18446744073709551615u == 18446744073709551616.0", Value("false")),
            ("18446744073709551615u < 18446744073709551616.0", Value("true")),
        ],
    },
    Difference {
        reason: "What can never work is refused when a component starts, also where it might never be evaluated.",
        data: r#"{"m": {"n": 7, "l": [], "t": true}}"#,
        cases: &[
            ("m.t || m.n % 2 == 0", Refused("NoSuchOverload")),
            ("m.t ? 1 : m.n.getHours()", Refused("NoSuchOverload")),
            ("m.l.all(x, size(m.n + 1) > 0)", Refused("NoSuchOverload")),
            ("type(m.n) == 'double'", Refused("NoSuchOverload")),
            ("m.n == timestamp(0)", Refused("NoSuchOverload")),
            ("m.n in [1] || b'a' == m.n", Refused("NoSuchOverload")),
            ("m.t ? duration('1s') : duration('one second')", Refused("InvalidDuration")),
            ("m.t ? 1 : int(timestamp('today'))", Refused("InvalidTimestamp")),
            ("m.t || 'a'.matches('(')", Refused("InvalidPattern")),
            ("m.t ? {} : {'a': 1, 'a': 2}", Refused("RepeatedKey")),
            ("m.t ? {} : {1.5: 'a'}", Refused("InvalidKey")),
        ],
    },
    Difference {
        reason: "existsOne takes one variable too, as exists_one does: CEL's specification names the macro so with two.",
        data: "{}",
        cases: &[("[1, 2, 3].existsOne(x, x == 2)", Value("true"))],
    },
    Difference {
        reason: "double() reads decimal digits: hexadecimal and underscores come from Go's ParseFloat, not from CEL.",
        data: "{}",
        cases: &[("double('0x1p4')", Failed("InvalidArgument")), ("double('1_000')", Failed("InvalidArgument"))],
    },
    Difference {
        reason: "There are no messages to construct: streams carry JSON.",
        data: "{}",
        cases: &[
            ("google.protobuf.Timestamp{}", Refused("UnexpectedToken")),
            ("google.protobuf.Duration{seconds: 1}", Refused("UnexpectedToken")),
        ],
    },
    Difference {
        reason: "No result depends on where a component runs: Go's time zone Local is the machine's.",
        data: "{}",
        cases: &[("timestamp('2026-11-23T08:30:00Z').getHours('Local')", Failed("InvalidArgument"))],
    },
    Difference {
        reason: "A duration's parts are exact; cel-go takes them from a double, which rounds.",
        data: "{}",
        cases: &[("(duration('1ns') - duration('2562047h')).getSeconds()", Value("-9223369199"))],
    },
];

#[test]
fn documented_differences_are_as_documented() {
    let mut count = 0;
    for Difference { reason, data, cases } in DIFFERENCES {
        let data: Json = serde_json::from_str(data).unwrap();
        let questions: Vec<(&str, &Json)> = cases.iter().map(|(expr, _)| (*expr, &data)).collect();
        for ((expr, expected), theirs) in cases.iter().zip(ask_all(&questions)) {
            let ours = eval(expr, &data);
            let documented = match (&ours, expected) {
                (Outcome::Value(ours), Value(text)) => same(ours, &serde_json::from_str(text).unwrap()),
                (Outcome::Refused(ours, _), Refused(reason)) | (Outcome::Failed(ours, _), Failed(reason)) => {
                    ours == reason
                }
                _ => false,
            };
            assert!(documented, "{expr}\n  {reason}\n  engine: {ours:?}");
            let differs = matches!(compare(&ours, &theirs), Verdict::Different | Verdict::Stricter);
            assert!(
                differs,
                "{expr}: no difference any more, so it belongs into the corpus; cel-go: {theirs:?}"
            );
            count += 1;
        }
    }
    println!(
        "{count} documented differences, for {} reasons",
        DIFFERENCES.len()
    );
}
