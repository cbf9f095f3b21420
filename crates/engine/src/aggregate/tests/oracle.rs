//! Aggregates against naive ones: sums in whole numbers, sorting, sets; in any order, in any parts, and through bytes.
#![allow(clippy::float_cmp)] // to the last bit

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::field::Field;
use crate::value::{Map, Timestamp, Value};

use super::{Fields, add, results, spec};
use crate::aggregate::accumulator::Accumulator;
use crate::aggregate::exact::Exact;
use crate::aggregate::{Group, Groups, key, stored};
use crate::expr::{Gather, Reading};

/// Doubles of every kind but infinities and NaN: near each other, far from each other, tiny, huge.
fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |number| number.is_finite()),
        (-1e6..1e6_f64),
        (-1000_i32..1000).prop_map(f64::from),
        (0_u64..1 << 53).prop_map(f64::from_bits),
        Just(f64::MAX),
        Just(-f64::MAX),
        Just(f64::MIN_POSITIVE),
        Just(-0.0),
    ]
}

fn sum(numbers: &[f64]) -> Exact {
    let mut sum = Exact::default();
    for number in numbers {
        sum.add(*number);
    }
    sum
}

fn bytes(sum: &Exact) -> Vec<u8> {
    let mut out = Vec::new();
    sum.encode(&mut out);
    out
}

