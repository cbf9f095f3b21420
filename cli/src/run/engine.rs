//! The event loop: one thread that sleeps until something is due or something comes in.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use streaming_engine::time::Time;

use super::feed::{Feed, Input};
use super::printer::Printer;
use super::signals;
use super::status::Status;
use super::summary;
use crate::assemble::Assembly;
use crate::clock::Clock;
use crate::exit;
use crate::generate::{Recipe, Schedule};
use crate::local::{Pipeline, Published, TopicId, TopicName};

/// Sources wait while the broker holds more than this, in bytes.
const BACKLOG: usize = 256 << 20;
/// Ticks that are made up for before signals and inputs get a turn.
const TURN: usize = 1000;
/// How long a source that waits for the broker sleeps if nothing else is due, in microseconds.
const PATIENCE: i64 = 50_000;

/// How long a drain may take; less where messages already went round without end.
const DRAIN: Duration = Duration::from_secs(10);
const DRAIN_CIRCLE: Duration = Duration::from_secs(1);

/// What wakes the loop.
pub(super) enum Wake {
    /// The user wants it to end.
    Stop,
    /// Messages of an input.
    Lines { input: usize, lines: Vec<Vec<u8>> },
    /// An input has ended, by an error or not.
    End {
        input: usize,
        error: Option<std::io::Error>,
    },
    /// An input had a line that is too long to hold.
    TooLong { input: usize, line: u64 },
}

/// A pipeline with its sources.
pub(super) struct Runner {
    pipeline: Pipeline,
    generators: Vec<Generator>,
    feeds: Vec<Feed>,
    clock: Clock,
    limit: Option<Time>,
    printer: Printer,
    status: Status,
    wake: Receiver<Wake>,
    failed: bool,
}

struct Generator {
    name: String,
    topic: TopicId,
    recipe: Recipe,
    schedule: Schedule,
}

impl Runner {
    /// Puts together what the manifests say.
    pub(super) fn new(
        assembly: Assembly,
        inputs: Vec<Input>,
        clock: Clock,
        limit: Option<Time>,
        printer: Printer,
    ) -> anyhow::Result<Self> {
        let start = clock.now();
        let mut pipeline = Pipeline::new(&assembly.plans, start)?;
        let mut generators = Vec::new();
        for spec in assembly.workloads.generators {
            let topic = pipeline.topic(&TopicName {
                namespace: spec.namespace,
                cluster_stream: spec.cluster_stream,
                topic: spec.topic,
            });
            for _ in 0..spec.replicas {
                generators.push(Generator {
                    name: spec.name.clone(),
                    topic,
                    recipe: spec.recipe.clone(),
                    schedule: Schedule::new(start, spec.delay, spec.count),
                });
            }
        }
        let (sender, wake) = channel();
        signals::watch(sender.clone(), printer.stop())?;
        let mut feeds = Vec::new();
        for (number, input) in inputs.into_iter().enumerate() {
            let topic = pipeline.topic(&input.topic);
            feeds.push(Feed::start(number, topic, input, sender.clone())?);
        }
        let status = Status::new(start);
        Ok(Self {
            pipeline,
            generators,
            feeds,
            clock,
            limit,
            printer,
            status,
            wake,
            failed: false,
        })
    }

