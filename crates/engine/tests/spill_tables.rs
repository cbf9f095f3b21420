//! Tables with more rows than memory holds: what is looked up is what would be with all the memory in the world.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

mod spilled;

use proptest::prelude::*;
use spilled::{Full, LENGTH, Reading, World, config};
use streaming_engine::component::Config;
use streaming_engine::query::{Emit, JoinKind, Query, QueryInput, Windows};
use streaming_engine::time::Time;

/// A value that takes its key's row away.
const GONE: i32 = -1;

fn payload((_, k, v): &Reading) -> String {
    if *v == GONE {
        return "null".to_owned();
    }
    format!(
        "{{\"k\":\"{k}\",\"v\":{v},\"x\":\"{}\",\"text\":\"{:40}\"}}",
        v % 10,
        k
    )
}

fn world(query: Query, budget: u64) -> World {
    let inputs: Vec<String> = query.inputs.iter().map(|input| input.variable.clone()).collect();
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    of(config(&names, query, budget))
}

fn of(config: Config) -> World {
    let mut world = World::new(config);
    world.payload = payload;
    world.key = |(_, k, _)| Some(k.to_string());
    world
}

fn input(variable: &str, table: Option<&str>) -> QueryInput {
    QueryInput {
        variable: variable.to_owned(),
        table: table.map(str::to_owned),
        ..QueryInput::default()
    }
}

/// A Stream with tables: by a field, by what is the same for all, by what a table gave, and by what two say together.
fn queries() -> Vec<Query> {
    let query = |inputs: &[&str], on: &str, select: &str| Query {
        inputs: inputs
            .iter()
            .map(|name| input(name, (*name != "o").then(|| format!("{name}.k")).as_deref()))
            .collect(),
        on: Some(on.to_owned()),
        select: Some(select.to_owned()),
        emit: Emit::Each,
        ..Query::default()
    };
    vec![
        query(
            &["o", "c"],
            "o.k == c.k && int(c.v) % 7 != 0",
            "[o.v, c.k, c.v, c.text]",
        ),
        query(&["o", "c"], "c.k == '17'", "[o.v, c.v]"),
        query(&["o", "c", "d"], "o.k == c.k && d.k == c.x", "[o.v, c.v, d.v]"),
        query(
            &["o", "c", "d"],
            "o.k == c.k && d.k == o.k + c.x",
            "[o.v, c.v, d.v]",
        ),
    ]
}

fn readings(most: usize) -> impl Strategy<Value = Vec<(usize, Reading)>> {
    let value = prop_oneof![1 => Just(GONE), 9 => 0..1000i32];
    let reading = (0..3usize, (0..3 * LENGTH, 0..300u16, value));
    prop::collection::vec(reading, 0..most).prop_map(|mut readings| {
        readings.sort_by_key(|(_, reading)| reading.0);
        readings
    })
}

