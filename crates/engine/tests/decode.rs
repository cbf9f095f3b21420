//! The scanner against another JSON parser: the same texts are valid, but for the rules that it adds, and the same
//! values are found in them.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used, clippy::format_push_string)]

use std::collections::HashSet;
use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use streaming_engine::field::Field;
use streaming_engine::json::{Decoder, MAX_MESSAGE_BYTES};
use streaming_engine::layout::Layout;
use streaming_engine::row::RowBuilder;

/// Any JSON, but no object with a member twice.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Strict, D::Error> {
        from.deserialize_any(Strict)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
        while seq.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = map.next_entry::<String, Strict>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("duplicate"));
            }
        }
        Ok(Strict)
    }
}

/// What the other parser says, in our terms.
fn expected(payload: &[u8]) -> Result<(), &'static str> {
    let mut text = serde_json::Deserializer::from_slice(payload);
    let strict = Strict::deserialize(&mut text).and_then(|_| text.end());
    match strict {
        Ok(()) => Ok(()),
        Err(error) if error.to_string().starts_with("duplicate") => Err("DuplicateKey"),
        Err(_) => Err("other"),
    }
}

fn decode(payload: &[u8], layout: &Layout, row: &mut RowBuilder) -> Result<(), &'static str> {
    let decoded = Decoder::new(MAX_MESSAGE_BYTES).decode(payload, layout, 0, row);
    decoded.map(|_| ()).map_err(|error| error.reason())
}

/// Names that meet often, in layouts and in objects.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => prop::sample::select(vec!["a", "b", "c", "long name 1", "long name 2"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000i32..1000).prop_map(|n| json!(f64::from(n) / 100.0)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((name(), inner), 0..24)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The value as text, with white space and escapes where they are allowed.
fn write(value: &Value, noise: &mut impl FnMut() -> u8, out: &mut String) {
    let space = |noise: &mut dyn FnMut() -> u8, out: &mut String| match noise() {
        0..20 => out.push_str(" \n\t\r"),
        20..40 => out.push(' '),
        _ => {}
    };
    let string = |text: &str, noise: &mut dyn FnMut() -> u8, out: &mut String| {
        if noise() < 200 {
            return out.push_str(&Value::from(text).to_string());
        }
        out.push('"');
        for unit in text.encode_utf16() {
            out.push_str(&format!("\\u{unit:04X}"));
        }
        out.push('"');
    };
    space(noise, out);
    match value {
        Value::String(text) => string(text, noise, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write(item, noise, out);
            }
            space(noise, out);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (name, item)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                space(noise, out);
                string(name, noise, out);
                space(noise, out);
                out.push(':');
                write(item, noise, out);
            }
            out.push('}');
        }
        Value::Number(number) => match (number.as_i64(), noise()) {
            (Some(small), 0..40) if small.abs() < 1 << 53 => out.push_str(&format!("{small}e0")),
            (Some(small), 40..80) if small.abs() < 1 << 53 => out.push_str(&format!("{small}.0")),
            _ => out.push_str(&number.to_string()),
        },
        plain => out.push_str(&plain.to_string()),
    }
    space(noise, out);
}

fn text() -> impl Strategy<Value = (Value, String)> {
    (value(), prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(value, noise)| {
        let mut at = 0;
        let mut next = || {
            at += 1;
            noise[at % noise.len()]
        };
        let mut out = String::new();
        write(&value, &mut next, &mut out);
        (value, out)
    })
}

#[allow(clippy::float_cmp)] // zero equals minus zero
fn close(a: f64, b: f64) -> bool {
    // The other parser may be a few units in the last place off. Of one sign, neighbours have neighbouring bits, be
    // they ever so small.
    a == b || a.is_sign_positive() == b.is_sign_positive() && a.to_bits().abs_diff(b.to_bits()) <= 8
}

