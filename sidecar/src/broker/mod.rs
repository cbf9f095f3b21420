//! Where messages come from and go to: what every broker's connection can do, whatever its protocol.
//!
//! A connection gives out the two halves of a subscription, a [`Source`] that reads and an [`Acker`] that acks, and
//! a [`Sink`] that publishes. Reading and acking are apart so that a window can be held unacked while reading goes
//! on. Nothing in here knows what is done with a message.

mod backoff;
mod binary;
mod clock;
pub mod embedded;
mod files;
mod mqtt;
mod pace;
mod properties;
mod rabbitmq;
mod redis;
mod tls;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use streaming_engine::event::Trace;
use streaming_engine::time::Time;
use streaming_plan::{ClusterStream, Protocol};
use tokio::sync::watch;

pub use url::{UrlError, reached_at};

/// A message as a source got it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Names the message to its subscription's [`Acker`]; unique while it is not acked.
    pub token: u64,
    /// Stable identity on the broker (a Redis entry's id), over redelivery too; empty where the broker has none.
    pub position: Box<str>,
    /// When the broker got it, or the source where the broker doesn't say.
    pub received: Time,
    /// Deliveries before this one, as far as the broker knows.
    pub attempts: u32,
    /// The topic that it was published to.
    pub topic: Arc<str>,
    /// Its key, where the protocol has one.
    pub key: Option<Box<str>>,
    /// The trace that its headers say it is part of, whatever it says itself.
    pub trace: Option<Arc<Trace>>,
    /// What was published.
    pub payload: Bytes,
}

/// What a source has to say.
#[derive(Debug)]
pub enum Received {
    /// One or more messages, in the broker's order.
    Messages(Vec<Message>),
    /// All that this consumer had been delivered before, and had not acked, has been given again. Said once in a
    /// source's life.
    Recovered,
}

/// Who reads, and as whom.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The topic.
    pub topic: String,
    /// The consumer group: the component's name.
    pub group: String,
    /// This consumer's name within the group, the same after a restart.
    pub consumer: String,
    /// How many consumers the group has that share the topic, where the broker must be told so.
    pub shared: Option<u32>,
    /// Settings of this subscription beside the connection's.
    pub properties: std::collections::BTreeMap<String, String>,
    /// About how many messages may be held unacked at once; `None` where a window decides that, and the memory
    /// budget bounds it.
    pub in_flight: Option<u32>,
}

/// The reading half of a subscription.
#[async_trait]
pub trait Source: Send {
    /// Waits for what comes next. Not calling it is how a subscription is paused: a source holds no more than a
    /// bounded number of messages by itself. May be cancelled at any await without losing a message.
    ///
    /// # Errors
    /// The connection is gone for good: what was not acked will be redelivered to a new source, and this one's
    /// tokens mean nothing any more. Faults that a source can mend without that are not errors.
    async fn receive(&mut self) -> Result<Received, BrokerError>;

    /// What keeps a source that mends its connection by itself from reading right now; `None` for one whose connection
    /// is lost for good.
    fn fault(&self) -> Option<watch::Receiver<Option<BrokerError>>> {
        None
    }
}

/// The acking half of a subscription.
#[async_trait]
pub trait Acker: Send {
    /// Acks messages, in any order; many in one go is cheaper.
    ///
    /// # Errors
    /// As for [`Source::receive`]: they may be redelivered.
    async fn ack(&mut self, tokens: &[u64]) -> Result<(), BrokerError>;

    /// Leaves what is still held to whom comes next: said once, by a consumer that ends in good order and may not come
    /// back under its name. Most brokers give it to others by themselves.
    async fn leave(&mut self) {}
}

