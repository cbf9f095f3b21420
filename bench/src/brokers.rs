//! The brokers that messages go through, each started for the run.

use std::fmt;

use anyhow::{Context as _, Result};
use test_brokers::{RabbitMq, Redis};

use crate::wire::{Amqp, Publisher, RedisStream};

/// What a topic is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broker {
    Redis,
    RabbitMq(Mode),
}

/// Whether messages outlive their broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Transient,
    Persistent,
}

impl Broker {
    /// Also the name of its `ClusterStream`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Broker::Redis => "redis",
            Broker::RabbitMq(_) => "rabbitmq",
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broker::Redis => "redis",
            Broker::RabbitMq(Mode::Transient) => "rabbitmq, transient",
            Broker::RabbitMq(Mode::Persistent) => "rabbitmq, persistent",
        })
    }
}

/// Where they listen.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) redis: u16,
    pub(crate) rabbitmq: u16,
}

impl Ports {
    /// A publisher to a topic. On `RabbitMQ` whoever reads it has declared it before.
    pub(crate) fn publisher(self, broker: Broker, topic: &str) -> Result<Box<dyn Publisher + Send>> {
        Ok(match broker {
            Broker::Redis => Box::new(RedisStream::connect(self.redis, topic)?),
            Broker::RabbitMq(mode) => Box::new(Amqp::connect(self.rabbitmq, topic, mode)?),
        })
    }

    /// A broker's address for client libraries.
    pub(crate) fn url(self, broker: Broker) -> String {
        match broker {
            Broker::Redis => format!("redis://127.0.0.1:{}", self.redis),
            Broker::RabbitMq(_) => format!("amqp://guest:guest@127.0.0.1:{}", self.rabbitmq),
        }
    }

    /// How many messages a topic has, on `RabbitMQ` for a group that nobody reads for.
    pub(crate) fn count(self, broker: Broker, group: &str, topic: &str) -> Result<u64> {
        match broker {
            Broker::Redis => RedisStream::connect(self.redis, topic)?.len(),
            Broker::RabbitMq(mode) => {
                Amqp::connect(self.rabbitmq, topic, mode)?.waiting(&format!("{group}-{topic}"))
            }
        }
    }
}

/// Brokers of our own, which end with us.
pub(crate) struct Brokers {
    redis: Redis,
    rabbitmq: RabbitMq,
}

impl Brokers {
    pub(crate) fn start() -> Result<Brokers> {
        Ok(Brokers {
            redis: Redis::start().context("starting redis-server")?,
            rabbitmq: RabbitMq::start().context("starting rabbitmq-server")?,
        })
    }

    pub(crate) fn ports(&self) -> Ports {
        Ports {
            redis: self.redis.port(),
            rabbitmq: self.rabbitmq.port(),
        }
    }
}
