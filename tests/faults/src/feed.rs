//! The load: pairs of events with ids that are unique, at an even pace, each sent until the broker has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use streaming_sidecar::broker::{Consumer, Outgoing, Sink, open};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::broker::Kind;
use crate::pipeline::{EVENTS, Pipeline, STEP};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Load {
    /// Pairs a second.
    pub pace: u64,
    /// Ends by itself after so many pairs.
    pub most: Option<u64>,
    /// Of a hundred events, how many are published a second time.
    pub duplicates: u64,
    /// Messages a second that are none, beside them.
    pub poison: u64,
    /// Bytes that an event has beside what it says.
    pub padding: usize,
    /// How many pairs may be sent beyond those whose rows have come: what is slow is not to be buried.
    pub ahead: u64,
    /// Draws what is drawn.
    pub seed: u64,
}

impl Load {
    /// Pairs only.
    pub fn of(pace: u64, seed: u64) -> Load {
        Load {
            pace,
            most: None,
            duplicates: 0,
            poison: 0,
            padding: 0,
            ahead: AHEAD,
            seed,
        }
    }
}

/// A load that is being sent.
pub struct Feed {
    counts: Arc<Counts>,
    task: JoinHandle<Sending>,
}

#[derive(Debug, Default)]
struct Counts {
    pairs: AtomicU64,
    poison: AtomicU64,
    duplicates: AtomicU64,
    stop: AtomicBool,
}

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Pairs, all of which the broker has confirmed.
    pub pairs: u64,
    /// Messages that are none.
    pub poison: u64,
    /// Events that were published a second time.
    pub duplicates: u64,
}

/// More than the events that others may come before, and a few windows.
const AHEAD: u64 = 1_500;
/// The time of the first pair, in milliseconds.
const BEGIN: u64 = 1_700_000_000_000;
/// How often messages leave.
const TICK: Duration = Duration::from_millis(20);
/// A second copy comes up to so many pairs after the first.
const LATER: u64 = 100;

struct Sending {
    sink: Arc<dyn Sink>,
    topics: Vec<Arc<str>>,
    load: Load,
    random: SmallRng,
    /// Pairs whose turn comes again: at which pair, and which.
    again: Vec<(u64, u64)>,
}

impl Feed {
    /// Begins to send to a pipeline's topics, to a broker at this port. `rows` is how many rows have come.
    ///
    /// # Errors
    /// The broker can't be reached.
    pub async fn start(
        pipeline: &Pipeline,
        kind: Kind,
        port: u16,
        load: Load,
        rows: impl Fn() -> u64 + Send + 'static,
    ) -> Result<Feed> {
        let group = &pipeline.plan.component.name;
        let consumer = |topic: &String| Consumer {
            topic: topic.clone(),
            group: group.clone(),
        };
        // The sessions of those who share a topic are begun by themselves.
        let consumers: Vec<Consumer> = if pipeline.plan.shared.is_some() {
            Vec::new()
        } else {
            pipeline.topics.iter().map(consumer).collect()
        };
        let broker = open(EVENTS, &Pipeline::events(kind, port)?)?;
        let sink = broker.sink(&consumers).await?;
        let counts = Arc::<Counts>::default();
        let sending = Sending {
            sink,
            topics: pipeline
                .topics
                .iter()
                .map(|topic| topic.as_str().into())
                .collect(),
            random: SmallRng::seed_from_u64(load.seed),
            load,
            again: Vec::new(),
        };
        let task = tokio::spawn(sending.run(Arc::clone(&counts), rows));
        Ok(Feed { counts, task })
    }

    /// Pairs that the broker has.
    pub fn pairs(&self) -> u64 {
        self.counts.pairs.load(Ordering::SeqCst)
    }

    /// Messages that are none, which the broker has.
    pub fn poison(&self) -> u64 {
        self.counts.poison.load(Ordering::SeqCst)
    }

    /// Whether all that it was to send is sent.
    pub fn is_done(&self) -> bool {
        self.task.is_finished()
    }

    /// Sends no more, but what makes the last windows close.
    ///
    /// # Errors
    /// The load could not be sent.
    pub async fn finish(self) -> Result<Sent> {
        self.counts.stop.store(true, Ordering::SeqCst);
        let mut sending = self.task.await?;
        sending.close(self.counts.pairs.load(Ordering::SeqCst)).await;
        let count = |of: &AtomicU64| of.load(Ordering::SeqCst);
        Ok(Sent {
            pairs: count(&self.counts.pairs),
            poison: count(&self.counts.poison),
            duplicates: count(&self.counts.duplicates),
        })
    }
}

