//! What only Redis has, in every version that is supported.

use std::time::Duration;

use redis::Commands as _;
use streaming_plan::Protocol;
use streaming_sidecar::broker::{Consumer, Received, Subscription};
use test_brokers::{Redis, RedisServer};

use crate::common::{
    self, batch, connect, connect_redis, headers, new_topic, numbers, older_redis, publish, text, texts,
    trace_of,
};

fn client(server: &Redis) -> redis::Connection {
    redis::Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap()
}

/// A version of Redis: these tests each start a server of it.
pub(crate) struct Bed(RedisServer);

impl Bed {
    pub(crate) fn redis() -> Bed {
        Bed(RedisServer::installed())
    }

    pub(crate) fn redis_older() -> Bed {
        Bed(older_redis())
    }

    fn start(&self) -> Redis {
        self.0.start().unwrap()
    }
}

fn bed(server: &Redis) -> common::Bed {
    common::Bed::of(connect_redis(server))
}

pub(crate) async fn the_layout_is_dapr_s(version: &Bed) {
    let server = version.start();
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

pub(crate) async fn an_entry_of_another_form_is_a_message_that_is_no_json(version: &Bed) {
    let server = version.start();
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

pub(crate) async fn what_stands_beside_a_message_says_of_which_trace_it_is(version: &Bed) {
    let server = version.start();
    let mut reading = bed(&server).subscribe("t", "g").await;
    let mut client = client(&server);
    for (headers, expected) in headers() {
        let [parent, state] = headers;
        let _: String = client.xadd("t", "*", &[parent, ("data", "1"), state]).unwrap();
        let got = reading.take(1).await;
        assert_eq!((text(&got[0]), trace_of(&got[0])), ("1", expected));
    }
}

pub(crate) async fn a_flushed_server_is_read_on_from(version: &Bed) {
    let server = version.start();
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

pub(crate) async fn what_was_trimmed_while_it_was_pending_does_not_come_again(version: &Bed) {
    let server = version.start();
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

pub(crate) async fn streams_are_kept_short(version: &Bed) {
    let server = version.start();
    let host = format!("127.0.0.1:{}", server.port());
    let broker = connect(Protocol::Redis, &[("redisHost", &host), ("maxLenApprox", "100")]);
    let sink = broker.sink(&[]).await.unwrap();
    publish(&sink, "t", numbers(0..5000)).await;
    let length: usize = client(&server).xlen("t").unwrap();
    assert!((100..1000).contains(&length), "{length}");
}

/// One whose consumers soon count as dead.
fn quick(server: &Redis, timeout: &str) -> common::Bed {
    let host = format!("127.0.0.1:{}", server.port());
    let properties = [
        ("redisHost", &*host),
        ("processingTimeout", timeout),
        ("redeliverInterval", "50ms"),
    ];
    common::Bed::of(connect(Protocol::Redis, &properties))
}

pub(crate) async fn a_peer_takes_over_what_a_dead_consumer_held_but_not_what_a_live_one_holds(version: &Bed) {
    let server = version.start();
    let bed = quick(&server, "600ms");
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

pub(crate) async fn what_was_trimmed_while_a_dead_consumer_held_it_is_pending_no_more(version: &Bed) {
    let server = version.start();
    let bed = quick(&server, "100ms");
    let sink = bed.sink("t", &["g"]).await;
    let mut dead = bed.member("t", "g", "g-0", Some(10)).await.unwrap();
    publish(&sink, "t", ["a", "b", "c"]).await;
    let got = dead.take(3).await;
    drop(dead);
    let mut client = client(&server);
    let _: i32 = client.xdel("t", &[&*got[0].position, &*got[2].position]).unwrap();
    let mut live = bed.member("t", "g", "g-1", Some(10)).await.unwrap();
    let taken = live.take(1).await;
    assert_eq!(texts(&taken), ["b"]);
    live.ack(&taken).await;
    let start = std::time::Instant::now();
    loop {
        let pending: redis::streams::StreamPendingReply = client.xpending("t", "g").unwrap();
        if pending.count() == 0 {
            break;
        }
        assert!(start.elapsed() < common::PATIENCE, "{pending:?}");
        tokio::task::yield_now().await;
    }
}

/// The hold time is a minute, and the test does not wait for it: what comes, comes because it was left.
pub(crate) async fn what_a_consumer_leaves_is_claimed_at_once(version: &Bed) {
    let server = version.start();
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

pub(crate) async fn a_group_that_is_read_stays(version: &Bed) {
    let server = version.start();
    let bed = bed(&server);
    let reading = bed.subscribe("t", "g").await;
    let group = Consumer {
        topic: "t".into(),
        group: "g".into(),
    };
    let error = bed.broker.remove(&group, 0).await.unwrap_err();
    assert_eq!((error.reason, error.transient), ("GroupInUse", true), "{error}");
    drop(reading);
    while bed.broker.remove(&group, 0).await.is_err() {}
    let groups: redis::streams::StreamInfoGroupsReply = client(&server).xinfo_groups("t").unwrap();
    assert!(groups.groups.is_empty());
}

/// Nobody may ask who is connected, as of some managed servers.
pub(crate) async fn a_group_that_was_read_a_moment_ago_stays(version: &Bed) {
    let server = version.start();
    let mut client = client(&server);
    for rule in [
        "ACL SETUSER quiet on >s3cr3t ~* +@all -client",
        "XGROUP CREATE t g 0 MKSTREAM",
    ] {
        let mut words = rule.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>()).exec(&mut client).unwrap();
    }
    let host = format!("127.0.0.1:{}", server.port());
    let user = [
        ("redisHost", &*host),
        ("redisUsername", "quiet"),
        ("redisPassword", "s3cr3t"),
    ];
    let bed = common::Bed::of(connect(Protocol::Redis, &user));
    let group = Consumer {
        topic: "t".into(),
        group: "g".into(),
    };
    let mut reading = bed.subscribe("t", "g").await;
    reading.recover().await;
    let error = bed.broker.remove(&group, 0).await.unwrap_err();
    assert_eq!((error.reason, error.transient), ("GroupInUse", true), "{error}");
    // One that nobody reads is not kept.
    let nobody = Consumer {
        topic: "t".into(),
        group: "h".into(),
    };
    let _: () = client.xgroup_create("t", "h", "0").unwrap();
    bed.broker.remove(&nobody, 0).await.unwrap();
    let groups: redis::streams::StreamInfoGroupsReply = client.xinfo_groups("t").unwrap();
    assert_eq!(groups.groups.len(), 1);
}

pub(crate) async fn a_restarted_broker_costs_no_message(version: &Bed) {
    let mut server = version.start();
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

pub(crate) async fn what_is_refused_is_explained_without_the_password(version: &Bed) {
    let server = version.0.with_password("s3cr3t").unwrap();
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
