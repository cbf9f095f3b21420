//! Joins of windows larger than the memory budget: what comes out is what would with all the memory in the world, in
//! the same order and with the same ids.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod spilled;

use proptest::prelude::*;
use spilled::{Full, LENGTH, Reading, World, config};
use streaming_engine::counters::WindowReport;
use streaming_engine::query::{Emit, EventTime, JoinKind, Query, QueryInput, Windows};
use streaming_engine::time::Time;

/// Of some, no key; of some, a text; and something that takes room.
fn payload((at, k, v): &Reading) -> String {
    let key = match k % 8 {
        0 => String::new(),
        1 => format!("\"k\":\"{k}\","),
        _ => format!("\"k\":{k},"),
    };
    let room = "x".repeat(usize::from(*k) % 90);
    format!("{{{key}\"t\":{at},\"v\":{v},\"s\":\"{room}\"}}")
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn world(query: &Query, budget: u64) -> World {
    let mut world = World::new(config(&NAMES[..query.inputs.len()], query.clone(), budget));
    world.payload = payload;
    world.dead_letters = Some(Vec::new());
    world
}

fn inputs(count: usize, bound: Option<i64>) -> Vec<QueryInput> {
    let input = |variable: &&str| QueryInput {
        variable: (*variable).to_owned(),
        time: bound.map(|bound| EventTime {
            timestamp: format!("{variable}.t / 1000.0"),
            out_of_orderness: bound,
            idle_timeout: Some(100_000),
        }),
        ..QueryInput::default()
    };
    NAMES[..count].iter().map(input).collect()
}

/// What joins two inputs, three or four.
const ON: [&[&str]; 3] = [
    &[
        "a.k == b.k",
        "a.k == b.k && a.v <= b.v",
        "a.k == b.k && a.v > 0 && b.v < 20",
        "int(a.k) % 3 == int(b.k) % 3",
        "a.v < b.v && b.v < a.v + 40",
    ],
    &[
        "a.k == b.k && b.k == c.k",
        "a.k == b.k && a.k == c.k && a.v <= c.v",
        "a.k == c.k && c.v == b.v",
        "a.k == b.k && c.v < b.v && b.v < c.v + 4",
        "a.v == b.v && a.v > 0 && int(c.k) % 7 == int(a.k) % 7 + int(b.k) % 2",
        "b.k == c.k",
    ],
    &[
        "a.k == b.k && b.k == c.k && c.k == d.k",
        "a.k == d.k && d.v == c.v && b.k == c.k",
        "a.v == b.v && c.v == d.v && a.k == c.k",
    ],
];

fn kinds() -> impl Strategy<Value = JoinKind> {
    prop::sample::select(vec![
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Right,
        JoinKind::Full,
        JoinKind::Anti,
    ])
}

fn joins() -> impl Strategy<Value = Query> {
    let count = prop_oneof![3 => Just(2usize), 3 => Just(3), 1 => Just(4)];
    let on = count.prop_flat_map(|count| (Just(count), prop::sample::select(ON[count - 2])));
    let filter = prop::option::of(prop::sample::select(vec!["a.v != 7", "a.v + 1 > -900"]));
    let emit = prop::sample::select(vec![Emit::Each, Emit::Batch]);
    let windows = prop_oneof![
        3 => Just(Windows::Tumbling { length: LENGTH }),
        1 => Just(Windows::Hopping { length: LENGTH, slide: LENGTH / 2 }),
        2 => (20..LENGTH / 2).prop_map(|gap| Windows::Session { gap, max: LENGTH }),
    ];
    let make = |(kind, (count, on), filter, emit, windows, select): (
        JoinKind,
        (usize, &str),
        Option<&str>,
        Emit,
        Windows,
        u8,
    )| {
        let anti = kind == JoinKind::Anti;
        let query = Query {
            inputs: inputs(count, None),
            windows,
            join: kind,
            on: Some(on.to_owned()),
            filter: filter.map(str::to_owned),
            emit,
            ..Query::default()
        };
        let last = NAMES[count - 1];
        match select {
            0 => query,
            1 if !anti => Query {
                group_by: vec!["b.v".to_owned()],
                select: Some(format!(
                    "[b.v, count(), first(a.t), last(a.v), collect({last}.t)]"
                )),
                ..query
            },
            _ if anti => Query {
                select: Some("[a.t, a.v, a.s, 100 / a.v]".to_owned()),
                ..query
            },
            _ => Query {
                select: Some(format!("[a.t, b.t, a.v, b.v, {last}.v, a.s]")),
                ..query
            },
        }
    };
    (kinds(), on, filter, emit, windows, 0..4u8).prop_map(make)
}

/// Fewer messages for a join of more inputs, which finds more rows of as many.
fn joined_readings(most: usize) -> impl Strategy<Value = (Query, Vec<(usize, Reading)>)> {
    joins().prop_flat_map(move |query| {
        let inputs = query.inputs.len();
        (Just(query), readings(inputs, 4 * most / inputs.pow(2)))
    })
}

fn readings(inputs: usize, most: usize) -> impl Strategy<Value = Vec<(usize, Reading)>> {
    let keys = prop_oneof![Just(4u16), Just(300u16), Just(30u16)];
    keys.prop_flat_map(move |keys| {
        let reading = (0..inputs, (0..2 * LENGTH, 0..keys, -50..50i32));
        prop::collection::vec(reading, 0..most)
    })
    .prop_map(|mut readings| {
        readings.sort_by_key(|(_, (at, ..))| *at);
        readings
    })
}

/// What does not depend on how it was joined. An anti join asks no more of a message that has a match, but for what a
/// range leaves out at once; of more than two inputs, in the store, each step asks of all that those before have left.
fn outcome(query: &Query, reports: &[WindowReport]) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
    let anti = query.join == JoinKind::Anti;
    let lazy = anti && query.inputs.len() > 2;
    let of = |report: &WindowReport| {
        let errors = Some(report.errors).filter(|_| !lazy);
        let conditions = Some(report.conditions.clone()).filter(|_| !anti);
        (
            report.window,
            report.inputs.clone(),
            report.rows,
            errors,
            conditions,
        )
    };
    reports.iter().map(of).collect()
}

