//! The URLs of brokers. In a password nothing need be escaped: it ends at the last `@`. In a path an `@` is `%40`.

use std::collections::BTreeMap;

use streaming_plan::{ClusterStream, Protocol};

/// A URL, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'u> {
    /// In lower case.
    pub(super) scheme: String,
    pub(super) user: Option<String>,
    /// Empty if there is a user only.
    pub(super) password: Option<String>,
    /// Perhaps with a port.
    pub(super) host: &'u str,
    /// Without its first slash, still escaped.
    pub(super) path: &'u str,
}

impl Url<'_> {
    /// Parses `scheme://[user[:password]@]host[:port][/path]`; `None` if it isn't that.
    pub(super) fn parse(text: &str) -> Option<Url<'_>> {
        let (scheme, rest) = text.trim().split_once("://")?;
        // What stands before it may all be the password, so none of it is ever taken for a host or a path.
        let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, password) = match login {
            "" => (None, None),
            login => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some(unescape(user)), Some(unescape(password)))
            }
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        Some(Url {
            scheme: scheme.to_ascii_lowercase(),
            user,
            password,
            host,
            path: path.strip_prefix('/').unwrap_or_default(),
        })
    }
}

/// Resolves `%41`; a `%` that begins no escape stands for itself.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A URL that a `ClusterStream` can't be reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It isn't of the form that URLs of this protocol have.
    #[error("that is no URL as {0}")]
    Form(&'static str),
}

/// The properties that say where a broker is and how to log in, by protocol.
const REDIS: &[&str] = &[
    "redisHost",
    "redisUsername",
    "redisPassword",
    "redisDB",
    "enableTLS",
    "redisType",
    "failover",
];
const RABBITMQ: &[&str] = &[
    "host",
    "connectionString",
    "protocol",
    "hostname",
    "username",
    "password",
    "enableTLS",
];
const MQTT: &[&str] = &["url", "username", "password", "enableTLS"];

/// The same `ClusterStream`, reached at a URL: `redis://`, `rediss://`, `amqp://`, `amqps://`, `mqtt://` or `mqtts://`.
/// What is not about the address or the login stays as it was, except for what is in files: they are elsewhere.
///
/// # Errors
/// A URL that isn't one, or of another protocol. No part of it is repeated: it may have a password.
pub fn reached_at(cluster_stream: &ClusterStream, url: &str) -> Result<ClusterStream, UrlError> {
    let mut properties = cluster_stream.properties.clone();
    let (old, new) = match cluster_stream.protocol {
        Protocol::Redis => (
            REDIS,
            redis(url).ok_or(UrlError::Form("redis://user:password@host:6379/0"))?,
        ),
        Protocol::RabbitMq => {
            let form = UrlError::Form("amqp://user:password@host:5672/vhost");
            super::rabbitmq::is_address(url).then_some(()).ok_or(form)?;
            (RABBITMQ, BTreeMap::from([("host".to_owned(), url.to_owned())]))
        }
        Protocol::Mqtt => {
            let form = UrlError::Form("mqtt://user:password@host:1883");
            super::mqtt::is_address(url).then_some(()).ok_or(form)?;
            (MQTT, BTreeMap::from([("url".to_owned(), url.to_owned())]))
        }
    };
    properties.retain(|name, _| !old.contains(&name.as_str()));
    properties.extend(new);
    Ok(ClusterStream {
        properties,
        files: BTreeMap::new(),
        ..cluster_stream.clone()
    })
}

fn redis(url: &str) -> Option<BTreeMap<String, String>> {
    let url = Url::parse(url)?;
    let tls = match url.scheme.as_str() {
        "redis" => false,
        "rediss" => true,
        _ => return None,
    };
    let database = if url.path.is_empty() { "0" } else { url.path };
    database.parse::<u32>().ok()?;
    (!url.host.is_empty()).then_some(())?;
    let texts = [
        ("redisHost", url.host),
        ("redisDB", database),
        ("enableTLS", if tls { "true" } else { "false" }),
        ("redisUsername", url.user.as_deref().unwrap_or_default()),
        ("redisPassword", url.password.as_deref().unwrap_or_default()),
    ];
    Some(
        texts
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster_stream(protocol: Protocol, properties: &[(&str, &str)]) -> ClusterStream {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ClusterStream {
            protocol,
            properties: properties.iter().map(own).collect(),
            files: BTreeMap::new(),
            consumers: Vec::new(),
        }
    }

    #[test]
    fn a_url_takes_the_place_of_address_and_login_only() {
        let before = [
            ("redisHost", "redis:6379"),
            ("redisPassword", "old"),
            ("maxLenApprox", "9"),
        ];
        let redis = cluster_stream(Protocol::Redis, &before);
        let at = reached_at(&redis, "rediss://:p@ss@localhost:7/3").unwrap();
        let expected = [
            ("redisHost", "localhost:7"),
            ("redisDB", "3"),
            ("enableTLS", "true"),
            ("redisUsername", ""),
            ("redisPassword", "p@ss"),
            ("maxLenApprox", "9"),
        ];
        assert_eq!(at, cluster_stream(Protocol::Redis, &expected));

        let before = [("hostname", "h"), ("username", "u"), ("durable", "true")];
        let rabbit = cluster_stream(Protocol::RabbitMq, &before);
        let at = reached_at(&rabbit, "amqp://u:p@localhost").unwrap();
        let expected = [("host", "amqp://u:p@localhost"), ("durable", "true")];
        assert_eq!(at, cluster_stream(Protocol::RabbitMq, &expected));
    }

    #[test]
    fn urls_of_other_protocols_are_refused_without_repeating_them() {
        for (protocol, url) in [
            (Protocol::Redis, "amqp://s3cret@h"),
            (Protocol::Redis, "s3cret@h"),
            (Protocol::Redis, "redis://h/s3cret"),
            (Protocol::Redis, "redis://u:s3cret@"),
            (Protocol::RabbitMq, "redis://s3cret@h"),
            (Protocol::Mqtt, "mqtt:s3cret@h"),
        ] {
            let error = reached_at(&cluster_stream(protocol, &[]), url).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
