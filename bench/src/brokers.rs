//! The brokers that messages go through, each started for the run.

use std::fmt;

use anyhow::{Context as _, Result};
use test_brokers::{Mosquitto, RabbitMq, Redis};

use crate::wire::{Amqp, Counter, Mqtt, Publisher, RedisStream, Session, Waiting};

/// What a topic is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broker {
    Redis,
    RabbitMq(Mode),
    Mqtt,
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
            Broker::Mqtt => "mqtt",
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broker::Redis => "redis",
            Broker::RabbitMq(Mode::Transient) => "rabbitmq, transient",
            Broker::RabbitMq(Mode::Persistent) => "rabbitmq, persistent",
            Broker::Mqtt => "mqtt",
        })
    }
}

/// Where they listen.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) redis: u16,
    pub(crate) rabbitmq: u16,
    pub(crate) mqtt: u16,
}

impl Ports {
    /// A publisher to a topic. On `RabbitMQ` whoever reads it has declared it before.
    pub(crate) fn publisher(self, broker: Broker, topic: &str) -> Result<Box<dyn Publisher + Send>> {
        Ok(match broker {
            Broker::Redis => Box::new(RedisStream::connect(self.redis, topic)?),
            Broker::RabbitMq(mode) => Box::new(Amqp::connect(self.rabbitmq, topic, mode)?),
            Broker::Mqtt => Box::new(Mqtt::connect(self.mqtt, topic)?),
        })
    }

    /// A broker's address for client libraries.
    pub(crate) fn url(self, broker: Broker) -> String {
        match broker {
            Broker::Redis => format!("redis://127.0.0.1:{}", self.redis),
            Broker::RabbitMq(_) => format!("amqp://guest:guest@127.0.0.1:{}", self.rabbitmq),
            Broker::Mqtt => format!("mqtt://127.0.0.1:{}", self.mqtt),
        }
    }

    /// Counts what a topic gets from now on, on `RabbitMQ` for a group that nobody reads for.
    pub(crate) fn counter(self, broker: Broker, group: &str, topic: &str) -> Result<Box<dyn Counter>> {
        Ok(match broker {
            Broker::Redis => Box::new(RedisStream::connect(self.redis, topic)?),
            Broker::RabbitMq(_) => Box::new(Waiting::connect(self.rabbitmq, format!("{group}-{topic}"))?),
            Broker::Mqtt => Box::new(self.session("counter", topic)?),
        })
    }

    /// Begins the session of an MQTT client, for which the broker keeps a topic's messages.
    pub(crate) fn session(self, client: &str, topic: &str) -> Result<Session> {
        Session::begin(self.mqtt, client, topic)
    }
}

/// Brokers of our own, which end with us.
pub(crate) struct Brokers {
    redis: Redis,
    rabbitmq: RabbitMq,
    mosquitto: Mosquitto,
}

impl Brokers {
    pub(crate) fn start() -> Result<Brokers> {
        Ok(Brokers {
            // What is measured is not a disk.
            redis: Redis::in_memory().context("starting redis-server")?,
            rabbitmq: RabbitMq::start().context("starting rabbitmq-server")?,
            mosquitto: Mosquitto::with_many_in_flight().context("starting mosquitto")?,
        })
    }

    pub(crate) fn ports(&self) -> Ports {
        Ports {
            redis: self.redis.port(),
            rabbitmq: self.rabbitmq.port(),
            mqtt: self.mosquitto.port(),
        }
    }
}
