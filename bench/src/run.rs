//! One run of a join: windows of messages, each sent within its window, and every row checked.
//!
//! Every window gets its tenants and then its events, none of them in its first 6 % and its last 15 %, so that there is
//! one right answer however long a message is on its way.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::brokers::{Broker, Mode, Ports};
use crate::check::{Expected, Verdict};
use crate::clock::{self, MS};
use crate::plans::{self, CONSUMER, EVENTS, TENANTS};
use crate::process::{Sidecar, Usage};
use crate::wire::Publisher;
use crate::wire::http::Listener;
use crate::workload::{Window, Workload};

/// What is joined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// What tenants are on, and what events are on.
    pub(crate) brokers: (Broker, Broker),
    pub(crate) tenants: u64,
    /// By window.
    pub(crate) events: u64,
    pub(crate) windows: u64,
    pub(crate) window_ms: u64,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// Seconds on the processor for a million messages.
    pub(crate) cpu_per_million: f64,
    pub(crate) peak_mb: f64,
    /// Windows whose messages were not all sent in time: where there are any, the figures say nothing.
    pub(crate) late: usize,
}

/// How long a sidecar may take to get ready, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl Scenario {
    pub(crate) fn run(&self, ports: Ports, sidecar: &Path) -> Result<Outcome> {
        let folder = tempfile::tempdir()?;
        let listener = Listener::bind()?;
        let plan = plans::join(ports, self.brokers, self.window_ms);
        let mut sidecar = start(sidecar, &plan, &listener, folder.path())?;
        sidecar.wait_until_ready(PATIENCE)?;
        let before = sidecar.usage()?;
        let (expected, late) = self.send(ports)?;
        let messages = listener.all(Duration::from_millis(2 * self.window_ms + 500));
        let after = sidecar.usage()?;
        sidecar.stop(PATIENCE)?;
        Ok(Outcome {
            verdict: expected.compare(&messages),
            cpu_per_million: self.cpu_per_million(before, after),
            peak_mb: after.peak_mb,
            late,
        })
    }

    // Counts of messages are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    fn cpu_per_million(&self, before: Usage, after: Usage) -> f64 {
        let messages = (self.tenants + self.events) * self.windows;
        (after.cpu_seconds - before.cpu_seconds) * 1e6 / messages.max(1) as f64
    }

    /// Sends all windows. Gives the rows that they make, and how many of them were sent too slowly.
    fn send(&self, ports: Ports) -> Result<(Expected, usize)> {
        // Made before anything is sent: making them would take time from sending them.
        let mut workload = Workload::new(self.tenants, self.events);
        let tenants = workload.tenants();
        let windows: Vec<Window> = (0..self.windows).map(|_| workload.window()).collect();
        let mut left = ports.publisher(self.brokers.0, TENANTS)?;
        let mut right = ports.publisher(self.brokers.1, EVENTS)?;
        let length = self.window_ms * MS;
        let (head, tail) = (length * 6 / 100, length * 15 / 100);
        let mut start = (clock::now() / length + 1) * length;
        let (mut expected, mut late) = (Expected::default(), 0);
        for window in windows {
            let end = start + length;
            clock::sleep_until(start + head);
            for tenant in &tenants {
                left.send(tenant.as_bytes())?;
            }
            left.flush()?;
            send_until(right.as_mut(), &window.events, end - tail)?;
            late += usize::from(clock::now() > end - tail / 2);
            expected.add(window.rows, end);
            start = end;
        }
        clock::sleep_until(start);
        Ok((expected, late))
    }
}

/// Starts a sidecar whose results come to the listener.
pub(crate) fn start(
    program: &Path,
    plan: &streaming_plan::Plan,
    listener: &Listener,
    folder: &Path,
) -> Result<Sidecar> {
    let path = folder.join("plan.json");
    std::fs::write(&path, serde_json::to_vec(plan)?)?;
    Sidecar::start(program, &path, (CONSUMER, listener.port()), folder)
        .with_context(|| format!("with the plan {}", path.display()))
}

/// Sends events at an even pace, so that all are out at a point in time.
fn send_until(publisher: &mut dyn Publisher, events: &[String], end: u64) -> Result<()> {
    let (start, count) = (clock::now(), events.len() as u64);
    let span = end.saturating_sub(start);
    for (number, event) in (0..).zip(events) {
        if number % 20 == 0 {
            let due = start + span * number / count.max(1);
            // Shorter naps than this are none.
            if due > clock::now() + MS / 2 {
                publisher.push()?;
                clock::sleep_until(due);
            }
        }
        publisher.send(event.as_bytes())?;
    }
    publisher.flush()
}

/// Milliseconds from the start of a sidecar to the first result at its consumer, while messages flow.
pub(crate) fn cold_start(ports: Ports, sidecar: &Path) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let listener = Listener::bind()?;
    let mut publisher = ports.publisher(Broker::Redis, EVENTS)?;
    let mut events = Workload::new(1_000, 60_000).window().events.into_iter();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let flow = thread::spawn(move || -> Result<()> {
        // One a millisecond.
        while stopped.recv_timeout(Duration::from_millis(1))
            == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            && let Some(event) = events.next()
        {
            publisher.send(event.as_bytes())?;
            publisher.flush()?;
        }
        Ok(())
    });
    thread::sleep(Duration::from_millis(100));
    let plan = plans::channel(ports);
    let before = Instant::now();
    let running = start(sidecar, &plan, &listener, folder.path())?;
    let first = listener.next(PATIENCE);
    let took = before.elapsed();
    drop(stop);
    flow.join().ok().context("the load ended early")??;
    running.stop(PATIENCE)?;
    first.context("the sidecar delivered nothing")?;
    Ok(took.as_secs_f64() * 1e3)
}

/// What a sidecar that joins two topics holds while nothing comes, in MB.
pub(crate) fn idle_mb(ports: Ports, sidecar: &Path) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let listener = Listener::bind()?;
    let plan = plans::join(ports, (Broker::Redis, Broker::RabbitMq(Mode::Transient)), 1_000);
    let mut running = start(sidecar, &plan, &listener, folder.path())?;
    running.wait_until_ready(PATIENCE)?;
    thread::sleep(Duration::from_secs(2));
    let usage = running.usage()?;
    running.stop(PATIENCE)?;
    Ok(usage.resident_mb)
}

/// How many events a second a broker takes and confirms while nobody reads. A sidecar that read them has declared what
/// they go to.
pub(crate) fn taken_alone(ports: Ports, broker: Broker) -> Result<f64> {
    let events = Workload::new(1_000, 10_000).window().events;
    let mut publisher = ports.publisher(broker, EVENTS)?;
    let start = Instant::now();
    for event in &events {
        publisher.send(event.as_bytes())?;
    }
    publisher.flush()?;
    Ok(10_000.0 / start.elapsed().as_secs_f64())
}
