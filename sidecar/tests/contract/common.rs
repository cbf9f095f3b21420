//! Brokers to ask, and the words in which behaviours are asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use streaming_engine::event::Trace;
use streaming_plan::{ClusterStream, Protocol};
use streaming_sidecar::broker::embedded::Embedded;
use streaming_sidecar::broker::{
    Acker, Broker, BrokerError, Consumer, Message, Outgoing, Received, Sink, Source, Subscription, open,
};
use test_brokers::{Mosquitto, RabbitMq, Redis, RedisServer};

/// Nothing here takes that long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A broker to test.
pub(crate) struct Bed {
    pub(crate) broker: Arc<dyn Broker>,
    /// Acks leave in the order of delivery, whatever the order in which they are asked for.
    pub(crate) acks_in_order: bool,
    /// Who shares a topic gets what is published once it has subscribed.
    pub(crate) shares_from_now: bool,
    /// How many messages can be held unacked.
    pub(crate) most_unacked: usize,
}

impl Bed {
    /// What most brokers are like.
    pub(crate) fn of(broker: Arc<dyn Broker>) -> Bed {
        Bed {
            broker,
            acks_in_order: false,
            shares_from_now: false,
            most_unacked: usize::MAX,
        }
    }

    pub(crate) fn embedded() -> Bed {
        Bed::of(Arc::new(Embedded::new("embedded")))
    }

    pub(crate) fn redis() -> Bed {
        static SERVER: LazyLock<Redis> = LazyLock::new(|| Redis::start().unwrap());
        Bed::of(connect_redis(&SERVER))
    }

    /// Redis 6.2.
    pub(crate) fn redis_older() -> Bed {
        static SERVER: LazyLock<Redis> = LazyLock::new(|| older_redis().start().unwrap());
        Bed::of(connect_redis(&SERVER))
    }

    pub(crate) fn rabbitmq() -> Bed {
        Bed::of(connect(Protocol::RabbitMq, &[("host", &rabbitmq().url())]))
    }

    pub(crate) fn mqtt() -> Bed {
        static SERVER: LazyLock<Mosquitto> = LazyLock::new(|| Mosquitto::start().unwrap());
        mqtt(&SERVER, &[])
    }

    /// MQTT 3.1.1.
    pub(crate) fn mqtt_older() -> Bed {
        static SERVER: LazyLock<Mosquitto> = LazyLock::new(|| Mosquitto::with_many_in_flight().unwrap());
        mqtt(&SERVER, &[("protocolVersion", "3.1.1")])
    }

    /// Subscribes for a window: nothing bounds what may be unacked.
    pub(crate) async fn subscribe(&self, topic: &str, group: &str) -> Reading {
        self.member(topic, group, &format!("{group}-0"), None)
            .await
            .unwrap()
    }

    pub(crate) async fn member(
        &self,
        topic: &str,
        group: &str,
        consumer: &str,
        in_flight: Option<u32>,
    ) -> Result<Reading, BrokerError> {
        let subscription = Subscription {
            topic: topic.into(),
            group: group.into(),
            consumer: consumer.into(),
            shared: in_flight.map(|_| 2),
            properties: BTreeMap::new(),
            in_flight,
        };
        let (source, acker) = self.broker.subscribe(subscription).await?;
        Ok(Reading { source, acker })
    }

    /// A publisher to a topic that a group reads.
    pub(crate) async fn sink(&self, topic: &str, groups: &[&str]) -> Arc<dyn Sink> {
        let consumer = |group: &&str| Consumer {
            topic: topic.into(),
            group: (*group).into(),
        };
        let consumers: Vec<Consumer> = groups.iter().map(consumer).collect();
        self.broker.sink(&consumers).await.unwrap()
    }
}

/// The oldest Redis that is supported.
pub(crate) fn older_redis() -> RedisServer {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/redis-6.2/redis-server");
    assert!(
        program.exists(),
        "Redis 6.2 is not at {}: `cargo xtask setup` fetches it",
        program.display()
    );
    RedisServer::at(program)
}

/// The node that the tests share: starting one takes seconds.
pub(crate) fn rabbitmq() -> &'static RabbitMq {
    static SERVER: LazyLock<RabbitMq> = LazyLock::new(|| RabbitMq::start().unwrap());
    &SERVER
}

