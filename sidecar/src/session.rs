//! One life of a component: from the subscription of its inputs until a connection is lost or the process ends.
//!
//! One task owns the engine. It hands in messages, answers and the passing of time, and carries out what the engine
//! asks for. When a connection is lost the engine's state is dropped, as after a crash: what was not acked comes
//! again to the next session, and what was made of it has the same ids.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use streaming_engine::component::{Config, Effect, Incoming as EngineMessage, SendId, Target};
use streaming_engine::counters::{Counters, WindowReport};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::state::StateError;
use streaming_engine::time::Time;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::beside::Beside;
use crate::broker::BrokerError;
use crate::clock::Clock;
use crate::delivering::{Delivery, deliver};
use crate::intake::{Incoming, Intake, QUEUE};
use crate::last_window::LastWindow;
use crate::metrics::Metrics;
use crate::recipient::Recipients;
use crate::status::Connection;
use crate::traces::Received;

/// Why a session ended.
pub(crate) enum End {
    /// A connection is lost.
    Lost(Connection, BrokerError),
    /// What the component has to remember can't be kept.
    Forgetful(StateError),
    /// It was told to, and is done with what it had begun.
    Drained,
}

/// A running component.
pub(crate) struct Session<'r> {
    engine: Durable,
    intake: Intake,
    recipients: &'r Recipients,
    metrics: Arc<Metrics>,
    last_window: Arc<LastWindow>,
    /// What the metrics know of already.
    observed: Counters,
    clock: Clock,
    /// What is to leave together once all that the engine asks for is known.
    batches: BTreeMap<Target, Vec<Delivery>>,
    sends: JoinSet<Vec<(SendId, Answer)>>,
    in_flight: usize,
    /// Whether windows' results are sent, and not single messages.
    joins: bool,
    draining: bool,
    recovery: Recovery,
    beside: Beside,
    spans: Received,
}

/// What comes before all inputs have been given again what they had before.
struct Recovery {
    /// Inputs that have not.
    missing: HashSet<usize>,
    /// When all of it counts as received. A broker that doesn't stamp messages gives one that it had given before a
    /// new time, and another keeps its messages' times: what was in one window must not be torn apart by that.
    together: Option<Time>,
}

