//! A component that keeps its messages: acked when they are durable, and back after any crash, each counted once.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, Query, QueryInput, Windows};
use streaming_engine::state::MemoryDisk;
use streaming_engine::time::Time;

const LENGTH: i64 = 1_000_000;

/// A broker and a recipient that remember, and a process that may die.
struct World {
    /// Input, when it was received, and its key.
    messages: Vec<(usize, i64, u8)>,
    /// How many the broker has given.
    next: usize,
    acked: BTreeSet<u64>,
    /// By id.
    accepted: BTreeMap<String, String>,
    disk: MemoryDisk,
    config: Config,
    inputs: Vec<String>,
    now: Time,
    durable: Durable,
}

fn config() -> Config {
    let spec = JoinSpec::new(
        &["a", "b"],
        LENGTH,
        Some("a.k == b.k"),
        Some("[a.i, b.i]"),
        Emit::Each,
    )
    .unwrap();
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    Config::new("uid", "/test", Role::Join(Box::new(spec)), vec![input; 2], 1)
}

fn names() -> Vec<String> {
    ["cs/left as a", "cs/right as b"].map(String::from).to_vec()
}

fn open(disk: &MemoryDisk, config: &Config, inputs: &[String], now: Time) -> Durable {
    let kept = Kept {
        state: disk.open(),
        inputs: inputs.to_vec(),
    };
    Durable::new(config.clone(), Some(kept), now).unwrap()
}

impl World {
    fn new(messages: Vec<(usize, i64, u8)>) -> World {
        World::of(config(), names(), messages)
    }

    fn of(config: Config, inputs: Vec<String>, messages: Vec<(usize, i64, u8)>) -> World {
        let disk = MemoryDisk::default();
        let mut world = World {
            durable: open(&disk, &config, &inputs, Time(0)),
            messages,
            next: 0,
            acked: BTreeSet::new(),
            accepted: BTreeMap::new(),
            disk,
            config,
            inputs,
            now: Time(0),
        };
        world.recovered();
        world
    }

    fn recovered(&mut self) {
        (0..self.inputs.len()).for_each(|input| self.durable.recovered(input, self.now));
    }

    fn give(&mut self, number: usize) {
        let (input, at, k) = self.messages[number];
        let payload = format!("{{\"i\":{number},\"k\":{k}}}");
        let incoming = Incoming {
            input,
            token: number as u64,
            position: &number.to_string(),
            received: Time(at),
            attempts: 0,
            topic: ["left", "right"][input],
            key: None,
            payload: payload.as_bytes(),
        };
        self.durable.message(incoming, self.now);
    }

    fn deliver(&mut self) {
        if let Some((_, at, _)) = self.messages.get(self.next) {
            self.pass(Time(*at));
            self.next += 1;
            self.give(self.next - 1);
            self.carry_out(usize::MAX);
        }
    }

    fn pass(&mut self, to: Time) {
        while let Some(due) = self.durable.poll_timeout().filter(|due| *due <= to) {
            self.now = self.now.max(due);
            self.durable.timeout(self.now);
            self.carry_out(usize::MAX);
        }
        self.now = self.now.max(to);
    }

