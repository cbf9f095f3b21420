//! What the properties of a `ClusterStream` say about a connection, and about what is declared on it.
//!
//! Names and defaults are those of Dapr's `pubsub.rabbitmq`
//! (<https://docs.dapr.io/reference/components-reference/supported-pubsub/setup-rabbitmq/>; `durable` false,
//! `deletedWhenUnused` true, `exchangeKind` fanout, `heartBeat` 10s), because a broker refuses to declare an exchange
//! that exists with other ones. Two differ on purpose: messages are persistent unless `deliveryMode` says otherwise,
//! and queues are always durable and never deleted with their last consumer, since that would lose what waits in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use streaming_plan::Protocol;

use super::super::BrokerError;
use super::super::properties::Properties;
use super::super::tls::Tls;
use super::address::Address;

/// The longest name, in bytes.
pub(super) const NAME: usize = 255;

/// Everything that the connection's properties say. It has secrets, so it can't be printed.
pub(super) struct Settings {
    /// The `ClusterStream`'s name and the address, for errors.
    pub(super) name: Arc<str>,
    pub(super) address: Address,
    pub(super) heartbeat: Duration,
    /// The client's certificate is what logs in.
    pub(super) external: bool,
    pub(super) tls: Option<Tls>,
    pub(super) exchange: Exchange,
    /// Arguments of every queue.
    pub(super) queue: FieldTable,
    pub(super) persistent: bool,
}

/// How a topic's exchange is declared.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The one that all topics are routing keys of; without it each topic is an exchange.
    pub(super) name: Option<ShortString>,
    /// Its type, as the protocol calls it.
    pub(super) kind: &'static str,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) routing_key: ShortString,
}

impl Settings {
    pub(super) fn new(
        cluster_stream: &str,
        connection: &BTreeMap<String, String>,
    ) -> Result<Settings, BrokerError> {
        let broker: Arc<str> = cluster_stream.into();
        let properties = Properties {
            broker: &broker,
            own: None,
            connection,
        };
        let mut address = address(&properties)?;
        if properties.flag("enableTLS")? == Some(true) {
            address.encrypt();
        }
        let name: Arc<str> = format!("{cluster_stream} ({address})").into();
        let properties = Properties {
            broker: &name,
            ..properties
        };
        let how = "make `host` amqps://, or `protocol` amqps";
        Ok(Settings {
            heartbeat: properties
                .duration("heartBeat")?
                .unwrap_or(Duration::from_secs(10)),
            external: properties.flag("saslExternal")?.unwrap_or(false),
            tls: Tls::wanted(&properties, &address.host, address.tls, how)?,
            exchange: exchange(&properties)?,
            queue: queue(&properties)?,
            persistent: properties
                .number::<u8>("deliveryMode")?
                .is_none_or(|mode| mode == 2),
            address,
            name,
        })
    }

    /// How long a dead consumer may take to be noticed: two heartbeats, and some.
    pub(super) fn dead(&self) -> Duration {
        self.heartbeat.mul_f64(2.5)
    }

    /// An error of this connection's.
    pub(super) fn fault(
        &self,
        reason: &'static str,
        transient: bool,
        what: impl Into<String>,
    ) -> BrokerError {
        BrokerError::new(&self.name, reason, what, transient)
    }

    /// Where what is published to a topic goes: an exchange, and a routing key. With the topic's pattern as the key it is
    /// what a queue is bound by.
    pub(super) fn route<'m>(&'m self, topic: &'m str) -> Result<(&'m str, &'m str), BrokerError> {
        if topic.len() > NAME {
            return Err(self.too_long(topic));
        }
        Ok(match &self.exchange.name {
            Some(exchange) => (exchange.as_str(), topic),
            None => (topic, self.exchange.routing_key.as_str()),
        })
    }

    /// Whether who reads one topic gets what is published to another.
    pub(super) fn is_read_by(&self, topic: &str, filter: &str) -> bool {
        topic == filter || (self.exchange.name.is_some() && Protocol::RabbitMq.is_read_by(topic, filter))
    }

    /// A name as AMQP has them: up to 255 bytes.
    pub(super) fn short(&self, name: &str) -> Result<ShortString, BrokerError> {
        ShortString::try_new(name).map_err(|_| self.too_long(name))
    }

    fn too_long(&self, name: &str) -> BrokerError {
        let start: String = name.chars().take(40).collect();
        let what = format!("`{start}...` is longer than the {NAME} bytes that AMQP allows a name");
        self.fault("NameTooLong", false, what)
    }
}

fn address(properties: &Properties<'_>) -> Result<Address, BrokerError> {
    for name in ["connectionString", "host"] {
        if let Some(url) = properties.text(name) {
            let parsed = Address::parse(url);
            return parsed.ok_or_else(|| properties.invalid(name, "a URL as amqp://user:password@host:5672"));
        }
    }
    let host = properties.text("hostname").unwrap_or("localhost");
    let tls = properties.text("protocol") == Some("amqps");
    let user = properties.text("username").unwrap_or("guest");
    let password = properties.text("password").unwrap_or("guest");
    let address = Address::of_host(host, tls, user, password);
    address.ok_or_else(|| properties.invalid("hostname", "a host name"))
}

