//! Connections that are cut: between a broker and its clients stands a line that the test interrupts at will.

use std::collections::BTreeSet;

use streaming_plan::Protocol;
use streaming_sidecar::broker::Received;
use test_brokers::{Mosquitto, Redis};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::common::{self, PATIENCE, batch, connect, new_topic, numbers, texts};

/// A broker, reached by a line that can be cut.
pub(crate) struct Bed {
    plain: common::Bed,
    cuts: watch::Sender<u32>,
    _server: Box<dyn Send>,
}

impl Bed {
    pub(crate) fn redis() -> Bed {
        Bed::of_redis(Redis::start().unwrap())
    }

    pub(crate) fn redis_older() -> Bed {
        Bed::of_redis(common::older_redis().start().unwrap())
    }

    fn of_redis(server: Redis) -> Bed {
        Bed::new(server.port(), Protocol::Redis, "redisHost", "", Box::new(server))
    }

    pub(crate) fn rabbitmq() -> Bed {
        // Its own connection is not cut by the tests that share the node.
        let port = common::rabbitmq().port();
        Bed::new(
            port,
            Protocol::RabbitMq,
            "host",
            "amqp://guest:guest@",
            Box::new(()),
        )
    }

    pub(crate) fn mqtt() -> Bed {
        let server = Mosquitto::start().unwrap();
        Bed::new(server.port(), Protocol::Mqtt, "url", "mqtt://", Box::new(server))
    }

    fn new(port: u16, protocol: Protocol, property: &str, before: &str, server: Box<dyn Send>) -> Bed {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = format!("{before}{}", listener.local_addr().unwrap());
        let (cuts, cut) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut cut = cut.clone();
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut broker) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Bed {
            plain: common::Bed::of(connect(protocol, &[(property, &address)])),
            cuts,
            _server: server,
        }
    }
}

pub(crate) async fn a_connection_that_is_cut_costs_no_message(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.plain.sink(&topic, &["g"]).await;
    let subscribe = async || {
        let window = async || bed.plain.member(&topic, "g", "g-0", None).await;
        loop {
            match window().await {
                Ok(reading) => return reading,
                Err(error) => assert!(error.transient, "{error}"),
            }
        }
    };
    let mut reading = subscribe().await;
    let sent = numbers(0..2000);
    let publishing = async {
        for (n, part) in sent.chunks(100).enumerate() {
            if n % 4 == 2 {
                bed.cuts.send_modify(|cuts| *cuts += 1);
            }
            let mut left = batch(&topic, part.to_vec());
            // Who publishes tries again what failed; what did arrive comes twice.
            while !left.is_empty() {
                let outcomes = sink.publish(left.clone()).await;
                let failed = outcomes.iter().zip(left).filter(|(outcome, _)| outcome.is_err());
                left = failed.map(|(_, message)| message).collect();
            }
        }
    };
    let receiving = async {
        let mut got = BTreeSet::new();
        while got.len() < sent.len() {
            let received = tokio::time::timeout(PATIENCE, reading.source.receive()).await;
            match received.expect("nothing comes") {
                Ok(Received::Recovered) => {}
                Ok(Received::Messages(messages)) => {
                    got.extend(texts(&messages).into_iter().map(str::to_owned));
                    let tokens: Vec<u64> = messages.iter().map(|message| message.token).collect();
                    if let Err(error) = reading.acker.ack(&tokens).await {
                        assert!(error.transient, "{error}");
                        reading = subscribe().await;
                    }
                }
                Err(error) => {
                    assert!(error.transient, "{error}");
                    reading = subscribe().await;
                }
            }
        }
        got
    };
    let ((), got) = tokio::join!(publishing, receiving);
    assert_eq!(got, sent.iter().cloned().collect());
    assert!(*bed.cuts.borrow() == 5);
}
