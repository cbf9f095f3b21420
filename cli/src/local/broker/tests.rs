//! The broker's contract, first by example, then against a model that keeps everything and cleans up nothing.

use proptest::prelude::*;

use super::*;

fn name(topic: &str) -> TopicName {
    TopicName {
        namespace: "default".into(),
        cluster_stream: "cs".into(),
        topic: topic.into(),
    }
}

fn broker() -> (Broker, TopicId, GroupId, GroupId) {
    let mut broker = Broker::default();
    let topic = broker.topic(&name("t"));
    let (a, b) = (broker.subscribe(topic), broker.subscribe(topic));
    (broker, topic, a, b)
}

fn texts(broker: &mut Broker, group: GroupId) -> Vec<(String, u32, i64)> {
    std::iter::from_fn(|| broker.next(group))
        .map(|d| {
            (
                String::from_utf8(d.payload.to_vec()).unwrap(),
                d.attempts,
                d.appended.0,
            )
        })
        .collect()
}

#[test]
fn every_group_reads_everything_in_order() {
    let (mut broker, topic, a, b) = broker();
    for (n, text) in (0..).zip(["x", "y", "z"]) {
        assert_eq!(
            broker.publish(topic, None, text.as_bytes(), Time(n)),
            Published::New
        );
    }
    let all = [("x", 1, 0), ("y", 1, 1), ("z", 1, 2)].map(|(t, n, at)| (t.to_owned(), n, at));
    assert_eq!(texts(&mut broker, a), all);
    assert_eq!(texts(&mut broker, a), []);
    assert_eq!(texts(&mut broker, b), all);
}

#[test]
fn what_is_not_acked_comes_again_first_with_its_place_time_and_a_higher_count() {
    let (mut broker, topic, a, _) = broker();
    for (n, text) in (0..).zip(["x", "y", "z"]) {
        broker.publish(topic, None, text.as_bytes(), Time(n));
    }
    let first: Vec<_> = (0..2).filter_map(|_| broker.next(a)).collect();
    broker.ack(a, first[0].offset);
    broker.requeue(a);
    assert!(!broker.caught_up(a, broker.end(a)));
    let again = broker.next(a).unwrap();
    assert_eq!(
        again,
        Delivered {
            attempts: 2,
            ..first[1].clone()
        }
    );
    assert_eq!(texts(&mut broker, a), [("z".to_owned(), 1, 2)]);
    assert!(broker.caught_up(a, broker.end(a)));
}

#[test]
fn memory_is_freed_when_the_last_group_has_acked() {
    let (mut broker, topic, a, b) = broker();
    for _ in 0..3 {
        broker.publish(topic, None, b"1234", Time(0));
    }
    let offsets: Vec<_> = std::iter::from_fn(|| broker.next(a)).map(|d| d.offset).collect();
    while broker.next(b).is_some() {}
    for offset in offsets.iter().rev() {
        broker.ack(a, *offset);
        broker.ack(a, *offset);
    }
    assert_eq!(broker.held(), 3 * cost(b"1234"));
    broker.ack(b, offsets[1]);
    assert_eq!(broker.held(), 2 * cost(b"1234"));
    broker.ack(b, offsets[0]);
    assert_eq!(broker.held(), cost(b"1234"));
    broker.ack(b, offsets[2]);
    assert_eq!(broker.held(), 0);
}

#[test]
fn an_ack_of_what_was_never_delivered_changes_nothing() {
    let (mut broker, topic, a, _) = broker();
    broker.publish(topic, None, b"x", Time(0));
    broker.ack(a, 0);
    broker.ack(a, 99);
    assert_eq!(texts(&mut broker, a).len(), 1);
}

#[test]
fn a_group_that_comes_later_sees_what_comes_later() {
    let (mut broker, topic, a, _) = broker();
    broker.publish(topic, None, b"x", Time(0));
    let late = broker.subscribe(topic);
    broker.publish(topic, None, b"y", Time(1));
    assert_eq!(texts(&mut broker, late), [("y".to_owned(), 1, 1)]);
    assert_eq!(texts(&mut broker, a).len(), 2);
}

#[test]
fn a_topic_that_nobody_reads_holds_nothing() {
    let mut broker = Broker::default();
    let topic = broker.topic(&name("t"));
    assert_eq!(broker.topic(&name("t")), topic);
    assert_eq!(broker.publish(topic, None, &[0; 100], Time(0)), Published::New);
    assert_eq!(broker.held(), 0);
}

