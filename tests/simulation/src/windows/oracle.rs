//! What has to come out, by the words of docs/windows.md: nested loops over all messages, and nothing of the engine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use streaming_engine::query::{JoinKind, Windows};

use super::case::{Case, Conjunct};

/// A row that has to come out.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Its content; times are microseconds.
    pub content: Value,
    /// The messages that must not be acked before it is accepted.
    pub of: BTreeSet<usize>,
}

/// A row while it is joined: by input, a message's number or nothing.
type Joined = Vec<Option<usize>>;

type Key = Option<u8>;
type Bounds = (i64, i64);
type ByInput = Vec<Vec<usize>>;

/// All rows. A message is in none of its windows that ended by what is in `behind` for it.
pub(super) fn rows(case: &Case, behind: &[i64]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut before = BTreeMap::new();
    for ((start, end), messages) in windows(case, behind) {
        let joined = join(case, &messages);
        let kept: Vec<Joined> = joined
            .into_iter()
            .filter(|row| case.filter.iter().all(|conjunct| holds(case, *conjunct, row)))
            .collect();
        if case.grouped {
            rows.extend(groups(case, &kept, (start, end), &mut before));
        } else {
            rows.extend(kept.iter().map(|row| Row {
                content: single(case, row, start, end),
                of: row.iter().flatten().copied().collect(),
            }));
        }
    }
    rows
}

fn single(case: &Case, row: &Joined, start: i64, end: i64) -> Value {
    let mut content = vec![json!(start), json!(end)];
    let inputs = if case.kind == JoinKind::Anti { 1 } else { row.len() };
    content.extend(row[..inputs].iter().map(|message| number(case, *message)));
    Value::Array(content)
}

/// `x.n`
fn number(case: &Case, message: Option<usize>) -> Value {
    message.map_or(Value::Null, |message| json!(case.messages[message].n))
}

/// The end of the last window of an event.
pub(crate) fn last_end(case: &Case, at: i64) -> i64 {
    match case.windows {
        Windows::Tumbling { length } => at.div_euclid(length) * length + length,
        Windows::Hopping { length, slide } => at.div_euclid(slide) * slide + length,
        // Of these it depends on other events; no case asks.
        Windows::Session { .. } | Windows::Unbounded => i64::MAX,
    }
}

/// The end of the first window of an event.
pub(crate) fn first_end(case: &Case, at: i64) -> i64 {
    match case.windows {
        Windows::Hopping { length, slide } => (at - length).div_euclid(slide) * slide + slide + length,
        _ => last_end(case, at),
    }
}

/// `before` is what groups had come to in their last windows.
fn groups(case: &Case, rows: &[Joined], (start, end): Bounds, before: &mut BTreeMap<Key, usize>) -> Vec<Row> {
    let key = |row: &Joined| row[0].and_then(|message| case.messages[message].k);
    let keys: BTreeSet<Option<u8>> = rows.iter().map(key).collect();
    let mut group = |group: Key| {
        let of: Vec<&Joined> = rows.iter().filter(|row| key(row) == group).collect();
        let firsts = of
            .iter()
            .filter_map(|row| row[0])
            .map(|message| &case.messages[message]);
        let values: Vec<i64> = firsts.clone().filter_map(|message| message.v).collect();
        let sum = if values.is_empty() {
            Value::Null
        } else {
            json!(values.iter().sum::<i64>())
        };
        // Their order depends on that of the rows, of which there is a word elsewhere.
        let mut numbers: Vec<Value> = firsts.map(|message| json!(message.n)).collect();
        numbers.sort_by_key(Value::as_u64);
        let k = group.map_or(Value::Null, |k| json!(format!("k{k}")));
        let previous = before.insert(group, of.len());
        let content = if case.looks_back {
            json!([start, end, k, of.len(), previous, sum, numbers])
        } else {
            json!([start, end, k, of.len(), sum, numbers])
        };
        Row {
            content,
            of: of.iter().flat_map(|row| row.iter().flatten().copied()).collect(),
        }
    };
    keys.into_iter().map(&mut group).collect()
}

