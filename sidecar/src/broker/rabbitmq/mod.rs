//! `RabbitMQ`, AMQP 0-9-1, in Dapr's layout but for the queues' life: a topic is an exchange, and each component that
//! reads it has a durable queue `component-topic` of its own, bound to it. With the property `exchange` there is one topic
//! exchange instead, and a topic is a routing key, or a pattern of them.
//!
//! A delivery's tag means something on its channel only, so a lost connection ends a subscription: `receive` and `ack`
//! fail, and what was unacked comes again to the next one.

mod acker;
mod acks;
mod address;
mod amqp;
mod credit;
mod fault;
mod session;
mod settings;
mod sink;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::ShortString;
use async_trait::async_trait;
use tokio::time::Instant;

use self::acker::Acks;
use self::acks::Ledger;
use self::address::Address;
use self::amqp::Channel;
use self::fault::explain;
use self::session::Depth;
use self::settings::Settings;
use self::sink::Publisher;
use self::source::{Feed, Reader};
use super::properties::Properties;
use super::{Acker, Broker, BrokerError, Consumer, Sink, Source, Subscription};

/// How far into a window single acks are sent.
const REACH: u64 = 4000;

/// Whether a text is a URL that a broker can be reached at.
pub(super) fn is_address(url: &str) -> bool {
    Address::parse(url).is_some()
}

/// A `RabbitMQ` broker.
pub(super) struct RabbitMq {
    settings: Arc<Settings>,
    properties: BTreeMap<String, String>,
}

impl RabbitMq {
    /// Takes in the properties; connects to nothing yet.
    pub(super) fn new(name: &str, properties: &BTreeMap<String, String>) -> Result<RabbitMq, BrokerError> {
        Ok(RabbitMq {
            settings: Arc::new(Settings::new(name, properties)?),
            properties: properties.clone(),
        })
    }

    /// How many messages may be unacked; `None` where a window decides.
    fn prefetch(&self, subscription: &Subscription) -> Result<Option<u16>, BrokerError> {
        let properties = Properties {
            broker: &self.settings.name,
            own: Some(&subscription.properties),
            connection: &self.properties,
        };
        let set = properties
            .number("prefetchCount")?
            .filter(|count: &u16| *count > 0);
        let in_flight = |most: u32| u16::try_from(most.max(1)).unwrap_or(u16::MAX);
        Ok(subscription.in_flight.map(|most| set.unwrap_or(in_flight(most))))
    }

    /// Looks at a queue. For a window it waits until no other consumer is left: that would be an earlier life of this
    /// one, whose messages go back to the queue at the moment when the broker notices its end.
    async fn inspect(
        &self,
        channel: &Channel,
        queue: &ShortString,
        window: bool,
    ) -> Result<Depth, BrokerError> {
        let start = Instant::now();
        let mut told = false;
        loop {
            let found = session::inspect(channel, queue.clone()).await;
            let found = found.map_err(|fault| explain(&self.settings, &fault))?;
            if !window || found.consumers == 0 {
                return Ok(found);
            }
            if start.elapsed() > self.settings.dead() {
                let what = format!(
                    "another consumer reads the queue `{queue}`, but a window needs all of it: end that one"
                );
                return Err(self.settings.fault("QueueInUse", true, what));
            }
            if !told {
                tracing::info!(%queue, "waiting for the end of another consumer");
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
        let prefetch = self.prefetch(&subscription)?;
        let settings = &self.settings;
        let queue = settings.short(&session::queue_name(&subscription.group, &subscription.topic))?;
        let connection = session::connect(settings).await?;
        let channel = Arc::new(session::open(settings, &connection).await?);
        session::declare(
            settings,
            &channel,
            &subscription.topic,
            [subscription.group.as_str()],
        )
        .await?;
        let found = self.inspect(&channel, &queue, prefetch.is_none()).await?;
        let reach = if prefetch.is_some() { u64::MAX } else { REACH };
        let acks = Acks::new(settings, &channel, Ledger::new(reach));
        let feed = Feed {
            settings: Arc::clone(settings),
            channel,
            topic: subscription.topic.into(),
            by_key: settings.exchange.name.is_some(),
            queue,
        };
        let reader = Reader::start(feed, prefetch, found.messages).await?;
        Ok((Box::new(reader), Box::new(acks)))
    }

    async fn sink(&self, consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError> {
        Ok(Arc::new(Publisher::start(&self.settings, consumers).await?))
    }

    async fn remove(&self, consumer: &Consumer, _members: u32) -> Result<(), BrokerError> {
        let settings = &self.settings;
        let queue = settings.short(&session::queue_name(&consumer.group, &consumer.topic))?;
        let connection = session::connect(settings).await?;
        let channel = session::open(settings, &connection).await?;
        let deleted = session::delete(&channel, queue).await;
        deleted.map_err(|fault| explain(settings, &fault))
    }
}