fn same(field: Field<'_>, value: Option<&Value>) -> bool {
    match (field, value) {
        (Field::Absent, None) | (Field::Null, Some(Value::Null)) => true,
        (Field::Bool(a), Some(Value::Bool(b))) => a == *b,
        (Field::Number(a), Some(Value::Number(b))) => close(a, b.as_f64().unwrap()),
        (Field::BigInt(digits), Some(Value::Number(b))) => digits == b.to_string(),
        (Field::Str(a), Some(Value::String(b))) => a == b,
        (Field::Json(text), Some(value)) => {
            (value.is_array() || value.is_object()) && roughly(&serde_json::from_str(text).unwrap(), value)
        }
        _ => false,
    }
}

/// Equal but for how numbers are spelt.
fn roughly(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => close(a.as_f64().unwrap(), b.as_f64().unwrap()),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| roughly(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| roughly(a, b)))
        }
        _ => a == b,
    }
}

fn lookup<'v>(value: &'v Value, path: &[Box<str>]) -> Option<&'v Value> {
    path.iter()
        .try_fold(value, |value, name| value.as_object()?.get(&**name))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn valid_texts_give_the_values_that_are_in_them(
        (value, text) in text(),
        paths in prop::collection::vec(prop::collection::vec(name().prop_map(Box::<str>::from), 0..3), 0..5),
    ) {
        let layout = Layout::new(paths.iter().map(Vec::as_slice));
        let mut row = RowBuilder::default();
        let got = decode(text.as_bytes(), &layout, &mut row);
        prop_assert_eq!(got, Ok(()), "{}", text);
        for path in &paths {
            let (slot, covered) = layout.resolve(path).unwrap();
            let field = row.row().field(slot);
            let wanted = lookup(&value, &path[..covered]);
            prop_assert!(same(field, wanted), "{:?}: {:?} in {}", path, field, text);
        }
    }

    #[test]
    fn mutated_texts_are_judged_alike(
        (_, text) in text(),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(&br#"{}[],:"\u0123456789.eE+-truefalsn abc"#[..]), 0..4u8),
            1..4,
        ),
        raw in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        if let Some((at, byte)) = raw {
            let at = at.index(bytes.len() + 1);
            bytes.insert(at, byte);
        }
        let got = decode(&bytes, &Layout::default(), &mut RowBuilder::default());
        match expected(&bytes) {
            Ok(()) => prop_assert_eq!(got, Ok(()), "{}", String::from_utf8_lossy(&bytes)),
            // With two faults in a text, either may be the one that is named.
            Err("DuplicateKey") => prop_assert!(got.is_err(), "{}", String::from_utf8_lossy(&bytes)),
            Err(_) => prop_assert!(got.is_err(), "{}", String::from_utf8_lossy(&bytes)),
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let got = decode(&bytes, &Layout::default(), &mut RowBuilder::default());
        prop_assert_eq!(got.is_ok(), expected(&bytes).is_ok());
    }

    #[test]
    fn a_name_twice_is_found_wherever_it_is(
        names in prop::collection::hash_set(any::<String>(), 1..60),
        pick in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        deep in 0..5usize,
        escape: bool,
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let mut members: Vec<String> = names.iter().map(|name| format!("{}:1", Value::from(&**name))).collect();
        let wrap = |members: &[String]| {
            format!("{}{{{}}}{}", "{\"x\":[".repeat(deep), members.join(","), "]}".repeat(deep))
        };
        let fine = wrap(&members);
        prop_assert_eq!(decode(fine.as_bytes(), &Layout::default(), &mut RowBuilder::default()), Ok(()));
        let name = &names[pick.index(names.len())];
        let again = if escape {
            let units: Vec<String> = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{}\":2", units.concat())
        } else {
            format!("{}:2", Value::from(&**name))
        };
        members.insert(place.index(members.len() + 1), again);
        let twice = wrap(&members);
        let got = decode(twice.as_bytes(), &Layout::default(), &mut RowBuilder::default());
        prop_assert_eq!(got, Err("DuplicateKey"), "{}", twice);
    }
}