/// Windows with their messages, by input.
fn windows(case: &Case, behind: &[i64]) -> Vec<(Bounds, ByInput)> {
    let mut windows: BTreeMap<(i64, i64, Option<Key>), ByInput> = BTreeMap::new();
    let mut order: Vec<usize> = (0..case.messages.len())
        .filter(|message| !case.is_repeated(*message))
        .collect();
    order.sort_by_key(|message| case.messages[*message].at);
    let mut put = |window: (i64, i64, Option<Key>), message: usize| {
        if window.1 <= behind[message] {
            return;
        }
        let inputs = windows
            .entry(window)
            .or_insert_with(|| vec![Vec::new(); case.brokers.len()]);
        inputs[case.messages[message].input].push(message);
    };
    match case.windows {
        Windows::Unbounded => {}
        Windows::Tumbling { length } => {
            for message in order {
                let start = case.messages[message].at.div_euclid(length) * length;
                put((start, start + length, None), message);
            }
        }
        Windows::Hopping { length, slide } => {
            for message in order {
                let at = case.messages[message].at;
                let mut start = at.div_euclid(slide) * slide;
                while start + length > at {
                    put((start, start + length, None), message);
                    start -= slide;
                }
            }
        }
        Windows::Session { gap, max } => {
            // Keys: of the group, or what all inputs of a join are equal in.
            let keyed = case.grouped && case.brokers.len() == 1 || case.brokers.len() > 1;
            let key = |message: usize| keyed.then(|| case.messages[message].k);
            let keys: BTreeSet<Option<Key>> = order.iter().map(|message| key(*message)).collect();
            for k in keys {
                let mut chain: Vec<usize> = Vec::new();
                let of: Vec<usize> = order
                    .iter()
                    .copied()
                    .filter(|message| key(*message) == k)
                    .collect();
                for (place, message) in of.iter().enumerate() {
                    chain.push(*message);
                    let at = case.messages[*message].at;
                    let first = case.messages[chain[0]].at;
                    let next = of.get(place + 1).map(|next| case.messages[*next].at);
                    if next.is_none_or(|next| next >= at + gap || next >= first + max) {
                        let end = (at + gap).min(first + max);
                        for message in chain.drain(..) {
                            put((first, end, k), message);
                        }
                    }
                }
            }
        }
    }
    let mut windows: Vec<(Bounds, ByInput)> = windows
        .into_iter()
        .map(|((start, end, _), messages)| ((start, end), messages))
        .collect();
    // As they close.
    windows.sort_by_key(|((start, end), _)| (*end, *start));
    windows
}

/// ((a JOIN b) JOIN c): the condition of a step is what is known then and was not before.
fn join(case: &Case, messages: &[Vec<usize>]) -> Vec<Joined> {
    let inputs = messages.len();
    let step = |conjunct: &Conjunct| match conjunct {
        Conjunct::Equal(x, y) | Conjunct::AtMost(x, y) => *x.max(y).max(&1),
        Conjunct::Positive(x) | Conjunct::Missing(x) => *x.max(&1),
    };
    let row = |of: &[Option<usize>]| {
        let mut row: Joined = of.to_vec();
        row.resize(inputs, None);
        row
    };
    let (left, right) = match case.kind {
        JoinKind::Inner | JoinKind::Anti => (false, false),
        JoinKind::Left => (true, false),
        JoinKind::Right => (false, true),
        JoinKind::Full => (true, true),
    };
    let mut rows: Vec<Joined> = messages[0].iter().map(|message| row(&[Some(*message)])).collect();
    for input in 1..inputs {
        let on: Vec<Conjunct> = case
            .on
            .iter()
            .filter(|conjunct| step(conjunct) == input)
            .copied()
            .collect();
        let mut matched = BTreeSet::new();
        let mut next = Vec::new();
        for before in &rows {
            let mut found = false;
            for message in &messages[input] {
                let mut joined = before.clone();
                joined[input] = Some(*message);
                if on.iter().all(|conjunct| holds(case, *conjunct, &joined)) {
                    found = true;
                    matched.insert(*message);
                    next.push(joined);
                }
            }
            if left && !found {
                next.push(before.clone());
            }
        }
        for message in messages[input]
            .iter()
            .filter(|message| right && !matched.contains(message))
        {
            let mut alone = row(&[]);
            alone[input] = Some(*message);
            next.push(alone);
        }
        rows = next;
    }
    if case.kind == JoinKind::Anti {
        let met: BTreeSet<Option<usize>> = rows.iter().map(|row| row[0]).collect();
        let alone = messages[0].iter().map(|message| Some(*message));
        return alone
            .filter(|message| !met.contains(message))
            .map(|message| row(&[message]))
            .collect();
    }
    rows
}

/// Whether a part of a condition is true: an error is not.
fn holds(case: &Case, conjunct: Conjunct, row: &Joined) -> bool {
    let message = |input: usize| row[input].map(|message| &case.messages[message]);
    let k = |input| message(input).and_then(|message| message.k);
    let v = |input| message(input).and_then(|message| message.v);
    match conjunct {
        Conjunct::Equal(x, y) => k(x) == k(y),
        Conjunct::AtMost(x, y) => v(x).zip(v(y)).is_some_and(|(x, y)| x <= y),
        Conjunct::Positive(x) => v(x).is_some_and(|v| v > 0),
        Conjunct::Missing(x) => message(x).is_none(),
    }
}
