//! A broker inside the process, for a laptop and for tests: it keeps the promises that the real ones keep. A topic's
//! messages are in order and stamped; a group starts at the oldest there is; what is not acked when a source is dropped
//! is given again. Its memory is bounded: a full broker refuses messages, as transient, until something is acked.

mod log;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use self::log::{Full, Limit, Topics};
use super::{
    Acker, Broker, BrokerError, Consumer, Message, Outgoing, Received, Sink, Source, Subscription, clock,
};

/// What all topics may hold, in bytes.
const CAPACITY: usize = 512 << 20;
/// How much a source gives at once.
const BATCH: Limit = Limit {
    messages: 512,
    bytes: 4 << 20,
};

/// The broker. Clones are the same broker.
#[derive(Clone, Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    topics: Topics,
    sessions: u64,
}

impl Embedded {
    /// An empty broker; `name` is the `ClusterStream`'s, for errors.
    pub fn new(name: &str) -> Embedded {
        Embedded::with_capacity(name, CAPACITY)
    }

    /// An empty broker that holds at most so many bytes.
    pub fn with_capacity(name: &str, bytes: usize) -> Embedded {
        let state = State {
            topics: Topics::new(bytes),
            sessions: 0,
        };
        Embedded {
            shared: Arc::new(Shared {
                name: name.into(),
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Broker for Embedded {
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
        let session = {
            let mut state = self.shared.lock();
            state.sessions += 1;
            state.topics.declare(&subscription.topic, &subscription.group);
            state.sessions
        };
        let reader = Reader {
            shared: Arc::clone(&self.shared),
            topic: subscription.topic.as_str().into(),
            group: subscription.group.as_str().into(),
            session,
            in_flight: subscription.in_flight.map(|n| n.max(1) as usize),
            recovered: false,
        };
        let acks = Acks {
            shared: Arc::clone(&self.shared),
            topic: Arc::clone(&reader.topic),
            group: Arc::clone(&reader.group),
        };
        Ok((Box::new(reader), Box::new(acks)))
    }

    async fn sink(&self, consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError> {
        let mut state = self.shared.lock();
        for consumer in consumers {
            state.topics.declare(&consumer.topic, &consumer.group);
        }
        Ok(Arc::new(self.clone()))
    }

    async fn remove(&self, consumer: &Consumer, _members: u32) -> Result<(), BrokerError> {
        let removed = self.shared.lock().topics.remove(&consumer.topic, &consumer.group);
        self.shared.changed.notify_waiters();
        if removed {
            return Ok(());
        }
        let what = format!("`{}` is still read as `{}`", consumer.topic, consumer.group);
        Err(BrokerError::new(&self.shared.name, "GroupInUse", what, true))
    }
}

#[async_trait]
impl Sink for Embedded {
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let results = {
            let mut state = self.shared.lock();
            let now = clock::now();
            let mut append = |message: Outgoing| {
                let appended = state.topics.publish(&message.topic, message.payload, now);
                appended.map_err(|Full| self.full())
            };
            batch.into_iter().map(&mut append).collect()
        };
        self.shared.changed.notify_waiters();
        results
    }
}

impl Embedded {
    fn full(&self) -> BrokerError {
        let what = "the embedded broker is full; it takes messages again when its readers have acked some";
        BrokerError::new(&self.shared.name, "BrokerFull", what, true)
    }
}

struct Reader {
    shared: Arc<Shared>,
    topic: Arc<str>,
    group: Arc<str>,
    session: u64,
    in_flight: Option<usize>,
    recovered: bool,
}

impl Reader {
    fn take(&mut self) -> Option<Received> {
        let topics = &mut self.shared.lock().topics;
        let mut limit = BATCH;
        if let Some(most) = self.in_flight {
            let held = topics.held(&self.topic, &self.group, self.session);
            limit.messages = limit.messages.min(most.saturating_sub(held));
            if limit.messages == 0 {
                return None;
            }
        }
        let given = topics.take(&self.topic, &self.group, self.session, limit, self.recovered);
        if given.is_empty() {
            let first = !self.recovered;
            self.recovered = true;
            return first.then_some(Received::Recovered);
        }
        let message = |given: log::Given| Message {
            token: given.offset,
            position: given.offset.to_string().into(),
            received: given.appended,
            attempts: given.attempts,
            topic: Arc::clone(&self.topic),
            key: None,
            trace: None,
            payload: given.payload,
        };
        Some(Received::Messages(given.into_iter().map(message).collect()))
    }
}

#[async_trait]
impl Source for Reader {
    async fn receive(&mut self) -> Result<Received, BrokerError> {
        let shared = Arc::clone(&self.shared);
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            if let Some(received) = self.take() {
                return Ok(received);
            }
            changed.await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.topics.release(&self.topic, &self.group, self.session);
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

struct Acks {
    shared: Arc<Shared>,
    topic: Arc<str>,
    group: Arc<str>,
}

#[async_trait]
impl Acker for Acks {
    async fn ack(&mut self, tokens: &[u64]) -> Result<(), BrokerError> {
        self.shared.lock().topics.ack(&self.topic, &self.group, tokens);
        self.shared.changed.notify_waiters();
        Ok(())
    }
}