/// Whether nothing is removed from what is no table.
fn fits(world: &World, (number, reading): &(usize, Reading)) -> bool {
    *number < world.config.inputs.len() && (*number > 0 || reading.2 != GONE)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_looked_up_is_the_same(
        at in 0..4usize,
        left in any::<bool>(),
        window in prop::option::of(prop_oneof![
            Just(Windows::Tumbling { length: LENGTH }),
            Just(Windows::Hopping { length: LENGTH, slide: LENGTH / 2 }),
        ]),
        batch in any::<bool>(),
        readings in readings(1_200),
        budget in prop_oneof![Just(2_000u64), 2_000..200_000u64],
        crashes in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let query = Query {
            join: if left { JoinKind::Left } else { JoinKind::Inner },
            windows: window.unwrap_or(Windows::Unbounded),
            emit: if batch && window.is_some() { Emit::Batch } else { Emit::Each },
            ..queries().remove(at)
        };
        // A batch has to fit, and what pauses for ever is no window.
        let budget = if window.is_some() { budget + (1 << 21) } else { budget };
        let mut large = world(query.clone(), 1 << 30);
        let mut small = world(query, budget);
        let crashes: Vec<usize> = crashes.iter().map(|at| at.index(readings.len() + 1)).collect();
        for (number, reading) in readings.iter().enumerate() {
            if !fits(&large, reading) {
                continue;
            }
            for world in [&mut large, &mut small] {
                world.give(reading.0, reading.1);
                if crashes.contains(&number) {
                    world.durable.sync();
                    world.carry_out();
                    world.crash();
                }
            }
        }
        large.finish();
        small.finish();
        prop_assert_eq!(&small.accepted, &large.accepted);
        prop_assert!(small.durable.counters().held_bytes <= large.durable.counters().held_bytes);
    }

    /// Rows that are not replaced any more are found the same in any life.
    #[test]
    fn a_death_changes_nothing(
        at in 0..4usize,
        window in prop::option::of(Just(Windows::Tumbling { length: LENGTH })),
        rows in readings(400),
        asked in prop::collection::vec((0..LENGTH, 0..300u16, 0..1000i32), 0..300),
        budget in prop_oneof![Just(2_000u64), 2_000..100_000u64],
        deaths in prop::collection::vec(1..600usize, 1..4),
    ) {
        let query = Query { windows: window.unwrap_or(Windows::Unbounded), ..queries().remove(at) };
        let budget = if window.is_some() { budget + (1 << 20) } else { budget };
        let mut whole = world(query.clone(), 1 << 30);
        let mut torn = world(query, budget);
        torn.deaths.extend(deaths);
        for world in [&mut whole, &mut torn] {
            let rows: Vec<_> = rows.iter().filter(|row| row.0 > 0 && fits(world, row)).collect();
            for row in rows {
                world.give(row.0, row.1);
            }
            let mut asked = asked.clone();
            asked.sort_unstable();
            for (at, k, v) in asked {
                world.give(0, (3 * LENGTH + at, k, v));
            }
            world.finish();
        }
        prop_assert_eq!(&torn.by_id, &whole.by_id);
    }
}

/// Ten times as many keys as fit, each looked up, replaced, looked up again, and half of them removed.
#[test]
fn the_budget_holds_with_more_keys_than_memory() {
    const BUDGET: u64 = 128 * 1024;
    const KEYS: u16 = 3_000;
    let mut world = world(queries().remove(0), BUDGET);
    let key = |number: u16| u16::try_from(u32::from(number) * 7_919 % u32::from(KEYS)).unwrap();
    for value in [8, 9] {
        (0..KEYS).for_each(|number| world.give(1, (1, key(number), value)));
        (0..KEYS).for_each(|number| world.give(0, (2, number, 5)));
    }
    (0..KEYS / 2).for_each(|number| world.give(1, (3, key(number), GONE)));
    (0..KEYS).for_each(|number| world.give(0, (4, key(number), 6)));
    assert!(world.most < BUDGET, "{} held", world.most);
    assert!(!world.paused);
    let row = |(v, k, found): (i32, u16, i32)| format!("[{v},\"{k}\",{found},\"{k:40}\"]");
    let expected = [8, 9]
        .into_iter()
        .flat_map(|found| (0..KEYS).map(move |k| (5, k, found)))
        .chain((KEYS / 2..KEYS).map(|number| (6, key(number), 9)));
    world.finish();
    assert_eq!(world.accepted.len(), usize::from(KEYS) * 5 / 2);
    for (event, expected) in world.accepted.iter().zip(expected.map(row)) {
        assert_eq!(String::from_utf8_lossy(&event.data()), expected);
    }
    // What has lost its place is gone from the disk, and comes back to nobody.
    world.crash();
    let received: u64 = world
        .durable
        .counters()
        .inputs
        .iter()
        .map(|input| input.received)
        .sum();
    assert_eq!(received, u64::from(KEYS) / 2);
}

#[test]
fn a_full_disk_stops_everything_and_loses_nothing() {
    for writes in (4..).step_by(13) {
        let mut world = world(queries().remove(0), 40_000);
        let full = Box::new(Full(world.disk.open(), writes));
        let Ok(durable) = World::open(&world.config, full, Time(0)) else {
            continue;
        };
        world.durable = durable;
        world.recover();
        for key in 0..500 {
            world.give(1, (1, key, 1));
            world.give(0, (1, key / 2, 2));
        }
        world.until(LENGTH);
        let Some(error) = world.durable.failure() else {
            return;
        };
        assert_eq!(error.0, "the disk is full");
        let asked = world.given.len();
        world.give(0, (1, 1, 1));
        world.given.truncate(asked);
        world.crash();
        world.finish();
        assert_eq!(world.by_id.len(), 500);
    }
}
