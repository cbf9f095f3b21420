//! What only MQTT has.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rumqttc::{AsyncClient, Broker, Event, MqttOptions, Packet, PublishOptions, PublishProperties, QoS};
use streaming_plan::Protocol;
use streaming_sidecar::broker::{Consumer, Message, Received, Sink, Subscription};
use test_brokers::{Mosquitto, RabbitMq};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::common::{
    Bed, PATIENCE, Reading, batch, connect, headers, mqtt, numbers, publish, text, texts, trace_of, traced,
};

fn subscription(topic: &str) -> Subscription {
    Subscription {
        topic: topic.into(),
        group: "g".into(),
        consumer: "g-0".into(),
        shared: None,
        properties: [].into(),
        in_flight: None,
    }
}

fn topics(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| &*message.topic).collect()
}

#[tokio::test]
async fn wildcards_bring_many_topics_each_by_its_name() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let mut one = bed.subscribe("plant/+/power", "one").await;
    let mut all = bed.subscribe("plant/#", "all").await;
    let sink = bed.sink("plant/#", &[]).await;
    for topic in [
        "plant/Natural Gas/power",
        "plant/Größe/power",
        "plant",
        "plant/a/b/power",
    ] {
        publish(&sink, topic, ["1"]).await;
    }
    assert_eq!(
        topics(&one.take(2).await),
        ["plant/Natural Gas/power", "plant/Größe/power"]
    );
    assert_eq!(topics(&all.take(4).await)[2..], ["plant", "plant/a/b/power"]);
}

#[tokio::test]
async fn nothing_can_be_published_to_a_filter() {
    let server = Mosquitto::start().unwrap();
    let sink = mqtt(&server, &[]).sink("t", &[]).await;
    let outcome = sink.publish(batch("plant/+", ["1"])).await;
    let error = outcome[0].as_ref().unwrap_err();
    assert_eq!(
        (error.reason, error.transient),
        ("InvalidTopic", false),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_retained_comes_to_who_subscribes_later_and_only_once() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[("retain", "true")]);
    let sink = bed.sink("t", &[]).await;
    publish(&sink, "t/a", ["old"]).await;
    publish(&sink, "t/a", ["new"]).await;
    publish(&sink, "t/b", ["b"]).await;
    let mut first = bed.subscribe("t/+", "g").await;
    let mut got = first.take(2).await;
    got.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert_eq!(texts(&got), ["new", "b"]);
    first.ack(&got).await;
    drop(first);
    let mut second = bed.subscribe("t/+", "g").await;
    assert_eq!(second.recover().await.len(), 0);
    publish(&sink, "t/a", ["newer"]).await;
    assert_eq!(texts(&second.take(1).await), ["newer"]);
}

#[tokio::test]
async fn the_session_of_a_component_that_is_away_is_begun_for_it() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let consumer = |topic: &str, group: &str| Consumer {
        topic: topic.into(),
        group: group.into(),
    };
    let consumers = [consumer("t/+", "g"), consumer("other", "h")];
    let sink = bed.broker.sink(&consumers).await.unwrap();
    publish(&sink, "t/a", ["a", "b"]).await;
    publish(&sink, "read/by/nobody", ["c"]).await;
    assert_eq!(texts(&bed.subscribe("t/+", "g").await.take(2).await), ["a", "b"]);
    publish(&sink, "other", ["d"]).await;
    assert_eq!(texts(&bed.subscribe("other", "h").await.take(1).await), ["d"]);
}

#[tokio::test]
async fn what_comes_while_a_component_is_away_waits_unless_its_session_is_clean() {
    let server = Mosquitto::start().unwrap();
    for clean in ["false", "true"] {
        let bed = mqtt(&server, &[("cleanSession", clean)]);
        let sink = bed.sink("t", &[]).await;
        let mut reading = bed.subscribe("t", clean).await;
        let first = next(&sink, &mut reading, "before").await;
        reading.ack(&first).await;
        drop(reading);
        publish(&sink, "t", ["while away"]).await;
        let mut reading = bed.subscribe("t", clean).await;
        let got = next(&sink, &mut reading, "back").await;
        let expected = if clean == "true" { "back" } else { "while away" };
        assert!(texts(&got).contains(&expected), "{:?}", texts(&got));
        assert_eq!(texts(&got).contains(&"while away"), clean == "false");
    }
}

