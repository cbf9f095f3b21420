//! A session's subscriptions: messages come in, acks go out.
//!
//! Each subscription has a task that reads and one that acks. A subscription that is paused is not read from; the
//! broker, or the source, keeps what comes meanwhile. Two inputs with the same topic are one subscription, whose
//! messages both get and which is acked when both are done: two subscriptions of one group would share them out.

use std::collections::HashMap;
use std::sync::Arc;

use streaming_plan::{Plan, Role, Topic};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::broker::{Acker, BrokerError, Message, Received, Source, Subscription};
use crate::run::Brokers;
use crate::status::{Connection, Status};

/// Messages unacked at once, at most, where no window decides that,
const IN_FLIGHT: u32 = 4096;
/// and at least: fewer would wait for the broker between each two.
const FEWEST: u32 = 16;
/// Bytes of the memory budget for each of them: messages are seldom larger.
const EACH: u64 = 16 << 10;
/// Messages that are read ahead for each that a container handles, so that it never waits for the broker.
const AHEAD: u32 = 4;
/// Batches that may wait for the engine, so that it never waits for a source.
pub(crate) const QUEUE: usize = 2;

/// What a subscription has to say.
pub(crate) enum Incoming {
    /// The next messages, for each of these inputs.
    Messages(Arc<[usize]>, Vec<Message>),
    /// These inputs have been given what they had before.
    Recovered(Arc<[usize]>),
    /// These inputs can't be read now, or can again: their source mends the connection itself.
    Away(Arc<[usize]>, bool),
    /// A connection is lost, and with it the session.
    Lost(Connection, BrokerError),
}

/// All subscriptions of a session.
pub(crate) struct Intake {
    incoming: mpsc::Receiver<Incoming>,
    readers: Vec<Reader>,
    /// By input, which reader it has.
    reader_of: Vec<usize>,
    ackers: JoinSet<()>,
    stopped: bool,
    /// Ends with the session.
    _reading: JoinSet<()>,
}

struct Reader {
    inputs: Arc<[usize]>,
    /// By input.
    paused: HashMap<usize, bool>,
    pause: watch::Sender<bool>,
    acks: mpsc::UnboundedSender<Vec<u64>>,
    /// Tokens to ack.
    done: Vec<u64>,
    /// How many of several inputs are not done with a message yet.
    undone: HashMap<u64, usize>,
}

impl Intake {
    /// Subscribes to all inputs of a plan, at the same time.
    ///
    /// # Errors
    /// The first that failed.
    pub(crate) async fn subscribe(
        plan: &Plan,
        brokers: &Brokers,
        status: &Arc<Status>,
    ) -> Result<Intake, BrokerError> {
        let mut topics: Vec<(&Topic, Vec<usize>)> = Vec::new();
        let mut reader_of = Vec::new();
        for (number, input) in plan.inputs.iter().enumerate() {
            let known = topics.iter().position(|(topic, _)| **topic == input.source);
            let at = known.unwrap_or(topics.len());
            if at == topics.len() {
                topics.push((&input.source, Vec::new()));
            }
            topics[at].1.push(number);
            reader_of.push(at);
        }
        let subscribing = topics.iter().map(|(topic, inputs)| async {
            let connection = reading(topic);
            status.missing_because(&connection, "connecting");
            let halves = subscribe(plan, brokers, topic, inputs[0]).await;
            match &halves {
                Ok(_) => status.connected(&connection),
                Err(error) => status.missing_because(&connection, &error.to_string()),
            }
            halves
        });
        let halves = futures_util::future::try_join_all(subscribing).await?;
        let (sender, incoming) = mpsc::channel(QUEUE);
        let (mut reading_tasks, mut ackers) = (JoinSet::new(), JoinSet::new());
        let mut readers = Vec::new();
        for ((topic, inputs), (source, acker)) in topics.into_iter().zip(halves) {
            let inputs: Arc<[usize]> = inputs.into();
            let (pause, paused) = watch::channel(false);
            let (acks, tokens) = mpsc::unbounded_channel();
            if let Some(fault) = source.fault() {
                let tell = (sender.clone(), Arc::clone(&inputs));
                reading_tasks.spawn(watch_over(fault, Arc::clone(status), reading(topic), tell));
            }
            let read = read(
                source,
                Arc::clone(&inputs),
                paused,
                sender.clone(),
                reading(topic),
            );
            reading_tasks.spawn(read);
            ackers.spawn(ack(acker, tokens, sender.clone(), reading(topic)));
            readers.push(Reader {
                paused: inputs.iter().map(|input| (*input, false)).collect(),
                inputs,
                pause,
                acks,
                done: Vec::new(),
                undone: HashMap::new(),
            });
        }
        Ok(Intake {
            incoming,
            readers,
            reader_of,
            ackers,
            stopped: false,
            _reading: reading_tasks,
        })
    }

