//! Redis Streams, 6.2 and later, in Dapr's layout: the stream's key is the topic, a message is the field `data` of an
//! entry, and each component is a consumer group that starts at the stream's beginning
//! (<https://docs.dapr.io/reference/components-reference/supported-pubsub/setup-redis-pubsub/>).
//!
//! Acks are not tied to a connection, so a broken one is mended inside, and tokens stay good over it.

mod acker;
mod claim;
mod entries;
mod fault;
mod fence;
mod link;
mod reader;
mod sink;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use self::acker::Acks;
use self::link::{Lazy, Link};
use self::reader::Reader;
use self::sink::Publisher;
use self::tokens::Held;
use super::properties::Properties;
use super::{Acker, Broker, BrokerError, Consumer, Sink, Source, Subscription};

/// A Redis.
pub(super) struct Redis {
    link: Arc<Link>,
    properties: BTreeMap<String, String>,
    max_len: Option<u64>,
}

impl Redis {
    /// Takes in the properties; connects to nothing yet.
    pub(super) fn new(name: &str, properties: &BTreeMap<String, String>) -> Result<Redis, BrokerError> {
        let broker = name.into();
        let read = Properties {
            broker: &broker,
            own: None,
            connection: properties,
        };
        Ok(Redis {
            link: Arc::new(Link::new(name, &read)?),
            max_len: read.number("maxLenApprox")?.filter(|most| *most > 0),
            properties: properties.clone(),
        })
    }
}

/// Whom a source reads for.
#[derive(Clone, Debug)]
struct Member {
    topic: Arc<str>,
    group: Arc<str>,
    consumer: Arc<str>,
}

impl Member {
    /// Makes sure that the group exists. A new one starts at the stream's beginning; says whether it is new.
    async fn join(&self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        let mut create = redis::cmd("XGROUP");
        create
            .arg("CREATE")
            .arg(&*self.topic)
            .arg(&*self.group)
            .arg("0")
            .arg("MKSTREAM");
        match create.exec_async(connection).await {
            Err(error) if fault::is_group_there(&error) => Ok(false),
            other => other.map(|()| true),
        }
    }
}

#[async_trait]
impl Broker for Redis {
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
        let member = Member {
            topic: subscription.topic.as_str().into(),
            group: subscription.group.as_str().into(),
            consumer: subscription.consumer.as_str().into(),
        };
        let properties = Properties {
            broker: &self.link.name,
            own: Some(&subscription.properties),
            connection: &self.properties,
        };
        // A window's messages stay with the consumer that has the others of the window.
        let claims = match subscription.in_flight {
            Some(_) => claim::Times::new(&properties)?,
            None => None,
        };
        let held = Arc::new(Held::default());
        let commands = Arc::new(Lazy::new(Arc::clone(&self.link)));
        let reader = Reader::start(
            &self.link,
            &member,
            &held,
            &commands,
            subscription.in_flight,
            claims,
        );
        let source = reader.await?;
        let acks = Acks {
            member,
            held,
            commands,
            reading: claims.map(|_| source.tasks()),
        };
        Ok((Box::new(source), Box::new(acks)))
    }

    async fn sink(&self, _consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError> {
        let connection = Lazy::new(Arc::clone(&self.link));
        connection.get().await?;
        Ok(Arc::new(Publisher {
            connection,
            max_len: self.max_len,
        }))
    }

    async fn remove(&self, consumer: &Consumer, _members: u32) -> Result<(), BrokerError> {
        let removed = async {
            let mut connection = self.link.connect(Duration::ZERO).await?;
            if fence::is_read(&mut connection, consumer).await? {
                return Ok(false);
            }
            let mut destroy = redis::cmd("XGROUP");
            destroy.arg("DESTROY").arg(&consumer.topic).arg(&consumer.group);
            match destroy.exec_async(&mut connection).await {
                Err(error) if fault::is_nothing_there(&error) => Ok(true),
                other => other.map(|()| true),
            }
        };
        match removed.await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let what = format!("`{}` is still read as `{}`", consumer.topic, consumer.group);
                Err(BrokerError::new(&self.link.name, "GroupInUse", what, true))
            }
            Err(error) => Err(fault::explain(&self.link, &error)),
        }
    }
}