/// Publishes until something comes: a session that just begins misses what is published before the broker has it.
async fn next(sink: &Arc<dyn Sink>, reading: &mut Reading, payload: &'static str) -> Vec<Message> {
    loop {
        publish(sink, "t", [payload]).await;
        let some = tokio::time::timeout(Duration::from_millis(100), reading.take_some()).await;
        if let Ok(messages) = some {
            return messages;
        }
    }
}

#[tokio::test]
async fn a_restarted_broker_costs_no_message() {
    let mut server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let sink = bed.sink("t", &["g"]).await;
    let mut reading = bed.subscribe("t", "g").await;
    let sent = numbers(0..3000);
    let mut got: Vec<String> = Vec::new();
    for (n, part) in sent.chunks(100).enumerate() {
        if n % 10 == 5 {
            server.stop();
            let failed = sink.publish(batch("t", part.to_vec())).await;
            assert!(
                failed
                    .iter()
                    .all(|result| result.as_ref().is_err_and(|error| error.transient))
            );
            server.resume().unwrap();
            // The connection's end is the subscription's; what was unacked comes again to the next one.
            let ended = async { while reading.source.receive().await.is_ok() {} };
            tokio::time::timeout(PATIENCE, ended).await.expect("it goes on");
            reading = bed.subscribe("t", "g").await;
        }
        publish(&sink, "t", part.to_vec()).await;
        if n % 3 == 0 {
            let messages = reading.take_some().await;
            got.extend(texts(&messages).into_iter().map(str::to_owned));
            reading.ack(&messages).await;
        }
    }
    let last = sent.last().unwrap();
    while got.last() != Some(last) {
        let messages = reading.take_some().await;
        got.extend(texts(&messages).into_iter().map(str::to_owned));
        reading.ack(&messages).await;
    }
    let mut each: Vec<usize> = got.iter().map(|text| text.parse().unwrap()).collect();
    each.sort_unstable();
    each.dedup();
    assert_eq!(each, (0..3000).collect::<Vec<_>>());
    drop(reading);
    assert_eq!(bed.subscribe("t", "g").await.recover().await.len(), 0);
}

#[tokio::test]
async fn what_is_refused_is_explained_without_the_password() {
    let server = Mosquitto::with_password("ann", "s3cr3t").unwrap();
    let url = server.url();
    let login = |password| {
        let properties = [("url", &*url), ("username", "ann"), ("password", password)];
        connect(Protocol::Mqtt, &properties)
    };
    let (mut source, _acker) = login("s3cr3t").subscribe(subscription("t")).await.unwrap();
    assert!(matches!(source.receive().await, Ok(Received::Recovered)));
    for password in ["wr0ng", ""] {
        let error = login(password).subscribe(subscription("t")).await.err().unwrap();
        let said = error.to_string();
        assert_eq!(
            (error.reason, error.transient),
            ("AuthenticationFailed", false),
            "{said}"
        );
        assert!(said.contains("127.0.0.1") && said.contains("password"), "{said}");
        assert!(!said.contains("wr0ng"), "{said}");
        let error = login(password).sink(&[]).await.err().unwrap();
        assert_eq!(error.reason, "AuthenticationFailed");
    }
    let nobody = connect(Protocol::Mqtt, &[("url", "mqtt://u:s3cr3t@127.0.0.1:1")]);
    let error = nobody.subscribe(subscription("t")).await.err().unwrap();
    let said = error.to_string();
    assert_eq!((error.reason, error.transient), ("Unreachable", true), "{said}");
    assert!(said.contains("127.0.0.1:1") && !said.contains("s3cr3t"), "{said}");
}

#[tokio::test]
async fn a_session_that_is_taken_over_ends_where_it_was() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let mut first = bed.subscribe("t", "g").await;
    let _second = bed.subscribe("t", "g").await;
    first.recover().await;
    let ended = tokio::time::timeout(PATIENCE, first.source.receive()).await;
    let error = ended.expect("it goes on").unwrap_err();
    // Not every broker says why.
    assert!(
        ["SessionTakenOver", "ConnectionLost"].contains(&error.reason),
        "{error}"
    );
    assert!(error.transient);
}

