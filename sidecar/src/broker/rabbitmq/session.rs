//! A connection, and what is declared on it: an exchange for each topic, a queue for each group that reads it.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism};
use lapin::{Channel, Connection, ConnectionProperties, Queue};

use super::super::BrokerError;
use super::fault::explain;
use super::network;
use super::settings::Settings;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The client keeps 32 frames of room in each direction.
const FRAME: u32 = 32 << 10;

/// What a connection is closed with in good order.
pub(super) const REPLY_SUCCESS: u16 = 200;

/// Connects and logs in.
pub(super) async fn connect(settings: &Settings) -> Result<Connection, BrokerError> {
    let address = &settings.address;
    let heartbeat = settings.heartbeat.as_secs().clamp(1, 3600);
    let uri = AMQPUri {
        // It is encrypted beneath the client.
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: address.user.clone(),
                password: address.password.clone(),
            },
            host: address.host.clone(),
            port: address.port,
        },
        vhost: address.vhost.clone(),
        query: AMQPQueryString {
            frame_max: Some(FRAME),
            heartbeat: u16::try_from(heartbeat).ok(),
            auth_mechanism: settings.external.then_some(SASLMechanism::External),
            ..AMQPQueryString::default()
        },
    };
    let properties = ConnectionProperties::default().with_connection_name("streaming-runtime".into());
    let runtime = network::runtime(settings.tls.as_ref());
    let connecting = Connection::connect_uri_with_runtime(uri, properties, runtime);
    match tokio::time::timeout(CONNECT, connecting).await {
        Ok(connected) => connected.map_err(|error| explain(settings, &error)),
        Err(_) => Err(settings.fault("Unreachable", true, "RabbitMQ doesn't answer")),
    }
}

/// The queue of a group that reads a topic.
pub(super) fn queue_name(group: &str, topic: &str) -> String {
    format!("{group}-{topic}")
}

/// Declares a topic's exchange, and the queues of groups that read the topic, or the pattern, by that name. A refusal
/// closes the channel.
pub(super) async fn declare(
    settings: &Settings,
    channel: &Channel,
    topic: &str,
    groups: impl IntoIterator<Item = &str>,
) -> Result<(), BrokerError> {
    let (exchange, key) = settings.route(topic)?;
    let options = ExchangeDeclareOptions {
        // The broker's own are there, and nobody else may declare them.
        passive: exchange.as_str().starts_with("amq."),
        durable: settings.exchange.durable,
        auto_delete: settings.exchange.auto_delete,
        ..ExchangeDeclareOptions::default()
    };
    let kind = settings.exchange.kind.clone();
    let declared = channel
        .exchange_declare(exchange.clone(), kind, options, FieldTable::default())
        .await;
    declared.map_err(|error| explain(settings, &error))?;
    for group in groups {
        let queue = settings.short(&queue_name(group, topic))?;
        let bound = bind(settings, channel, queue, exchange.clone(), key.clone()).await;
        bound.map_err(|error| explain(settings, &error))?;
    }
    Ok(())
}

async fn bind(
    settings: &Settings,
    channel: &Channel,
    queue: ShortString,
    exchange: ShortString,
    key: ShortString,
) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.clone(), options, settings.queue.clone())
        .await?;
    channel
        .queue_bind(
            queue,
            exchange,
            key,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// Asks how many messages and consumers a queue has.
pub(super) async fn inspect(channel: &Channel, queue: ShortString) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(queue, options, FieldTable::default()).await
}
