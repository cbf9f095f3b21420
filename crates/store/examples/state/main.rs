//! Loads a component with more than it may hold, in a process of its own, checks every result, and says what that takes.
//!
//!     state spilled EVENTS KEYS MIB    EVENTS of KEYS in one window of an hour, within a budget of MIB, with a store
//!     state groups EVENTS KEYS         EVENTS of KEYS in one window, without a store
//!     state joined ROWS MIB            ROWS of each of two inputs in one window, joined within a budget of MIB, with a store
//!     state tables KEYS MIB            a Table of KEYS rows, put in, looked up and replaced, within a budget of MIB, with a store
//!
//! It prints one row of a table, and fails if a result is wrong or more memory was taken than there should be.
//! `cargo xtask bench state` runs it and keeps the rows.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::cast_precision_loss
)]

mod joined;
mod tables;

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::time::Instant;

use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, Query, QueryInput, Windows};
use streaming_engine::time::Time;
use streaming_store::Disk;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HOUR: i64 = 3_600_000_000;
const MIB: u64 = 1024 * 1024;
/// What a process with a store takes beside its budget: the store's cache, messages until they are durable, ids of
/// those that were, and how much larger the allocator's pages are than what is in them.
const BESIDE: f64 = 20.0;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The workload: event `i` is of key `i * STEP % keys`, so that no key comes again before all others have come.
struct Load {
    events: u64,
    keys: u64,
}

/// Prime, and so without a divisor in common with any number of keys that it doesn't divide.
const STEP: u64 = 7_368_787;

impl Load {
    fn key(&self, event: u64) -> u64 {
        event.wrapping_mul(STEP) % self.keys
    }

    fn value(&self, event: u64) -> u64 {
        self.key(event) % 1000 + event / self.keys
    }

    /// What has to come of a key: the number of its events, and the sum of their values.
    fn expected(&self, key: u64) -> (u64, u64) {
        let count = self.events / self.keys;
        (count, count * (key % 1000) + count * (count - 1) / 2)
    }
}

/// What has come so far, which has to be in the order of keys.
struct Check {
    load: Load,
    groups: u64,
    acked: u64,
    queue: VecDeque<streaming_engine::component::SendId>,
}

impl Check {
    fn take(&mut self, durable: &mut Durable, now: Time) -> Outcome<()> {
        loop {
            while let Some(effect) = durable.poll_effect() {
                match effect {
                    Effect::Send { id, event, .. } => {
                        let (count, sum) = self.load.expected(self.groups);
                        let expected = format!("[{},{count},{sum}]", self.groups);
                        let data = event.data();
                        if *data != *expected.as_bytes() {
                            let data = String::from_utf8_lossy(&data);
                            return Err(format!("{data} came where {expected} had to").into());
                        }
                        self.groups += 1;
                        self.queue.push_back(id);
                    }
                    Effect::Ack { .. } => self.acked += 1,
                    Effect::Pause { .. } => return Err("the input was paused".into()),
                    Effect::Resume { .. } | Effect::Window(_) | Effect::OverBudget(_) => {}
                }
            }
            if let Some(error) = durable.failure() {
                return Err(error.to_string().into());
            }
            let Some(id) = self.queue.pop_front() else {
                return Ok(());
            };
            durable.answered(id, Answer::Accepted, now);
        }
    }
}

fn config(memory_budget: u64) -> Outcome<Config> {
    let query = Query {
        inputs: vec![QueryInput {
            variable: "e".to_owned(),
            ..QueryInput::default()
        }],
        windows: Windows::Tumbling { length: HOUR },
        group_by: vec!["e.k".to_owned()],
        select: Some("[e.k, count(), sum(e.v)]".to_owned()),
        emit: Emit::Each,
        ..Query::default()
    };
    let spec = JoinSpec::compile(&query).map_err(|errors| format!("{errors:?}"))?;
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    Ok(Config {
        memory_budget,
        ..Config::new("uid", "/load", Role::Join(Box::new(spec)), vec![input], 1)
    })
}

/// Seconds that this process, which has one thread, was on a processor.
fn on_cpu() -> Outcome<f64> {
    let spent = fs::read_to_string("/proc/self/schedstat")?;
    let nanos = spent
        .split_whitespace()
        .next()
        .ok_or("the kernel doesn't say what time is spent")?;
    Ok(nanos.parse::<f64>()? / 1e9)
}