    /// What comes next; never, where there are no subscriptions. May be cancelled without losing any.
    pub(crate) async fn next(&mut self) -> Incoming {
        match self.incoming.recv().await {
            Some(incoming) => incoming,
            None => std::future::pending().await,
        }
    }

    /// What has come already.
    pub(crate) fn try_next(&mut self) -> Option<Incoming> {
        self.incoming.try_recv().ok()
    }

    /// An input is done with a message. It is acked with the next [`Intake::flush`] if all are.
    pub(crate) fn ack(&mut self, input: usize, token: u64) {
        let Some(reader) = self.reader_of.get(input).and_then(|at| self.readers.get_mut(*at)) else {
            return;
        };
        if reader.inputs.len() > 1 {
            let undone = reader.undone.entry(token).or_insert(reader.inputs.len());
            *undone -= 1;
            if *undone > 0 {
                return;
            }
            reader.undone.remove(&token);
        }
        reader.done.push(token);
    }

    /// Acks what is done with, all in one go.
    pub(crate) fn flush(&mut self) {
        for reader in &mut self.readers {
            if !reader.done.is_empty() {
                // Without its task the connection is lost, which is told.
                let _ = reader.acks.send(std::mem::take(&mut reader.done));
            }
        }
    }

    /// Reads no more for an input, or reads again.
    pub(crate) fn pause(&mut self, input: usize, pause: bool) {
        if let Some(reader) = self.reader_of.get(input).and_then(|at| self.readers.get_mut(*at)) {
            reader.paused.insert(input, pause);
            // What comes for one that is paused is taken all the same; the others may be what it waits for.
            let all = self.stopped || reader.paused.values().all(|paused| *paused);
            reader
                .pause
                .send_if_modified(|paused| std::mem::replace(paused, all) != all);
        }
    }

    /// Reads no more at all. What is held can still be acked.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        for reader in &self.readers {
            reader.pause.send_replace(true);
        }
    }

    /// Waits until all acks have reached their brokers, or could not.
    pub(crate) async fn finish(mut self) {
        self.flush();
        // The sources stay: some brokers take acks only from who reads.
        let _sources: Vec<_> = self.readers.drain(..).map(|reader| reader.pause).collect();
        // Nobody is to wait for room while nobody takes anything out.
        self.incoming.close();
        while self.ackers.join_next().await.is_some() {}
    }
}

/// Where a topic is read, for people.
fn reading(topic: &Topic) -> Connection {
    Connection::Read {
        cluster_stream: topic.cluster_stream.clone(),
        topic: topic.topic.clone(),
    }
}

async fn subscribe(
    plan: &Plan,
    brokers: &Brokers,
    topic: &Topic,
    input: usize,
) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
    let Some(broker) = brokers.get(&topic.cluster_stream) else {
        return Err(BrokerError {
            broker: topic.cluster_stream.as_str().into(),
            reason: "ClusterStreamNotFound",
            what: "the plan has no such ClusterStream".to_owned(),
            transient: false,
        });
    };
    let subscription = Subscription {
        topic: topic.topic.clone(),
        group: plan.component.name.clone(),
        consumer: consumer(plan),
        shared: plan.shared,
        properties: plan
            .inputs
            .get(input)
            .map(|input| input.properties.clone())
            .unwrap_or_default(),
        in_flight: in_flight(&plan.role, plan.memory_budget),
    };
    broker.subscribe(subscription).await
}

