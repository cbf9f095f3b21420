//! What only `RabbitMQ` has.

use std::collections::BTreeSet;

use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use streaming_plan::Protocol;
use streaming_sidecar::broker::{Consumer, Message, Received, Subscription};
use test_brokers::RabbitMq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{
    Bed, PATIENCE, batch, connect, headers, new_topic, numbers, publish, rabbitmq, text, texts, trace_of,
    traced,
};

fn bed(properties: &[(&str, &str)]) -> Bed {
    let url = rabbitmq().url();
    let all: Vec<(&str, &str)> = [("host", &*url)]
        .into_iter()
        .chain(properties.iter().copied())
        .collect();
    Bed::of(connect(Protocol::RabbitMq, &all))
}

async fn client() -> (Connection, Channel) {
    let url = rabbitmq().url();
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

fn subscription(topic: &str) -> Subscription {
    Subscription {
        topic: topic.into(),
        group: "g".into(),
        consumer: "g-0".into(),
        shared: None,
        properties: [].into(),
        in_flight: Some(10),
    }
}

#[tokio::test]
async fn an_exchange_is_declared_as_dapr_does_and_a_queue_outlives_its_consumer() {
    let topic = new_topic();
    let reading = bed(&[]).subscribe(&topic, "g").await;
    let (_connection, channel) = client().await;
    // Declaring something that exists with other properties is refused.
    let options = ExchangeDeclareOptions {
        durable: false,
        auto_delete: true,
        ..ExchangeDeclareOptions::default()
    };
    let kind = ExchangeKind::Fanout;
    channel
        .exchange_declare(topic.as_str().into(), kind, options, FieldTable::default())
        .await
        .unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let name = format!("g-{topic}");
    channel
        .queue_declare(name.as_str().into(), durable, FieldTable::default())
        .await
        .unwrap();
    drop(reading);
    let sink = bed(&[]).sink(&topic, &[]).await;
    publish(&sink, &topic, ["a"]).await;
    assert_eq!(texts(&bed(&[]).subscribe(&topic, "g").await.take(1).await), ["a"]);
}

#[tokio::test]
async fn an_exchange_that_exists_with_other_properties_is_an_error_that_says_which() {
    let topic = new_topic();
    let _sink = bed(&[("durable", "true")]).sink(&topic, &["g"]).await;
    let other = bed(&[]).broker;
    let error = other.subscribe(subscription(&topic)).await.err().unwrap();
    let said = error.to_string();
    assert_eq!(
        (error.reason, error.transient),
        ("DeclarationMismatch", false),
        "{said}"
    );
    assert!(said.contains("'durable'") && said.contains(&topic), "{said}");
    // Only that topic is affected.
    let sink = other.sink(&[]).await.unwrap();
    let fine = new_topic();
    let both = [batch(&topic, ["a"]), batch(&fine, ["b"])].concat();
    let results = sink.publish(both).await;
    assert_eq!(results[0].as_ref().unwrap_err().reason, "DeclarationMismatch");
    assert!(results[1].is_ok());
}

#[tokio::test]
async fn messages_have_headers_and_are_persistent_unless_told_otherwise() {
    for (properties, mode) in [(&[][..], 2), (&[("deliveryMode", "1")], 1)] {
        let topic = new_topic();
        let sink = bed(properties).sink(&topic, &["g"]).await;
        publish(&sink, &topic, ["{}"]).await;
        let (_connection, channel) = client().await;
        let queue = format!("g-{topic}");
        let got = channel.basic_get(queue.as_str().into(), lapin::options::BasicGetOptions::default());
        let got = got.await.unwrap().unwrap();
        let headers = &got.delivery.properties;
        assert_eq!(*headers.delivery_mode(), Some(mode));
        assert_eq!(headers.message_id().as_ref().unwrap().as_str(), "id-0");
        assert_eq!(
            headers.content_type().as_ref().unwrap().as_str(),
            "application/json"
        );
        assert!(headers.timestamp().unwrap() > 1_700_000_000);
    }
}

#[tokio::test]
async fn what_is_part_of_a_trace_says_so_in_its_headers() {
    let topic = new_topic();
    let sink = bed(&[]).sink(&topic, &["g"]).await;
    let (message, expected) = traced(&topic);
    sink.publish(vec![message]).await.remove(0).unwrap();
    let (_connection, channel) = client().await;
    let queue = format!("g-{topic}");
    let got = channel.basic_get(queue.as_str().into(), lapin::options::BasicGetOptions::default());
    let got = got.await.unwrap().unwrap();
    let headers = got.delivery.properties.headers().clone().unwrap();
    for (name, value) in expected {
        let found = headers.inner().get(name);
        assert_eq!(found, Some(&AMQPValue::LongString(value.into())));
    }
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_declared_again_before_anything_is_lost() {
    let topic = new_topic();
    let bed = bed(&[("deletedWhenUnused", "false")]);
    let sink = bed.sink(&topic, &["g"]).await;
    let (_connection, channel) = client().await;
    let queue = format!("g-{topic}");
    channel
        .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let first = sink.publish(batch(&topic, ["a"])).await;
    let error = first[0].as_ref().unwrap_err();
    assert_eq!((error.reason, error.transient), ("Unroutable", true));
    publish(&sink, &topic, ["a"]).await;
    assert_eq!(texts(&bed.subscribe(&topic, "g").await.take(1).await), ["a"]);
}

#[tokio::test]
async fn an_exchange_that_was_deleted_with_its_queues_is_declared_again() {
    let topic = new_topic();
    let bed = bed(&[]);
    let sink = bed.sink(&topic, &["g"]).await;
    let mut reading = bed.subscribe(&topic, "g").await;
    reading.recover().await;
    let (_connection, channel) = client().await;
    let queue = format!("g-{topic}");
    channel
        .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let error = reading.source.receive().await.unwrap_err();
    assert!(error.transient, "{error}");
    while sink.publish(batch(&topic, ["a"])).await[0]
        .as_ref()
        .is_err_and(|error| error.transient)
    {}
    assert_eq!(texts(&bed.subscribe(&topic, "g").await.take(1).await), ["a"]);
}

#[tokio::test]
async fn quorum_queues_count_deliveries() {
    let topic = new_topic();
    let bed = bed(&[("queueType", "quorum")]);
    let sink = bed.sink(&topic, &["g"]).await;
    publish(&sink, &topic, ["a"]).await;
    // RabbitMQ 4 would drop it after 20.
    for attempts in 0..22 {
        let mut reading = bed.subscribe(&topic, "g").await;
        assert_eq!(reading.take(1).await[0].attempts, attempts);
    }
}

#[tokio::test]
async fn recovery_ends_although_another_consumer_took_what_was_waiting() {
    let topic = new_topic();
    let bed = bed(&[]);
    let sink = bed.sink(&topic, &["g"]).await;
    publish(&sink, &topic, numbers(0..10)).await;
    let mut one = bed.member(&topic, "g", "g-0", Some(1)).await.unwrap();
    one.take(1).await;
    let mut two = bed.member(&topic, "g", "g-1", Some(1)).await.unwrap();
    two.recover().await;
}

/// Passes on what comes to its address, and gives what one connection has sent when it is over.
async fn recorder() -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(("127.0.0.1", rabbitmq().port()))
            .await
            .unwrap();
        let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
        let back = tokio::spawn(async move { tokio::io::copy(&mut far_in, &mut near_out).await });
        let mut sent = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = near_in.read(&mut buffer).await {
            sent.extend_from_slice(&buffer[..length]);
            if far_out.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        back.abort();
        sent
    });
    (port, all)
}