fn exchange(properties: &Properties<'_>) -> Result<Exchange, BrokerError> {
    let kind = match properties.text("exchangeKind").unwrap_or("fanout") {
        "fanout" => "fanout",
        "topic" => "topic",
        "direct" => "direct",
        "headers" => "headers",
        _ => return Err(properties.invalid("exchangeKind", "fanout, topic, direct or headers")),
    };
    let key = properties.text("routingKey").unwrap_or_default().to_owned();
    let name = properties
        .text("exchange")
        .map(|name| ShortString::try_new(name.to_owned()));
    let name = name
        .transpose()
        .map_err(|_| properties.invalid("exchange", "a name of up to 255 bytes"))?;
    let is_one = name.is_some();
    if is_one
        && (properties
            .text("exchangeKind")
            .is_some_and(|kind| kind != "topic")
            || !key.is_empty())
    {
        let what = "with `exchange`, `exchangeKind` is topic and the topics are the routing keys: leave `exchangeKind` and `routingKey` out";
        return Err(BrokerError::new(
            properties.broker,
            "InvalidProperty",
            what,
            false,
        ));
    }
    Ok(Exchange {
        name,
        kind: if is_one { "topic" } else { kind },
        durable: properties.flag("durable")?.unwrap_or(is_one),
        auto_delete: properties.flag("deletedWhenUnused")?.unwrap_or(!is_one),
        routing_key: ShortString::try_new(key)
            .map_err(|_| properties.invalid("routingKey", "a key of up to 255 bytes"))?,
    })
}

fn queue(properties: &Properties<'_>) -> Result<FieldTable, BrokerError> {
    let mut arguments = FieldTable::default();
    if let Some(kind) = properties.text("queueType") {
        if !["classic", "quorum"].contains(&kind) {
            return Err(properties.invalid("queueType", "classic or quorum"));
        }
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        if kind == "quorum" {
            // Or RabbitMQ 4 throws away what was delivered 20 times, as a window is that is held over many restarts.
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(i32::MAX));
        }
    }
    for (name, argument) in [("maxLen", "x-max-length"), ("maxLenBytes", "x-max-length-bytes")] {
        if let Some(most) = properties.number(name)? {
            arguments.insert(argument.into(), AMQPValue::LongLongInt(most));
        }
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Result<Settings, BrokerError> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Settings::new("rabbit", &properties.iter().map(own).collect())
    }

    #[test]
    fn an_exchange_is_declared_as_dapr_does() {
        let default = settings(&[("host", "amqp://h")]).unwrap();
        let exchange = &default.exchange;
        assert_eq!(exchange.kind, "fanout");
        assert!(!exchange.durable && exchange.auto_delete && default.persistent);
        let other = [
            ("host", "amqp://h"),
            ("durable", "true"),
            ("deletedWhenUnused", "false"),
            ("deliveryMode", "0"),
        ];
        let other = settings(&other).unwrap();
        assert!(other.exchange.durable && !other.exchange.auto_delete && !other.persistent);
    }

    #[test]
    fn one_exchange_for_all_topics_is_a_topic_exchange_that_stays() {
        let one = [("host", "amqp://h"), ("exchange", "plant")];
        let one = settings(&one).unwrap();
        assert_eq!(one.exchange.kind, "topic");
        assert!(one.exchange.durable && !one.exchange.auto_delete);
        assert_eq!(one.route("a.b").unwrap(), ("plant", "a.b"));
        assert!(one.is_read_by("a.b", "a.*") && !settings(&[]).unwrap().is_read_by("a.b", "a.*"));
        for more in [("exchangeKind", "fanout"), ("routingKey", "k")] {
            assert!(settings(&[("exchange", "plant"), more]).is_err());
        }
    }

    #[test]
    fn a_certificate_without_encryption_is_refused() {
        let ca = ("caCert", "s3cret");
        for plain in [("host", "amqp://h"), ("hostname", "h")] {
            let error = settings(&[plain, ca]).err().unwrap().to_string();
            assert!(error.contains("`caCert`") && error.contains("amqps"), "{error}");
        }
        for encrypted in [
            ("host", "amqps://h"),
            ("enableTLS", "true"),
            ("protocol", "amqps"),
        ] {
            assert!(settings(&[encrypted, ("serverName", "s")]).unwrap().tls.is_some());
        }
    }

    #[test]
    fn a_broker_is_named_by_url_or_by_parts_and_shown_without_its_password() {
        for properties in [
            &[("connectionString", "amqp://u:s3cret@h:1")][..],
            &[("hostname", "h:1"), ("username", "u"), ("password", "s3cret")],
        ] {
            let settings = settings(properties).unwrap();
            assert_eq!(&*settings.name, "rabbit (amqp://h:1)");
            assert_eq!(settings.address.password, "s3cret");
        }
        let error = settings(&[("host", "u:s3cret@h")]).err().unwrap().to_string();
        assert!(error.contains("host") && !error.contains("s3cret"), "{error}");
    }
}
