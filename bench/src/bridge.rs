//! Bridges: a Channel without conditions moves messages from one broker to another, beside the bare loop of [`bare`].
//!
//! [`bare`]: crate::bare

use std::fmt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::brokers::{Broker, Mode, Ports};
use crate::plans::{self, BRIDGE, CONSUMER};
use crate::process::{self, Sidecar};
use crate::run::PATIENCE;
use crate::wire::Counter;
use crate::workload::Workload;

/// Where a bridge leads from and to.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    from: Broker,
    to: Broker,
}

/// What a pair's bridge and its bare loop did.
pub(crate) struct Outcome {
    pub(crate) pair: Pair,
    pub(crate) bridge: Moved,
    pub(crate) bare: Moved,
    /// Messages that arrived more often than they were sent, over all rounds.
    pub(crate) extra: u64,
}

/// One run, or the middle one of several.
#[derive(Clone, Copy)]
pub(crate) struct Moved {
    /// Messages a second, from the start of the process to the last message's arrival.
    pub(crate) rate: f64,
    /// Seconds on the processor for a million messages.
    pub(crate) cpu_per_million: f64,
}

/// The longest backlog of an MQTT client. Mosquitto 2.0.11 sends all of it at once when the client comes, whatever that
/// can take, and has 65,535 identifiers: it would give some to two messages, which a client may not ack.
const BACKLOG: u64 = 50_000;
/// How long all messages of a run may take.
const MOST: Duration = Duration::from_mins(2);

/// Every pair of brokers.
pub(crate) fn pairs() -> impl Iterator<Item = Pair> {
    let all = [Broker::Redis, Broker::RabbitMq(Mode::Transient), Broker::Mqtt];
    all.into_iter()
        .flat_map(move |from| all.map(|to| Pair { from, to }))
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.name(), self.to.name())
    }
}

/// Who moves the messages.
#[derive(Clone, Copy)]
enum Mover {
    Sidecar,
    Bare,
}

impl Pair {
    /// Moves so many messages so many times, by turns with the bridge and with the bare loop.
    pub(crate) fn run(self, ports: Ports, sidecar: &Path, messages: u64, rounds: usize) -> Result<Outcome> {
        let messages = if self.from == Broker::Mqtt {
            messages.min(BACKLOG)
        } else {
            messages
        };
        let (mut bridges, mut bares, mut extra) = (Vec::new(), Vec::new(), 0);
        for round in 0..rounds {
            for (who, moved) in [(Mover::Sidecar, &mut bridges), (Mover::Bare, &mut bares)] {
                let name = format!("{}-{}-{round}-{}", self.from.name(), self.to.name(), moved.len());
                let topics = match who {
                    Mover::Sidecar => (format!("in-{name}"), format!("out-{name}")),
                    Mover::Bare => (format!("bare-in-{name}"), format!("bare-out-{name}")),
                };
                let (run, more) = self.round(ports, sidecar, who, &topics, messages)?;
                moved.push(run);
                extra += more;
            }
        }
        Ok(Outcome {
            pair: self,
            bridge: middle(bridges).context("no round")?,
            bare: middle(bares).context("no round")?,
            extra,
        })
    }

    fn round(
        self,
        ports: Ports,
        sidecar: &Path,
        who: Mover,
        (from, to): &(String, String),
        messages: u64,
    ) -> Result<(Moved, u64)> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("plan.json");
        let plan = plans::bridge(ports, (self.from, from), (self.to, to));
        std::fs::write(&path, serde_json::to_vec(&plan)?)?;
        let start = || Sidecar::start(sidecar, &path, (CONSUMER, 9), folder.path());
        // It declares queues, groups and exchanges for both.
        let mut first = start()?;
        first.wait_until_ready(PATIENCE)?;
        first.stop(PATIENCE)?;
        if self.from == Broker::Mqtt {
            // The bare loop has a session of its own.
            ports.session(&client(from), from)?;
        }
        let mut counter = ports.counter(self.to, BRIDGE, to)?;
        let mut publisher = ports.publisher(self.from, from)?;
        for event in Workload::new(1_000, messages).window().events {
            publisher.send(event.as_bytes())?;
        }
        publisher.flush()?;
        let begun = Instant::now();
        let (took, cpu_seconds) = match who {
            Mover::Sidecar => {
                let running = start()?;
                let took = self.wait(counter.as_mut(), messages, begun)?;
                let usage = running.usage()?;
                running.stop(PATIENCE)?;
                (took, usage.cpu_seconds)
            }
            Mover::Bare => {
                let running = self.bare(ports, from, to)?;
                let took = self.wait(counter.as_mut(), messages, begun)?;
                (took, process::usage(running.0.id())?.cpu_seconds)
            }
        };
        let there = counter.count()?;
        // Counts of messages are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let count = messages as f64;
        let moved = Moved {
            rate: count / took.as_secs_f64(),
            cpu_per_million: cpu_seconds * 1e6 / count,
        };
        Ok((moved, there.saturating_sub(messages)))
    }

    fn wait(self, counter: &mut dyn Counter, messages: u64, begun: Instant) -> Result<Duration> {
        loop {
            let there = counter.count()?;
            if there >= messages {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > MOST {
                bail!("{self}: {there} of {messages} messages arrived in {MOST:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn bare(self, ports: Ports, from: &str, to: &str) -> Result<Bare> {
        let source = match self.from {
            Broker::RabbitMq(_) => format!("{BRIDGE}-{from}"),
            Broker::Redis | Broker::Mqtt => from.to_owned(),
        };
        // It must not outlive us, whatever ends us.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(std::env::current_exe()?).arg("bare");
        for (flag, value) in [
            ("--from", ports.url(self.from)),
            ("--source", source),
            ("--to", ports.url(self.to)),
            ("--target", to.to_owned()),
        ] {
            command.arg(flag).arg(value);
        }
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the bare loop")?;
        Ok(Bare(child))
    }
}

/// The MQTT client that a bare loop is, by the topic that it reads.
pub(crate) fn client(topic: &str) -> String {
    format!("bare-{topic}")
}

/// A bare loop, which ends with its measurement.
struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The run of the middle rate.
fn middle(mut runs: Vec<Moved>) -> Option<Moved> {
    runs.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    runs.get(runs.len() / 2).copied()
}
