//! MQTT 5, and 3.1.1 where the broker has no 5: a topic is a topic or a filter with wildcards, and each component that reads it has a session of its own on the
//! broker, which keeps what comes while the component is away.
//!
//! A packet identifier means something on its connection only, so a lost connection ends a subscription: `receive` and
//! `ack` fail, and what was unacked comes again to the next one. PUBACKs go in the order of delivery, as the protocol has
//! it: a message is acked when those before it are done too.
//!
//! What is said on a connection is ours, in [`exchange`], which has no socket and no clock: [`outbox`] what is published, [`acks`]
//! what has come. [`driver`] reads and writes for it. The packets are the client library's, but for those that each message
//! takes: [`publish`] and its answers in [`packet`].

mod acker;
mod acks;
mod driver;
mod end;
mod exchange;
mod fault;
mod frame;
mod gate;
mod line;
mod older;
mod outbox;
mod packet;
mod publish;
mod pulse;
mod ring;
mod seat;
mod session;
mod settings;
mod sink;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};

use self::acker::Acks;
use self::seat::Seat;
use self::session::Identity;
use self::settings::Settings;
use self::sink::Publisher;
use self::source::Reader;
use super::properties::Properties;
use super::{Acker, Broker, BrokerError, Consumer, Sink, Source, Subscription};

pub(super) use self::settings::is_address;

/// Sessions that are ended at the same time.
const AT_ONCE: usize = 16;
/// So many numbers without a session, and there are no further ones.
const BEYOND: u32 = 4;

/// An MQTT broker.
pub(super) struct Mqtt {
    settings: Arc<Settings>,
    properties: BTreeMap<String, String>,
    /// Those of this process, by consumer and topic.
    seats: Mutex<BTreeMap<(String, String), Seat>>,
}

impl Mqtt {
    /// Takes in the properties; connects to nothing yet.
    pub(super) fn new(name: &str, properties: &BTreeMap<String, String>) -> Result<Mqtt, BrokerError> {
        Ok(Mqtt {
            settings: Arc::new(Settings::new(name, properties)?),
            properties: properties.clone(),
            seats: Mutex::default(),
        })
    }

    /// Ends sessions. Says whether there were any.
    async fn end(&self, identities: impl Iterator<Item = Identity>) -> Result<bool, BrokerError> {
        let settings = &self.settings;
        let ending = identities.map(|identity| async move { end::end(settings, &identity).await });
        let ended: Vec<_> = stream::iter(ending).buffer_unordered(AT_ONCE).collect().await;
        ended
            .into_iter()
            .try_fold(false, |any, was_there| Ok(any | was_there?))
    }

    fn seat(&self, subscription: &Subscription) -> Seat {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let whose = (subscription.consumer.clone(), subscription.topic.clone());
        let new = || Seat::new(&subscription.consumer);
        seats.entry(whose).or_insert_with(new).clone()
    }
}

#[async_trait]
impl Broker for Mqtt {
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
        let properties = Properties {
            broker: &self.settings.name,
            own: Some(&subscription.properties),
            connection: &self.properties,
        };
        let reading = settings::Reading::new(&properties)?;
        // Without a Receive Maximum a broker chooses one, as few as 20, and may throw away what is beyond its queue.
        let most = subscription
            .in_flight
            .map_or(u16::MAX, |most| u16::try_from(most.max(1)).unwrap_or(u16::MAX));
        let seat = self.seat(&subscription);
        let identity = match subscription.shared {
            Some(members) => {
                let seat = seat.take(members).await;
                Identity::member(&subscription.group, seat, &subscription.topic)
            }
            None => Identity::alone(&subscription.group, &subscription.topic),
        };
        let opened = session::open(&self.settings, &identity, reading, most).await?;
        let acks = Acks {
            settings: Arc::clone(&self.settings),
            link: Arc::clone(&opened.link),
        };
        let reader = Reader::start(&self.settings, opened, seat);
        Ok((Box::new(reader), Box::new(acks)))
    }

    async fn sink(&self, consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError> {
        let properties = Properties {
            broker: &self.settings.name,
            own: None,
            connection: &self.properties,
        };
        let reading = settings::Reading::new(&properties)?;
        Ok(Arc::new(
            Publisher::start(&self.settings, reading, consumers).await?,
        ))
    }

    async fn remove(&self, consumer: &Consumer, members: u32) -> Result<(), BrokerError> {
        let Consumer { topic, group } = consumer;
        let alone = Identity::alone(group, topic);
        let seats = |seats: Range<u32>| seats.map(|seat| Identity::member(group, seat, topic));
        self.end([alone].into_iter().chain(seats(0..members))).await?;
        // There may have been more of them once.
        let mut next = members;
        loop {
            let beyond = next.saturating_add(BEYOND);
            if !self.end(seats(next..beyond)).await? {
                return Ok(());
            }
            next = beyond;
        }
    }
}