    /// Carries out so many effects.
    fn carry_out(&mut self, count: usize) {
        for _ in 0..count {
            match self.durable.poll_effect() {
                Some(Effect::Send { id, event, .. }) => {
                    let row = String::from_utf8(event.data().to_vec()).unwrap();
                    self.accepted.insert(event.id.clone(), row);
                    self.durable.answered(id, Answer::Accepted, self.now);
                }
                Some(Effect::Ack { token, .. }) => {
                    self.acked.insert(token);
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// The process dies, with so many of its effects carried out.
    fn crash(&mut self, count: usize) {
        self.carry_out(count);
        self.durable = open(&self.disk, &self.config, &self.inputs, self.now);
        for number in 0..self.next {
            if !self.acked.contains(&(number as u64)) {
                self.give(number);
            }
        }
        self.recovered();
        self.carry_out(usize::MAX);
    }

    /// All that comes, and then nothing for a long time.
    fn finish(&mut self) {
        while self.next < self.messages.len() {
            self.deliver();
        }
        self.pass(Time(self.now.0 + 100 * LENGTH));
    }

    fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.accepted.values().cloned().collect();
        rows.sort_unstable();
        rows
    }

    fn expected(&self) -> Vec<String> {
        let of = |side: usize| self.messages.iter().enumerate().filter(move |(_, m)| m.0 == side);
        let mut rows = Vec::new();
        for (x, a) in of(0) {
            let matching =
                of(1).filter(|(_, b)| a.2 == b.2 && a.1.div_euclid(LENGTH) == b.1.div_euclid(LENGTH));
            rows.extend(matching.map(|(y, _)| format!("[{x},{y}]")));
        }
        rows.sort_unstable();
        rows
    }
}

#[test]
fn a_message_is_acked_when_it_is_durable_and_comes_back_from_there() {
    let mut world = World::new(vec![(0, 0, 1), (1, LENGTH / 2, 1)]);
    world.deliver();
    assert_eq!(world.acked.len(), 0);
    world.pass(Time(LENGTH / 2));
    assert_eq!(world.acked.len(), 1, "long before its window ends");
    world.crash(usize::MAX);
    world.finish();
    assert_eq!(world.rows(), ["[0,1]"]);
    assert!(world.durable.is_idle());
}

#[test]
fn a_message_that_is_given_again_is_counted_once() {
    let mut world = World::new(vec![(0, 0, 1), (1, 0, 1)]);
    world.deliver();
    world.deliver();
    world.pass(Time(LENGTH / 2));
    assert_eq!(world.acked.len(), 2);
    world.acked.clear();
    world.crash(usize::MAX);
    world.pass(Time(LENGTH - 1));
    assert_eq!(world.acked.len(), 2, "acked once more");
    world.finish();
    assert_eq!(world.rows(), ["[0,1]"]);
}

/// What neither broker nor producer named is named by the component, once.
#[test]
fn a_name_is_never_given_twice() {
    let name = |world: &mut World, n: u64| {
        let now = world.now;
        for input in 0..2 {
            let payload = format!("{{\"i\":{n},\"k\":1}}");
            let incoming = Incoming {
                input,
                token: n,
                position: "",
                received: now,
                attempts: 0,
                topic: "t",
                key: None,
                payload: payload.as_bytes(),
            };
            world.durable.message(incoming, now);
        }
        world.pass(now.plus(2 * LENGTH));
        assert!(world.durable.is_idle());
    };
    let mut world = World::new(Vec::new());
    name(&mut world, 1);
    world.crash(usize::MAX);
    name(&mut world, 2);
    assert_eq!(world.rows(), ["[1,1]", "[2,2]"], "two rows, with two ids");
}

/// A message that brings the process down does so only as often as its input allows.
#[test]
fn a_start_counts_as_a_delivery() {
    let mut config = config();
    config.inputs[0].max_deliveries = 3;
    let mut world = World::of(config, names(), vec![(0, 0, 1)]);
    world.deliver();
    world.pass(Time(LENGTH / 2));
    for _ in 0..2 {
        world.crash(0);
        assert_eq!(world.accepted.len(), 0);
    }
    world.crash(0);
    world.crash(0);
    assert_eq!(world.accepted.len(), 1, "a dead letter");
}

#[test]
fn inputs_may_change_places_but_not_go() {
    let mut world = World::new(vec![(0, 0, 1)]);
    world.deliver();
    world.pass(Time(LENGTH / 2));
    let kept = |inputs: &[&str]| Kept {
        state: world.disk.open(),
        inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
    };
    let edited = Durable::new(
        config(),
        Some(kept(&["cs/right as b", "cs/other as o"])),
        world.now,
    );
    let error = edited.err().unwrap();
    assert!(
        error
            .0
            .contains("holds 1 messages of cs/left as a, which is not read any more"),
        "{error}"
    );
    let swapped = ["cs/right as b", "cs/left as a"];
    let durable = Durable::new(config(), Some(kept(&swapped)), world.now).unwrap();
    assert_eq!(durable.counters().inputs[0].received, 0);
    assert_eq!(durable.counters().inputs[1].received, 1);
}

#[test]
fn a_state_that_is_no_state_is_an_error() {
    let disk = MemoryDisk::default();
    let mut state = disk.open();
    let mut batch = streaming_engine::state::Batch::default();
    batch.put(b"m00000000".to_vec(), b"?".to_vec());
    state.apply(batch).unwrap();
    state.sync().unwrap();
    let kept = Kept {
        state,
        inputs: names(),
    };
    let error = Durable::new(config(), Some(kept), Time(0)).err().unwrap();
    assert!(error.0.contains("can't read"), "{error}");
}

/// Counts by key, and looks back at the count before.
fn counting(group_by: &str, before: &str) -> Config {
    let query = Query {
        inputs: vec![QueryInput {
            variable: "a".to_owned(),
            ..QueryInput::default()
        }],
        windows: Windows::Tumbling { length: LENGTH },
        group_by: vec![group_by.to_owned()],
        select: Some(format!("[{group_by}, count(), previous({before})]")),
        emit: Emit::Each,
        ..Query::default()
    };
    let role = Role::Join(Box::new(JoinSpec::compile(&query).unwrap()));
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    Config::new("uid", "/test", role, vec![input], 1)
}

/// Three windows of one group and two of another, the second of which is between them.
fn counted() -> World {
    let at = |window: i64, k: u8| (0, window * LENGTH, k);
    let messages = vec![at(0, 1), at(0, 1), at(0, 2), at(1, 1), at(3, 1), at(3, 2)];
    World::of(
        counting("a.k", "count(), 0"),
        vec!["cs/left as a".to_owned()],
        messages,
    )
}

const COUNTED: [&str; 5] = ["[1,1,1]", "[1,1,2]", "[1,2,0]", "[2,1,0]", "[2,1,1]"];

#[test]
fn what_groups_came_to_outlives_a_crash() {
    let mut world = counted();
    for _ in 0..3 {
        world.deliver();
    }
    world.pass(Time(LENGTH + LENGTH / 2));
    assert!(world.durable.is_idle());
    world.crash(usize::MAX);
    world.finish();
    assert_eq!(world.rows(), COUNTED);
    assert_eq!(
        world.accepted.len(),
        COUNTED.len(),
        "nothing came out differently"
    );
}

#[test]
fn a_past_of_another_meaning_is_refused() {
    let mut world = counted();
    for _ in 0..3 {
        world.deliver();
    }
    world.pass(Time(LENGTH + LENGTH / 2));
    let kept = || Kept {
        state: world.disk.open(),
        inputs: world.inputs.clone(),
    };
    let edited = Durable::new(counting("a.i", "count(), 0"), Some(kept()), world.now);
    let error = edited.err().unwrap();
    assert!(
        error.0.contains("is about previous(count()) by [a.k]") && error.0.contains("by [a.i]"),
        "{error}"
    );
    // What is selected beside may change.
    assert!(Durable::new(counting("a.k", "count(), 7"), Some(kept()), world.now).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Deliver,
    Pass(i64),
    Crash(usize),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever dies when: each row, with what it looked back at, is as if nothing had.
    #[test]
    fn every_window_looks_back_at_the_one_before(
        deaths in prop::collection::vec((any::<bool>(), 0..8usize), 0..12),
    ) {
        let mut world = counted();
        for (deliver, count) in deaths {
            if deliver {
                world.deliver();
            } else {
                world.crash(count);
            }
        }
        world.finish();
        prop_assert_eq!(world.rows(), COUNTED);
        prop_assert_eq!(world.accepted.len(), COUNTED.len());
    }

    #[test]
    fn nothing_is_lost_and_nothing_counted_twice(
        mut messages in prop::collection::vec((0..2usize, 0..4 * LENGTH, 0..3u8), 0..25),
        steps in prop::collection::vec(
            prop_oneof![
                6 => Just(Step::Deliver),
                3 => (0..LENGTH).prop_map(Step::Pass),
                2 => (0..6usize).prop_map(Step::Crash),
            ],
            0..60,
        ),
    ) {
        messages.sort_by_key(|(_, at, _)| *at);
        let mut world = World::new(messages);
        for step in steps {
            match step {
                Step::Deliver => world.deliver(),
                Step::Pass(micros) => {
                    let next = world.messages.get(world.next).map_or(Time::MAX, |(_, at, _)| Time(*at));
                    let to = world.now.plus(micros).min(next);
                    world.pass(to);
                }
                Step::Crash(count) => world.crash(count),
            }
        }
        world.finish();
        // By id: a row that was sent twice has one.
        prop_assert_eq!(world.rows(), world.expected());
        prop_assert_eq!(world.acked.len(), world.messages.len());
        prop_assert!(world.durable.is_idle());
        world.crash(usize::MAX);
        prop_assert!(world.durable.is_idle(), "nothing is left to come back");
    }
}
