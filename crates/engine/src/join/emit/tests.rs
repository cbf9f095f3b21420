//! A window closes the same way however its work is cut into slices.

use proptest::prelude::*;

use super::*;
use crate::counters::CutShort;
use crate::json::{Decoder, MAX_MESSAGE_BYTES};
use crate::query::{Emit, JoinKind, Query, QueryInput, Windows};
use crate::row::RowBuilder;
use crate::time::Time;

/// The message of an input: its fields `k` and `v`.
type Message = (usize, u8, u8);

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Keys, none at all, residues, and steps that are not in the order of the inputs.
const CONDITIONS: [&str; 6] = [
    "a.k == b.k && b.k == c.k",
    "a.k == c.k && c.v == b.v",
    "a.k == c.k && b.v > a.v",
    "a.k + b.k > c.k",
    "a.v == b.v && 3 / (b.k - c.k) < 2",
    "true",
];

const KINDS: [JoinKind; 5] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Anti,
];

fn query(kind: JoinKind, condition: &str, emit: Emit) -> Query {
    let input = |variable: &str| QueryInput {
        variable: variable.to_owned(),
        ..QueryInput::default()
    };
    // Fails for messages whose key is zero.
    let select = match kind {
        JoinKind::Anti => "{'a': 3 / a.k}",
        _ => "{'a': a.v, 'b': b.v / a.k, 'c': c.v}",
    };
    Query {
        inputs: NAMES.map(input).into(),
        windows: Windows::Tumbling { length: 10 },
        join: kind,
        on: Some(condition.to_owned()),
        select: Some(select.to_owned()),
        emit,
        ..Query::default()
    }
}

/// Of groups nothing else is left of the messages: two sessions may have the same bounds.
#[test]
fn windows_with_the_same_bounds_and_other_messages_are_told_apart_when_they_are_cut_short() {
    let query = Query {
        inputs: vec![QueryInput {
            variable: "a".to_owned(),
            ..QueryInput::default()
        }],
        windows: Windows::Tumbling { length: 10 },
        group_by: vec!["a.k".to_owned()],
        select: Some("[a.k, count()]".to_owned()),
        emit: Emit::Batch,
        ..Query::default()
    };
    let cut = |messages: &[Message]| {
        let closed = close(&query, 1, messages, &[u64::MAX]);
        assert_eq!(closed.report.cut_short, Some(CutShort::Budget));
        closed.failed.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let one = cut(&[(0, 1, 0), (0, 2, 0)]);
    assert_ne!(one, cut(&[(0, 1, 0), (0, 2, 0), (0, 3, 0)]));
}

fn close(query: &Query, limit: u64, messages: &[Message], slices: &[u64]) -> Closed {
    let spec = JoinSpec::compile(query).unwrap();
    let window = Window {
        start: Time(0),
        end: Time(10),
    };
    let mut open = OpenWindow::new(&spec, window, 7);
    let mut decoder = Decoder::new(MAX_MESSAGE_BYTES);
    let mut row = RowBuilder::default();
    for (token, (input, k, v)) in messages.iter().enumerate() {
        let payload = format!("{{\"k\":{k},\"v\":{v}}}");
        decoder
            .decode(payload.as_bytes(), spec.layout(*input), 0, &mut row)
            .unwrap();
        let id = || Id::of_event("source", &token.to_string());
        open.arrive(&spec, *input, (id, token as u64), &row, |_| {});
    }
    let mut closing = Closing::new(&spec, open, "uid", 0);
    let mut slices = slices.iter().cycle();
    let (mut results, mut failed) = (Vec::new(), Vec::new());
    loop {
        let mut work = *slices.next().unwrap();
        if closing.advance(
            &spec,
            "uid",
            limit,
            &mut Previous::default(),
            (&mut None, &mut work),
        ) {
            let mut closed = closing.finish(&spec);
            results.append(&mut closed.results);
            failed.append(&mut closed.failed);
            return Closed {
                results,
                failed,
                ..closed
            };
        }
        let leaves = closing.encoding.has_to_leave(limit);
        assert!(work == 0 || leaves, "it stops only when its work is done");
        if spec.streams() {
            let (some, others) = closing.take();
            results.extend(some);
            failed.extend(others);
        }
    }
}

proptest! {
    #[test]
    fn slices_change_nothing(
        kind in prop::sample::select(KINDS.as_slice()),
        condition in prop::sample::select(CONDITIONS.as_slice()),
        each in any::<bool>(),
        limit in prop_oneof![Just(u64::MAX), 0..2_000u64],
        messages in prop::collection::vec((0..3usize, 0..4u8, 0..4u8), 0..30),
        slices in prop::collection::vec(1..20u64, 1..5),
    ) {
        let emit = if each { Emit::Each } else { Emit::Batch };
        let query = query(kind, condition, emit);
        let whole = close(&query, limit, &messages, &[u64::MAX]);
        let sliced = close(&query, limit, &messages, &slices);
        prop_assert_eq!(whole, sliced);
    }
}
