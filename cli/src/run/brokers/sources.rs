//! What publishes: generators on their ticks, and the lines of `--input`. What a broker can't take now is tried again.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use streaming_sidecar::broker::{Outgoing, Sink};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::super::feed::{Input, Line, next_line};
use super::connect::Connections;
use crate::clock::Clock;
use crate::generate::Schedule;
use crate::workload::GeneratorSpec;

/// Messages published at once.
const BATCH: usize = 1000;
/// Bytes of lines published at once, about.
const BATCH_BYTES: usize = 1 << 20;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Everything that publishes.
pub(super) struct Sources {
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    published: AtomicU64,
    failed: AtomicBool,
}

/// Publishes to one topic.
struct Outlet {
    name: String,
    topic: Arc<str>,
    sink: Arc<dyn Sink>,
    counts: Arc<Counts>,
    stopped: watch::Receiver<bool>,
    number: u64,
}

impl Sources {
    /// Starts them. They end when `stopped` says so.
    pub(super) async fn start(
        connections: &Connections,
        generators: Vec<GeneratorSpec>,
        inputs: Vec<Input>,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<Sources> {
        let mut sources = Sources {
            tasks: JoinSet::new(),
            counts: Arc::default(),
        };
        for spec in generators {
            let sink = connections.sink(&spec.namespace, &spec.cluster_stream).await?;
            let spec = Arc::new(spec);
            for replica in 0..spec.replicas {
                let name = format!("{}-{replica}", spec.name);
                let outlet = sources.outlet(name, &spec.topic, &sink, stopped);
                sources.tasks.spawn(generate(Arc::clone(&spec), outlet));
            }
        }
        for input in inputs {
            let sink = connections
                .sink(&input.topic.namespace, &input.topic.cluster_stream)
                .await?;
            let outlet = sources.outlet(input.file.clone(), &input.topic.topic, &sink, stopped);
            sources.tasks.spawn(feed(input.file, outlet));
        }
        Ok(sources)
    }

    fn outlet(
        &self,
        name: String,
        topic: &str,
        sink: &Arc<dyn Sink>,
        stopped: &watch::Receiver<bool>,
    ) -> Outlet {
        Outlet {
            name,
            topic: topic.into(),
            sink: Arc::clone(sink),
            counts: Arc::clone(&self.counts),
            stopped: stopped.clone(),
            number: 0,
        }
    }

    /// Waits until all have ended. How many messages were published, and whether all could be.
    pub(super) async fn finish(mut self) -> (u64, bool) {
        while self.tasks.join_next().await.is_some() {}
        let published = self.counts.published.load(Ordering::Relaxed);
        (published, !self.counts.failed.load(Ordering::Relaxed))
    }
}

async fn generate(spec: Arc<GeneratorSpec>, mut outlet: Outlet) {
    let clock = Clock::start();
    let mut schedule = Schedule::new(clock.now(), spec.delay, spec.count);
    while let Some((due, _)) = schedule.next() {
        if stopping(&mut outlet.stopped, clock.until(due)).await {
            return;
        }
        let now = clock.now();
        let mut batch = Vec::new();
        while let Some((due, number)) = schedule.next().filter(|(due, _)| *due <= now)
            && batch.len() < BATCH
        {
            schedule.tick();
            match spec.recipe.message(number, due) {
                Ok(message) => batch.push(message),
                Err(error) => {
                    outlet.fail(&format!("{} stops: message {}: {error}", spec.name, number + 1));
                    schedule.stop();
                }
            }
        }
        if !outlet.publish(batch).await {
            return;
        }
    }
}

/// Waits so long; true if it is to end before that.
async fn stopping(stopped: &mut watch::Receiver<bool>, wait: Duration) -> bool {
    let told = tokio::time::timeout(wait, stopped.wait_for(|stopped| *stopped)).await;
    told.is_ok()
}

async fn feed(file: String, mut outlet: Outlet) {
    let (sender, mut batches) = mpsc::channel(2);
    let reading = std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let read = if file == "-" {
                read(&mut io::stdin().lock(), &sender)
            } else {
                File::open(&file).and_then(|file| read(&mut BufReader::new(file), &sender))
            };
            if let Err(error) = read {
                // Nobody minds if nobody listens.
                let _ = sender.blocking_send(Err(error.to_string()));
            }
        });
    if let Err(error) = reading {
        return outlet.fail(&format!("{}: {error}", outlet.name));
    }
    while let Some(batch) = batches.recv().await {
        match batch {
            Ok(lines) => {
                if !outlet.publish(lines).await {
                    return;
                }
            }
            Err(error) => outlet.fail(&format!("{}: {error}", outlet.name)),
        }
    }
}

type Batch = Result<Vec<Vec<u8>>, String>;

fn read(from: &mut dyn BufRead, to: &mpsc::Sender<Batch>) -> io::Result<()> {
    let (mut number, mut ended) = (0_u64, false);
    while !ended {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < BATCH && bytes < BATCH_BYTES && !ended {
            number += 1;
            match next_line(from)? {
                Line::Message(line) => {
                    bytes += line.len();
                    lines.push(line);
                }
                Line::Blank => {}
                Line::TooLong => {
                    let why = format!("line {number} is left out: too long");
                    let _ = to.blocking_send(Err(why));
                }
                Line::End => ended = true,
            }
        }
        if to.blocking_send(Ok(lines)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

impl Outlet {
    fn fail(&self, why: &str) {
        say!("{}", crate::report::printable(why));
        self.counts.failed.store(true, Ordering::Relaxed);
    }

    /// Publishes until the broker has taken everything; false if it is to end.
    async fn publish(&mut self, messages: Vec<Vec<u8>>) -> bool {
        let mut batch: Vec<Outgoing> = Vec::with_capacity(messages.len());
        for message in messages {
            batch.push(Outgoing {
                topic: Arc::clone(&self.topic),
                id: format!("{}-{}", self.name, self.number).into(),
                content_type: "application/json",
                trace: None,
                payload: message.into(),
            });
            self.number += 1;
        }
        let mut told = false;
        while !batch.is_empty() {
            let results = self.sink.publish(batch.clone()).await;
            let mut left = Vec::new();
            for (message, result) in batch.into_iter().zip(results) {
                match result {
                    Ok(()) => _ = self.counts.published.fetch_add(1, Ordering::Relaxed),
                    Err(error) if error.transient => {
                        if !std::mem::replace(&mut told, true) {
                            say!("{}: {error}; trying again", self.name);
                        }
                        left.push(message);
                    }
                    Err(error) => {
                        self.fail(&format!("{}: {error}", self.name));
                        return false;
                    }
                }
            }
            batch = left;
            if !batch.is_empty() && stopping(&mut self.stopped, PAUSE).await {
                self.fail(&format!("{}: some messages could not be published", self.name));
                return false;
            }
        }
        !*self.stopped.borrow()
    }
}
