//! A component on a disk that may be small, its broker, and a recipient that takes some time.

// Each test uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role, SendId, Target};
use streaming_engine::counters::WindowReport;
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Query, QueryInput};
use streaming_engine::state::{Batch, MemoryDisk, State, StateError, Visit};
use streaming_engine::time::Time;

pub const LENGTH: i64 = 1_000;

/// An event's time, key and value.
pub type Reading = (i64, u16, i32);

pub fn config(inputs: &[&str], query: Query, budget: u64) -> Config {
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

/// A component on a disk, its broker, and a recipient that takes some time.
pub struct World {
    pub config: Config,
    pub disk: MemoryDisk,
    pub durable: Durable,
    /// What a reading looks like.
    pub payload: fn(&Reading) -> String,
    /// The key that its broker has for it.
    pub key: fn(&Reading) -> Option<String>,
    pub now: Time,
    /// What the broker has given, by input.
    pub given: Vec<(usize, Reading)>,
    pub sent: Vec<SendId>,
    /// Everything accepted: in order, and by id.
    pub accepted: Vec<Arc<Event>>,
    pub by_id: BTreeMap<String, Vec<u8>>,
    pub reports: Vec<WindowReport>,
    /// Dead letters, where there may be some.
    pub dead_letters: Option<Vec<Arc<Event>>>,
    pub acked: BTreeSet<u64>,
    pub most: u64,
    pub paused: bool,
    /// After how many effects the process dies, each time from the last death on.
    pub deaths: VecDeque<usize>,
}

fn plain((at, k, v): &Reading) -> String {
    format!("{{\"t\":{at},\"k\":{k},\"v\":{v}}}")
}

impl World {
    pub fn new(config: Config) -> World {
        let disk = MemoryDisk::default();
        let mut world = World {
            durable: World::open(&config, disk.open(), Time(0)).unwrap(),
            config,
            disk,
            payload: plain,
            key: |_| None,
            now: Time(0),
            given: Vec::new(),
            sent: Vec::new(),
            accepted: Vec::new(),
            by_id: BTreeMap::new(),
            reports: Vec::new(),
            dead_letters: None,
            acked: BTreeSet::new(),
            most: 0,
            paused: false,
            deaths: VecDeque::new(),
        };
        world.recover();
        world
    }

    pub fn open(config: &Config, state: Box<dyn State>, now: Time) -> Result<Durable, StateError> {
        let kept = Kept {
            state,
            inputs: (0..config.inputs.len())
                .map(|input| format!("cs/{input}"))
                .collect(),
        };
        Durable::new(config.clone(), Some(kept), now)
    }

    pub fn recover(&mut self) {
        for input in 0..self.config.inputs.len() {
            self.durable.recovered(input, self.now);
        }
    }

    pub fn give(&mut self, input: usize, reading: Reading) {
        self.until(reading.0);
        let number = self.given.len() as u64;
        self.given.push((input, reading));
        self.hand_in(number);
        self.carry_out();
    }

    fn hand_in(&mut self, number: u64) {
        let (input, reading) = self.given[usize::try_from(number).unwrap()];
        self.durable.message(
            Incoming {
                input,
                token: number,
                position: &number.to_string(),
                received: Time(reading.0),
                attempts: 0,
                topic: "t",
                key: (self.key)(&reading).as_deref(),
                payload: (self.payload)(&reading).as_bytes(),
            },
            self.now,
        );
    }

    pub fn carry_out(&mut self) {
        while let Some(effect) = self.durable.poll_effect() {
            match effect {
                Effect::Send { id, to, event, .. } => {
                    if let (Target::DeadLetter(_), Some(letters)) = (to, &mut self.dead_letters) {
                        self.by_id.insert(event.id.clone(), event.data().to_vec());
                        letters.push(event);
                        self.sent.push(id);
                        continue;
                    }
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
                Effect::Ack { token, .. } => {
                    self.acked.insert(token);
                }
                Effect::Pause { .. } => self.paused = true,
                Effect::Window(report) => self.reports.push(*report),
                _ => {}
            }
            if let Some(left) = self.deaths.front_mut() {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.deaths.pop_front();
                    self.crash();
                }
            }
        }
        self.most = self.most.max(self.durable.counters().held_bytes);
    }

    /// As far as there is something to do before a point in time, and the store can be used.
    pub fn until(&mut self, time: i64) {
        while self.durable.failure().is_none() {
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

    /// The process dies, and another one is given what the broker has no ack for.
    pub fn crash(&mut self) {
        self.durable = World::open(&self.config, self.disk.open(), self.now).unwrap();
        self.sent.clear();
        for number in 0..self.given.len() as u64 {
            if !self.acked.contains(&number) {
                self.hand_in(number);
            }
        }
        self.recover();
        self.carry_out();
    }

    pub fn finish(&mut self) {
        // The process may die at the last of its acks; and an input that is paused falls silent only once results are taken.
        let mut lives = None;
        let mut turns = 0;
        while lives != Some(self.deaths.len()) || turns < 10 && !self.durable.is_idle() {
            lives = Some(self.deaths.len());
            turns += 1;
            self.until(self.now.0 + 1_000_000);
            self.durable.sync();
            self.carry_out();
        }
        assert_eq!(self.durable.failure(), None);
        assert!(self.durable.is_idle(), "{:?}", self.durable.counters());
        assert_eq!(self.acked.len(), self.given.len());
    }

    /// Whether anything is in the store that was to come back.
    pub fn has_runs(&self) -> bool {
        let mut any = false;
        let state = self.disk.open();
        state
            .scan(b"r", b"r", &mut |_, _| {
                any = true;
                ControlFlow::Break(())
            })
            .unwrap();
        any
    }
}

/// A store whose disk is full.
#[derive(Debug)]
pub struct Full(pub Box<dyn State>, pub u32);

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
