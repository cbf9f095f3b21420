//! Hashes for joins and maps: values that `==` calls equal have equal hashes.

use std::hash::{Hash, Hasher};

use super::number::Number;
use super::parse::{ParseLimit, parse};
use super::{Map, Value};

impl Value<'_> {
    /// Feeds the value to a hasher so that what [`Value::cel_eq`] calls equal hashes equally: `1`, `1.0` and `1u`
    /// alike, maps whatever the order of their entries, JSON text like the value it stands for.
    pub fn key_hash(&self, state: &mut (impl Hasher + Clone)) {
        match self {
            Value::Null => state.write_u8(0),
            Value::Bool(b) => state.write_u8(1 + u8::from(*b)),
            Value::Str(text) => {
                // The length instead of an end: what is written in few and even pieces is hashed faster.
                state.write_u64((text.len() as u64) << 8 | 3);
                state.write(text.as_bytes());
            }
            Value::Bytes(bytes) => {
                state.write_u8(4);
                bytes.hash(state);
            }
            Value::Timestamp(time) => {
                state.write_u8(5);
                time.hash(state);
            }
            Value::Duration(span) => {
                state.write_u8(6);
                span.hash(state);
            }
            Value::Type(kind) => {
                state.write_u8(7);
                kind.hash(state);
            }
            Value::List(items) => {
                state.write_u8(8);
                state.write_usize(items.len());
                for item in items.iter() {
                    item.key_hash(state);
                }
            }
            Value::Map(map) => hash_map(map, state),
            Value::Json(text) => match parse(text, &mut ParseLimit::none()) {
                Ok(value) => value.key_hash(state),
                Err(_) => text.hash(state),
            },
            Value::Int(n) => hash_number(Number::Int(*n), state),
            Value::Uint(n) => hash_number(Number::Uint(*n), state),
            Value::Double(n) => hash_number(Number::Double(*n), state),
            Value::BigInt(digits) => hash_number(Number::Big(digits), state),
        }
    }
}

fn hash_number(number: Number<'_>, state: &mut impl Hasher) {
    // Integral values hash as integers, so that neighbours beyond 2^53 don't share a hash; the rest, which no
    // `i128` equals, hash as the nearest double, on which equal numbers agree.
    let Some(integer) = number.integer() else {
        state.write_u8(9);
        return state.write_u64(number.double().to_bits());
    };
    if let Ok(small) = i64::try_from(integer) {
        state.write_u8(10);
        state.write_i64(small);
    } else {
        state.write_u8(11);
        state.write_i128(integer);
    }
}

fn hash_map(map: &Map<'_>, state: &mut (impl Hasher + Clone)) {
    // Entries come in any order: their hashes, each with the same start, are summed.
    let mut sum = 0u64;
    for (key, value) in map.entries() {
        let mut entry = state.clone();
        key.key_hash(&mut entry);
        value.key_hash(&mut entry);
        sum = sum.wrapping_add(entry.finish());
    }
    state.write_u8(12);
    state.write_usize(map.len());
    state.write_u64(sum);
}