    /// Runs until it is told to end, or until its inputs have ended.
    pub(super) fn run(mut self) -> anyhow::Result<ExitCode> {
        loop {
            let now = self.clock.now();
            let now = self.limit.map_or(now, |limit| limit.min(now));
            let behind = self.catch_up(now);
            self.feeds
                .iter_mut()
                .filter(|_| self.pipeline.held() < BACKLOG)
                .for_each(Feed::more);
            self.printer.flush();
            if self.printer.is_broken() || self.pipeline.is_halted() || self.is_over(now) {
                break;
            }
            let shown = self.status.show(now, &self.pipeline, &mut self.printer);
            let woken = if behind {
                self.wake.try_recv().map_err(|e| match e {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                })
            } else {
                self.wake
                    .recv_timeout(self.clock.until(self.next_wake(now).min(shown)))
            };
            match woken {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(wake) => self.take(wake),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.end()
    }

    /// Everything that was due until now, at the time at which it was due. True if there is more.
    fn catch_up(&mut self, now: Time) -> bool {
        for _ in 0..TURN {
            if self.pipeline.is_halted() {
                return false;
            }
            let Some((due, index)) = self
                .next_tick()
                .filter(|(due, _)| *due <= now && Some(*due) != self.limit)
            else {
                self.pipeline.advance(now, &mut self.printer);
                return false;
            };
            self.pipeline.advance(due, &mut self.printer);
            if self.pipeline.held() >= BACKLOG {
                self.pipeline.advance(now, &mut self.printer);
                return false;
            }
            self.tick(index, due);
        }
        true
    }

    fn tick(&mut self, index: usize, due: Time) {
        let generator = &mut self.generators[index];
        let Some((_, number)) = generator.schedule.next() else {
            return;
        };
        generator.schedule.tick();
        match generator.recipe.message(number, due) {
            Ok(payload) => {
                self.pipeline.publish(generator.topic, &payload);
                self.pipeline.advance(due, &mut self.printer);
            }
            Err(e) => {
                generator.schedule.stop();
                let message = format!("{} stops: message {}: {e}", generator.name, number + 1);
                self.printer.say(&message);
                self.failed = true;
            }
        }
    }

    fn next_tick(&self) -> Option<(Time, usize)> {
        let due = |(index, generator): (usize, &Generator)| Some((generator.schedule.next()?.0, index));
        self.generators.iter().enumerate().filter_map(due).min()
    }

    fn next_wake(&self, now: Time) -> Time {
        let tick = if self.pipeline.held() >= BACKLOG {
            Some(now.plus(PATIENCE))
        } else {
            self.next_tick().map(|(due, _)| due)
        };
        let all = [tick, self.pipeline.next_timeout(), self.limit];
        all.into_iter().flatten().min().unwrap_or(Time::MAX)
    }

    fn take(&mut self, wake: Wake) {
        let now = self.clock.now();
        while self.catch_up(now) {}
        match wake {
            Wake::Lines { input, lines } => {
                let topic = self.feeds[input].topic;
                self.feeds[input].took();
                if self.pipeline.held() < BACKLOG {
                    // The next batch is read while this one is worked on.
                    self.feeds[input].more();
                }
                for line in lines {
                    if self.pipeline.publish(topic, &line) == Published::Full {
                        // Sources are held back long before: only a message as large as the broker comes here.
                        self.printer
                            .say("a message was left out: the embedded broker is full");
                        self.failed = true;
                    }
                    self.pipeline.advance(now, &mut self.printer);
                }
            }
            Wake::End { input, error } => {
                self.feeds[input].end();
                if let Some(e) = error {
                    self.printer.say(&format!("{}: {e}", self.feeds[input].name));
                    self.failed = true;
                }
            }
            Wake::TooLong { input, line } => {
                self.printer.say(&format!(
                    "{}:{line}: the line is left out: too long",
                    self.feeds[input].name
                ));
                self.failed = true;
            }
            Wake::Stop => {}
        }
    }

    /// Whether nothing will come any more.
    fn is_over(&self, now: Time) -> bool {
        let exhausted = self.next_tick().is_none() && self.feeds.iter().all(Feed::is_over);
        // Input ends when it ends; after a generator's last message windows close in their own time.
        let over = exhausted && (!self.feeds.is_empty() || self.pipeline.is_idle());
        over || self.limit.is_some_and(|limit| now >= limit)
    }

    /// Drains, and says what there was.
    fn end(mut self) -> anyhow::Result<ExitCode> {
        if !self.printer.is_broken() {
            let patience = if self.pipeline.is_halted() {
                DRAIN_CIRCLE
            } else {
                DRAIN
            };
            self.printer.drain_until(Instant::now() + patience);
            self.pipeline.resume();
            self.pipeline.drain(&mut self.printer);
        }
        self.printer.flush();
        self.printer.clear_status();
        say_text!("{}", summary::summary(&self.pipeline));
        if self.printer.is_broken() {
            return self.printer.broken();
        }
        self.failed |= self.printer.lost_rows();
        if self.pipeline.is_halted() {
            say!("ended with messages on their way: there was no end to them");
            self.failed = true;
        } else if !self.pipeline.is_idle() {
            say!("some messages were not accepted by anyone before the end");
            self.failed = true;
        }
        Ok(if self.failed { exit::PROBLEMS } else { exit::OK })
    }
}
