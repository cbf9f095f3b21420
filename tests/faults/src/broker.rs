//! The brokers that messages come from, as faults see them: they can be taken down, and be there again with what they had.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};
use test_brokers::{Mosquitto, RabbitMq, Redis};

/// A protocol, and the broker that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Redis Streams on redis-server, which writes all that it confirms to disk first.
    Redis,
    /// AMQP 0-9-1 on rabbitmq-server.
    Rabbitmq,
    /// MQTT 5 on mosquitto.
    Mqtt,
}

impl Kind {
    /// Every protocol.
    pub const ALL: [Kind; 3] = [Kind::Redis, Kind::Rabbitmq, Kind::Mqtt];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Redis => "Redis",
            Kind::Rabbitmq => "RabbitMQ",
            Kind::Mqtt => "MQTT",
        }
    }

    /// The `spec` of a `ClusterStream` for a broker at this port.
    pub fn cluster_stream(self, port: u16, more: &[(&str, &str)]) -> Value {
        let (protocol, mut properties) = match self {
            Kind::Redis => ("redis", json!({"redisHost": format!("127.0.0.1:{port}")})),
            Kind::Rabbitmq => (
                "rabbitmq",
                json!({
                    "host": format!("amqp://guest:guest@127.0.0.1:{port}"), "durable": "true", "deletedWhenUnused": "false",
                }),
            ),
            Kind::Mqtt => ("mqtt", json!({"url": format!("mqtt://127.0.0.1:{port}")})),
        };
        for (name, value) in more {
            properties[*name] = json!(value);
        }
        json!({"protocol": protocol, "properties": properties})
    }
}

/// A broker that runs.
#[derive(Debug)]
pub enum Server {
    /// redis-server.
    Redis(Redis),
    /// rabbitmq-server.
    Rabbitmq(RabbitMq),
    /// mosquitto.
    Mqtt(Mosquitto),
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// It is not installed, or doesn't come up.
    pub fn start(kind: Kind) -> Result<Server> {
        Ok(match kind {
            Kind::Redis => Server::Redis(Redis::start()?),
            Kind::Rabbitmq => Server::Rabbitmq(RabbitMq::start()?),
            Kind::Mqtt => Server::Mqtt(Mosquitto::start()?),
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        match self {
            Server::Redis(redis) => redis.port(),
            Server::Rabbitmq(rabbitmq) => rabbitmq.port(),
            Server::Mqtt(mosquitto) => mosquitto.port(),
        }
    }

    /// What it has declared is to be on its disk.
    ///
    /// # Errors
    /// The broker doesn't answer.
    pub fn settle(&self) -> Result<()> {
        match self {
            Server::Rabbitmq(rabbitmq) => rabbitmq.settle(),
            Server::Redis(_) | Server::Mqtt(_) => Ok(()),
        }
    }

    /// Ends it with SIGKILL, except for mosquitto: that keeps what it has confirmed in memory, writes it down when it is told to
    /// end, and loses it otherwise whatever its clients do.
    pub fn down(&mut self) {
        match self {
            Server::Redis(redis) => redis.kill(),
            Server::Rabbitmq(rabbitmq) => rabbitmq.kill(),
            Server::Mqtt(mosquitto) => mosquitto.stop(),
        }
    }

    /// Starts it again where it was, with what it had.
    ///
    /// # Errors
    /// It doesn't come up.
    pub fn up(&mut self) -> Result<()> {
        match self {
            Server::Redis(redis) => redis.resume(),
            Server::Rabbitmq(rabbitmq) => rabbitmq.resume(),
            Server::Mqtt(mosquitto) => mosquitto.resume(),
        }
    }
}