/// A line of the kernel's account of this process, in MiB.
fn memory(line: &str) -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let found = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.split_whitespace().next());
    Ok(found
        .ok_or("the kernel doesn't say what memory is taken")?
        .parse::<f64>()?
        / 1024.0)
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| -> Outcome<u64> { Ok(args.get(at).ok_or("an argument is missing")?.parse()?) };
    match args.first().map(String::as_str) {
        Some("joined") => return joined::run(number(1)?, number(2)? * MIB),
        Some("tables") => return tables::run(number(1)?, number(2)? * MIB),
        _ => {}
    }
    let load = Load {
        events: number(1)?,
        keys: number(2)?,
    };
    match args.first().map(String::as_str) {
        Some("spilled") => run(load, Some(number(3)? * MIB)),
        Some("groups") => run(load, None),
        _ => Err("`spilled`, `groups`, `joined` or `tables`?".into()),
    }
}

fn run(load: Load, spilled: Option<u64>) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let budget = spilled.unwrap_or(64 * MIB);
    let kept = |budget: u64| -> Outcome<Kept> {
        Ok(Kept {
            state: Box::new(Disk::open(folder.path(), budget)?),
            inputs: vec!["cs/events as e".to_owned()],
        })
    };
    let kept = spilled.map(kept).transpose()?;
    let mut durable = Durable::new(config(budget)?, kept, Time(0))?;
    durable.recovered(0, Time(0));
    let (events, keys) = (load.events, load.keys);
    let mut check = Check {
        load,
        groups: 0,
        acked: 0,
        queue: VecDeque::new(),
    };
    let (start, cpu) = (Instant::now(), on_cpu()?);
    let (mut held, mut first) = (0, 0);
    let (mut payload, mut position) = (Vec::new(), String::new());
    for event in 0..events {
        use std::fmt::Write as _;
        use std::io::Write as _;
        payload.clear();
        position.clear();
        let (key, value) = (check.load.key(event), check.load.value(event));
        write!(payload, r#"{{"k":{key},"v":{value},"site":"north","unit":"W"}}"#)?;
        write!(position, "{event}-0")?;
        // A hundred thousand a second, as far as the component knows.
        let now = Time((event * 10).min(HOUR.cast_unsigned() - 1).cast_signed());
        let message = Incoming {
            input: 0,
            token: event,
            position: &position,
            received: now,
            attempts: 0,
            topic: "events",
            key: None,
            payload: &payload,
        };
        durable.message(message, now);
        if event % 256 == 0 {
            if durable.poll_timeout().is_some_and(|due| due <= now) {
                durable.timeout(now);
            }
            check.take(&mut durable, now)?;
        }
        held = held.max(durable.counters().held_bytes);
        if event + 1 == events / 100 {
            first = durable.counters().held_bytes;
        }
    }
    let filled = start.elapsed().as_secs_f64();
    let last = durable.counters().held_bytes;
    let disk = fs::metadata(folder.path().join("state.redb")).map_or(0, |file| file.len());
    let now = Time(HOUR);
    let (mut closing, mut longest) = (Instant::now(), 0.0_f64);
    let closed = closing;
    while durable.poll_timeout().is_some_and(|due| due <= now) {
        durable.timeout(now);
        longest = longest.max(closing.elapsed().as_secs_f64());
        check.take(&mut durable, now)?;
        held = held.max(durable.counters().held_bytes);
        closing = Instant::now();
    }
    durable.sync();
    check.take(&mut durable, now)?;
    let closed = closed.elapsed().as_secs_f64();
    if (check.groups, check.acked) != (keys, events) {
        return Err(format!("{} groups came, and {} acks", check.groups, check.acked).into());
    }
    let mb = |bytes: u64| bytes as f64 / MIB as f64;
    let peak = memory("VmHWM:")?;
    let cpu = on_cpu()? - cpu;
    let rate = events as f64 / cpu;
    if spilled.is_some() {
        println!(
            "| {events} | {keys} | {} | {filled:.1} s + {closed:.1} s, {cpu:.1} s on CPU | {rate:.0} | {:.0} ms | {:.1} | {peak:.1} | {:.0} |",
            mb(budget),
            longest * 1e3,
            mb(held),
            mb(disk)
        );
    } else {
        println!(
            "| {events} | {keys} | {filled:.1} s, {cpu:.1} s on CPU | {rate:.0} | {:.0}, {:.0} | {peak:.1} |",
            first as f64 / keys as f64,
            last as f64 / keys as f64
        );
    }
    if held > budget || peak > mb(budget) + BESIDE {
        return Err(format!("{:.1} MiB were held, {peak:.1} MiB resident", mb(held)).into());
    }
    Ok(())
}
