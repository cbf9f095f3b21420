//! What only Redis has.

use std::time::Duration;

use redis::Commands as _;
use streaming_plan::Protocol;
use streaming_sidecar::broker::{Consumer, Received, Subscription};
use test_brokers::Redis;

use crate::common::{Bed, batch, connect, connect_redis, new_topic, numbers, publish, text, texts};

fn client(server: &Redis) -> redis::Connection {
    redis::Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap()
}

fn bed(server: &Redis) -> Bed {
    Bed::of(connect_redis(server))
}

#[tokio::test]
async fn the_layout_is_dapr_s() {
    let server = Redis::start().unwrap();
    let mut client = client(&server);
    let sink = bed(&server).sink("t", &[]).await;
    publish(&sink, "t", ["{}"]).await;
    let entry: redis::streams::StreamRangeReply = client.xrange_all("t").unwrap();
    assert_eq!(entry.ids[0].map.keys().collect::<Vec<_>>(), ["data"]);

    let mut reading = bed(&server).subscribe("t", "g").await;
    let got = reading.take(1).await;
    assert_eq!(&*got[0].position, entry.ids[0].id);
    assert!(
        got[0]
            .position
            .starts_with(&got[0].received.as_millis().to_string())
    );
    let groups: redis::streams::StreamInfoGroupsReply = client.xinfo_groups("t").unwrap();
    assert_eq!((&*groups.groups[0].name, groups.groups[0].pending), ("g", 1));
    reading.ack(&got).await;
    let groups: redis::streams::StreamInfoGroupsReply = client.xinfo_groups("t").unwrap();
    assert_eq!(groups.groups[0].pending, 0);
}

#[tokio::test]
async fn an_entry_of_another_form_is_a_message_that_is_no_json() {
    let server = Redis::start().unwrap();
    let mut reading = bed(&server).subscribe("t", "g").await;
    let mut client = client(&server);
    let _: String = client.xadd("t", "*", &[("temp", "20"), ("unit", "C")]).unwrap();
    let _: String = client
        .xadd("t", "*", &[("traceparent", "00"), ("data", "{}")])
        .unwrap();
    let got = reading.take(2).await;
    assert_eq!(
        texts(&got),
        ["entry without a field `data`:\ntemp=20\nunit=C", "{}"]
    );
}

#[tokio::test]
async fn a_flushed_server_is_read_on_from() {
    let server = Redis::start().unwrap();
    let bed = bed(&server);
    let mut reading = bed.subscribe("t", "g").await;
    let sink = bed.sink("t", &["g"]).await;
    publish(&sink, "t", ["before"]).await;
    let before = reading.take(1).await;
    redis::cmd("FLUSHALL").exec(&mut client(&server)).unwrap();
    publish(&sink, "t", ["after"]).await;
    let after = reading.take(1).await;
    assert_eq!(texts(&after), ["after"]);
    reading.ack(before.iter().chain(&after)).await;
}

#[tokio::test]
async fn what_was_trimmed_while_it_was_pending_does_not_come_again() {
    let server = Redis::start().unwrap();
    let bed = bed(&server);
    let mut first = bed.subscribe("t", "g").await;
    let sink = bed.sink("t", &["g"]).await;
    publish(&sink, "t", ["a", "b"]).await;
    let got = first.take(2).await;
    drop(first);
    let mut client = client(&server);
    let _: i32 = client.xdel("t", &[&*got[0].position]).unwrap();
    let mut second = bed.subscribe("t", "g").await;
    assert_eq!(texts(&second.recover().await), ["b"]);
    let pending: redis::streams::StreamPendingReply = client.xpending("t", "g").unwrap();
    assert_eq!(pending.count(), 1);
}

#[tokio::test]
async fn streams_are_kept_short() {
    let server = Redis::start().unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    let broker = connect(Protocol::Redis, &[("redisHost", &host), ("maxLenApprox", "100")]);
    let sink = broker.sink(&[]).await.unwrap();
    publish(&sink, "t", numbers(0..5000)).await;
    let length: usize = client(&server).xlen("t").unwrap();
    assert!((100..1000).contains(&length), "{length}");
}