/// The budget of one that has to send the largest of these results.
fn budget(query: &Query, large: &World, budget: u64) -> u64 {
    let largest = large.accepted.iter().map(|event| event.data().len() as u64).max();
    match query.emit {
        Emit::Batch => budget.max(3 * largest.unwrap_or_default()),
        _ => budget,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_joined_from_the_store_is_the_same(
        (query, readings) in joined_readings(300),
        least in 6_000..60_000u64,
    ) {
        let mut large = world(&query, 1 << 30);
        for (input, reading) in &readings {
            large.give(*input, *reading);
        }
        large.finish();
        let mut small = world(&query, budget(&query, &large, least));
        for (input, reading) in &readings {
            small.give(*input, *reading);
        }
        small.finish();
        prop_assert_eq!(&small.accepted, &large.accepted);
        prop_assert_eq!(&small.by_id, &large.by_id);
        prop_assert_eq!(outcome(&query, &small.reports), outcome(&query, &large.reports));
        if query.join != JoinKind::Anti || query.inputs.len() == 2 {
            prop_assert_eq!(&small.durable.counters().expression_errors, &large.durable.counters().expression_errors);
        }
        prop_assert_eq!(small.durable.counters().held_bytes, 0);
        prop_assert!(!small.has_runs());
    }

    #[test]
    fn a_death_at_any_effect_changes_nothing(
        (query, readings) in joined_readings(200),
        event_time in any::<bool>(),
        least in 6_000..60_000u64,
        deaths in prop::collection::vec(1..400usize, 0..4),
    ) {
        let query = Query {
            inputs: inputs(query.inputs.len(), event_time.then_some(100)),
            ..query
        };
        let mut whole = world(&query, 1 << 30);
        for (input, reading) in &readings {
            whole.give(*input, *reading);
        }
        whole.finish();
        let mut torn = world(&query, budget(&query, &whole, least));
        torn.deaths = deaths.into();
        for (input, reading) in &readings {
            torn.give(*input, *reading);
        }
        torn.finish();
        prop_assert_eq!(&torn.by_id, &whole.by_id);
    }

    #[test]
    fn messages_of_one_input_are_sent_in_order(
        readings in readings(2, 300),
        batch in any::<bool>(),
        select in prop::option::of(Just("[a.t, a.v, a.s]".to_owned())),
    ) {
        let query = Query {
            inputs: inputs(1, None),
            windows: Windows::Tumbling { length: LENGTH },
            select,
            emit: if batch { Emit::Batch } else { Emit::Each },
            ..Query::default()
        };
        let mut large = world(&query, 1 << 30);
        for (_, reading) in &readings {
            large.give(0, *reading);
        }
        large.finish();
        let mut small = world(&query, budget(&query, &large, 8_000));
        for (_, reading) in &readings {
            small.give(0, *reading);
        }
        small.finish();
        prop_assert_eq!(&small.accepted, &large.accepted);
        prop_assert_eq!(outcome(&query, &small.reports), outcome(&query, &large.reports));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The same rows of messages that are kept whole, with room for them or without.
    #[test]
    fn a_batch_is_cut_at_the_same_row_whether_its_window_was_written(
        count in 10..150usize,
        keys in 1..4u16,
        grouped in any::<bool>(),
        budget in 20_000..60_000u64,
    ) {
        let query = Query {
            on: Some("a.k == b.k && a.s != 'no'".to_owned()),
            ..keyed(Emit::Batch)
        };
        let query = if grouped {
            Query {
                group_by: vec!["a.v".to_owned(), "b.v".to_owned()],
                select: Some("[a.v, b.v, count()]".to_owned()),
                ..query
            }
        } else {
            query
        };
        let run = |payload: fn(&Reading) -> String| {
            let mut world = world(&query, budget);
            world.payload = payload;
            for number in 0..count {
                let (key, number) = (u16::try_from(number).unwrap() % keys, i32::try_from(number).unwrap());
                world.give(0, (1, key, number));
                world.give(1, (1, key, number));
            }
            world.finish();
            world.by_id
        };
        let slim = run(|(_, k, v)| format!("{{\"k\":{k},\"v\":{v},\"s\":\"\"}}"));
        let fat = run(|(_, k, v)| format!("{{\"k\":{k},\"v\":{v},\"s\":\"{:2000}\"}}", ""));
        prop_assert_eq!(slim, fat);
    }

    /// What stands for a window that was cut short is named by its messages, not by their order.
    #[test]
    fn what_does_not_fit_is_named_the_same_in_any_order(swap in 0..80usize, budget in 4_000..20_000u64) {
        let mut query = keyed(Emit::Batch);
        query.group_by = vec!["a.v".to_owned(), "b.v".to_owned()];
        query.select = Some("[a.v, b.v, count()]".to_owned());
        let run = |swap: usize| {
            let mut world = world(&query, budget);
            world.payload = |(_, _, v)| {
                format!("{{\"specversion\":\"1.0\",\"id\":\"{v}\",\"source\":\"/s\",\"type\":\"t\",\"data\":{{\"k\":1,\"v\":{v}}}}}")
            };
            let mut readings: Vec<(usize, Reading)> = (0..80u16)
                .map(|number| (usize::from(number % 2), (1, 1, i32::from(number))))
                .collect();
            readings.rotate_left(swap);
            for (input, reading) in readings {
                world.give(input, reading);
            }
            world.finish();
            let letters = world.dead_letters.unwrap_or_default();
            letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>()
        };
        let whole = run(0);
        prop_assert_eq!(whole.len(), 1);
        prop_assert_eq!(run(swap), whole);
    }
}

fn keyed(emit: Emit) -> Query {
    Query {
        inputs: inputs(2, None),
        windows: Windows::Tumbling { length: LENGTH },
        on: Some("a.k == b.k".to_owned()),
        select: Some("[a.k, a.v, b.v]".to_owned()),
        emit,
        ..Query::default()
    }
}

/// Many times what fits, of two inputs and three, once of many keys and once of a single one, which is cut into blocks.
#[test]
fn the_budget_holds_with_more_messages_than_memory() {
    const BUDGET: u64 = 512 * 1024;
    for (count, keys, on) in [
        (20_000u16, 20_000u16, "a.k == b.k"),
        (4_000, 1, "a.k == b.k && a.v <= b.v && a.v >= b.v"),
        (12_000, 12_000, "a.k == c.k && c.v == b.k"),
        (
            1_000,
            1,
            "a.k == b.k && a.v <= b.v && a.v >= b.v && b.k == c.k && b.v <= c.v && b.v >= c.v",
        ),
    ] {
        let names = if on.contains('c') { 3 } else { 2 };
        let query = Query {
            inputs: inputs(names, None),
            on: Some(on.to_owned()),
            ..keyed(Emit::Each)
        };
        let mut world = World::new(config(&NAMES[..names], query, BUDGET));
        for number in 0..count {
            let key = |step: u32| u16::try_from(u32::from(number) * step % u32::from(keys)).unwrap();
            world.give(0, (1, key(7_919), i32::from(number)));
            world.give(1, (1, key(1), i32::from(number)));
            if names > 2 {
                world.give(2, (1, key(1), i32::from(number)));
            }
        }
        assert!(!world.paused, "{on}, {keys} keys");
        world.finish();
        assert!(world.most < BUDGET, "{} held: {on}, {keys} keys", world.most);
        assert!(!world.has_runs(), "nothing is left of what was written");
        assert_eq!(world.accepted.len(), usize::from(count));
        for (number, event) in world.accepted.iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            let key = number * 7_919 % u32::from(keys);
            let other = if keys == 1 { number } else { key };
            assert_eq!(
                *event.data(),
                *format!("[{key},{number},{other}]").as_bytes(),
                "in the order in which they came"
            );
        }
    }
}

/// A few sessions that are each more than is joined at once, and many that are joined in memory when they end.
#[test]
fn the_budget_holds_with_sessions_larger_than_memory() {
    const BUDGET: u64 = 512 * 1024;
    for (keys, count) in [(3u16, 5_000u16), (20, 5_000)] {
        let query = Query {
            windows: Windows::Session {
                gap: LENGTH,
                max: 2 * LENGTH,
            },
            on: Some("a.k == b.k && a.v <= b.v && a.v >= b.v".to_owned()),
            ..keyed(Emit::Each)
        };
        let mut world = World::new(config(&["a", "b"], query, BUDGET));
        for number in 0..count {
            let reading = (1, number % keys, i32::from(number));
            world.give(0, reading);
            world.give(1, reading);
        }
        // Sessions that grow alike ask for more room at the same moment: an input may be paused, until they are written.
        world.finish();
        assert!(world.most < BUDGET, "{} held of {keys} keys", world.most);
        assert!(!world.has_runs(), "nothing is left of what was written");
        let rows = (0..keys).flat_map(|key| (key..count).step_by(usize::from(keys)).map(move |v| (key, v)));
        let expected: Vec<String> = rows.map(|(key, v)| format!("[{key},{v},{v}]")).collect();
        let results = world.accepted.iter().map(|event| event.data().to_vec());
        let results: Vec<String> = results.map(|data| String::from_utf8(data).unwrap()).collect();
        assert!(results == expected, "{keys} keys");
    }
}

/// A batch that can't be made is told of where its rows would have gone, and is no loss in silence.
#[test]
fn a_batch_that_does_not_fit_is_a_dead_letter() {
    let mut world = World::new(config(&["a", "b"], keyed(Emit::Batch), 64 * 1024));
    world.dead_letters = Some(Vec::new());
    for number in 0..200 {
        world.give(0, (1, 1, number));
        world.give(1, (1, 1, number));
    }
    world.finish();
    let letters = world.dead_letters.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = letters[0].dead_letter.as_ref().unwrap();
    assert_eq!(letter.reason, "ResultOverBudget");
    assert!(letter.message.contains("emit: Each"), "{}", letter.message);
    assert_eq!(world.accepted.len(), 1, "as many of them as fit");
    assert_eq!(world.durable.counters().dead_lettered["ResultOverBudget"], 1);
}

#[test]
fn a_full_disk_stops_a_join_and_loses_nothing() {
    let three = Query {
        inputs: inputs(3, None),
        join: JoinKind::Left,
        on: Some("a.k == b.k && b.v == c.v".to_owned()),
        ..keyed(Emit::Each)
    };
    let queries = [JoinKind::Full, JoinKind::Anti].map(|join| Query {
        join,
        select: None,
        ..if join == JoinKind::Full {
            keyed(Emit::Each)
        } else {
            three.clone()
        }
    });
    for query in queries.iter().chain([&three]) {
        let run = |world: &mut World| {
            for number in 0..400u16 {
                world.give(0, (1, number % 90, i32::from(number)));
                world.give(1, (1, number % 80, 1));
                if query.inputs.len() > 2 && number % 100 == 0 {
                    world.give(2, (1, 1, i32::from(number % 200 == 0)));
                }
            }
            world.until(1_000_000);
        };
        let mut whole = world(query, 1 << 30);
        run(&mut whole);
        whole.finish();
        let mut failed = 0;
        for writes in (4..).step_by(if query.join == JoinKind::Full { 5 } else { 120 }) {
            let mut world = world(query, 30_000);
            let full = Box::new(Full(world.disk.open(), writes));
            let Ok(durable) = World::open(&world.config, full, Time(0)) else {
                continue;
            };
            world.durable = durable;
            world.recover();
            run(&mut world);
            let fails = world.durable.failure().is_some();
            if fails {
                failed += 1;
                world.crash();
            }
            world.finish();
            assert_eq!(world.by_id, whole.by_id);
            if !fails {
                break;
            }
        }
        assert!(failed > 5, "{failed}");
    }
}

/// In receipt time there is no other order than that in which they came, also for those that come again.
#[test]
fn messages_of_one_instant_keep_their_order_after_a_death() {
    let query = Query {
        inputs: inputs(2, None),
        windows: Windows::Hopping {
            length: LENGTH,
            slide: LENGTH / 2,
        },
        on: Some("a.k == b.k".to_owned()),
        ..Query::default()
    };
    let instant = (0..12).map(|n| (100, 1, n));
    let readings: Vec<(usize, Reading)> = [0, 1].into_iter().cycle().zip(instant).collect();
    let joined = |deaths: Vec<usize>| {
        let mut world = world(&query, 1 << 30);
        world.deaths = deaths.into();
        for (input, reading) in &readings {
            world.give(*input, *reading);
        }
        world.finish();
        world.by_id
    };
    let whole = joined(Vec::new());
    assert!(!whole.is_empty());
    for death in 1..40 {
        assert_eq!(joined(vec![death]), whole, "dead at effect {death}");
    }
}
