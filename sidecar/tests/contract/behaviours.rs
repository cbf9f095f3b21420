//! What a broker promises, whatever its protocol.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use streaming_sidecar::broker::{Consumer, Received};

pub(crate) use crate::common::Bed;
use crate::common::{new_topic, numbers, publish, text, texts};

pub(crate) async fn messages_come_in_order(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let mut reading = bed.subscribe(&topic, "g").await;
    let sent = numbers(0..3000);
    publish(&sink, &topic, sent[..1].to_vec()).await;
    publish(&sink, &topic, sent[1..2000].to_vec()).await;
    publish(&sink, &topic, sent[2000..].to_vec()).await;
    let got = reading.take(sent.len()).await;
    assert_eq!(texts(&got), sent);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    for message in &got {
        assert_eq!((&*message.topic, message.attempts), (&*topic, 0));
        let received = u128::try_from(message.received.as_millis()).unwrap();
        assert!(now.abs_diff(received) < 60_000, "{received} is not about {now}");
    }
    reading.ack(&got).await;
}

pub(crate) async fn what_was_published_before_the_consumer_is_up_waits_for_it(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    publish(&sink, &topic, ["a", "b"]).await;
    let got = bed.subscribe(&topic, "g").await.take(2).await;
    assert_eq!(texts(&got), ["a", "b"]);
}

pub(crate) async fn acked_messages_are_gone(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let mut first = bed.subscribe(&topic, "g").await;
    publish(&sink, &topic, ["a", "b", "c"]).await;
    let got = first.take(3).await;
    first.ack(&got).await;
    drop(first);
    let mut second = bed.subscribe(&topic, "g").await;
    assert_eq!(second.recover().await.len(), 0);
    publish(&sink, &topic, ["d"]).await;
    assert_eq!(texts(&second.take(1).await), ["d"]);
}

pub(crate) async fn unacked_messages_come_again_before_new_ones(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let mut first = bed.subscribe(&topic, "g").await;
    assert_eq!(first.recover().await.len(), 0);
    publish(&sink, &topic, ["a", "b", "c"]).await;
    let before = first.take(3).await;
    first.ack(&before[1..2]).await;
    drop(first);
    let expected = if bed.acks_in_order {
        &["a", "b", "c", "d"][..]
    } else {
        &["a", "c", "d"]
    };
    let held = expected.len() - 1;
    publish(&sink, &topic, ["d"]).await;
    let mut second = bed.subscribe(&topic, "g").await;
    let mut got = second.recover().await;
    // A read of the first that was under way may have taken the new one too.
    got.extend(second.take(expected.len() - got.len()).await);
    assert_eq!(texts(&got), expected);
    assert!(got[..held].iter().all(|message| message.attempts > 0));
    assert_eq!(got[0].position, before[0].position);
    second.ack(&got).await;
    drop(second);
    assert_eq!(bed.subscribe(&topic, "g").await.recover().await.len(), 0);
}

pub(crate) async fn acks_may_come_in_any_order(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let mut first = bed.subscribe(&topic, "g").await;
    publish(&sink, &topic, numbers(0..100)).await;
    let got = first.take(100).await;
    let kept = |n: usize| n.is_multiple_of(7);
    let done: Vec<_> = got.iter().enumerate().rev().filter(|(n, _)| !kept(*n)).collect();
    for part in done.chunks(9) {
        // Twice: a repeated ack changes nothing.
        first.ack(part.iter().map(|(_, message)| *message)).await;
        first.ack(part.iter().map(|(_, message)| *message)).await;
    }
    drop(first);
    let again = bed.subscribe(&topic, "g").await.recover().await;
    // The first is kept, and with it all where acks go in order.
    let comes = |n: &usize| bed.acks_in_order || kept(*n);
    let expected: Vec<String> = (0..100).filter(comes).map(|n| n.to_string()).collect();
    assert_eq!(texts(&again), expected);
}

pub(crate) async fn an_empty_topic_is_recovered_at_once(bed: &Bed) {
    let mut reading = bed.subscribe(&new_topic(), "g").await;
    assert!(matches!(reading.receive().await, Received::Recovered));
}

pub(crate) async fn every_group_gets_everything(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g", "h"]).await;
    publish(&sink, &topic, numbers(0..50)).await;
    for group in ["g", "h"] {
        let mut reading = bed.subscribe(&topic, group).await;
        let got = reading.take(50).await;
        assert_eq!(texts(&got), numbers(0..50));
        reading.ack(&got).await;
    }
}

pub(crate) async fn consumers_of_a_group_share(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let mut one = bed.member(&topic, "g", "g-0", Some(10)).await.unwrap();
    let mut two = bed.member(&topic, "g", "g-1", Some(10)).await.unwrap();
    let sent = numbers(0..400);
    publish(&sink, &topic, sent.clone()).await;
    let (mut all, mut of_two) = (Vec::new(), 0);
    while all.len() < sent.len() {
        let (reading, received) = tokio::select! {
            received = one.source.receive() => (&mut one, received),
            received = two.source.receive() => (&mut two, received),
        };
        let Received::Messages(messages) = received.unwrap() else {
            continue;
        };
        reading.ack(&messages).await;
        of_two += messages.len() * usize::from(std::ptr::eq(reading, &raw const two));
        all.extend(messages);
    }
    let each: BTreeSet<&str> = texts(&all).into_iter().collect();
    assert_eq!((each.len(), all.len()), (sent.len(), sent.len()));
    assert!(of_two > 0 && of_two < sent.len(), "one of them got all");
}