#[tokio::test]
async fn a_peer_takes_over_what_a_dead_consumer_held_but_not_what_a_live_one_holds() {
    let server = Redis::start().unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    let quick = [
        ("redisHost", &*host),
        ("processingTimeout", "600ms"),
        ("redeliverInterval", "50ms"),
    ];
    let bed = Bed::of(connect(Protocol::Redis, &quick));
    let sink = bed.sink("t", &["g"]).await;
    let mut dead = bed.member("t", "g", "g-0", Some(10)).await.unwrap();
    publish(&sink, "t", ["of the dead"]).await;
    dead.take(1).await;
    drop(dead);
    let mut live = bed.member("t", "g", "g-1", Some(10)).await.unwrap();
    let taken = live.take(1).await;
    assert_eq!((text(&taken[0]), taken[0].attempts), ("of the dead", 1));
    let mut other = bed.member("t", "g", "g-2", Some(10)).await.unwrap();
    other.recover().await;
    // Longer than the time after which it would count as abandoned.
    let nothing = tokio::time::timeout(Duration::from_millis(1500), other.source.receive()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    live.ack(&taken).await;
}

/// The hold time is a minute, and the test does not wait for it: what comes, comes because it was left.
#[tokio::test]
async fn what_a_consumer_leaves_is_claimed_at_once() {
    let server = Redis::start().unwrap();
    let bed = bed(&server);
    let sink = bed.sink("t", &["g"]).await;
    let mut leaving = bed.member("t", "g", "pod-a", Some(1000)).await.unwrap();
    publish(&sink, "t", numbers(0..2500)).await;
    let done = leaving.take_some().await;
    leaving.ack(&done).await;
    let held = leaving.take_some().await;
    // As in a roll-out: the next one is there before the last one goes.
    let mut next = bed.member("t", "g", "pod-b", Some(5000)).await.unwrap();
    next.recover().await;
    leaving.acker.leave().await;
    let left_behind = 2500 - done.len();
    assert!(left_behind > 1000 && !held.is_empty(), "{left_behind}");
    let mut came = next.take(left_behind).await;
    came.sort_by_key(|message| text(message).parse::<u32>().unwrap());
    assert_eq!(texts(&came), numbers(done.len()..2500));
    next.ack(&came).await;
    // Nor does it read any more.
    publish(&sink, "t", ["later"]).await;
    assert_eq!(texts(&next.take(1).await), ["later"]);
}

#[tokio::test]
async fn a_group_that_is_read_stays() {
    let server = Redis::start().unwrap();
    let bed = bed(&server);
    let reading = bed.subscribe("t", "g").await;
    let group = Consumer {
        topic: "t".into(),
        group: "g".into(),
    };
    let error = bed.broker.remove(&group).await.unwrap_err();
    assert_eq!((error.reason, error.transient), ("GroupInUse", true), "{error}");
    drop(reading);
    while bed.broker.remove(&group).await.is_err() {}
    let groups: redis::streams::StreamInfoGroupsReply = client(&server).xinfo_groups("t").unwrap();
    assert!(groups.groups.is_empty());
}

#[tokio::test]
async fn a_restarted_broker_costs_no_message() {
    let mut server = Redis::start().unwrap();
    let bed = bed(&server);
    let mut reading = bed.subscribe("t", "g").await;
    let sink = bed.sink("t", &["g"]).await;
    let sent = numbers(0..3000);
    let mut got: Vec<String> = Vec::new();
    let mut held = Vec::new();
    for (n, part) in sent.chunks(100).enumerate() {
        if n % 10 == 5 {
            server.kill();
            let failed = sink.publish(batch("t", part.to_vec())).await;
            assert!(
                failed
                    .iter()
                    .all(|result| result.as_ref().is_err_and(|error| error.transient))
            );
            server.resume().unwrap();
        }
        // Whoever publishes tries again; what did arrive comes twice.
        while sink
            .publish(batch("t", part.to_vec()))
            .await
            .iter()
            .any(Result::is_err)
        {}
        if n % 3 == 0 {
            let messages = reading.take_some().await;
            got.extend(texts(&messages).into_iter().map(str::to_owned));
            held.extend(messages);
        }
        if n % 7 == 0 {
            reading.ack(&held).await;
            held.clear();
        }
    }
    let last = sent.last().unwrap();
    while got.last() != Some(last) {
        let messages = reading.take_some().await;
        got.extend(texts(&messages).into_iter().map(str::to_owned));
        held.extend(messages);
    }
    reading.ack(&held).await;
    got.dedup();
    assert_eq!(got, sent);
    drop(reading);
    assert_eq!(bed.subscribe("t", "g").await.recover().await.len(), 0);
}

#[tokio::test]
async fn what_is_refused_is_explained_without_the_password() {
    let server = Redis::with_password("s3cr3t").unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    let subscription = Subscription {
        topic: new_topic(),
        group: "g".into(),
        consumer: "g-0".into(),
        shared: None,
        properties: [].into(),
        in_flight: None,
    };
    let right = connect(
        Protocol::Redis,
        &[("redisHost", &host), ("redisPassword", "s3cr3t")],
    );
    let (mut source, _) = right.subscribe(subscription.clone()).await.unwrap();
    assert!(matches!(source.receive().await, Ok(Received::Recovered)));
    for password in ["wr0ng", ""] {
        let wrong = connect(
            Protocol::Redis,
            &[("redisHost", &host), ("redisPassword", password)],
        );
        let error = wrong.subscribe(subscription.clone()).await.err().unwrap();
        let said = error.to_string();
        assert_eq!(
            (error.reason, error.transient),
            ("AuthenticationFailed", false),
            "{said}"
        );
        assert!(said.contains(&host) && said.contains("redisPassword"), "{said}");
        assert!(!said.contains("wr0ng"), "{said}");
    }
    let nobody = connect(
        Protocol::Redis,
        &[("redisHost", "127.0.0.1:1"), ("redisPassword", "s3cr3t")],
    );
    let error = nobody.subscribe(subscription).await.err().unwrap();
    let said = error.to_string();
    assert_eq!((error.reason, error.transient), ("Unreachable", true), "{said}");
    assert!(said.contains("127.0.0.1:1") && !said.contains("s3cr3t"), "{said}");
}
