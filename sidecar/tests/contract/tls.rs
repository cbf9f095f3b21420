//! Encrypted connections: a private authority, brokers that ask for a client's certificate, and what is said when one of
//! them is not content with the other.

use std::sync::Arc;

use streaming_plan::Protocol;
use streaming_sidecar::broker::{Broker, BrokerError, Subscription};
use test_brokers::{Authority, Mosquitto, RabbitMq, Redis, SERVER_NAME};

use crate::common::{self, connect, new_topic, publish, texts};

/// A broker that speaks TLS, and who has signed its certificate.
pub(crate) struct Bed {
    authority: Authority,
    protocol: Protocol,
    /// Where it is, with encryption asked for.
    address: Vec<(&'static str, String)>,
    /// Ends with it.
    _server: Box<dyn Send>,
}

impl Bed {
    pub(crate) fn redis() -> Bed {
        let authority = Authority::new().unwrap();
        let server = Redis::with_tls(&authority).unwrap();
        let host = format!("127.0.0.1:{}", server.port());
        Bed {
            authority,
            protocol: Protocol::Redis,
            address: vec![("redisHost", host), ("enableTLS", "true".to_owned())],
            _server: Box::new(server),
        }
    }

    pub(crate) fn rabbitmq() -> Bed {
        let authority = Authority::new().unwrap();
        let server = RabbitMq::with_tls(&authority).unwrap();
        let url = format!("amqps://guest:guest@127.0.0.1:{}", server.other_port());
        Bed {
            authority,
            protocol: Protocol::RabbitMq,
            address: vec![("host", url)],
            _server: Box::new(server),
        }
    }

    pub(crate) fn mqtt() -> Bed {
        let authority = Authority::new().unwrap();
        let server = Mosquitto::with_tls(&authority).unwrap();
        let url = format!("mqtts://127.0.0.1:{}", server.port());
        Bed {
            authority,
            protocol: Protocol::Mqtt,
            address: vec![("url", url)],
            _server: Box::new(server),
        }
    }

    fn connect(&self, more: &[(&str, &str)]) -> Arc<dyn Broker> {
        let address = self.address.iter().map(|(name, value)| (*name, value.as_str()));
        let all: Vec<(&str, &str)> = address.chain(more.iter().copied()).collect();
        connect(self.protocol, &all)
    }

    /// Both halves of what fails when a connection does.
    async fn refusals(&self, more: &[(&str, &str)]) -> [BrokerError; 2] {
        let broker = self.connect(more);
        let subscription = Subscription {
            topic: "t".into(),
            group: "g".into(),
            consumer: "g-0".into(),
            shared: None,
            properties: [].into(),
            in_flight: None,
        };
        [
            broker.subscribe(subscription).await.err().unwrap(),
            broker.sink(&[]).await.err().unwrap(),
        ]
    }
}

pub(crate) async fn both_sides_show_a_certificate_and_what_is_wrong_with_one_is_said(server: &Bed) {
    let file = |name: &str| server.authority.text(name).unwrap();
    let (ca, certificate, key) = (file("authority.pem"), file("client.pem"), file("client.key"));
    let trusted = [("caCert", &*ca), ("serverName", SERVER_NAME)];
    let identity = [("clientCert", &*certificate), ("clientKey", &*key)];

    let bed = common::Bed::of(server.connect(&[trusted, identity].concat()));
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    publish(&sink, &topic, ["a".to_owned(), "b".repeat(1 << 20)]).await;
    let mut reading = bed.subscribe(&topic, "g").await;
    let got = reading.take(2).await;
    assert_eq!((texts(&got)[0], texts(&got)[1].len()), ("a", 1 << 20));
    reading.ack(&got).await;

    let other = Authority::new().unwrap();
    let (other_ca, other_certificate) = (
        other.text("authority.pem").unwrap(),
        other.text("client.pem").unwrap(),
    );
    let other_key = other.text("client.key").unwrap();
    let of_another = [("clientCert", &*other_certificate), ("clientKey", &*other_key)];
    let name = ("serverName", SERVER_NAME);
    for (properties, says) in [
        // Somebody else's authority; the public ones; another name.
        (
            [&[("caCert", &*other_ca), name][..], &identity].concat(),
            "set the property `caCert` (`tls.ca`)",
        ),
        (
            [&[name][..], &identity].concat(),
            "set the property `caCert` (`tls.ca`)",
        ),
        (
            [&[("caCert", &*ca)][..], &identity].concat(),
            "is not for `127.0.0.1`",
        ),
        // No certificate of the client's; one that the broker has no reason to trust.
        (
            trusted.to_vec(),
            "`clientCert` and `clientKey` (`tls.certificate`, `tls.privateKey`)",
        ),
        ([trusted, of_another].concat(), "refuses the client's certificate"),
    ] {
        for error in server.refusals(&properties).await {
            let said = error.to_string();
            assert!(said.contains(says), "{says}: {said}");
            assert!(said.contains("127.0.0.1"), "{said}");
            // RabbitMQ may hang up before what it says can be read.
            let is_certain = (error.reason, error.transient) == ("TlsFailed", false);
            let hung_up = server.protocol == Protocol::RabbitMq && error.reason == "Unreachable";
            assert!(is_certain || hung_up, "{error:?}");
        }
    }
}