pub(crate) async fn a_stalled_consumer_holds_no_more_than_it_may(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let join = async |member: &str| bed.member(&topic, "g", member, Some(10)).await.unwrap();
    let early = if bed.shares_from_now {
        Some(join("g-0").await)
    } else {
        None
    };
    publish(&sink, &topic, numbers(0..1000)).await;
    let mut stalled = match early {
        Some(stalled) => stalled,
        None => join("g-0").await,
    };
    // The first may take its time; then all that it is given without acking any.
    let mut held = stalled.take_some().await.len();
    while let Ok(received) = tokio::time::timeout(Duration::from_millis(300), stalled.source.receive()).await
    {
        if let Received::Messages(messages) = received.unwrap() {
            held += messages.len();
        }
    }
    assert!((1..=30).contains(&held), "{held}");
    if bed.shares_from_now {
        return;
    }
    let mut other = join("g-1").await;
    let mut got = 0;
    while got < 950 {
        let messages = other.take_some().await;
        other.ack(&messages).await;
        got += messages.len();
    }
}

pub(crate) async fn payloads_arrive_as_they_were(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let sent: [&[u8]; 5] = [
        "Grüße, 世界 🌍".as_bytes(),
        b"",
        b"\0\xff\xfe\r\n",
        b"{\"a\": 1}",
        b" ",
    ];
    publish(&sink, &topic, sent).await;
    let got = bed.subscribe(&topic, "g").await.take(sent.len()).await;
    let payloads: Vec<&[u8]> = got.iter().map(|message| &message.payload[..]).collect();
    assert_eq!(payloads, sent);
}

pub(crate) async fn large_payloads_arrive_as_they_were(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let large: Vec<u8> = (0..10_usize << 20)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let mut reading = bed.subscribe(&topic, "g").await;
    publish(&sink, &topic, [large.clone(), b"small".to_vec(), large.clone()]).await;
    let got = reading.take(3).await;
    assert!(got[0].payload == large && got[2].payload == large);
    assert_eq!(text(&got[1]), "small");
    reading.ack(&got).await;
}

pub(crate) async fn a_backlog_is_not_read_ahead_without_bound(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let sent = numbers(0..40_000);
    publish(&sink, &topic, sent.clone()).await;
    let mut stalled = bed.subscribe(&topic, "g").await;
    let mut got = stalled.take_some().await.len();
    // What the other hasn't read ahead is there for this one.
    let mut other = bed.member(&topic, "g", "g-1", Some(1000)).await.unwrap();
    while got < 20_000 {
        let messages = other.take_some().await;
        other.ack(&messages).await;
        got += messages.len();
    }
}

pub(crate) async fn a_window_of_many_messages_can_be_held_unacked(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let mut reading = bed.subscribe(&topic, "g").await;
    // More than AMQP's prefetch can count.
    let sent = numbers(0..70_000.min(bed.most_unacked - 1));
    for part in sent.chunks(10_000) {
        publish(&sink, &topic, part.to_vec()).await;
    }
    let got = reading.take(sent.len()).await;
    assert_eq!(texts(&got), sent);
    reading.ack(&got).await;
    publish(&sink, &topic, ["more"]).await;
    assert_eq!(texts(&reading.take(1).await), ["more"]);
}

pub(crate) async fn a_cancelled_receive_loses_nothing(bed: &Bed) {
    let topic = new_topic();
    let sink = bed.sink(&topic, &["g"]).await;
    let mut reading = bed.subscribe(&topic, "g").await;
    let sent = numbers(0..2000);
    let mut got = Vec::new();
    for part in sent.chunks(100) {
        publish(&sink, &topic, part.to_vec()).await;
        for _ in 0..20 {
            let received = tokio::time::timeout(Duration::from_micros(50), reading.source.receive()).await;
            if let Received::Messages(messages) = received.unwrap_or(Ok(Received::Recovered)).unwrap() {
                got.extend(messages);
            }
        }
    }
    got.extend(reading.take(sent.len() - got.len()).await);
    assert_eq!(texts(&got), sent);
}

pub(crate) async fn what_a_group_left_is_taken_away_and_no_other_s(bed: &Bed) {
    let topic = &*new_topic();
    for group in ["goes", "stays"] {
        bed.subscribe(topic, group).await.recover().await;
    }
    let sink = bed.sink(topic, &["goes", "stays"]).await;
    publish(&sink, topic, ["a"]).await;
    drop(sink);
    let goes = Consumer {
        topic: topic.into(),
        group: "goes".into(),
    };
    let mut tries = 0;
    while let Err(error) = bed.broker.remove(&goes, 0).await {
        // The broker may not have noticed yet that nobody reads any more.
        tries += 1;
        assert!(error.transient && tries < 1000, "{error}");
    }
    // Once more, and there is nothing.
    bed.broker.remove(&goes, 0).await.unwrap();
    let sink = bed.sink(topic, &["stays"]).await;
    publish(&sink, topic, ["b"]).await;
    assert_eq!(
        texts(&bed.subscribe(topic, "stays").await.take(2).await),
        ["a", "b"]
    );
    // What it had been given is not given to a later group of its name as if it had been.
    let mut again = bed.subscribe(topic, "goes").await;
    assert_eq!(again.recover().await.len(), 0);
}