/// What a consumer holds goes back to the queue when its channel ends. Were the consumer gone before, the one that waits for that
/// would begin behind it.
#[tokio::test]
async fn a_consumer_is_never_gone_before_what_it_holds_is_back() {
    // Methods 20 and 30 of class 60.
    let is_consume = |frame: &[u8]| frame == [0, 60, 0, 20];
    let is_cancel = |frame: &[u8]| frame == [0, 60, 0, 30];
    for leaves in [false, true] {
        let topic = new_topic();
        let sink = bed(&[]).sink(&topic, &["g"]).await;
        publish(&sink, &topic, numbers(0..10)).await;
        let (port, recording) = recorder().await;
        let url = rabbitmq()
            .url()
            .replace(&rabbitmq().port().to_string(), &port.to_string());
        let near = Bed::of(connect(Protocol::RabbitMq, &[("host", &url)]));
        let mut reading = near.subscribe(&topic, "g").await;
        assert_eq!(reading.take(10).await.len(), 10);
        if leaves {
            reading.acker.leave().await;
        }
        drop(reading);
        let sent = tokio::time::timeout(PATIENCE, recording).await.unwrap().unwrap();
        // While it reads, one consumer takes another's place now and then.
        let last = sent
            .windows(4)
            .rev()
            .find(|frame| is_consume(frame) || is_cancel(frame));
        assert!(last.is_some_and(is_consume), "left in good order: {leaves}");
        let again = bed(&[]).subscribe(&topic, "g").await.take(10).await;
        assert_eq!(texts(&again), numbers(0..10));
    }
}

