//! The properties of each protocol by the names of Dapr's pub/sub components
//! (<https://docs.dapr.io/reference/components-reference/supported-pubsub/>), and of ours.

use streaming_api::Protocol;

use super::address::{self, Fault, Form};

/// What a property's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Anything.
    Text,
    /// `true` or `false`, in any of the spellings that Dapr takes.
    Bool,
    /// An integer within bounds.
    Int(i64, i64),
    /// A Go duration, or a number in Dapr's older spellings.
    Duration,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Where the broker is.
    Address(Form),
}

impl Value {
    /// What is wrong with a value, if anything. None of it is repeated: even where a number is wanted, a password may
    /// have slipped into the wrong line.
    pub(super) fn refuses(self, protocol: Protocol, value: &str) -> Option<Fault> {
        // An empty value leaves the property at its default.
        if value.is_empty() {
            return None;
        }
        let (fits, expected) = match self {
            Value::Text => return None,
            Value::Address(form) => {
                let example = match form {
                    Form::Host => "rabbitmq:5672",
                    _ => example(protocol),
                };
                return address::check(form, example, value).err();
            }
            Value::Bool => (boolean(value).is_some(), "true or false".to_owned()),
            Value::Int(least, most) => {
                let fits = value
                    .parse::<i64>()
                    .is_ok_and(|number| (least..=most).contains(&number));
                let range = if most == i64::MAX {
                    format!("of {least} or more")
                } else {
                    format!("from {least} to {most}")
                };
                (fits, format!("an integer {range}"))
            }
            Value::Duration => {
                let fits = value.parse::<i64>().is_ok()
                    || streaming_api::parse_micros(value.trim_start_matches('-')).is_ok()
                    || value.trim_start_matches('0').is_empty();
                (fits, "a duration, as 15s or 500ms".to_owned())
            }
            Value::Word(words) => (words.contains(&value), words.join(" or ")),
        };
        (!fits).then(|| Fault {
            message: format!("must be {expected}"),
            help: None,
        })
    }
}

/// Dapr's words for true and false.
pub(super) fn boolean(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

const AMQP: &[&str] = &["amqp", "amqps"];

const AMQP_URL: Value = Value::Address(Form::Url(AMQP));

const COUNT: Value = Value::Int(0, i64::MAX);

const COMMON: &[(&str, Value)] = &[("consumerID", Value::Text)];

const REDIS: &[(&str, Value)] = &[
    ("redisHost", Value::Address(Form::Hosts)),
    ("redisPassword", Value::Text),
    ("redisUsername", Value::Text),
    ("redisDB", COUNT),
    ("redisType", Value::Text),
    ("enableTLS", Value::Bool),
    ("caCert", Value::Text),
    ("clientCert", Value::Text),
    ("clientKey", Value::Text),
    ("maxLenApprox", COUNT),
    ("streamTTL", Value::Duration),
    ("redeliverInterval", Value::Duration),
    ("processingTimeout", Value::Duration),
    ("queueDepth", COUNT),
    ("concurrency", COUNT),
    ("redisMaxRetries", Value::Int(-1, i64::MAX)),
    ("redisMinRetryInterval", Value::Duration),
    ("redisMaxRetryInterval", Value::Duration),
    ("dialTimeout", Value::Duration),
    ("readTimeout", Value::Duration),
    ("writeTimeout", Value::Duration),
    ("poolSize", COUNT),
    ("poolTimeout", Value::Duration),
    ("maxConnAge", Value::Duration),
    ("minIdleConns", COUNT),
    ("idleCheckFrequency", Value::Duration),
    ("idleTimeout", Value::Duration),
    ("failover", Value::Bool),
    ("sentinelMasterName", Value::Text),
    ("sentinelUsername", Value::Text),
    ("sentinelPassword", Value::Text),
    ("useEntraID", Value::Bool),
];

const RABBITMQ: &[(&str, Value)] = &[
    ("host", AMQP_URL),
    ("connectionString", AMQP_URL),
    ("protocol", Value::Word(AMQP)),
    ("hostname", Value::Address(Form::Host)),
    ("username", Value::Text),
    ("password", Value::Text),
    ("durable", Value::Bool),
    ("deletedWhenUnused", Value::Bool),
    ("autoAck", Value::Bool),
    ("deliveryMode", Value::Int(0, 2)),
    ("requeueInFailure", Value::Bool),
    ("prefetchCount", Value::Int(0, 65535)),
    ("publisherConfirm", Value::Bool),
    ("reconnectWait", Value::Duration),
    ("concurrency", Value::Text),
    ("concurrencyMode", Value::Text),
    ("backOffPolicy", Value::Text),
    ("backOffDuration", Value::Duration),
    ("backOffInitialInterval", Value::Duration),
    ("backOffMaxInterval", Value::Duration),
    ("backOffMaxRetries", Value::Int(-1, i64::MAX)),
    ("enableDeadLetter", Value::Bool),
    ("maxLen", COUNT),
    ("maxLenBytes", COUNT),
    ("exchange", Value::Text),
    ("exchangeKind", Value::Text),
    ("routingKey", Value::Text),
    ("queueName", Value::Text),
    ("queueType", Value::Text),
    ("maxPriority", Value::Int(0, 255)),
    ("saslExternal", Value::Bool),
    ("ttlInSeconds", COUNT),
    ("clientName", Value::Text),
    ("heartBeat", Value::Duration),
    ("caCert", Value::Text),
    ("clientCert", Value::Text),
    ("clientKey", Value::Text),
    ("publishMessagePropertiesToMetadata", Value::Bool),
    ("consumerTimeout", Value::Duration),
];

const MQTT: &[(&str, Value)] = &[
    (
        "url",
        Value::Address(Form::Url(&["mqtt", "mqtts", "tcp", "ssl", "tls"])),
    ),
    ("qos", Value::Int(0, 2)),
    ("retain", Value::Bool),
    ("cleanSession", Value::Bool),
    ("protocolVersion", Value::Word(&["auto", "5", "3.1.1"])),
    ("producerID", Value::Text),
    ("username", Value::Text),
    ("password", Value::Text),
    ("caCert", Value::Text),
    ("clientCert", Value::Text),
    ("clientKey", Value::Text),
    ("backOffMaxRetries", Value::Int(-1, i64::MAX)),
];

fn table(protocol: Protocol) -> &'static [(&'static str, Value)] {
    match protocol {
        Protocol::Redis => REDIS,
        Protocol::RabbitMq => RABBITMQ,
        Protocol::Mqtt => MQTT,
    }
}

/// What a protocol's property must be; `None` if it has none of that name.
pub(super) fn find(protocol: Protocol, name: &str) -> Option<Value> {
    table(protocol)
        .iter()
        .chain(COMMON)
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

/// All names of a protocol.
pub(super) fn names(protocol: Protocol) -> impl Iterator<Item = &'static str> {
    table(protocol).iter().chain(COMMON).map(|(name, _)| *name)
}

/// The properties one of which says where the broker is.
pub(super) fn address(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Redis => &["redisHost"],
        Protocol::RabbitMq => &["host", "connectionString", "hostname"],
        Protocol::Mqtt => &["url"],
    }
}

/// An example of the value of the first of them.
pub(super) fn example(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Redis => "redis:6379",
        Protocol::RabbitMq => "amqp://rabbitmq:5672",
        Protocol::Mqtt => "mqtt://mosquitto:1883",
    }
}