proptest! {
    #[test]
    fn a_sum_of_whole_numbers_is_the_nearest_double(numbers in prop::collection::vec(any::<i64>(), 0..40)) {
        // An i64 is two doubles, exactly.
        let mut exact = Exact::default();
        for number in &numbers {
            let (high, low) = (number >> 32, number & 0xffff_ffff);
            #[allow(clippy::cast_precision_loss)]
            {
                exact.add((high << 32) as f64);
                exact.add(low as f64);
            }
        }
        let total: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
        // A cast rounds to nearest, ties to even.
        #[allow(clippy::cast_precision_loss)]
        let expected = total as f64;
        prop_assert_eq!(exact.value(), expected);
    }

    #[test]
    fn a_sum_of_neighbours_rounds_as_the_processor_does(a in finite(), b in finite()) {
        // One addition of IEEE 754 is correctly rounded; a zero's sign is not kept.
        prop_assert_eq!(sum(&[a, b]).value(), a + b);
        prop_assert_eq!(sum(&[a]).value(), a);
    }

    #[test]
    fn what_is_added_and_taken_away_leaves_nothing(numbers in prop::collection::vec(finite(), 0..30), rest in finite()) {
        let mut all = numbers.clone();
        all.push(rest);
        all.extend(numbers.iter().rev().map(|number| -number));
        prop_assert_eq!(sum(&all).value(), rest);
        prop_assert_eq!(bytes(&sum(&all)), bytes(&sum(&[rest])));
    }

    #[test]
    fn sums_are_the_same_in_any_order_and_in_any_parts(
        (numbers, shuffled) in prop::collection::vec(finite(), 0..40)
            .prop_flat_map(|numbers| (Just(numbers.clone()), Just(numbers).prop_shuffle())),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = sum(&numbers);
        prop_assert_eq!(bytes(&sum(&shuffled)), bytes(&whole));
        let (a, b) = shuffled.split_at(cut.index(shuffled.len() + 1));
        let mut merged = sum(a);
        merged.merge(&sum(b));
        prop_assert_eq!(bytes(&merged), bytes(&whole));
        prop_assert_eq!(merged.value(), whole.value());
        let mut decoded = Exact::decode(&mut &*bytes(&whole)).unwrap();
        prop_assert_eq!(bytes(&decoded), bytes(&whole));
        decoded.add(1.0);
        let mut more = whole;
        more.add(1.0);
        prop_assert_eq!(bytes(&decoded), bytes(&more));
    }

    #[test]
    fn means_and_variances_are_those_of_whole_numbers(
        numbers in prop::collection::vec(-1_000_000_i32..1_000_000, 2..50),
    ) {
        let mut moments = Accumulator::new(Gather::Moments);
        let mut mean = Accumulator::new(Gather::Sum);
        for number in &numbers {
            moments.add(&Value::Double(f64::from(*number)), &mut Vec::new()).unwrap();
            mean.add(&Value::Double(f64::from(*number)), &mut Vec::new()).unwrap();
        }
        let n = i128::try_from(numbers.len()).unwrap();
        let total: i128 = numbers.iter().map(|x| i128::from(*x)).sum();
        let squares: i128 = numbers.iter().map(|x| i128::from(*x) * i128::from(*x)).sum();
        let Value::Double(found) = mean.read(Reading::Mean) else { panic!() };
        // Both fit in 53 bits, and one division is correctly rounded.
        #[allow(clippy::cast_precision_loss)]
        let expected = total as f64 / n as f64;
        prop_assert_eq!(found, expected);
        let spread = n * squares - total * total;
        let by = n * (n - 1);
        let Value::Double(variance) = moments.read(Reading::Variance) else { panic!() };
        #[allow(clippy::cast_precision_loss)]
        let about = spread as f64 / by as f64;
        prop_assert!((variance - about).abs() <= about * 4e-16, "{variance} {about}");
        let Value::Double(deviation) = moments.read(Reading::StdDev) else { panic!() };
        prop_assert!((deviation - variance.sqrt()).abs() <= deviation * 3e-16);
    }

    #[test]
    fn a_percentile_is_that_of_the_sorted_values(
        mut numbers in prop::collection::vec(finite(), 1..60),
        part in 0.0..=1.0_f64,
    ) {
        let mut gathered = Accumulator::new(Gather::Quantiles);
        for number in &numbers {
            gathered.add(&Value::Double(*number), &mut Vec::new()).unwrap();
        }
        numbers.sort_by(f64::total_cmp);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (rank, below) = {
            let rank = part * (numbers.len() - 1) as f64;
            (rank, rank.floor() as usize)
        };
        let (low, high) = (numbers[below], numbers[(below + 1).min(numbers.len() - 1)]);
        let Value::Double(found) = gathered.read(Reading::Percentile(part)) else { panic!() };
        prop_assert!(low <= found && found <= high);
        let expected = low * (1.0 - rank.fract()) + high * rank.fract();
        prop_assert!((found - expected).abs() <= (low.abs().max(high.abs())) * 1e-15);
    }

    #[test]
    fn keys_sort_as_values_do_and_are_read_again(a in value(), b in value()) {
        let encode = |value: &Value<'_>| {
            let mut out = Vec::new();
            key::write(value, &mut out, 4096).unwrap();
            out
        };
        let (x, y) = (encode(&a), encode(&b));
        prop_assert_eq!(x == y, a.cel_eq(&b), "{:?} {:?}", a, b);
        if let Some(order) = a.order(&b) {
            prop_assert_eq!(x.cmp(&y), order, "{:?} {:?}", a, b);
        }
        prop_assert!(x == y || !x.starts_with(&y));
        let read = key::read_all(&x, std::iter::once(crate::expr::Numbers::Double)).unwrap();
        prop_assert!(read[0].cel_eq(&a), "{:?} {:?}", read, a);
        prop_assert_eq!(encode(&read[0]), x);
        let mut out = Vec::new();
        stored::write(&a, &mut out).unwrap();
        let again = stored::read(&mut &*out).unwrap();
        prop_assert!(again.cel_eq(&a));
        prop_assert_eq!(again.kind(), a.kind());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn groups_are_the_same_however_they_are_gathered(
        (rows, shuffled) in prop::collection::vec(row(), 0..60).prop_flat_map(|rows| {
            let rows: Vec<(usize, Fields<'static>)> = rows.into_iter().enumerate().collect();
            (Just(rows.clone()), Just(rows).prop_shuffle())
        }),
        cut in any::<prop::sample::Index>(),
    ) {
        let unordered = spec(&["a.k"], Some(
            "[a.k, count(), count(a.x), sum(a.x), avg(a.x), min(a.y), max(a.y), stddev(a.x), variance(a.x), \
             percentile(a.x, 0.3), countDistinct(a.y)]"
        ), None);
        let encoded = |groups: &Groups| -> Vec<(Vec<u8>, Vec<u8>)> {
            let one = |(key, group): (&[u8], &Group)| {
                let mut out = Vec::new();
                group.encode(&mut out);
                (key.to_vec(), out)
            };
            groups.sorted().into_iter().map(one).collect()
        };
        let mut whole = Groups::new();
        add(&mut whole, &unordered, &rows);
        let mut other = Groups::new();
        add(&mut other, &unordered, &shuffled);
        prop_assert_eq!(results(&whole, &unordered), results(&other, &unordered));
        prop_assert_eq!(encoded(&whole), encoded(&other));
        // In two parts, one of which was away as bytes, in order: those that depend on it agree as well.
        let ordered = spec(&["a.k"], Some("[a.k, first(a.y), last(a.x), collect(a.y), sum(a.x)]"), None);
        for spec in [&unordered, &ordered] {
            let (a, b) = rows.split_at(cut.index(rows.len() + 1));
            let mut all = Groups::new();
            add(&mut all, spec, &rows);
            let (mut first, mut second) = (Groups::new(), Groups::new());
            add(&mut first, spec, a);
            add(&mut second, spec, b);
            let mut merged = Groups::new();
            for (key, group) in encoded(&first).into_iter().chain(encoded(&second)) {
                merged.merge(spec, &key, Group::decode(spec, &group).unwrap());
            }
            prop_assert_eq!(results(&merged, spec), results(&all, spec));
            prop_assert_eq!(encoded(&merged), encoded(&all));
            for (key, _) in encoded(&merged) {
                merged.remove(&key);
            }
            prop_assert_eq!(merged.bytes(), 0);
        }
    }

    #[test]
    fn bytes_from_anywhere_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        change in any::<u8>(),
        rows in prop::collection::vec(row(), 1..10),
    ) {
        let spec = spec(&[], Some(
            "[count(), sum(a.x), stddev(a.x), min(a.y), first(a.y), collect(a.y), percentile(a.x, 0.3), \
             countDistinct(a.y)]"
        ), None);
        let mut groups = Groups::new();
        add(&mut groups, &spec, &rows.into_iter().enumerate().collect::<Vec<_>>());
        let mut bytes = Vec::new();
        groups.sorted()[0].1.encode(&mut bytes);
        let place = at.index(bytes.len());
        bytes[place] = change;
        let cut = bytes[..place].to_vec();
        let mut prefixed = vec![1];
        prefixed.extend_from_slice(&noise);
        for bytes in [bytes, cut, noise, prefixed] {
            if let Some(group) = Group::decode(&spec, &bytes) {
                let mut decoded = Groups::new();
                decoded.merge(&spec, &[], group.clone());
                decoded.merge(&spec, &[], group);
                let _ = results(&decoded, &spec);
                add(&mut decoded, &spec, &[(0, [Field::Null, Field::Number(-1.0), Field::Str("a")])]);
            }
            let _ = key::read_all(&bytes, [crate::expr::Numbers::Int; 2].into_iter());
            let _ = stored::read(&mut &*bytes);
        }
    }
}

