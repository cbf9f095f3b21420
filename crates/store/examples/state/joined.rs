//! Two inputs in one window of an hour, joined by a key that comes once in each: the second has its keys in another order,
//! so that no part of either can be joined before all of it is there.

use std::collections::VecDeque;
use std::fs;
use std::time::Instant;

use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role, SendId};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, Query, QueryInput, Windows};
use streaming_engine::time::Time;
use streaming_store::Disk;

use super::{BESIDE, HOUR, MIB, Outcome, STEP, memory, on_cpu};

/// What has come so far: in the order of the first input's messages.
#[derive(Default)]
struct Check {
    rows: u64,
    acked: u64,
    queue: VecDeque<SendId>,
}

impl Check {
    fn take(&mut self, durable: &mut Durable, now: Time) -> Outcome<()> {
        loop {
            while let Some(effect) = durable.poll_effect() {
                match effect {
                    Effect::Send { id, event, .. } => {
                        let key = self.rows;
                        let expected = format!("[{key},{},{}]", key % 1000, key % 777);
                        let data = event.data();
                        if *data != *expected.as_bytes() {
                            let data = String::from_utf8_lossy(&data);
                            return Err(format!("{data} came where {expected} had to").into());
                        }
                        self.rows += 1;
                        self.queue.push_back(id);
                    }
                    Effect::Ack { .. } => self.acked += 1,
                    Effect::Pause { .. } => return Err("an input was paused".into()),
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
    let input = |variable: &str| QueryInput {
        variable: variable.to_owned(),
        ..QueryInput::default()
    };
    let query = Query {
        inputs: ["a", "b"].map(input).into(),
        windows: Windows::Tumbling { length: HOUR },
        on: Some("a.k == b.k".to_owned()),
        select: Some("[a.k, a.v, b.v]".to_owned()),
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

pub(super) fn run(rows: u64, budget: u64) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let kept = Kept {
        state: Box::new(Disk::open(folder.path(), budget)?),
        inputs: ["cs/a as a", "cs/b as b"].map(str::to_owned).into(),
    };
    let mut durable = Durable::new(config(budget)?, Some(kept), Time(0))?;
    (0..2).for_each(|input| durable.recovered(input, Time(0)));
    let mut check = Check::default();
    let (start, cpu) = (Instant::now(), on_cpu()?);
    let mut held = 0;
    for number in 0..2 * rows {
        let input = number % 2;
        let (key, modulus) = match input {
            0 => (number / 2, 1000),
            _ => ((number / 2).wrapping_mul(STEP) % rows, 777),
        };
        let payload = format!(r#"{{"k":{key},"v":{},"site":"north","unit":"W"}}"#, key % modulus);
        // A hundred thousand a second, as far as the component knows.
        let now = Time((number * 10).min(HOUR.cast_unsigned() - 1).cast_signed());
        let message = Incoming {
            input: usize::from(input > 0),
            token: number / 2,
            position: &format!("{number}-0"),
            received: now,
            attempts: 0,
            topic: ["a", "b"][usize::from(input > 0)],
            key: None,
            payload: payload.as_bytes(),
        };
        durable.message(message, now);
        if number % 256 == 0 {
            if durable.poll_timeout().is_some_and(|due| due <= now) {
                durable.timeout(now);
            }
            check.take(&mut durable, now)?;
        }
        held = held.max(durable.counters().held_bytes);
    }
    let filled = start.elapsed().as_secs_f64();
    let now = Time(HOUR);
    let (mut closing, mut longest, mut disk) = (Instant::now(), 0.0_f64, 0);
    let closed = closing;
    while durable.poll_timeout().is_some_and(|due| due <= now) {
        durable.timeout(now);
        longest = longest.max(closing.elapsed().as_secs_f64());
        check.take(&mut durable, now)?;
        held = held.max(durable.counters().held_bytes);
        disk = fs::metadata(folder.path().join("state.redb")).map_or(0, |file| file.len());
        closing = Instant::now();
    }
    durable.sync();
    check.take(&mut durable, now)?;
    let closed = closed.elapsed().as_secs_f64();
    if (check.rows, check.acked) != (rows, 2 * rows) {
        return Err(format!("{} rows came, and {} acks", check.rows, check.acked).into());
    }
    let mb = |bytes: u64| bytes as f64 / MIB as f64;
    let (peak, cpu) = (memory("VmHWM:")?, on_cpu()? - cpu);
    println!(
        "| {rows} | {} | {filled:.1} s + {closed:.1} s, {cpu:.1} s on CPU | {:.0} | {:.0} ms | {:.1} | {peak:.1} | {:.0} |",
        mb(budget),
        2.0 * rows as f64 / cpu,
        longest * 1e3,
        mb(held),
        mb(disk)
    );
    if held > budget || peak > mb(budget) + BESIDE {
        return Err(format!("{:.1} MiB were held, {peak:.1} MiB resident", mb(held)).into());
    }
    Ok(())
}
