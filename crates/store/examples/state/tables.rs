//! A Table, and a Stream that is looked up in it as it comes: all rows are put in, asked for, replaced, and asked for again,
//! each time in another order.

use std::collections::VecDeque;
use std::fs;
use std::time::Instant;

use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role, SendId};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, Query, QueryInput};
use streaming_engine::time::Time;
use streaming_store::Disk;

use super::{BESIDE, MIB, Outcome, STEP, memory, on_cpu};

const STREAM: usize = 0;
const TABLE: usize = 1;

/// What is given, and what has come of it.
struct Load {
    durable: Durable,
    keys: u64,
    /// Messages so far.
    given: u64,
    rows: u64,
    acked: u64,
    queue: VecDeque<SendId>,
    held: u64,
}

impl Load {
    /// Gives a message of each key to an input, in an order of its own. Messages for a second on a processor.
    fn give(&mut self, input: usize, round: u64) -> Outcome<f64> {
        let cpu = on_cpu()?;
        let step = STEP + 2 * (2 * round + input as u64);
        for number in 0..self.keys {
            let key = self.keys_in_order(number, step);
            let name = format!("{key:040}");
            let payload = format!(
                r#"{{"k":{key},"v":{},"name":"{name}","unit":"W"}}"#,
                key % 1000 + round
            );
            // A hundred thousand a second, as far as the component knows.
            let now = Time((self.given * 10).cast_signed());
            let message = Incoming {
                input,
                token: self.given,
                position: &format!("{}-0", self.given),
                received: now,
                attempts: 0,
                topic: ["stream", "table"][input],
                key: None,
                payload: payload.as_bytes(),
            };
            self.durable.message(message, now);
            self.given += 1;
            if input == STREAM {
                self.take(now, Some(&format!(r#"[{key},{},"{name}"]"#, key % 1000 + round)))?;
            } else if number % 256 == 0 {
                self.take(now, None)?;
            }
            if self.durable.poll_timeout().is_some_and(|due| due <= now) {
                self.durable.timeout(now);
            }
            self.held = self.held.max(self.durable.counters().held_bytes);
        }
        Ok(self.keys as f64 / (on_cpu()? - cpu))
    }

    /// Each key once, if the step has no divisor in common with their number.
    fn keys_in_order(&self, number: u64, step: u64) -> u64 {
        number.wrapping_mul(step) % self.keys
    }

    fn take(&mut self, now: Time, expected: Option<&str>) -> Outcome<()> {
        loop {
            while let Some(effect) = self.durable.poll_effect() {
                match effect {
                    Effect::Send { id, event, .. } => {
                        let data = event.data();
                        let data = String::from_utf8_lossy(&data);
                        if expected != Some(&*data) {
                            return Err(format!("{data} came where {expected:?} had to").into());
                        }
                        self.rows += 1;
                        self.queue.push_back(id);
                    }
                    Effect::Ack { .. } => self.acked += 1,
                    Effect::Pause { .. } => return Err("an input was paused".into()),
                    Effect::Resume { .. } | Effect::Window(_) | Effect::OverBudget(_) => {}
                }
            }
            if let Some(error) = self.durable.failure() {
                return Err(error.to_string().into());
            }
            let Some(id) = self.queue.pop_front() else {
                return Ok(());
            };
            self.durable.answered(id, Answer::Accepted, now);
        }
    }
}

fn config(memory_budget: u64) -> Outcome<Config> {
    let input = |variable: &str, table: Option<&str>| QueryInput {
        variable: variable.to_owned(),
        table: table.map(str::to_owned),
        ..QueryInput::default()
    };
    let query = Query {
        inputs: vec![input("s", None), input("t", Some("t.k"))],
        on: Some("s.k == t.k".to_owned()),
        select: Some("[s.k, t.v, t.name]".to_owned()),
        emit: Emit::Each,
        ..Query::default()
    };
    let spec = JoinSpec::compile(&query).map_err(|errors| format!("{errors:?}"))?;
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    let role = Role::Join(Box::new(spec));
    Ok(Config {
        memory_budget,
        ..Config::new("uid", "/load", role, vec![input; 2], 1)
    })
}

pub(super) fn run(keys: u64, budget: u64) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let kept = Kept {
        state: Box::new(Disk::open(folder.path(), budget)?),
        inputs: ["cs/stream as s", "cs/table as t"].map(str::to_owned).into(),
    };
    let mut durable = Durable::new(config(budget)?, Some(kept), Time(0))?;
    (0..2).for_each(|input| durable.recovered(input, Time(0)));
    let mut load = Load {
        durable,
        keys,
        given: 0,
        rows: 0,
        acked: 0,
        queue: VecDeque::new(),
        held: 0,
    };
    let start = Instant::now();
    let put = load.give(TABLE, 0)?;
    let found = load.give(STREAM, 0)?;
    let replaced = load.give(TABLE, 1)?;
    load.give(STREAM, 1)?;
    load.durable.sync();
    load.take(Time(i64::MAX), None)?;
    let took = start.elapsed().as_secs_f64();
    if (load.rows, load.acked) != (2 * keys, 4 * keys) {
        return Err(format!("{} rows came, and {} acks", load.rows, load.acked).into());
    }
    let mb = |bytes: u64| bytes as f64 / MIB as f64;
    let peak = memory("VmHWM:")?;
    let disk = fs::metadata(folder.path().join("state.redb"))?.len();
    println!(
        "| {keys} | {} | {took:.1} s | {put:.0} | {replaced:.0} | {found:.0} | {:.1} | {peak:.1} | {:.0} |",
        mb(budget),
        mb(load.held),
        mb(disk)
    );
    if load.held > budget || peak > mb(budget) + BESIDE {
        return Err(format!("{:.1} MiB were held, {peak:.1} MiB resident", mb(load.held)).into());
    }
    Ok(())
}
