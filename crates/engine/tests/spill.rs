//! Windows larger than the memory budget: what comes out is what would with all the memory in the world.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod spilled;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use spilled::{Full, LENGTH, Reading, World, config};
use streaming_engine::component::Config;
use streaming_engine::event::Event;
use streaming_engine::query::{Emit, EventTime, Query, QueryInput, Windows};
use streaming_engine::state::{Batch, State, StateError, Visit};
use streaming_engine::time::Time;

fn groups(windows: Windows, emit: Emit) -> Query {
    let select = "[r.k, count(), sum(r.v), min(r.v), first(r.v), last(r.v), collect(r.v), countDistinct(r.v), \
                  percentile(r.v, 0.5), window.start]";
    Query {
        windows,
        group_by: vec!["r.k".to_owned()],
        select: Some(select.to_owned()),
        having: Some("count() != 3".to_owned()),
        emit,
        ..Query::default()
    }
}

fn windows() -> impl Strategy<Value = Windows> {
    prop_oneof![
        2 => Just(Windows::Tumbling { length: LENGTH }),
        1 => Just(Windows::Hopping { length: LENGTH, slide: LENGTH / 4 }),
        2 => (1..LENGTH).prop_map(|gap| Windows::Session { gap, max: 2 * LENGTH }),
    ]
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let reading = (0..3 * LENGTH, 0..300u16, -1000..1000i32);
    prop::collection::vec(reading, 0..1000).prop_map(|mut readings| {
        readings.sort_unstable();
        readings
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_was_spilled_comes_back_the_same(
        windows in windows(),
        emit in prop_oneof![Just(Emit::Each), Just(Emit::Batch)],
        readings in readings(),
        budget in prop_oneof![Just(60_000u64), 60_000..1_000_000u64],
    ) {
        let mut large = World::new(config(&["r"], groups(windows, emit), 1 << 30));
        let mut small = World::new(config(&["r"], groups(windows, emit), if emit == Emit::Batch { budget * 8 } else { budget }));
        for reading in readings {
            large.give(0, reading);
            small.give(0, reading);
        }
        large.finish();
        small.finish();
        prop_assert_eq!(&small.accepted, &large.accepted);
        prop_assert_eq!(small.durable.counters().held_bytes, 0);
    }

    #[test]
    fn a_join_gathers_more_groups_than_fit(
        readings in prop::collection::vec((0..2usize, 0..2 * LENGTH, 0..40u16, -9..9i32), 0..300),
        budget in 100_000..400_000u64,
    ) {
        let query = || Query {
            windows: Windows::Tumbling { length: LENGTH },
            on: Some("a.k == b.k".to_owned()),
            group_by: vec!["a.t".to_owned(), "b.t".to_owned()],
            select: Some("[a.t, b.t, count(), sum(a.v + b.v), first(b.v)]".to_owned()),
            emit: Emit::Each,
            ..Query::default()
        };
        let mut readings = readings;
        readings.sort_unstable_by_key(|(_, at, ..)| *at);
        let mut large = World::new(config(&["a", "b"], query(), 1 << 30));
        let mut small = World::new(config(&["a", "b"], query(), budget));
        for (input, at, k, v) in readings {
            large.give(input, (at, k, v));
            small.give(input, (at, k, v));
        }
        large.finish();
        small.finish();
        prop_assert_eq!(&small.accepted, &large.accepted);
    }

    #[test]
    fn a_crash_changes_nothing(
        event_time in any::<bool>(),
        readings in readings(),
        crashes in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let query = || Query {
            inputs: vec![QueryInput {
                variable: "r".to_owned(),
                time: event_time.then(|| EventTime {
                    timestamp: "r.t".to_owned(),
                    out_of_orderness: 100_000,
                    idle_timeout: Some(100_000),
                }),
                ..QueryInput::default()
            }],
            ..groups(Windows::Tumbling { length: if event_time { 1_000 * LENGTH } else { LENGTH } }, Emit::Each)
        };
        let mut whole = World::new(config(&["r"], query(), 1 << 30));
        let mut torn = World::new(config(&["r"], query(), 100_000));
        let crashes: Vec<usize> = crashes.iter().map(|at| at.index(readings.len() + 1)).collect();
        for (number, reading) in readings.iter().enumerate() {
            whole.give(0, *reading);
            torn.give(0, *reading);
            if crashes.contains(&number) {
                // What is not durable yet would come again from the broker.
                torn.durable.sync();
                torn.carry_out();
                torn.crash();
            }
        }
        whole.finish();
        torn.finish();
        prop_assert_eq!(&torn.by_id, &whole.by_id);
    }

    /// Messages that wait for earlier ones do so in the store, too.
    #[test]
    fn what_waits_for_earlier_messages_keeps_its_order(
        readings in readings(),
        shuffle in prop::collection::vec(0..2 * LENGTH, 1000),
        windows in windows(),
        budget in 8_000..100_000u64,
        death in prop::option::of(1..2_000usize),
    ) {
        let query = Query {
            inputs: vec![QueryInput {
                variable: "r".to_owned(),
                time: Some(EventTime {
                    timestamp: "r.t / 1000.0".to_owned(),
                    out_of_orderness: 2 * LENGTH,
                    idle_timeout: Some(100_000),
                }),
                ..QueryInput::default()
            }],
            ..groups(windows, Emit::Each)
        };
        let mut coming: Vec<(i64, Reading)> =
            readings.iter().zip(shuffle).map(|(reading, delay)| (reading.0 + delay, *reading)).collect();
        coming.sort_by_key(|(at, _)| *at);
        let mut large = World::new(config(&["r"], query.clone(), 1 << 30));
        let mut small = World::new(config(&["r"], query, budget));
        small.deaths.extend(death);
        for (at, reading) in coming {
            for world in [&mut large, &mut small] {
                world.until(at);
                world.give(0, reading);
            }
        }
        large.finish();
        small.finish();
        if death.is_none() {
            prop_assert_eq!(&small.accepted, &large.accepted);
        }
        prop_assert_eq!(&small.by_id, &large.by_id);
        prop_assert_eq!(small.durable.counters().held_bytes, 0);
        prop_assert!(!small.has_runs());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// An event that was published again counts once, one that only says the same counts again: whatever came in between,
    /// whatever was expected no more, and in any life.
    #[test]
    fn what_comes_again_counts_the_same_in_any_life(
        readings in prop::collection::vec((0..60i64, 0..40i32), 0..250),
        budget in prop_oneof![Just(1u64 << 30), 2_000..100_000u64],
        hopping in any::<bool>(),
        crashes in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let length = 1_000 * LENGTH;
        let query = Query {
            inputs: vec![QueryInput {
                variable: "r".to_owned(),
                time: Some(EventTime {
                    timestamp: "r.t".to_owned(),
                    out_of_orderness: 10_000,
                    idle_timeout: Some(100_000),
                }),
                ..QueryInput::default()
            }],
            windows: if hopping {
                Windows::Hopping { length, slide: length / 4 }
            } else {
                Windows::Tumbling { length }
            },
            group_by: vec!["r.k".to_owned()],
            select: Some("[window.end, r.k, count(), sum(r.v)]".to_owned()),
            emit: Emit::Each,
            ..Query::default()
        };
        let run = |budget, crashes: &[usize]| {
            let mut world = World::new(config(&["r"], query.clone(), budget));
            world.payload = |(at, _, v)| {
                let data = format!("{{\"t\":{at},\"k\":{},\"v\":{v}}}", v % 3);
                if v % 2 == 0 {
                    return data;
                }
                format!("{{\"specversion\":\"1.0\",\"id\":\"{v}\",\"source\":\"/s\",\"type\":\"t\",\"data\":{data}}}")
            };
            for (number, (at, v)) in readings.iter().enumerate() {
                world.give(0, (*at, 0, *v));
                if crashes.contains(&number) {
                    world.crash();
                }
            }
            world.finish();
            world
        };
        let whole = run(1 << 30, &[]);
        let crashes: Vec<usize> = crashes.iter().map(|at| at.index(readings.len() + 1)).collect();
        let torn = run(budget, &crashes);
        prop_assert_eq!(&torn.by_id, &whole.by_id);
        prop_assert_eq!(torn.durable.counters().held_bytes, 0);
        let mut named = std::collections::BTreeSet::new();
        let counted = readings.iter().filter(|reading| reading.1 % 2 == 0 || named.insert(**reading)).count();
        let rows = whole.by_id.values().map(|data| {
            let row: Vec<serde_json::Value> = serde_json::from_slice(data).unwrap();
            row[2].as_u64().unwrap()
        });
        let windows = if hopping { 4 } else { 1 };
        prop_assert_eq!(rows.sum::<u64>(), (counted * windows) as u64);
    }

    /// A window that is cut short leaves all of its groups to those after it.
    #[test]
    fn what_previous_reads_does_not_depend_on_what_had_room(
        readings in readings(),
        budget in 40_000..160_000u64,
    ) {
        let query = Query {
            windows: Windows::Tumbling { length: LENGTH / 4 },
            group_by: vec!["int(r.k) % 50".to_owned()],
            select: Some(format!("[window.start, int(r.k) % 50, count(), previous(count()), '{:1000}']", "")),
            emit: Emit::Batch,
            ..Query::default()
        };
        let rows = |budget| {
            let mut world = World::new(config(&["r"], query.clone(), budget));
            world.dead_letters = Some(Vec::new());
            for reading in &readings {
                world.give(0, *reading);
            }
            world.finish();
            let of = |event: &Arc<Event>| {
                serde_json::from_slice::<Vec<serde_json::Value>>(&event.data()).unwrap()
            };
            world.accepted.iter().flat_map(of).collect::<Vec<_>>()
        };
        let all = rows(1 << 30);
        for row in rows(budget) {
            prop_assert!(all.contains(&row), "{row}");
        }
    }
}

/// How far time had come by what is done with says nothing of what is given again.
#[test]
fn what_is_given_again_keeps_its_order_where_there_is_no_room_to_wait() {
    let query = Query {
        inputs: vec![QueryInput {
            variable: "r".to_owned(),
            time: Some(EventTime {
                timestamp: "r.t".to_owned(),
                out_of_orderness: 16_000,
                idle_timeout: Some(100_000),
            }),
            ..QueryInput::default()
        }],
        windows: Windows::Session {
            gap: 8_000,
            max: 25_000,
        },
        group_by: vec!["r.k".to_owned()],
        select: Some("[r.k, count()]".to_owned()),
        emit: Emit::Each,
        ..Query::default()
    };
    let mut world = World::new(config(&["r"], query, 1_024));
    for reading in [(16, 0, 0), (13, 0, 0), (9, 9, 0), (33, 1, 0)] {
        world.give(0, reading);
    }
    world.until(50_000);
    world.durable.sync();
    world.carry_out();
    assert_eq!(world.accepted.len(), 1, "that of 9 is done with");
    world.crash();
    world.finish();
    let results: Vec<&[u8]> = world.by_id.values().map(Vec::as_slice).collect();
    assert!(results.contains(&b"[0,2]".as_slice()), "one session: {results:?}");
    assert_eq!(results.len(), 3);
}

/// What a window has left to those after it outlives it, even if all of its messages are needed by others.
#[test]
fn what_previous_reads_is_kept_of_windows_that_share_all_messages() {
    let query = Query {
        inputs: vec![QueryInput {
            variable: "r".to_owned(),
            time: Some(EventTime {
                timestamp: "r.t / 1000.0".to_owned(),
                out_of_orderness: 0,
                idle_timeout: Some(100_000),
            }),
            ..QueryInput::default()
        }],
        windows: Windows::Hopping {
            length: 36_000,
            slide: 24_000,
        },
        filter: Some("r.v > 0".to_owned()),
        group_by: vec!["r.k".to_owned()],
        select: Some("[count(), previous(count())]".to_owned()),
        emit: Emit::Each,
        ..Query::default()
    };
    let mut world = World::new(config(&["r"], query, 1 << 20));
    // The last but one is in no window, and so done with when that one is.
    for reading in [
        (0, 1, 1),
        (6_000, 1, 1),
        (13_000, 1, 1),
        (13_500, 1, -1),
        (14_000, 1, 1),
    ] {
        world.give(0, reading);
    }
    world.until(14_000);
    assert_eq!(
        world.by_id.len(),
        1,
        "the window that ends at 12 ms: {:?}",
        world.by_id
    );
    world.durable.sync();
    world.carry_out();
    world.crash();
    world.give(0, (40_000, 1, 1));
    world.finish();
    let results: Vec<&[u8]> = world.by_id.values().map(Vec::as_slice).collect();
    assert!(results.contains(&b"[4,2]".as_slice()), "{results:?}");
}

/// Ten times as many groups as fit, and more runs than are read at once.
#[test]
fn the_budget_holds_with_more_keys_than_memory() {
    const BUDGET: u64 = 128 * 1024;
    let query = || Query {
        windows: Windows::Tumbling { length: LENGTH },
        group_by: vec!["r.k".to_owned()],
        select: Some("[r.k, count(), sum(r.v)]".to_owned()),
        emit: Emit::Each,
        ..Query::default()
    };
    let mut world = World::new(config(&["r"], query(), BUDGET));
    for number in 0..30_000u32 {
        let key = u16::try_from(number.wrapping_mul(40_503) % 5_000).unwrap();
        world.give(0, (1, key, 2));
    }
    world.finish();
    assert!(world.most < BUDGET, "{} held", world.most);
    assert!(!world.paused);
    let rows: Vec<String> = world
        .accepted
        .iter()
        .map(|event| String::from_utf8(event.data().to_vec()).unwrap())
        .collect();
    let expected: Vec<String> = (0..5_000).map(|key| format!("[{key},6,12]")).collect();
    assert_eq!(rows, expected);
    assert!(!world.has_runs(), "nothing is left of what was written");
}

/// A few sessions with many times what fits, and many with little.
#[test]
fn the_budget_holds_with_sessions_larger_than_memory() {
    const BUDGET: u64 = 512 * 1024;
    for (keys, count, field) in [(3u16, 40_000i32, "v"), (40, 10_000, "s")] {
        let query = Query {
            windows: Windows::Session {
                gap: LENGTH,
                max: 10 * LENGTH,
            },
            group_by: vec!["r.k".to_owned()],
            select: Some(format!("[r.k, count(), sum(r.v), collect(r.{field})]")),
            emit: Emit::Each,
            ..Query::default()
        };
        let mut world = World::new(config(&["r"], query, BUDGET));
        world.payload = |(_, k, v)| format!("{{\"k\":{k},\"v\":{v},\"s\":\"{v:0100}\"}}");
        let mut values = vec![Vec::new(); usize::from(keys)];
        for number in 0..count {
            let key = u16::try_from(number).unwrap() % keys;
            world.give(0, (1, key, number));
            values[usize::from(key)].push(number);
        }
        assert!(!world.paused, "{keys} keys");
        world.finish();
        assert!(world.most < BUDGET, "{} held of {keys} keys", world.most);
        assert!(!world.has_runs(), "nothing is left of what was written");
        let row = |(key, values): (usize, Vec<i32>)| {
            let sum: i64 = values.iter().copied().map(i64::from).sum();
            let texts: Vec<String> = values.iter().map(|v| format!("{v:0100}")).collect();
            match field {
                "v" => serde_json::json!([key, values.len(), sum, values]),
                _ => serde_json::json!([key, values.len(), sum, texts]),
            }
        };
        let expected: Vec<serde_json::Value> = values.into_iter().enumerate().map(row).collect();
        let of = |event: &Arc<Event>| serde_json::from_slice(&event.data()).unwrap();
        let results: Vec<serde_json::Value> = world.accepted.iter().map(of).collect();
        assert!(results == expected, "{keys} keys");
    }
}

#[test]
fn a_full_disk_stops_everything_and_loses_nothing() {
    for writes in (4..).step_by(3) {
        let mut world = World::new(config(
            &["r"],
            groups(Windows::Tumbling { length: LENGTH }, Emit::Each),
            200_000,
        ));
        let full = Box::new(Full(world.disk.open(), writes));
        let Ok(durable) = World::open(&world.config, full, Time(0)) else {
            continue;
        };
        world.durable = durable;
        world.recover();
        for key in 0..1_500 {
            world.give(0, (1, key, 1));
        }
        world.until(LENGTH / 2);
        let Some(error) = world.durable.failure() else {
            return;
        };
        assert_eq!(error.0, "the disk is full");
        assert_eq!(world.durable.poll_timeout(), None, "there is nothing to wait for");
        let received = |world: &World| world.durable.counters().inputs[0].received;
        let before = received(&world);
        world.give(0, (1, 1, 1));
        assert_eq!(
            received(&world),
            before,
            "nobody could tell what its window holds"
        );
        world.given.pop();
        assert!(world.accepted.is_empty(), "no window of a part of its groups");
        world.crash();
        world.finish();
        assert_eq!(world.accepted.len(), 1_500);
    }
}

/// Fails to write a run, and counts what is read afterwards.
#[derive(Debug)]
struct Watched {
    state: Box<dyn State>,
    failed: bool,
    scans: Arc<AtomicUsize>,
}

impl State for Watched {
    fn apply(&mut self, batch: Batch) -> Result<(), StateError> {
        let run = batch.changes.iter().any(|change| change.0[0] == b'r');
        self.failed |= run;
        if run {
            return Err(StateError("the disk is full".to_owned()));
        }
        self.state.apply(batch)
    }

    fn sync(&mut self) -> Result<(), StateError> {
        self.state.sync()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.state.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        if self.failed {
            self.scans.fetch_add(1, Ordering::Relaxed);
        }
        self.state.scan(prefix, from, visit)
    }
}

#[test]
fn what_was_kept_is_not_read_to_its_end_once_there_is_no_room_for_it() {
    let query = groups(Windows::Tumbling { length: LENGTH }, Emit::Each);
    let mut world = World::new(config(&["r"], query, 1 << 30));
    for number in 0..8_000 {
        world.give(0, (1, number, 1));
    }
    world.durable.sync();
    let scans = Arc::new(AtomicUsize::new(0));
    let watched = Watched {
        state: world.disk.open(),
        failed: false,
        scans: Arc::clone(&scans),
    };
    let config = Config {
        memory_budget: 100_000,
        ..world.config.clone()
    };
    let error = World::open(&config, Box::new(watched), Time(0)).err().unwrap();
    assert_eq!(error.0, "the disk is full");
    assert_eq!(scans.load(Ordering::Relaxed), 0, "nothing is read after that");
}