impl Sending {
    async fn run(mut self, counts: Arc<Counts>, rows: impl Fn() -> u64) -> Sending {
        let mut ticks = interval(TICK);
        // Who was away makes up for it, or the load would be another one.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut tick, mut next, mut poisoned) = (0, 0, 0);
        let each =
            |a_second: u64, tick: u64| a_second * tick * u64::try_from(TICK.as_millis()).unwrap_or(1) / 1000;
        while !counts.stop.load(Ordering::SeqCst) && self.load.most.is_none_or(|most| next < most) {
            ticks.tick().await;
            if next > rows().saturating_add(self.load.ahead) {
                continue;
            }
            tick += 1;
            let until = each(self.load.pace, tick).min(self.load.most.unwrap_or(u64::MAX));
            let numbers = self.numbers(next..until, &counts);
            let poison_until = each(self.load.poison, tick);
            for at in 0..self.topics.len() {
                let mut batch: Vec<Outgoing> = numbers.iter().map(|n| self.event(at, *n)).collect();
                if at == 0 {
                    for number in poisoned..poison_until {
                        let place = self.random.random_range(0..=batch.len());
                        batch.insert(place, self.poison(number));
                    }
                }
                self.send(batch).await;
            }
            (next, poisoned) = (until, poison_until);
            counts.pairs.store(next, Ordering::SeqCst);
            counts.poison.store(poisoned, Ordering::SeqCst);
        }
        self
    }

    /// These numbers, and those before them whose turn comes again.
    fn numbers(&mut self, new: std::ops::Range<u64>, counts: &Counts) -> Vec<u64> {
        let mut numbers = Vec::new();
        for number in new {
            numbers.push(number);
            if self.random.random_range(0..100) < self.load.duplicates {
                // Half of them at once, as by a publisher that saw no confirm.
                let later = self.random.random_range(0..=2 * LATER).saturating_sub(LATER);
                self.again.push((number + later, number));
                counts.duplicates.fetch_add(1, Ordering::SeqCst);
            }
            let due = |(at, _): &mut (u64, u64)| *at <= number;
            numbers.extend(self.again.extract_if(.., due).map(|(_, before)| before));
        }
        numbers
    }

    /// Sends all, in order, until the broker has confirmed all.
    async fn send(&self, mut batch: Vec<Outgoing>) {
        while !batch.is_empty() {
            let results = self.sink.publish(batch.clone()).await;
            // From the first that failed: the order is to stay.
            let Some(failed) = results.iter().position(Result::is_err) else {
                return;
            };
            batch.drain(..failed);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is left to come again, then events far ahead that match nothing: all windows before them are over.
    async fn close(&mut self, pairs: u64) {
        let again: Vec<u64> = self.again.drain(..).map(|(_, number)| number).collect();
        for at in 0..self.topics.len() {
            self.send(again.iter().map(|n| self.event(at, *n)).collect())
                .await;
            if self.topics.len() > 1 {
                let far = BEGIN + (pairs + 1_000_000) * STEP;
                let data = json!({"n": -1 - i64::try_from(at).unwrap_or_default(), "at": far});
                self.send(vec![self.outgoing(at, "end", &data)]).await;
            }
        }
    }

    fn event(&self, at: usize, number: u64) -> Outgoing {
        let mut data = json!({"n": number, "at": BEGIN + number * STEP});
        if self.load.padding > 0 {
            data["padding"] = json!("x".repeat(self.load.padding));
        }
        self.outgoing(at, &number.to_string(), &data)
    }

    fn outgoing(&self, at: usize, id: &str, data: &Value) -> Outgoing {
        let topic = Arc::clone(&self.topics[at]);
        let event = json!({"specversion": "1.0", "type": "event", "source": &*topic, "id": id, "data": data});
        Outgoing {
            topic,
            id: id.into(),
            content_type: "application/cloudevents+json",
            trace: None,
            payload: event.to_string().into(),
        }
    }

    /// A message that nothing can be made of, one of several sorts.
    fn poison(&mut self, number: u64) -> Outgoing {
        let sorts: [&[u8]; 6] = [
            b"",
            b"{\"n\": 1, \"at\": ",
            b"\xff\xfe\x00 no text",
            b"[[[[[[[[[[[[[[[[",
            b"{\"n\": 1, \"n\": 1e999}",
            b"{\"specversion\": \"1.0\", \"data_base64\": \"?\"}",
        ];
        let sort = sorts[self.random.random_range(0..sorts.len())];
        // Different ones, or they would be known as repeats of each other.
        let payload = [sort, format!("#{number}").as_bytes()].concat();
        Outgoing {
            topic: Arc::clone(&self.topics[0]),
            id: "".into(),
            content_type: "application/json",
            trace: None,
            payload: payload.into(),
        }
    }
}