#[tokio::test]
async fn a_restarted_broker_costs_no_message() {
    let topic = new_topic();
    let mut server = RabbitMq::start().unwrap();
    // No client's heart beats while its test waits for a node to start.
    let url = server.url();
    let properties = [("host", &*url), ("heartBeat", "5m")];
    let bed = Bed::of(connect(Protocol::RabbitMq, &properties));
    let sink = bed.sink(&topic, &["g"]).await;
    let mut reading = bed.subscribe(&topic, "g").await;
    server.settle().unwrap();
    let sent = numbers(0..2000);
    let (mut got, mut done) = (BTreeSet::new(), Vec::new());
    for (n, part) in sent.chunks(200).enumerate() {
        if n == 3 || n == 7 {
            server.kill();
            let failed = sink.publish(batch(&topic, part.to_vec())).await;
            assert!(
                failed
                    .iter()
                    .all(|result| result.as_ref().is_err_and(|error| error.transient))
            );
            let error = loop {
                match reading.source.receive().await {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert!(error.transient, "{error}");
            let tokens: Vec<u64> = (1..=1000).collect();
            assert!(reading.acker.ack(&tokens).await.is_err());
            server.resume().unwrap();
            reading = bed.subscribe(&topic, "g").await;
        }
        while sink
            .publish(batch(&topic, part.to_vec()))
            .await
            .iter()
            .any(Result::is_err)
        {}
        if n % 2 == 0 {
            let messages = reading.take_some().await;
            done.extend(texts(&messages).into_iter().map(str::to_owned));
            reading.ack(&messages).await;
        }
    }
    got.extend(done);
    while got.len() < sent.len() {
        let Ok(received) = tokio::time::timeout(PATIENCE, reading.source.receive()).await else {
            let missing: Vec<_> = sent.iter().filter(|text| !got.contains(*text)).collect();
            let queues = server.status();
            panic!(
                "{} of {} don't come: {missing:?}\n{queues}",
                missing.len(),
                sent.len()
            );
        };
        if let Received::Messages(messages) = received.unwrap() {
            got.extend(texts(&messages).into_iter().map(str::to_owned));
            reading.ack(&messages).await;
        }
    }
    assert_eq!(got, sent.into_iter().collect());
}

#[tokio::test]
async fn what_is_refused_is_explained_without_the_password() {
    let server = rabbitmq();
    let topic = new_topic();
    let port = server.port();
    let wrong = format!("amqp://guest:wr0ng@127.0.0.1:{port}");
    let error = connect(Protocol::RabbitMq, &[("host", &wrong)])
        .sink(&[])
        .await
        .err()
        .unwrap();
    let said = error.to_string();
    assert_eq!(
        (error.reason, error.transient),
        ("AuthenticationFailed", false),
        "{said}"
    );
    assert!(
        said.contains(&port.to_string()) && !said.contains("wr0ng"),
        "{said}"
    );

    let nobody = connect(Protocol::RabbitMq, &[("host", "amqp://u:s3cr3t@127.0.0.1:1")]);
    let error = nobody.subscribe(subscription(&topic)).await.err().unwrap();
    let said = error.to_string();
    assert_eq!((error.reason, error.transient), ("Unreachable", true), "{said}");
    assert!(said.contains("127.0.0.1:1") && !said.contains("s3cr3t"), "{said}");

    let nowhere = format!("amqp://guest:guest@127.0.0.1:{port}/nowhere");
    let error = connect(Protocol::RabbitMq, &[("host", &nowhere)])
        .sink(&[])
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.reason, error.transient),
        ("NotPermitted", false),
        "{error}"
    );
}

#[tokio::test]
async fn passwords_may_have_an_at_sign_escaped_or_not() {
    let server = rabbitmq();
    server.add_user("ann", "p@ss/w:rd").unwrap();
    for password in ["p@ss%2Fw:rd", "p%40ss%2Fw%3Ard"] {
        let url = format!("amqp://ann:{password}@127.0.0.1:{}", server.port());
        let broker = connect(Protocol::RabbitMq, &[("connectionString", &url)]);
        let consumer = Consumer {
            topic: new_topic(),
            group: "g".into(),
        };
        broker.sink(&[consumer]).await.unwrap();
    }
}

#[tokio::test]
async fn prefetch_holds_back_what_is_not_asked_for() {
    let topic = new_topic();
    let bed = bed(&[("prefetchCount", "3")]);
    let sink = bed.sink(&topic, &["g"]).await;
    publish(&sink, &topic, numbers(0..10)).await;
    let mut one = bed.member(&topic, "g", "g-0", Some(100)).await.unwrap();
    one.take(3).await;
    let mut two = bed.member(&topic, "g", "g-1", Some(100)).await.unwrap();
    assert_eq!(texts(&two.take(3).await), ["3", "4", "5"]);
    let received = tokio::time::timeout(std::time::Duration::from_millis(300), one.source.receive()).await;
    assert!(!matches!(received, Ok(Ok(Received::Messages(_)))), "{received:?}");
}

