//! Windows larger than the memory budget: what comes out is what would with all the memory in the world.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role, SendId, Target};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, EventTime, Query, QueryInput, Windows};
use streaming_engine::state::{Batch, MemoryDisk, State, StateError, Visit};
use streaming_engine::time::Time;

const LENGTH: i64 = 1_000;

/// An event's time, key and value.
type Reading = (i64, u16, i32);

fn config(inputs: &[&str], query: Query, budget: u64) -> Config {
    let input = |variable: &&str| QueryInput {
        variable: (*variable).to_owned(),
        ..QueryInput::default()
    };
    let query = Query {
        inputs: if query.inputs.is_empty() {
            inputs.iter().map(input).collect()
        } else {
            query.inputs
        },
        ..query
    };
    let spec = JoinSpec::compile(&query).unwrap();
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    let role = Role::Join(Box::new(spec));
    Config {
        memory_budget: budget,
        ..Config::new("uid", "/test", role, vec![input; inputs.len()], 1)
    }
}

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

/// A component on a disk, its broker, and a recipient that takes some time.
struct World {
    config: Config,
    disk: MemoryDisk,
    durable: Durable,
    now: Time,
    given: u64,
    sent: Vec<SendId>,
    /// Everything accepted: in order, and by id.
    accepted: Vec<Arc<Event>>,
    by_id: BTreeMap<String, Vec<u8>>,
    acked: u64,
    most: u64,
    paused: bool,
}

impl World {
    fn new(config: Config) -> World {
        let disk = MemoryDisk::default();
        let mut world = World {
            durable: World::open(&config, &disk, Time(0)),
            config,
            disk,
            now: Time(0),
            given: 0,
            sent: Vec::new(),
            accepted: Vec::new(),
            by_id: BTreeMap::new(),
            acked: 0,
            most: 0,
            paused: false,
        };
        world.recover();
        world
    }

    fn open(config: &Config, disk: &MemoryDisk, now: Time) -> Durable {
        let kept = Kept {
            state: disk.open(),
            inputs: (0..config.inputs.len())
                .map(|input| format!("cs/{input}"))
                .collect(),
        };
        Durable::new(config.clone(), Some(kept), now).unwrap()
    }

    fn recover(&mut self) {
        for input in 0..self.config.inputs.len() {
            self.durable.recovered(input, self.now);
        }
    }

    fn give(&mut self, input: usize, (at, k, v): Reading) {
        let payload = format!("{{\"t\":{at},\"k\":{k},\"v\":{v}}}");
        self.until(at);
        self.durable.message(
            Incoming {
                input,
                token: self.given,
                position: &self.given.to_string(),
                received: Time(at),
                attempts: 0,
                topic: "t",
                key: None,
                payload: payload.as_bytes(),
            },
            self.now,
        );
        self.given += 1;
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.durable.poll_effect() {
            match effect {
                Effect::Send { id, to, event, .. } => {
                    assert_eq!(
                        to,
                        Target::Output(0),
                        "{}",
                        String::from_utf8_lossy(&event.data())
                    );
                    self.by_id.insert(event.id.clone(), event.data().to_vec());
                    self.accepted.push(event);
                    self.sent.push(id);
                }
                Effect::Ack { .. } => self.acked += 1,
                Effect::Pause { .. } => self.paused = true,
                _ => {}
            }
        }
        self.most = self.most.max(self.durable.counters().held_bytes);
    }

    fn until(&mut self, time: i64) {
        loop {
            let due = self.durable.poll_timeout().filter(|due| due.0 <= time);
            if due.is_none() && self.sent.is_empty() {
                break;
            }
            if let Some(due) = due {
                self.now = self.now.max(due);
                self.durable.timeout(self.now);
                self.carry_out();
            }
            // One answer a turn: a window closes faster than its results are taken.
            if let Some(id) = self.sent.pop() {
                self.durable.answered(id, Answer::Accepted, self.now);
                self.carry_out();
            }
        }
        self.now = self.now.max(Time(time));
    }

    fn crash(&mut self) {
        self.durable = World::open(&self.config, &self.disk, self.now);
        self.sent.clear();
        self.recover();
        self.carry_out();
    }

    fn finish(&mut self) {
        self.until(self.now.0 + 1_000_000);
        assert!(self.durable.is_idle());
        assert_eq!(self.acked, self.given);
        self.durable.sync();
        self.carry_out();
    }
}

fn windows() -> impl Strategy<Value = Windows> {
    prop_oneof![
        2 => Just(Windows::Tumbling { length: LENGTH }),
        1 => Just(Windows::Hopping { length: LENGTH, slide: LENGTH / 4 }),
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
    world.durable.sync();
    let mut left = 0;
    world
        .disk
        .open()
        .scan(b"r", b"r", &mut |_, _| {
            left += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(left, 0, "nothing is left of what was written");
}

/// A store whose disk is full.
#[derive(Debug)]
struct Full(Box<dyn State>, u32);

impl State for Full {
    fn apply(&mut self, batch: Batch) -> Result<(), StateError> {
        self.1 = self.1.saturating_sub(1);
        if self.1 == 0 {
            return Err(StateError("the disk is full".to_owned()));
        }
        self.0.apply(batch)
    }

    fn sync(&mut self) -> Result<(), StateError> {
        self.0.sync()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.0.scan(prefix, from, visit)
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
        let kept = Kept {
            state: Box::new(Full(world.disk.open(), writes)),
            inputs: vec!["cs/0".to_owned()],
        };
        let Ok(durable) = Durable::new(world.config.clone(), Some(kept), Time(0)) else {
            continue;
        };
        world.durable = durable;
        world.recover();
        let mut acked = 0;
        for key in 0..1_500 {
            if world.durable.failure().is_none() {
                world.give(0, (1, key, 1));
                acked = world.acked;
            }
        }
        world.until(LENGTH / 2);
        let Some(error) = world.durable.failure() else {
            return;
        };
        assert_eq!(error.0, "the disk is full");
        assert!(world.accepted.is_empty(), "no window of a part of its groups");
        // The broker gives again what was not acked.
        let from = u16::try_from(world.acked.max(acked)).unwrap();
        world.crash();
        for key in from..1_500 {
            world.given = u64::from(key);
            world.give(0, (1, key, 1));
        }
        world.until(world.now.0 + 1_000_000);
        assert_eq!(world.accepted.len(), 1_500);
    }
}
