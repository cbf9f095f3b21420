//! `previous` of more groups than memory holds: each reads what it would with all the memory in the world, in any life.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod spilled;

use proptest::prelude::*;
use spilled::{Full, LENGTH, Reading, World, config};
use streaming_engine::query::{Emit, EventTime, Query, QueryInput, Windows};
use streaming_engine::time::Time;

/// Counts and texts by key, with those of the window before.
fn looking_back(windows: Windows) -> Query {
    Query {
        windows,
        group_by: vec!["r.k".to_owned()],
        select: Some(
            "[r.k, window.start, count(), last(r.v), previous(count(), 0), previous(last(r.v))]".to_owned(),
        ),
        having: Some("count() != 3".to_owned()),
        emit: Emit::Each,
        ..Query::default()
    }
}

fn windows() -> impl Strategy<Value = Windows> {
    prop_oneof![
        2 => Just(Windows::Tumbling { length: LENGTH }),
        2 => Just(Windows::Hopping { length: LENGTH, slide: LENGTH / 4 }),
        2 => (1..LENGTH).prop_map(|gap| Windows::Session { gap, max: 2 * LENGTH }),
    ]
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let reading = (0..6 * LENGTH, 0..150u16, -1000..1000i32);
    prop::collection::vec(reading, 0..500).prop_map(|mut readings| {
        readings.sort_unstable();
        readings
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_read_is_the_same_in_any_life(
        windows in windows(),
        event_time in any::<bool>(),
        readings in readings(),
        budget in prop_oneof![Just(60_000u64), 60_000..1_000_000u64],
        deaths in prop::collection::vec(1..800usize, 0..4),
    ) {
        let query = Query {
            inputs: vec![QueryInput {
                variable: "r".to_owned(),
                time: event_time.then(|| EventTime {
                    timestamp: "r.t / 1000.0".to_owned(),
                    out_of_orderness: LENGTH / 10,
                    idle_timeout: Some(100_000),
                }),
                ..QueryInput::default()
            }],
            ..looking_back(windows)
        };
        let mut large = World::new(config(&["r"], query.clone(), 1 << 30));
        let mut small = World::new(config(&["r"], query, budget));
        small.deaths.extend(&deaths);
        for reading in &readings {
            large.give(0, *reading);
            small.give(0, *reading);
        }
        large.finish();
        small.finish();
        prop_assert_eq!(&small.by_id, &large.by_id);
        if deaths.is_empty() {
            prop_assert_eq!(&small.accepted, &large.accepted);
        }
        prop_assert!(small.durable.counters().held_bytes <= budget / 16);
        prop_assert!(!small.has_runs());
    }

    /// A group may be in sessions of several keys, that end together and before one another.
    #[test]
    fn sessions_of_several_keys_leave_something_to_one_group(
        gap in 1..LENGTH,
        readings in prop::collection::vec((0..2usize, 0..3 * LENGTH, 0..12u16, -9..9i32), 0..200),
        deaths in prop::collection::vec(1..300usize, 0..3),
    ) {
        let query = Query {
            windows: Windows::Session { gap, max: 2 * LENGTH },
            on: Some("a.k == b.k".to_owned()),
            group_by: vec!["int(a.k) % 2".to_owned()],
            select: Some("[window.start, int(a.k) % 2, count(), previous(count())]".to_owned()),
            emit: Emit::Each,
            ..Query::default()
        };
        let mut readings = readings;
        readings.sort_unstable_by_key(|(_, at, ..)| *at);
        let mut large = World::new(config(&["a", "b"], query.clone(), 1 << 30));
        let mut small = World::new(config(&["a", "b"], query, 40_000));
        small.deaths.extend(&deaths);
        for (input, at, k, v) in readings {
            large.give(input, (at, k, v));
            small.give(input, (at, k, v));
        }
        large.finish();
        small.finish();
        prop_assert_eq!(&small.by_id, &large.by_id);
        if deaths.is_empty() {
            prop_assert_eq!(&small.accepted, &large.accepted);
        }
    }
}

/// Ten times as many groups as fit, in three windows, the last of which is in another life.
#[test]
fn the_budget_holds_with_more_groups_than_memory() {
    const BUDGET: u64 = 128 * 1024;
    const KEYS: u16 = 4_000;
    let mut world = World::new(config(
        &["r"],
        looking_back(Windows::Tumbling { length: LENGTH }),
        BUDGET,
    ));
    for window in 0..3 {
        if window == 2 {
            world.until(2 * LENGTH + 1);
            world.durable.sync();
            world.carry_out();
            world.crash();
        }
        for number in 0..u32::from(KEYS) {
            let key = u16::try_from(number * 7_919 % u32::from(KEYS)).unwrap();
            world.give(0, (window * LENGTH + 1, key, i32::try_from(window).unwrap()));
        }
    }
    world.finish();
    assert!(world.most < BUDGET, "{} held", world.most);
    assert!(!world.paused);
    let rows = world
        .accepted
        .iter()
        .map(|event| String::from_utf8(event.data().to_vec()).unwrap());
    let expected = (0..3i64).flat_map(|window| {
        let before = match window {
            0 => "0,null".to_owned(),
            _ => format!("1,{}", window - 1),
        };
        let start = Time(window * LENGTH);
        (0..KEYS).map(move |key| (key, start, window, before.clone()))
    });
    let expected: Vec<String> = expected
        .map(|(key, start, window, before)| {
            let start = start.0 / 1_000;
            format!("[{key},\"1970-01-01T00:00:00.{start:03}Z\",1,{window},{before}]").replace(".000Z", "Z")
        })
        .collect();
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    assert!(!world.has_runs(), "nothing is left of what was written");
}

#[test]
fn a_full_disk_stops_everything_and_loses_nothing() {
    const KEYS: u16 = 600;
    for writes in (4..).step_by(13) {
        let mut world = World::new(config(
            &["r"],
            looking_back(Windows::Tumbling { length: LENGTH }),
            60_000,
        ));
        let full = Box::new(Full(world.disk.open(), writes));
        let Ok(durable) = World::open(&world.config, full, Time(0)) else {
            continue;
        };
        world.durable = durable;
        world.recover();
        let give = |world: &mut World, at: i64| (0..KEYS).for_each(|key| world.give(0, (at, key, 1)));
        give(&mut world, 1);
        world.until(LENGTH);
        give(&mut world, LENGTH + 1);
        world.until(2 * LENGTH + 1);
        let failed = world.durable.failure().cloned();
        if failed.is_some() {
            world.crash();
        }
        world.finish();
        let later = |data: &&Vec<u8>| data.ends_with(b",1,1,1,1]");
        assert_eq!(world.by_id.len(), 2 * usize::from(KEYS), "after {writes} writes");
        assert_eq!(world.by_id.values().filter(later).count(), usize::from(KEYS));
        match failed {
            Some(error) => assert_eq!(error.0, "the disk is full"),
            None => return,
        }
    }
}