/// Reads a wildcard, and what was published to it, all with a connection that may be MQTT 3.1.1.
async fn give_and_take(bed: &Bed) {
    let sink = bed.sink("t/#", &[]).await;
    let mut reading = bed.subscribe("t/#", "g").await;
    let first = next(&sink, &mut reading, "first").await;
    reading.ack(&first).await;
    let large = "x".repeat(3 << 20);
    publish(&sink, "t/a/b", ["", &*large, "Größe"].map(str::to_owned)).await;
    let got = reading.take(3).await;
    assert_eq!(texts(&got), ["", &*large, "Größe"]);
    assert_eq!(topics(&got), ["t/a/b"; 3]);
    reading.ack(&got[..1]).await;
    drop(reading);
    let mut reading = bed.subscribe("t/#", "g").await;
    let again = reading.take(2).await;
    assert_eq!(texts(&again), [&*large, "Größe"]);
    reading.ack(&again).await;
}

#[tokio::test]
async fn a_broker_without_mqtt_5_is_spoken_to_in_3_1_1() {
    let server = RabbitMq::with_mqtt().unwrap();
    let url = format!("mqtt://guest:guest@127.0.0.1:{}", server.other_port());
    let bed = Bed::of(connect(Protocol::Mqtt, &[("url", &url)]));
    give_and_take(&bed).await;
    let five = connect(Protocol::Mqtt, &[("url", &url), ("protocolVersion", "5")]);
    let error = five.sink(&[]).await.err().unwrap();
    assert_eq!(error.reason, "ConnectionLost", "{error}");
    let wrong = format!("mqtt://guest:wr0ng@127.0.0.1:{}", server.other_port());
    let wrong = connect(Protocol::Mqtt, &[("url", &wrong), ("protocolVersion", "3.1.1")]);
    let error = wrong.sink(&[]).await.err().unwrap();
    assert_eq!(error.reason, "AuthenticationFailed", "{error}");
}

/// A client's first packet, CONNECT; its ninth byte is the version.
async fn opening(client: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut start = vec![0; 2];
    client.read_exact(&mut start).await.unwrap();
    assert!(start[1] < 0x80, "its length has one byte");
    start.resize(2 + usize::from(start[1]), 0);
    client.read_exact(&mut start[2..]).await.unwrap();
    start
}

/// In which versions a broker is asked by who publishes, where something hangs up on the first so many tries in MQTT 5.
async fn asked_in(server: &Mosquitto, hang_ups: usize) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let port = server.port();
    let (heard, mut versions) = tokio::sync::mpsc::unbounded_channel();
    let between = tokio::spawn(async move {
        let mut fives = 0;
        while let Ok((mut client, _)) = listener.accept().await {
            let start = opening(&mut client).await;
            heard.send(start[8]).unwrap();
            fives += usize::from(start[8] == 5);
            if start[8] == 5 && fives <= hang_ups {
                continue;
            }
            let mut broker = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            broker.write_all(&start).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut broker).await });
        }
    });
    let bed = Bed::of(connect(Protocol::Mqtt, &[("url", &url)]));
    let sink = bed.sink("t", &[]).await;
    publish(&sink, "t", ["1"]).await;
    between.abort();
    between.await.unwrap_err();
    let mut asked = Vec::new();
    while let Some(version) = versions.recv().await {
        asked.push(version);
    }
    asked
}

#[tokio::test]
async fn a_broker_that_hangs_up_once_is_still_spoken_to_in_mqtt_5() {
    let server = Mosquitto::start().unwrap();
    assert_eq!(asked_in(&server, 0).await, [5]);
    assert_eq!(asked_in(&server, 1).await, [5, 4, 5]);
    assert_eq!(asked_in(&server, usize::MAX).await, [5, 4, 5, 4]);
}

