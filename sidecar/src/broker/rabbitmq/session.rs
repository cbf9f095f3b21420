//! A connection, and what is declared on it: an exchange for each topic, a queue for each group that reads it.

use std::sync::Arc;
use std::time::Duration;

use amq_protocol::protocol::{AMQPClass, exchange, queue};
use amq_protocol::types::{FieldTable, ShortString};
use tokio::net::TcpStream;

use super::super::BrokerError;
use super::super::tls::Socket;
use super::amqp::{Channel, Connection, Fault, Login};
use super::fault::explain;
use super::settings::Settings;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What a queue has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) messages: u32,
    pub(super) consumers: u32,
}

/// Connects and logs in.
pub(super) async fn connect(settings: &Settings) -> Result<Arc<Connection>, BrokerError> {
    let address = &settings.address;
    let heartbeat = settings.heartbeat.as_secs().clamp(1, 3600);
    let login = Login {
        user: address.user.clone(),
        password: address.password.clone(),
        external: settings.external,
        vhost: settings.short(&address.vhost)?,
        heartbeat: u16::try_from(heartbeat).unwrap_or(u16::MAX),
    };
    let connecting = async {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        // What leaves together is written together.
        stream.set_nodelay(true)?;
        let socket = Socket::new(stream, settings.tls.as_ref()).await?;
        Connection::open(socket, login).await
    };
    match tokio::time::timeout(CONNECT, connecting).await {
        Ok(Ok(connection)) => Ok(Arc::new(connection)),
        Ok(Err(fault)) => Err(explain(settings, &fault)),
        Err(_) => Err(settings.fault("Unreachable", true, "RabbitMQ doesn't answer")),
    }
}

/// Opens a channel.
pub(super) async fn open(settings: &Settings, connection: &Arc<Connection>) -> Result<Channel, BrokerError> {
    let opened = connection.channel().await;
    opened.map_err(|fault| explain(settings, &fault))
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
    let (exchange, key) = (settings.short(exchange)?, settings.short(key)?);
    let mut asked = vec![AMQPClass::Exchange(exchange::AMQPMethod::Declare(
        exchange::Declare {
            // The broker's own are there, and nobody else may declare them.
            passive: exchange.as_str().starts_with("amq."),
            exchange: exchange.clone(),
            kind: settings.exchange.kind.into(),
            durable: settings.exchange.durable,
            auto_delete: settings.exchange.auto_delete,
            internal: false,
            nowait: false,
            arguments: FieldTable::default(),
        },
    ))];
    for group in groups {
        let queue = settings.short(&queue_name(group, topic))?;
        asked.push(queue_declare(queue.clone(), Some(settings.queue.clone())));
        asked.push(AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
            queue,
            exchange: exchange.clone(),
            routing_key: key.clone(),
            nowait: false,
            arguments: FieldTable::default(),
        })));
    }
    for method in asked {
        let answer = channel.call(method).await;
        answer.map_err(|fault| explain(settings, &fault))?;
    }
    Ok(())
}

/// Declares a queue with these arguments, or without any asks what it has.
fn queue_declare(queue: ShortString, arguments: Option<FieldTable>) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue,
        passive: arguments.is_none(),
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: arguments.unwrap_or_default(),
    }))
}

/// Asks how many messages and consumers a queue has.
pub(super) async fn inspect(channel: &Channel, queue: ShortString) -> Result<Depth, Fault> {
    match channel.call(queue_declare(queue, None)).await? {
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(found)) => Ok(Depth {
            messages: found.message_count,
            consumers: found.consumer_count,
        }),
        // What is answered is what was asked, or the connection ends.
        _ => Err(Fault::Closed),
    }
}

/// Deletes a queue that nobody reads. The exchange goes by itself with its last queue, unless it was declared to stay.
pub(super) async fn delete(channel: &Channel, queue: ShortString) -> Result<(), Fault> {
    let delete = queue::Delete {
        queue,
        if_unused: true,
        if_empty: false,
        nowait: false,
    };
    let deleted = channel.call(AMQPClass::Queue(queue::AMQPMethod::Delete(delete)));
    deleted.await.map(drop)
}