/// A row of a few groups.
fn row() -> impl Strategy<Value = Fields<'static>> {
    let key = prop_oneof![
        Just(Field::Null),
        Just(Field::Str("a")),
        (0..3_i32).prop_map(|k| Field::Number(f64::from(k))),
    ];
    let x = prop_oneof![
        4 => finite().prop_map(Field::Number),
        1 => Just(Field::Null),
        1 => Just(Field::Absent),
        1 => Just(Field::Str("no number")),
        1 => Just(Field::BigInt("9007199254740993")),
    ];
    let y = prop_oneof![
        finite().prop_map(Field::Number),
        Just(Field::Str("text")),
        Just(Field::Str("")),
        Just(Field::Bool(true)),
        Just(Field::BigInt("-123456789012345678901234567890")),
        Just(Field::Json("{\"b\": [1, 2.0], \"a\": null}")),
    ];
    (key, x, y).prop_map(|(k, x, y)| [k, x, y])
}

/// A value that can be a key.
fn value() -> impl Strategy<Value = Value<'static>> {
    let digits = prop::sample::select(vec![
        "9007199254740993",
        "-9007199254740993",
        "9007199254740995",
        "18446744073709551616",
        "123456789012345678901234567890",
        "123456789012345678901234567891",
        "-123456789012345678901234567890",
        "-123456789012345678901234567891",
        "1234567890123456789012345678901234567890123",
        "1234567890123456789012345678901234567890124",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::Uint),
        (-5..5_i64).prop_map(Value::Int),
        (0..5_u64).prop_map(Value::Uint),
        (-5..5_i32).prop_map(|n| Value::Double(f64::from(n))),
        finite().prop_map(Value::Double),
        digits.prop_map(Value::BigInt),
        "[a\u{0}]{0,3}".prop_map(|text| Value::Str(text.into())),
        prop::collection::vec(0..2_u8, 0..3).prop_map(|bytes| Value::Bytes(bytes.into())),
        any::<i64>().prop_filter_map("a year", |s| Timestamp::from_seconds(s % 1_000_000_000)
            .map(Value::Timestamp)),
        any::<i64>().prop_map(|n| Value::Duration(crate::value::Duration(n))),
        prop::sample::select(vec![
            "[1,\"a\"]",
            "[1.0, \"a\"]",
            "{\"a\":1,\"b\":{}}",
            "{\"b\":{},\"a\":1.0}"
        ])
        .prop_map(Value::Json),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::list),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| {
                let entries = map
                    .into_iter()
                    .map(|(key, value)| (Value::Str(key.into()), value));
                Value::Map(Map::new(entries.collect()).into())
            }),
        ]
    })
}