/// The headers of a message that are part of a trace, by W3C's names
/// (<https://w3c.github.io/trace-context-amqp/>, <https://w3c.github.io/trace-context-mqtt/>).
fn headers(trace: Option<&Trace>) -> impl Iterator<Item = (&'static str, &str)> {
    let all = trace.into_iter().flat_map(|trace| {
        [
            ("traceparent", trace.parent.as_str()),
            ("tracestate", trace.state.as_str()),
        ]
    });
    all.filter(|(_, value)| !value.is_empty())
}

/// The trace that a message's headers say it is part of. Two that name one are as good as none.
fn trace<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> Option<Arc<Trace>> {
    let (mut parent, mut state) = (None, Vec::new());
    for (name, value) in headers {
        match name {
            "traceparent" if parent.is_some() => return None,
            "traceparent" => parent = Some(value),
            // It may come in several parts (Trace Context, 3.3.1).
            "tracestate" => state.push(value),
            _ => {}
        }
    }
    Trace::new(parent?, &state.join(",")).map(Arc::new)
}

/// Something to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The topic.
    pub topic: Arc<str>,
    /// The event's id; brokers that can carry it do.
    pub id: Arc<str>,
    /// MIME type of the payload.
    pub content_type: &'static str,
    /// The trace that it is part of, for who doesn't look into the payload; brokers that can carry it do.
    pub trace: Option<Arc<Trace>>,
    /// What to publish.
    pub payload: Bytes,
}

/// The publishing side of a connection.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Publishes in order, and says for each whether the broker has taken responsibility for it. Reconnects by
    /// itself.
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>>;
}

/// A connection to a broker.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Subscribes, creating the topic's group or queue where there is none.
    ///
    /// # Errors
    /// What the broker refused, or that it can't be reached.
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError>;

    /// A publisher. Before its first message to a topic it makes sure that the queues of these groups exist, so
    /// that what it publishes waits for a consumer that is not up yet.
    ///
    /// # Errors
    /// As for [`Broker::subscribe`].
    async fn sink(&self, consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError>;

    /// Takes away what the broker keeps for a group that reads a topic: its queue, consumer group or session, with what
    /// waits there. The topic itself stays, and what isn't there is no error. `members` of the group have shared the topic,
    /// for brokers that keep something for each.
    ///
    /// # Errors
    /// As for [`Broker::subscribe`]; and that somebody still reads as this group: as transient, unless asking again would
    /// disturb who reads.
    async fn remove(&self, consumer: &Consumer, members: u32) -> Result<(), BrokerError>;
}

/// A group that reads a topic, whether or not it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
}

/// Why a broker didn't do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{broker}: {what}")]
pub struct BrokerError {
    /// The `ClusterStream`'s name, and where it is, without credentials.
    pub broker: Arc<str>,
    /// A `CamelCase` reason, stable: a metric's label and a condition's reason.
    pub reason: &'static str,
    /// What went wrong, and what to do about it.
    pub what: String,
    /// Whether trying again may help.
    pub transient: bool,
}

impl BrokerError {
    fn new(broker: &Arc<str>, reason: &'static str, what: impl Into<String>, transient: bool) -> BrokerError {
        BrokerError {
            broker: Arc::clone(broker),
            reason,
            what: what.into(),
            transient,
        }
    }
}

/// The broker that a `ClusterStream` of this name speaks to. It is first connected to when it is used.
///
/// # Errors
/// Properties that don't make sense.
pub fn open(name: &str, cluster_stream: &ClusterStream) -> Result<Arc<dyn Broker>, BrokerError> {
    if !cluster_stream.files.is_empty() {
        return Ok(Arc::new(files::FromFiles::new(name, cluster_stream)));
    }
    match cluster_stream.protocol {
        Protocol::Redis => Ok(Arc::new(redis::Redis::new(name, &cluster_stream.properties)?)),
        Protocol::RabbitMq => Ok(Arc::new(rabbitmq::RabbitMq::new(
            name,
            &cluster_stream.properties,
        )?)),
        Protocol::Mqtt => Ok(Arc::new(mqtt::Mqtt::new(name, &cluster_stream.properties)?)),
    }
}