#[tokio::test]
async fn a_broker_that_refuses_mqtt_5_is_asked_for_it_once() {
    let server = Mosquitto::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let port = server.port();
    let (refused, mut refusals) = tokio::sync::mpsc::unbounded_channel();
    let refusing = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let start = opening(&mut client).await;
            if start[8] == 5 {
                refused.send(()).unwrap();
                client.write_all(&[0x20, 2, 0, 1]).await.unwrap();
                continue;
            }
            let mut broker = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            broker.write_all(&start).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut broker).await });
        }
    });
    give_and_take(&Bed::of(connect(Protocol::Mqtt, &[("url", &url)]))).await;
    let five = connect(Protocol::Mqtt, &[("url", &url), ("protocolVersion", "5")]);
    let error = five.sink(&[]).await.err().unwrap();
    assert_eq!(
        (error.reason, error.transient),
        ("ProtocolVersion", false),
        "{error}"
    );
    assert!(error.to_string().contains("`protocolVersion`"), "{error}");
    refusing.abort();
    refusing.await.unwrap_err();
    let mut times = 0;
    while refusals.recv().await.is_some() {
        times += 1;
    }
    assert_eq!(times, 2, "once, and once where nothing else was allowed");
}

#[tokio::test]
async fn a_will_is_a_message_like_any_other() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let sink = bed.sink("status/+", &[]).await;
    let mut reading = bed.subscribe("status/+", "g").await;
    publish(&sink, "status/meter", ["here"]).await;
    assert_eq!(texts(&reading.take(1).await), ["here"]);
    // A meter that only speaks 3.1.1: its will is `gone`, with QoS 1.
    let mut meter = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let body = b"\0\x04MQTT\x04\x0e\0\x3c\0\x05meter\0\x0cstatus/meter\0\x04gone";
    let packet = [&[0x10, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    meter.write_all(&packet).unwrap();
    meter.read_exact(&mut [0; 4]).unwrap();
    drop(meter);
    let got = reading.take(1).await;
    assert_eq!((texts(&got), topics(&got)), (vec!["gone"], vec!["status/meter"]));
}

#[tokio::test]
async fn a_new_pod_goes_on_with_what_waits_for_the_one_that_it_replaces() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let join = async |pod: &str| bed.member("t/#", "g", pod, Some(100)).await.unwrap();
    let sink = bed.sink("t/a", &[]).await;
    let mut old = [join("old-0").await, join("old-1").await];
    publish(&sink, "t/a", ["held"]).await;
    let [one, two] = &mut old;
    let held = tokio::select! {
        held = one.take(1) => held,
        held = two.take(1) => held,
    };
    assert_eq!(texts(&held), ["held"]);
    drop(old);
    publish(&sink, "t/a", numbers(0..50)).await;
    let mut new = [join("new-0").await, join("new-1").await];
    let mut got = Vec::new();
    while got.len() < 51 {
        let [one, two] = &mut new;
        let (reading, messages) = tokio::select! {
            messages = one.take_some() => (one, messages),
            messages = two.take_some() => (two, messages),
        };
        reading.ack(&messages).await;
        got.extend(texts(&messages).into_iter().map(str::to_owned));
    }
    got.sort();
    let mut expected = numbers(0..50);
    expected.push("held".to_owned());
    expected.sort();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn pods_that_share_a_topic_settle_on_a_session_each() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let join = async |pod: &str| bed.member("t", "g", pod, Some(100)).await.unwrap();
    // By their names both begin with the same one.
    let mut first = join("pod-0").await;
    let mut second = join("pod-2").await;
    first.recover().await;
    let ended = tokio::time::timeout(PATIENCE, first.source.receive()).await;
    let error = ended.expect("it goes on").unwrap_err();
    assert!(error.transient, "{error}");
    let mut first = join("pod-0").await;
    let sink = bed.sink("t", &[]).await;
    let (mut of_first, mut of_second) = (0, 0);
    while of_first == 0 || of_second == 0 {
        publish(&sink, "t", numbers(0..10)).await;
        let mut got = 0;
        while got < 10 {
            tokio::select! {
                messages = first.take_some() => {
                    got += messages.len();
                    of_first += messages.len();
                    first.ack(&messages).await;
                }
                messages = second.take_some() => {
                    got += messages.len();
                    of_second += messages.len();
                    second.ack(&messages).await;
                }
            }
        }
    }
}