impl<'r> Session<'r> {
    /// `stamped` says whether all inputs' brokers tell when they got a message.
    ///
    /// # Errors
    /// What was kept can't be read, or is not this component's.
    pub(crate) fn new(
        config: Config,
        kept: Option<Kept>,
        stamped: bool,
        intake: Intake,
        recipients: &'r Recipients,
        metrics: &Arc<Metrics>,
        last_window: &Arc<LastWindow>,
    ) -> Result<Session<'r>, StateError> {
        metrics.session();
        let mut clock = Clock::start();
        let recovery = Recovery {
            missing: (0..config.inputs.len()).collect(),
            together: (!stamped).then(|| clock.now()),
        };
        let joins = matches!(config.role, streaming_engine::component::Role::Join(_));
        let engine = Durable::new(config, kept, clock.now())?;
        Ok(Session {
            observed: engine.counters().clone(),
            engine,
            intake,
            recipients,
            metrics: Arc::clone(metrics),
            last_window: Arc::clone(last_window),
            clock,
            recovery,
            batches: BTreeMap::new(),
            sends: JoinSet::new(),
            in_flight: 0,
            joins,
            draining: false,
            beside: Beside::default(),
            spans: Received::default(),
        })
    }

    /// With spans of what it takes in and sends.
    pub(crate) fn traced(self, spans: Received) -> Session<'r> {
        Session { spans, ..self }
    }

    /// Runs until a connection is lost, or until `shutdown` says so; then for as long as `drain` at most.
    pub(crate) async fn run(mut self, shutdown: &mut watch::Receiver<bool>, drain: Duration) -> End {
        let mut deadline = None;
        loop {
            self.carry_out();
            if let Some(error) = self.engine.failure() {
                return End::Forgetful(error.clone());
            }
            if self.draining && self.sends.is_empty() {
                break;
            }
            // A process that stood still must not take inputs for idle whose messages are here already.
            for incoming in std::iter::from_fn(|| self.intake.try_next())
                .take(QUEUE)
                .collect::<Vec<_>>()
            {
                if let Some(end) = self.take(incoming) {
                    self.observe();
                    return end;
                }
            }
            self.carry_out();
            let due = self.time_passes();
            let alarm = due.map(|due| self.clock.instant(due));
            tokio::select! {
                biased;
                () = told(shutdown), if !self.draining => {
                    self.draining = true;
                    self.intake.stop();
                    deadline = Instant::now().checked_add(drain);
                    tracing::info!(inFlight = self.in_flight, "draining");
                }
                () = maybe(deadline) => {
                    tracing::warn!(inFlight = self.in_flight, "not drained in time; what is in flight comes again");
                    break;
                }
                Some(answer) = self.sends.join_next() => self.answered(answer),
                () = maybe(alarm) => tokio::task::yield_now().await,
                incoming = self.intake.next() => {
                    if let Some(end) = self.take(incoming) {
                        self.observe();
                        return end;
                    }
                }
            }
        }
        // What has come need not come again, if it is kept.
        self.engine.sync();
        self.carry_out();
        let until = deadline
            .unwrap_or_else(Instant::now)
            .max(Instant::now() + LAST_ACKS);
        if timeout_at(until, self.intake.finish()).await.is_err() {
            tracing::warn!("not all acks reached their brokers; what they were for comes again");
        }
        End::Drained
    }

    /// Tells the engine the time, if it asks for that. Gives when it asks to be told again. A window that takes long
    /// to close does so over several turns of the loop, in between which other things happen.
    fn time_passes(&mut self) -> Option<Time> {
        let from = Instant::now();
        loop {
            let due = self.engine.poll_timeout().filter(|_| !self.draining)?;
            let now = self.clock.now();
            if due > now || from.elapsed() > TURN {
                return Some(due);
            }
            self.engine.timeout(now);
            self.carry_out();
        }
    }

    /// What has come in. Some if it ends the session.
    fn take(&mut self, incoming: Incoming) -> Option<End> {
        match incoming {
            Incoming::Lost(connection, error) => return Some(End::Lost(connection, error)),
            // Not taken in any more; it comes again to the next process.
            _ if self.draining => {}
            Incoming::Messages(inputs, messages) => {
                let now = self.clock.now();
                let together = self.recovery.together;
                if let Some(last) = messages.last() {
                    for input in &*inputs {
                        self.metrics.lag(*input, last.received, now);
                    }
                }
                for message in &messages {
                    for input in &*inputs {
                        // What is made of a window is made of many.
                        if !self.joins {
                            self.beside.taken(*input, message);
                        }
                        self.spans.taken(*input, message);
                        let message = EngineMessage {
                            input: *input,
                            token: message.token,
                            position: &message.position,
                            // A broker whose clock is ahead must not open a window that closes in an hour.
                            received: together.unwrap_or(message.received.min(now)),
                            attempts: message.attempts,
                            topic: &message.topic,
                            key: message.key.as_deref(),
                            payload: &message.payload,
                        };
                        self.engine.message(message, now);
                    }
                }
            }
            Incoming::Away(inputs, away) => {
                let now = self.clock.now();
                for input in &*inputs {
                    self.engine.unreachable(*input, away, now);
                }
            }
            Incoming::Recovered(inputs) => {
                let now = self.clock.now();
                for input in &*inputs {
                    self.recovery.missing.remove(input);
                    self.engine.recovered(*input, now);
                }
                if self.recovery.missing.is_empty() {
                    self.recovery.together = None;
                }
            }
        }
        None
    }

    fn answered(&mut self, answers: Result<Vec<(SendId, Answer)>, tokio::task::JoinError>) {
        let mut next = Some(answers);
        while let Some(answers) = next {
            // A delivery is cancelled only with the session.
            for (id, answer) in answers.into_iter().flatten() {
                self.in_flight -= 1;
                self.engine.answered(id, answer, self.clock.now());
            }
            next = self.sends.try_join_next();
        }
    }

    /// Carries out all that the engine asks for.
    fn carry_out(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Send {
                    id,
                    to,
                    attempt,
                    event,
                } => {
                    // What is not begun comes again to the next process, except what was made of a window: that
                    // would have to be put together once more.
                    if !self.draining || self.joins {
                        let window = self.joins && matches!(to, Target::Output(_));
                        let made_of = |most| self.engine.made_of(id, most);
                        let event = self.beside.put_onto(event, made_of);
                        let span = self.spans.sending(&event, window, made_of);
                        let delivery = Delivery {
                            id,
                            attempt,
                            event,
                            span,
                        };
                        self.send(to, delivery);
                    }
                }
                Effect::Ack { input, token } => {
                    self.beside.acked(input, token);
                    self.spans.acked(input, token);
                    self.intake.ack(input, token);
                }
                Effect::Pause { input } => {
                    tracing::warn!(
                        input,
                        heldBytes = self.engine.counters().held_bytes,
                        "input paused: the memory budget is nearly used up"
                    );
                    self.intake.pause(input, true);
                }
                Effect::Resume { input } => {
                    tracing::info!(input, "input resumed");
                    self.intake.pause(input, false);
                }
                Effect::Window(report) => {
                    closed(&report);
                    self.last_window.closed(&report, self.engine.counters());
                }
                Effect::OverBudget(over) => tracing::warn!(
                    windowStart = %over.window.start,
                    held = over.held,
                    budget = over.budget,
                    "a window alone holds more than the memory budget; shorten the window, filter more, or raise resources.limits.memory"
                ),
            }
        }
        for (to, batch) in std::mem::take(&mut self.batches) {
            self.deliver(to, batch);
        }
        self.intake.flush();
        self.observe();
    }

    fn send(&mut self, to: Target, delivery: Delivery) {
        match self.recipients.get(to) {
            Some(recipient) if recipient.takes_batches() => {
                self.batches.entry(to).or_default().push(delivery);
            }
            _ => self.deliver(to, vec![delivery]),
        }
    }

    fn deliver(&mut self, to: Target, batch: Vec<Delivery>) {
        self.in_flight += batch.len();
        let Some(recipient) = self.recipients.get(to) else {
            // A dead letter of a dead-letter topic: it is tried again, and so are its messages.
            let why = || Answer::Retry("what fails on a dead-letter topic stays there".to_owned());
            self.sends
                .spawn(async move { batch.into_iter().map(|delivery| (delivery.id, why())).collect() });
            return;
        };
        let deliver = deliver(recipient, batch, self.joins, Arc::clone(&self.metrics));
        self.sends.spawn(deliver);
    }

    fn observe(&mut self) {
        self.metrics.in_flight(self.in_flight);
        let counters = self.engine.counters();
        if *counters != self.observed {
            self.metrics.observe(&self.observed, counters);
            self.observed.clone_from(counters);
        }
    }
}

/// How long windows may take to close before something else has its turn.
const TURN: Duration = Duration::from_millis(5);
/// Time for acks to reach their brokers, even where the drain took all there was.
const LAST_ACKS: Duration = Duration::from_secs(1);

/// Completes when it is told to end.
pub(crate) async fn told(shutdown: &mut watch::Receiver<bool>) {
    // Who would tell is gone only with everything else.
    let _ = shutdown.wait_for(|shutdown| *shutdown).await;
}

async fn maybe(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn closed(report: &WindowReport) {
    let Time(start) = report.window.start;
    if let Some(cut) = report.cut_short {
        tracing::warn!(
            windowStart = start,
            rows = report.rows,
            candidates = report.candidates,
            reason = cut.reason(),
            "a window's join was cut short: rows are missing"
        );
    } else {
        tracing::debug!(
            windowStart = start,
            rows = report.rows,
            candidates = report.candidates,
            "window closed"
        );
    }
}