#[test]
fn infinities_and_nan_are_as_in_ieee() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    assert_eq!(sum(&[1.0, inf, 2.0]).value(), inf);
    assert_eq!(sum(&[1.0, -inf]).value(), -inf);
    assert!(sum(&[inf, -inf]).value().is_nan());
    assert!(sum(&[nan, 1.0]).value().is_nan());
    assert_eq!(sum(&[f64::MAX, f64::MAX]).value(), inf);
    assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).value(), f64::MAX);
    let mut mean = Accumulator::new(Gather::Sum);
    let mut moments = Accumulator::new(Gather::Moments);
    for number in [1e200, -1e200, 3e200, f64::MAX, f64::MAX] {
        mean.add(&Value::Double(number), &mut Vec::new()).unwrap();
    }
    for number in [1e200, -1e200] {
        moments.add(&Value::Double(number), &mut Vec::new()).unwrap();
    }
    assert!(matches!(mean.read(Reading::Mean), Value::Double(mean) if mean.is_finite()));
    assert!(matches!(moments.read(Reading::Variance), Value::Double(variance) if variance == inf));
    assert!(
        matches!(moments.read(Reading::StdDev), Value::Double(d) if (d / 1e200 - 2_f64.sqrt()).abs() < 1e-15)
    );
}

#[test]
fn the_smallest_numbers_round_once() {
    let tiny = f64::from_bits(1);
    let mean = |numbers: &[f64]| {
        let mut mean = Accumulator::new(Gather::Sum);
        for number in numbers {
            mean.add(&Value::Double(*number), &mut Vec::new()).unwrap();
        }
        match mean.read(Reading::Mean) {
            Value::Double(mean) => mean,
            _ => f64::NAN,
        }
    };
    assert_eq!(mean(&[tiny, 0.0]), 0.0);
    assert_eq!(mean(&[tiny, tiny, 0.0]), tiny);
    assert_eq!(mean(&[3.0 * tiny, 0.0]), 2.0 * tiny);
    assert_eq!(mean(&[5.0 * tiny, 0.0]), 2.0 * tiny);
    assert_eq!(sum(&[tiny, -0.0]).value(), tiny);
}

#[test]
fn many_values_are_estimated_within_the_bounds() {
    let mut distinct = Accumulator::new(Gather::Distinct);
    let mut quantiles = Accumulator::new(Gather::Quantiles);
    let mut parts: Vec<(Accumulator, Accumulator)> = (0..3)
        .map(|_| {
            (
                Accumulator::new(Gather::Distinct),
                Accumulator::new(Gather::Quantiles),
            )
        })
        .collect();
    let mut scratch = Vec::new();
    let count = 60_000_u32;
    let mut seen = BTreeSet::new();
    for at in 0..count {
        // A walk over numbers of ten orders of magnitude, some of them twice.
        let number = f64::from(at.wrapping_mul(2_654_435_761) % 50_000 + 1).powi(2);
        seen.insert(number.to_bits());
        let value = Value::Double(number);
        distinct.add(&value, &mut scratch).unwrap();
        quantiles.add(&value, &mut scratch).unwrap();
        let part = &mut parts[at as usize % 3];
        part.0.add(&value, &mut scratch).unwrap();
        part.1.add(&value, &mut scratch).unwrap();
    }
    let Value::Int(found) = distinct.read(Reading::Value) else {
        panic!()
    };
    #[allow(clippy::cast_precision_loss)]
    let error = found as f64 / seen.len() as f64 - 1.0;
    assert!(error.abs() < 0.02, "{found} of {}", seen.len());
    let mut sorted: Vec<f64> = (0..count)
        .map(|at| f64::from(at.wrapping_mul(2_654_435_761) % 50_000 + 1).powi(2))
        .collect();
    sorted.sort_by(f64::total_cmp);
    for hundredth in 0..=100_usize {
        #[allow(clippy::cast_precision_loss)]
        let part = hundredth as f64 / 100.0;
        let Value::Double(found) = quantiles.read(Reading::Percentile(part)) else {
            panic!()
        };
        let (at, rest) = (
            (sorted.len() - 1) * hundredth / 100,
            (sorted.len() - 1) * hundredth % 100,
        );
        let next = sorted[(at + 1).min(sorted.len() - 1)];
        #[allow(clippy::cast_precision_loss)]
        let expected = sorted[at] + (next - sorted[at]) * rest as f64 / 100.0;
        assert!(
            (found / expected - 1.0).abs() < 0.005,
            "{part}: {found} {expected}"
        );
    }
    let bytes = |one: &Accumulator| {
        let mut out = Vec::new();
        one.encode(&mut out);
        out
    };
    let (mut all_distinct, mut all_quantiles) = parts.pop().unwrap();
    for (distinct, quantiles) in parts {
        all_distinct.merge(distinct);
        all_quantiles.merge(quantiles);
    }
    assert_eq!(bytes(&all_distinct), bytes(&distinct));
    assert_eq!(bytes(&all_quantiles), bytes(&quantiles));
    for (gather, one) in [(Gather::Distinct, &distinct), (Gather::Quantiles, &quantiles)] {
        let encoded = bytes(one);
        let decoded = Accumulator::decode(gather, &mut &*encoded).unwrap();
        assert_eq!(bytes(&decoded), encoded);
        assert!(one.bytes() < 100_000, "{}", one.bytes());
    }
}