/// What a reader of `t` gets when a meter says how large something is.
async fn of_a_meter(content_type: Option<&str>, user_properties: &[(&str, &str)]) -> Vec<Message> {
    let server = Mosquitto::start().unwrap();
    let mut reading = mqtt(&server, &[]).subscribe("t", "g").await;
    reading.recover().await;
    let options = MqttOptions::new("meter", Broker::tcp("127.0.0.1", server.port()));
    let (meter, mut driver) = AsyncClient::builder(options).capacity(10).build();
    let driver = tokio::spawn(async move { while driver.poll().await.is_ok() {} });
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let properties = PublishProperties {
        content_type: content_type.map(str::to_owned),
        user_properties: user_properties.iter().map(own).collect(),
        ..PublishProperties::default()
    };
    let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
    let mut got = Vec::new();
    while got.is_empty() {
        // A session that just begins misses what is published before the broker has it.
        let sent = meter
            .publish_tracked("t", "Größe", options.clone())
            .await
            .unwrap();
        sent.wait_async().await.unwrap();
        let some = tokio::time::timeout(Duration::from_millis(100), reading.take_some()).await;
        got = some.unwrap_or_default();
    }
    driver.abort();
    got
}

#[tokio::test]
async fn an_event_in_binary_mode_comes_in_structured_mode() {
    let attributes = [
        ("specversion", "1.0"),
        ("id", "7"),
        ("source", "/meter"),
        ("type", "reading"),
    ];
    let got = of_a_meter(Some("text/plain"), &attributes).await;
    assert_eq!(
        text(&got[0]),
        r#"{"datacontenttype":"text/plain","id":"7","source":"/meter","specversion":"1.0","type":"reading","data":"Größe"}"#
    );
}

#[tokio::test]
async fn what_stands_beside_a_message_says_of_which_trace_it_is() {
    for (headers, expected) in headers() {
        let got = of_a_meter(None, &headers).await;
        assert_eq!((text(&got[0]), trace_of(&got[0])), ("Größe", expected));
    }
    let [(named, _), _] = headers();
    let got = of_a_meter(None, &[named, named].concat()).await;
    assert_eq!(trace_of(&got[0]), None, "two parents");
}

/// As of a component of the same name in another namespace.
#[tokio::test]
async fn a_session_that_is_read_stays() {
    let server = Mosquitto::start().unwrap();
    let bed = mqtt(&server, &[]);
    let group = Consumer {
        topic: "t".into(),
        group: "g".into(),
    };
    let mut reading = bed.subscribe("t", "g").await;
    let sink = bed.sink("t", &["g"]).await;
    publish(&sink, "t", ["a", "b"]).await;
    let held = reading.take(2).await;
    let removing = {
        let broker = Arc::clone(&bed.broker);
        let group = group.clone();
        tokio::spawn(async move { broker.remove(&group, 0).await })
    };
    // It comes back, as every session does that lost its connection.
    while reading.source.receive().await.is_ok() {}
    drop(reading);
    let mut reading = bed.subscribe("t", "g").await;
    let error = removing.await.unwrap().unwrap_err();
    assert_eq!((error.reason, error.transient), ("GroupInUse", false), "{error}");
    assert!(error.to_string().contains("`t` is still read"), "{error}");
    assert_eq!(texts(&reading.take(2).await), texts(&held));
    publish(&sink, "t", ["c"]).await;
    assert_eq!(texts(&reading.take(1).await), ["c"]);
    // And goes when nobody comes back.
    drop(reading);
    bed.broker.remove(&group, 0).await.unwrap();
    assert_eq!(bed.subscribe("t", "g").await.recover().await.len(), 0);
}

