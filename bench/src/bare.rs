//! What a bridge is measured against: the same messages moved by client libraries with the same acks, and
//! nothing done with them. A process of its own, as the sidecar is.
//!
//! Each of its batches is published and confirmed, then acked, while the next one is being read.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use futures_util::future::try_join_all;
use futures_util::stream::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use redis::Value;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use rumqttc::{
    AckMode, AsyncClient, Event, EventLoop, ManualAck, MqttOptions, Outgoing, Packet, PersistedAckMode,
    PersistedSession, PubAck, PublishOptions, QoS, SessionStore, SessionStoreError, SessionStoreKey,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Where messages are moved from and to, as URLs.
#[derive(Args, Clone)]
pub(crate) struct Bare {
    #[arg(long)]
    from: String,
    /// The stream, or the queue.
    #[arg(long)]
    source: String,
    #[arg(long)]
    to: String,
    /// The stream, or the exchange.
    #[arg(long)]
    target: String,
}

/// Messages in a batch.
const BATCH: u16 = 1_000;
/// Messages that may be unacked.
const IN_FLIGHT: u16 = 4_096;

/// Messages that may be unconfirmed by an MQTT broker: its client goes through as many whenever something leaves.
const UNCONFIRMED: u16 = 512;
/// How long a connection that ended may take to say why.
const GRACE: Duration = Duration::from_secs(5);
/// What may wait for an MQTT connection, and leaves together.
const REQUESTS: usize = 256;

/// Read together, and acked together.
struct Batch {
    payloads: Vec<Vec<u8>>,
    ack: Ack,
}

enum Ack {
    /// Entries' ids.
    Redis(Vec<String>),
    /// The last delivery's tag.
    RabbitMq(u64),
    /// Packets, in the order in which they came.
    Mqtt(Vec<ManualAck>),
}

enum Acker {
    Redis(MultiplexedConnection, String),
    RabbitMq(Channel),
    Mqtt(AsyncClient),
}

enum Sink {
    Redis(MultiplexedConnection, String),
    RabbitMq(Channel, String),
    Mqtt(AsyncClient, String),
}

/// Moves messages until it is killed.
pub(crate) fn run(args: &Bare) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(bridge(args))
}

async fn bridge(args: &Bare) -> Result<()> {
    let (sender, mut batches) = mpsc::channel(1);
    let mut reading = JoinSet::new();
    let mut acker = if args.from.starts_with("redis") {
        let connection = redis(&args.from).await?;
        reading.spawn(read_redis(redis(&args.from).await?, args.source.clone(), sender));
        Acker::Redis(connection, args.source.clone())
    } else if args.from.starts_with("mqtt") {
        let (client, driver) = mqtt(&args.from, Some(&args.source))?;
        reading.spawn(read_mqtt(driver, sender));
        Acker::Mqtt(client)
    } else {
        let channel = rabbitmq(&args.from).await?;
        channel.basic_qos(IN_FLIGHT, BasicQosOptions::default()).await?;
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel
            .basic_consume(args.source.as_str().into(), "bare".into(), options, table)
            .await?;
        reading.spawn(read_rabbitmq(consumer, sender));
        Acker::RabbitMq(channel)
    };
    let mut sink = if args.to.starts_with("redis") {
        Sink::Redis(redis(&args.to).await?, args.target.clone())
    } else if args.to.starts_with("mqtt") {
        let (client, mut driver) = mqtt(&args.to, None)?;
        reading.spawn(async move {
            loop {
                driver.poll().await?;
            }
        });
        Sink::Mqtt(client, args.target.clone())
    } else {
        let channel = rabbitmq(&args.to).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Sink::RabbitMq(channel, args.target.clone())
    };
    let moving = async {
        while let Some(batch) = batches.recv().await {
            sink.publish(batch.payloads).await?;
            acker.ack(batch.ack).await?;
        }
        bail!("nothing is read any more")
    };
    let moved = tokio::select! {
        Some(ended) = reading.join_next() => return ended?.context("a connection"),
        moved = moving => moved,
    };
    // Who drives a connection says more than who uses it, and ends when all that it read has been taken from it.
    drop(batches);
    match tokio::time::timeout(GRACE, reading.join_next()).await {
        Ok(Some(ended)) => ended?.context("a connection"),
        _ => moved,
    }
}

async fn redis(url: &str) -> Result<MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let client = redis::Client::open(url)?;
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

async fn rabbitmq(url: &str) -> Result<Channel> {
    Ok(Connection::connect(url, ConnectionProperties::default())
        .await?
        .create_channel()
        .await?)
}

async fn read_redis(
    mut connection: MultiplexedConnection,
    stream: String,
    out: mpsc::Sender<Batch>,
) -> Result<()> {
    loop {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(crate::plans::BRIDGE)
            .arg("bare")
            .arg("COUNT")
            .arg(BATCH);
        read.arg("BLOCK").arg(1_000).arg("STREAMS").arg(&stream).arg(">");
        let read: Option<StreamReadReply> = read.query_async(&mut connection).await?;
        let streams = read.into_iter().flat_map(|read| read.keys);
        let (mut ids, mut payloads) = (Vec::new(), Vec::new());
        for mut entry in streams.flat_map(|stream| stream.ids) {
            if let Some(Value::BulkString(payload)) = entry.map.remove("data") {
                ids.push(entry.id);
                payloads.push(payload);
            }
        }
        if ids.is_empty() {
            continue;
        }
        let ack = Ack::Redis(ids);
        out.send(Batch { payloads, ack }).await?;
    }
}