/// How many messages a subscription may hold unacked; `None` where a window decides that.
fn in_flight(role: &Role, budget: u64) -> Option<u32> {
    let most = u32::try_from(budget / EACH).map_or(IN_FLIGHT, |most| most.clamp(FEWEST, IN_FLIGHT));
    match role {
        Role::Window(_) => None,
        Role::Map { .. } => Some(most),
        Role::Relay { concurrency } => Some(concurrency.saturating_mul(AHEAD).min(most.max(*concurrency))),
    }
}

/// What a consumer is called, the same after a restart. What joins runs alone, so that its pod's name, which changes,
/// says nothing; of others there may be several, and while pods are rolled out one more than there should be. A container
/// that restarts keeps its pod's name; a pod that is replaced leaves what it holds to the others ([`Acker::leave`]).
fn consumer(plan: &Plan) -> String {
    let pod = match plan.role {
        Role::Window(_) => None,
        Role::Map { .. } | Role::Relay { .. } => std::env::var("HOSTNAME").ok(),
    };
    pod.filter(|name| !name.is_empty())
        .unwrap_or_else(|| plan.component.name.clone())
}

async fn read(
    mut source: Box<dyn Source>,
    inputs: Arc<[usize]>,
    mut paused: watch::Receiver<bool>,
    out: mpsc::Sender<Incoming>,
    connection: Connection,
) {
    loop {
        if paused.wait_for(|paused| !*paused).await.is_err() {
            return;
        }
        let received = tokio::select! {
            received = source.receive() => received,
            _ = paused.changed() => continue,
        };
        let incoming = match received {
            Ok(Received::Messages(messages)) => Incoming::Messages(Arc::clone(&inputs), messages),
            Ok(Received::Recovered) => Incoming::Recovered(Arc::clone(&inputs)),
            Err(error) => Incoming::Lost(connection.clone(), error),
        };
        let lost = matches!(incoming, Incoming::Lost(..));
        if out.send(incoming).await.is_err() || lost {
            return;
        }
    }
}

/// Keeps what is known of a connection that is mended by its source.
async fn watch_over(
    mut fault: watch::Receiver<Option<BrokerError>>,
    status: Arc<Status>,
    connection: Connection,
    (out, inputs): (mpsc::Sender<Incoming>, Arc<[usize]>),
) {
    while fault.changed().await.is_ok() {
        let away = fault.borrow_and_update().clone();
        match &away {
            Some(error) => status.missing_because(&connection, &error.to_string()),
            None => status.connected(&connection),
        }
        if out
            .send(Incoming::Away(Arc::clone(&inputs), away.is_some()))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn ack(
    mut acker: Box<dyn Acker>,
    mut done: mpsc::UnboundedReceiver<Vec<u64>>,
    out: mpsc::Sender<Incoming>,
    connection: Connection,
) {
    while let Some(mut tokens) = done.recv().await {
        while let Ok(more) = done.try_recv() {
            tokens.extend(more);
        }
        if let Err(error) = acker.ack(&tokens).await {
            // A session that ends is not told any more.
            let _ = out.send(Incoming::Lost(connection, error)).await;
            return;
        }
    }
    // The session has said that there is no more to ack, which it does at its end in good order only.
    acker.leave().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_hold_little_asks_for_little() {
        let map = Role::Map {
            r#where: None,
            select: None,
        };
        for (budget, most) in [(0, 16), (1 << 20, 64), (64 << 20, 4096), (u64::MAX, 4096)] {
            assert_eq!(in_flight(&map, budget), Some(most), "{budget}");
        }
        for (concurrency, most) in [(1, 4), (20, 64), (1000, 1000)] {
            assert_eq!(in_flight(&Role::Relay { concurrency }, 1 << 20), Some(most));
        }
    }
}