/// MQTT on a mosquitto.
pub(crate) fn mqtt(server: &Mosquitto, more: &[(&str, &str)]) -> Bed {
    let url = server.url();
    let properties: Vec<(&str, &str)> = [("url", &*url)].iter().chain(more).copied().collect();
    Bed {
        acks_in_order: true,
        shares_from_now: true,
        // Packets have 16 bits to tell them apart.
        most_unacked: 65_535,
        ..Bed::of(connect(Protocol::Mqtt, &properties))
    }
}

pub(crate) fn connect_redis(server: &Redis) -> Arc<dyn Broker> {
    let host = format!("127.0.0.1:{}", server.port());
    connect(Protocol::Redis, &[("redisHost", &host)])
}

pub(crate) fn connect(protocol: Protocol, properties: &[(&str, &str)]) -> Arc<dyn Broker> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let cluster_stream = ClusterStream {
        protocol,
        properties: properties.iter().map(own).collect(),
        files: BTreeMap::new(),
        consumers: Vec::new(),
    };
    open("test-cs", &cluster_stream).unwrap()
}

/// A topic that no other test has.
pub(crate) fn new_topic() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("topic-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Publishes, and insists on it.
pub(crate) async fn publish(
    sink: &Arc<dyn Sink>,
    topic: &str,
    payloads: impl IntoIterator<Item = impl Into<Bytes>>,
) {
    let batch = batch(topic, payloads);
    for result in tokio::time::timeout(PATIENCE, sink.publish(batch))
        .await
        .expect("publishing hangs")
    {
        result.unwrap();
    }
}

pub(crate) fn batch(topic: &str, payloads: impl IntoIterator<Item = impl Into<Bytes>>) -> Vec<Outgoing> {
    let topic: Arc<str> = topic.into();
    let outgoing = |(n, payload): (usize, _)| Outgoing {
        topic: Arc::clone(&topic),
        id: format!("id-{n}").into(),
        content_type: "application/json",
        trace: None,
        payload: Into::into(payload),
    };
    payloads.into_iter().enumerate().map(outgoing).collect()
}

/// A message that is part of a trace, with the headers that say so.
pub(crate) fn traced(topic: &str) -> (Outgoing, Headers) {
    let (parent, state) = (
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "vendor=1",
    );
    let message = Outgoing {
        trace: Trace::new(parent, state).map(Arc::new),
        ..batch(topic, ["{}"]).remove(0)
    };
    (message, [("traceparent", parent), ("tracestate", state)])
}

/// `traceparent` and `tracestate`.
pub(crate) type Headers = [(&'static str, &'static str); 2];

/// Headers, and the trace that a message with them is part of.
pub(crate) fn headers() -> [(Headers, Option<Trace>); 2] {
    let (_, named) = traced("t");
    let [(_, parent), (_, state)] = named;
    let nowhere = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    [
        (named, Trace::new(parent, state)),
        ([("traceparent", nowhere), ("tracestate", state)], None),
    ]
}

/// What the headers of a message have said.
pub(crate) fn trace_of(message: &Message) -> Option<Trace> {
    message.trace.as_deref().cloned()
}

/// Both halves of a subscription.
pub(crate) struct Reading {
    pub(crate) source: Box<dyn Source>,
    pub(crate) acker: Box<dyn Acker>,
}

impl Reading {
    pub(crate) async fn receive(&mut self) -> Received {
        let received = tokio::time::timeout(PATIENCE, self.source.receive()).await;
        received.expect("nothing comes").unwrap()
    }

    /// The next messages, that recovery is over or not.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Message> {
        let mut taken = Vec::new();
        while taken.len() < count {
            if let Received::Messages(messages) = self.receive().await {
                taken.extend(messages);
            }
        }
        assert_eq!(taken.len(), count, "more came than was published");
        taken
    }

    /// The next messages, however many come at once.
    pub(crate) async fn take_some(&mut self) -> Vec<Message> {
        loop {
            if let Received::Messages(messages) = self.receive().await {
                return messages;
            }
        }
    }

    /// What comes before recovery is over.
    pub(crate) async fn recover(&mut self) -> Vec<Message> {
        let mut taken = Vec::new();
        while let Received::Messages(messages) = self.receive().await {
            taken.extend(messages);
        }
        taken
    }

    pub(crate) async fn ack<'m>(&mut self, messages: impl IntoIterator<Item = &'m Message>) {
        let tokens: Vec<u64> = messages.into_iter().map(|message| message.token).collect();
        let acked = tokio::time::timeout(PATIENCE, self.acker.ack(&tokens)).await;
        acked.expect("acking hangs").unwrap();
    }
}

pub(crate) fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(text).collect()
}

pub(crate) fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}