#[test]
fn a_repeat_is_dropped_and_a_full_broker_says_so() {
    let (mut broker, topic, a, _) = broker();
    assert_eq!(broker.publish(topic, Some("id"), b"x", Time(0)), Published::New);
    assert_eq!(
        broker.publish(topic, Some("id"), b"x", Time(1)),
        Published::Repeat
    );
    assert_eq!(texts(&mut broker, a).len(), 1);
    broker.bytes = CAPACITY - 1;
    assert_eq!(
        broker.publish(topic, Some("other"), b"xy", Time(2)),
        Published::Full
    );
    broker.bytes = 0;
    assert_eq!(
        broker.publish(topic, Some("other"), b"xy", Time(2)),
        Published::New
    );
}

#[test]
fn a_filter_reads_all_topics_that_it_matches() {
    let mut broker = Broker::default();
    let filter = broker.topic(&name("a/+/c"));
    broker.is_filter(filter);
    let group = broker.subscribe(filter);
    for topic in ["a/b/c", "a/c", "a/x/c", "a/b/c/d"] {
        let topic = broker.topic(&name(topic));
        broker.publish(topic, None, b"1234", Time(0));
    }
    assert_eq!(broker.held(), 2 * cost(b"1234"));
    let read: Vec<_> = std::iter::from_fn(|| broker.next(group))
        .map(|d| (d.offset, d.topic))
        .collect();
    assert_eq!(read, [(0, "a/b/c".into()), (1, "a/x/c".into())]);
    for (filter, topic, matches) in [
        ("#", "a/b", true),
        ("a/#", "a", true),
        ("a/#", "b", false),
        ("#", "$SYS/x", false),
        ("a/+", "a", false),
    ] {
        assert_eq!(filter_matches(filter, topic), matches, "{filter} {topic}");
    }
}

#[derive(Clone, Debug)]
enum Op {
    Publish(usize),
    Next(usize),
    Ack(usize, usize),
    Requeue(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..2usize).prop_map(Op::Publish),
        4 => (0..4usize).prop_map(Op::Next),
        3 => (0..4usize, 0..40usize).prop_map(|(g, n)| Op::Ack(g, n)),
        1 => (0..4usize).prop_map(Op::Requeue),
    ];
    proptest::collection::vec(op, 1..200)
}

/// What a group should see: all messages, which of them it acked, how often each was delivered, and what is due.
#[derive(Default)]
struct Model {
    delivered: BTreeMap<u64, u32>,
    acked: BTreeSet<u64>,
    due: BTreeSet<u64>,
}

proptest! {
    #[test]
    fn the_broker_does_what_its_model_does(ops in ops()) {
        let mut broker = Broker::default();
        let topics = [broker.topic(&name("a")), broker.topic(&name("b"))];
        let groups: Vec<_> = (0..4).map(|g| broker.subscribe(topics[g % 2])).collect();
        let mut published = [0u64; 2];
        let mut models: Vec<Model> = (0..4).map(|_| Model::default()).collect();
        for (now, op) in (0..).zip(ops) {
            match op {
                Op::Publish(t) => {
                    let payload = published[t].to_string();
                    broker.publish(topics[t], None, payload.as_bytes(), Time(now));
                    for g in (0..4).filter(|g| g % 2 == t) {
                        models[g].due.insert(published[t]);
                    }
                    published[t] += 1;
                }
                Op::Next(g) => {
                    let expected = models[g].due.pop_first();
                    prop_assert_eq!(broker.has_next(groups[g]), expected.is_some());
                    let got = broker.next(groups[g]);
                    prop_assert_eq!(got.as_ref().map(|d| d.offset), expected);
                    if let Some(d) = got {
                        let count = models[g].delivered.entry(d.offset).or_default();
                        *count += 1;
                        prop_assert_eq!(d.attempts, *count);
                        let payload = d.offset.to_string();
                        prop_assert_eq!(&*d.payload, payload.as_bytes());
                    }
                }
                Op::Ack(g, n) => {
                    let out: Vec<u64> = models[g].delivered.keys().copied().collect();
                    if let Some(offset) = out.get(n) {
                        broker.ack(groups[g], *offset);
                        models[g].acked.insert(*offset);
                        models[g].due.remove(offset);
                    }
                }
                Op::Requeue(g) => {
                    broker.requeue(groups[g]);
                    let model = &mut models[g];
                    let unacked = model.delivered.keys().filter(|o| !model.acked.contains(o)).copied();
                    model.due.extend(unacked.collect::<Vec<_>>());
                }
            }
            for t in 0..2 {
                let done = |o: &u64| (0..4).filter(|g| g % 2 == t).all(|g| models[g].acked.contains(o));
                let held: usize = (0..published[t]).filter(|o| !done(o)).map(|o| o.to_string().len()).sum();
                let log = &broker.topics[topics[t].0];
                prop_assert_eq!(held, log.entries.values().map(|e| e.payload.len()).sum::<usize>());
            }
        }
    }
}