#[tokio::test]
async fn topics_of_one_exchange_are_read_by_patterns_each_by_its_name() {
    // The test's own exchange, and one that every node has.
    for exchange in [new_topic().as_str(), "amq.topic"] {
        let plant = new_topic();
        let bed = bed(&[("exchange", exchange)]);
        let topic = |rest: &str| format!("{plant}.{rest}");
        let one = topic("*.power");
        // Nobody who reads it is up yet.
        let sink = bed.sink(&one, &["early"]).await;
        publish(&sink, &topic("gas.power"), ["1"]).await;
        let mut early = bed.subscribe(&one, "early").await;
        let mut all = bed.subscribe(&topic("#"), "all").await;
        for name in ["Größe.power", "gas.power.now", "gas.heat"] {
            publish(&sink, &topic(name), ["2"]).await;
        }
        let got = early.take(2).await;
        let topics = |messages: &[Message]| -> Vec<String> {
            messages.iter().map(|message| message.topic.to_string()).collect()
        };
        assert_eq!(topics(&got), [topic("gas.power"), topic("Größe.power")]);
        early.ack(&got).await;
        let got = all.take(3).await;
        let expected = ["Größe.power", "gas.power.now", "gas.heat"].map(topic);
        assert_eq!(topics(&got), expected);
        all.ack(&got).await;
        drop(early);
        let mut early = bed.subscribe(&one, "early").await;
        assert_eq!(early.recover().await.len(), 0);
        publish(&sink, &topic("gas.power"), ["3"]).await;
        assert_eq!(texts(&early.take(1).await), ["3"]);
    }
}

#[tokio::test]
async fn an_event_in_binary_mode_comes_in_structured_mode() {
    let topic = new_topic();
    let mut reading = bed(&[]).subscribe(&topic, "g").await;
    let (_connection, channel) = client().await;
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", "7"),
        ("cloudEvents_source", "/meter"),
        ("cloudEvents:type", "reading"),
        ("other", "x"),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_content_type("application/json".into());
    let exchange = topic.as_str().into();
    let options = BasicPublishOptions::default();
    let published = channel.basic_publish(exchange, "".into(), options, b"{\"watts\": 1.5}", properties);
    published.await.unwrap().await.unwrap();
    let got = reading.take(1).await;
    assert_eq!(
        text(&got[0]),
        r#"{"datacontenttype":"application/json","id":"7","source":"/meter","specversion":"1.0","type":"reading","data":{"watts": 1.5}}"#
    );
}

#[tokio::test]
async fn what_stands_beside_a_message_says_of_which_trace_it_is() {
    let topic = new_topic();
    let mut reading = bed(&[]).subscribe(&topic, "g").await;
    let (_connection, channel) = client().await;
    for (headers, expected) in headers() {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let properties = BasicProperties::default().with_headers(table);
        let options = BasicPublishOptions::default();
        let published = channel.basic_publish(topic.as_str().into(), "".into(), options, b"1", properties);
        published.await.unwrap().await.unwrap();
        let got = reading.take(1).await;
        assert_eq!((text(&got[0]), trace_of(&got[0])), ("1", expected));
    }
}

#[tokio::test]
async fn what_is_held_for_longer_than_the_broker_waits_comes_again_and_why_is_said() {
    let server = RabbitMq::with_consumer_timeout(1000).unwrap();
    let bed = Bed::of(connect(Protocol::RabbitMq, &[("host", &server.url())]));
    let mut first = bed.subscribe("t", "g").await;
    let sink = bed.sink("t", &["g"]).await;
    publish(&sink, "t", ["a", "b"]).await;
    let held = first.take(2).await;
    let waiting = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Err(error) = first.source.receive().await {
                return error;
            }
        }
    });
    let error = waiting.await.expect("nothing is taken back");
    let said = error.to_string();
    assert_eq!(
        (error.reason, error.transient),
        ("ConsumerTimeout", true),
        "{said}"
    );
    assert!(
        said.contains("1000 ms") && said.contains("set the property consumerTimeout"),
        "{said}"
    );
    let tokens: Vec<u64> = held.iter().map(|message| message.token).collect();
    // Whoever reads may be paused, and not hear of it.
    let error = first.acker.ack(&tokens).await.unwrap_err();
    assert_eq!(error.reason, "ConsumerTimeout", "{error}");
    let mut second = bed.subscribe("t", "g").await;
    let again = second.recover().await;
    assert_eq!(texts(&again), ["a", "b"]);
    second.ack(&again).await;
}