async fn read_rabbitmq(consumer: Consumer, out: mpsc::Sender<Batch>) -> Result<()> {
    let mut ready = consumer.ready_chunks(BATCH.into());
    while let Some(deliveries) = ready.next().await {
        let deliveries: Vec<_> = deliveries.into_iter().collect::<Result<_, _>>()?;
        let last = deliveries.last().map_or(0, |delivery| delivery.delivery_tag);
        let payloads = deliveries.into_iter().map(|delivery| delivery.data).collect();
        let ack = Ack::RabbitMq(last);
        out.send(Batch { payloads, ack }).await?;
    }
    Ok(())
}

/// Reads what the broker has kept for the session of whoever reads this topic; without one, a client that publishes.
fn mqtt(url: &str, source: Option<&str>) -> Result<(AsyncClient, EventLoop)> {
    let address = url.strip_prefix("mqtt://").and_then(|rest| rest.rsplit_once(':'));
    let (host, port) = address.context("an address as mqtt://HOST:PORT")?;
    let name = source.map_or_else(|| "bare".to_owned(), crate::bridge::client);
    let mut options = MqttOptions::new(name, rumqttc::Broker::tcp(host, port.parse()?));
    options
        .set_keep_alive(0)
        .set_clean_start(source.is_none())
        .set_receive_maximum(Some(IN_FLIGHT))
        .set_outgoing_inflight_upper_limit(UNCONFIRMED)
        .set_max_request_batch(REQUESTS);
    if source.is_some() {
        options
            .set_session_expiry_interval(Some(u32::MAX))
            .set_ack_mode(AckMode::Manual)
            .set_session_store(NothingOfOurs);
    }
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    Ok(AsyncClient::builder(options).capacity(REQUESTS).build())
}

async fn read_mqtt(mut driver: EventLoop, out: mpsc::Sender<Batch>) -> Result<()> {
    // The connection has to go on while a batch is being published.
    let (sender, mut came) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // Mosquitto 2.0.11 sends some messages of a long backlog three times, and takes one ack.
        let mut unacked = HashSet::new();
        loop {
            let message = match driver.poll().await? {
                Event::Incoming(Packet::Publish(message)) => message,
                Event::Outgoing(Outgoing::PubAck(packet)) => {
                    unacked.remove(&packet);
                    continue;
                }
                _ => continue,
            };
            if !unacked.insert(message.pkid) {
                continue;
            }
            if sender.send(message).is_err() {
                return anyhow::Ok(());
            }
        }
    });
    let mut messages = Vec::new();
    let mut taken = true;
    while taken && came.recv_many(&mut messages, BATCH.into()).await > 0 {
        let (mut acks, mut payloads) = (Vec::new(), Vec::new());
        for message in messages.drain(..) {
            acks.push(ManualAck::PubAck(PubAck::new(message.pkid, None)));
            payloads.push(message.payload.into());
        }
        let ack = Ack::Mqtt(acks);
        taken = out.send(Batch { payloads, ack }).await.is_ok();
    }
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

/// What this client has of its session, which it is asked for before it may resume it.
#[derive(Debug)]
struct NothingOfOurs;

impl SessionStore for NothingOfOurs {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(u32::MAX),
            outgoing_inflight_upper_limit: Some(UNCONFIRMED),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async { Ok(Some(session)) })
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Sink {
    async fn publish(&mut self, payloads: Vec<Vec<u8>>) -> Result<()> {
        match self {
            Sink::Redis(connection, stream) => {
                let mut pipeline = redis::Pipeline::with_capacity(payloads.len());
                for payload in payloads {
                    pipeline
                        .cmd("XADD")
                        .arg(&*stream)
                        .arg("*")
                        .arg("data")
                        .arg(payload)
                        .ignore();
                }
                Ok(pipeline.query_async(connection).await?)
            }
            Sink::Mqtt(client, topic) => {
                let mut confirms = Vec::with_capacity(payloads.len());
                for payload in payloads {
                    let options = PublishOptions::new(QoS::AtLeastOnce);
                    confirms.push(client.publish_tracked(topic.as_str(), payload, options).await?);
                }
                for confirm in confirms {
                    confirm.wait_async().await?;
                }
                Ok(())
            }
            Sink::RabbitMq(channel, exchange) => {
                let options = BasicPublishOptions::default();
                // On the broker's disk before it confirms it, as what the sidecar publishes.
                let properties = BasicProperties::default().with_delivery_mode(2);
                let mut confirms = Vec::with_capacity(payloads.len());
                for payload in payloads {
                    let (exchange, key) = (exchange.as_str().into(), "".into());
                    let sent = channel.basic_publish(exchange, key, options, &payload, properties.clone());
                    confirms.push(sent.await?);
                }
                let confirmed = try_join_all(confirms).await.context("confirms")?;
                ensure!(
                    confirmed.iter().all(lapin::Confirmation::is_ack),
                    "a message was refused"
                );
                Ok(())
            }
        }
    }
}

impl Acker {
    async fn ack(&mut self, ack: Ack) -> Result<()> {
        match (self, ack) {
            (Acker::Redis(connection, stream), Ack::Redis(ids)) => {
                let mut ack = redis::cmd("XACK");
                ack.arg(&*stream).arg(crate::plans::BRIDGE).arg(ids);
                Ok(ack.query_async(connection).await?)
            }
            (Acker::RabbitMq(channel), Ack::RabbitMq(tag)) => {
                let options = BasicAckOptions { multiple: true };
                Ok(channel.basic_ack(tag, options).await?)
            }
            (Acker::Mqtt(client), Ack::Mqtt(packets)) => {
                for packet in packets {
                    client.manual_ack(packet).await?;
                }
                Ok(())
            }
            _ => bail!("an ack for another broker"),
        }
    }
}