#[tokio::test]
async fn what_is_part_of_a_trace_says_so_in_its_headers() {
    let server = Mosquitto::start().unwrap();
    let sink = mqtt(&server, &[("retain", "true")]).sink("t", &[]).await;
    let (message, expected) = traced("t");
    sink.publish(vec![message]).await.remove(0).unwrap();
    let options = MqttOptions::new("later", Broker::tcp("127.0.0.1", server.port()));
    let (later, mut driver) = AsyncClient::builder(options).capacity(10).build();
    later.subscribe("t", QoS::AtLeastOnce).await.unwrap();
    let received = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Event::Incoming(Packet::Publish(publish)) = driver.poll().await.unwrap() {
                return publish;
            }
        }
    });
    let properties = received.await.expect("a message").properties.unwrap();
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(properties.user_properties, expected);
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
}

/// A line to a broker, which writes down what a client says first.
async fn recording(port: u16) -> (String, oneshot::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut broker = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // Short enough for a length of one byte.
        let (kind, length) = (client.read_u8().await.unwrap(), client.read_u8().await.unwrap());
        assert!(kind == 0x10 && length < 0x80, "{kind} {length}");
        let mut connect = vec![0; length.into()];
        client.read_exact(&mut connect).await.unwrap();
        broker.write_all(&[kind, length]).await.unwrap();
        broker.write_all(&connect).await.unwrap();
        tell.send(connect).unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut broker).await.ok();
    });
    (url, told)
}

/// The Receive Maximum in what follows a CONNECT's first two bytes (MQTT 5, 3.1.2).
fn receive_maximum(connect: &[u8]) -> Option<u16> {
    // Name and version of the protocol, flags, keep-alive; then properties, with their length.
    let (length, rest) = connect[10..].split_first().unwrap();
    let mut properties = &rest[..usize::from(*length)];
    while let Some((kind, rest)) = properties.split_first() {
        let size = match kind {
            0x11 | 0x27 => 4,
            0x21 => return Some(u16::from_be_bytes([rest[0], rest[1]])),
            0x22 => 2,
            0x17 | 0x19 => 1,
            // Of unknown length: the caller shows the packet.
            _ => return None,
        };
        properties = &rest[size..];
    }
    None
}

#[tokio::test]
async fn what_may_be_in_flight_is_told_to_the_broker() {
    let server = Mosquitto::start().unwrap();
    for (in_flight, told) in [(Some(64), 64), (None, u16::MAX)] {
        let (url, connect_packet) = recording(server.port()).await;
        let broker = connect(Protocol::Mqtt, &[("url", &url)]);
        let subscription = Subscription {
            in_flight,
            ..subscription("t")
        };
        let _reading = broker.subscribe(subscription).await.unwrap();
        let said = connect_packet.await.unwrap();
        assert_eq!(receive_maximum(&said), Some(told), "{said:x?}");
    }
}

/// A line to a broker, which gives a client each message three times. Says how often it is connected to.
async fn repeating(port: u16) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let broker = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut client_says, mut client) = client.into_split();
            let (mut broker_says, mut broker) = broker.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut client_says, &mut broker).await });
            tokio::spawn(async move {
                while let Ok(kind) = broker_says.read_u8().await {
                    // All packets of this test are short.
                    let length = broker_says.read_u8().await.unwrap();
                    assert!(length < 0x80, "{length}");
                    let mut packet = vec![kind, length];
                    packet.resize(2 + usize::from(length), 0);
                    broker_says.read_exact(&mut packet[2..]).await.unwrap();
                    let times = if kind & 0xf0 == 0x30 { 3 } else { 1 };
                    client.write_all(&packet.repeat(times)).await.unwrap();
                }
            });
        }
    });
    (url, connections)
}

#[tokio::test]
async fn a_message_that_the_broker_repeats_before_it_is_acked_comes_once() {
    let server = Mosquitto::start().unwrap();
    let (url, connections) = repeating(server.port()).await;
    let mut reading = Bed::of(connect(Protocol::Mqtt, &[("url", &url)]))
        .subscribe("t", "g")
        .await;
    let sink = mqtt(&server, &[]).sink("t", &[]).await;
    for round in 0..3 {
        let sent = numbers(10 * round..10 * round + 10);
        publish(&sink, "t", sent.clone()).await;
        let got = reading.take(10).await;
        assert_eq!(texts(&got), sent);
        reading.ack(&got).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
