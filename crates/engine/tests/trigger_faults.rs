//! What a trigger has sent is not done with before it is accepted, whatever happens to its window and to the process.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role};
use streaming_engine::delivery::{Answer, InFlight};
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, EventTime, Query, QueryInput, Windows};
use streaming_engine::state::MemoryDisk;
use streaming_engine::time::Time;

/// Every message is a result of its own.
fn open(disk: Option<&MemoryDisk>, windows: Windows, now: Time) -> Durable {
    let query = Query {
        inputs: vec![QueryInput {
            variable: "m".to_owned(),
            time: Some(EventTime {
                timestamp: "m.t".to_owned(),
                ..EventTime::default()
            }),
            table: None,
        }],
        windows,
        select: Some("[collect(m.n)]".to_owned()),
        emit: Emit::Each,
        trigger: Some("count() > 0".to_owned()),
        ..Query::default()
    };
    let input = InputConfig {
        cluster_stream: "cs".to_owned(),
        max_deliveries: 0,
    };
    let role = Role::Join(Box::new(JoinSpec::compile(&query).unwrap()));
    let config = Config {
        outputs: vec![InFlight::TOPIC],
        ..Config::new("uid", "/test", role, vec![input], 1)
    };
    let kept = disk.map(|disk| Kept {
        state: disk.open(),
        inputs: vec!["m".to_owned()],
    });
    Durable::new(config, kept, now).unwrap()
}

fn give(component: &mut Durable, (token, at, name): (u64, i64, i64), now: Time) {
    let payload = format!("{{\"t\":{at},\"n\":{name}}}");
    let message = Incoming {
        input: 0,
        token,
        position: &token.to_string(),
        received: now,
        attempts: 0,
        topic: "t",
        key: None,
        payload: payload.as_bytes(),
    };
    component.message(message, now);
    component.timeout(now);
}

/// What is sent, as ids and rows, and which messages are acked; as many as `accepts` are accepted.
fn sent(component: &mut Durable, accepts: usize, now: Time) -> (Vec<(String, String)>, Vec<u64>) {
    let (mut sent, mut acked) = (Vec::new(), Vec::new());
    while let Some(effect) = component.poll_effect() {
        match effect {
            Effect::Send { id, event, .. } => {
                sent.push((
                    event.id.clone(),
                    String::from_utf8(event.data().to_vec()).unwrap(),
                ));
                if sent.len() <= accepts {
                    component.answered(id, Answer::Accepted, now);
                }
            }
            Effect::Ack { token, .. } => acked.push(token),
            _ => {}
        }
    }
    (sent, acked)
}

#[test]
fn a_window_that_closes_empty_waits_for_what_has_left_it() {
    let disk = MemoryDisk::default();
    let windows = Windows::Tumbling { length: 10_000 };
    let mut component = open(Some(&disk), windows, Time(0));
    component.recovered(0, Time(0));
    for message in [(0, 1, 1), (1, 2, 2), (2, 3, 3), (3, 25, 4)] {
        give(&mut component, message, Time(0));
    }
    // One of three is accepted; the window they were in has closed, and nothing was in it.
    assert_eq!(sent(&mut component, 1, Time(0)).0.len(), 3);
    component.timeout(Time(1_000_000));
    assert_eq!(
        sent(&mut component, 0, Time(1_000_000)).1,
        [0, 1, 2, 3],
        "durable"
    );
    drop(component);
    let mut component = open(Some(&disk), windows, Time(2_000_000));
    component.recovered(0, Time(2_000_000));
    let rows: Vec<String> = sent(&mut component, 9, Time(2_000_000))
        .0
        .into_iter()
        .map(|(_, row)| row)
        .collect();
    assert_eq!(rows, ["[[2]]", "[[3]]"]);
}

#[test]
fn a_session_is_the_same_though_some_of_it_has_left() {
    let windows = Windows::Session {
        gap: 5_000,
        max: 10_000,
    };
    let messages = [(0, 0, 1), (1, 4, 2), (2, 8, 3), (3, 12, 4), (4, 40, 5)];
    let mut whole = open(None, windows, Time(0));
    whole.recovered(0, Time(0));
    for message in messages {
        give(&mut whole, message, Time(0));
    }
    let (all, acked) = sent(&mut whole, 9, Time(0));
    assert_eq!((all.len(), acked), (4, vec![0, 1, 2, 3]));
    for kept in [false, true] {
        let disk = MemoryDisk::default();
        let disk = kept.then_some(&disk);
        let mut component = open(disk, windows, Time(0));
        component.recovered(0, Time(0));
        for message in &messages[..2] {
            give(&mut component, *message, Time(0));
        }
        let (first, acked) = sent(&mut component, 9, Time(0));
        assert_eq!((&first[..], acked), (&all[..1], vec![]), "its session goes on");
        component.timeout(Time(1_000_000));
        sent(&mut component, 0, Time(1_000_000));
        drop(component);
        let mut component = open(disk, windows, Time(2_000_000));
        if !kept {
            for message in &messages[..2] {
                give(&mut component, *message, Time(2_000_000));
            }
        }
        component.recovered(0, Time(2_000_000));
        for message in &messages[2..] {
            give(&mut component, *message, Time(2_000_000));
        }
        assert_eq!(sent(&mut component, 9, Time(2_000_000)).0, all, "kept: {kept}");
    }
    // Nor when it has closed, and one of three is accepted.
    let disk = MemoryDisk::default();
    let mut component = open(Some(&disk), windows, Time(0));
    component.recovered(0, Time(0));
    for message in messages {
        give(&mut component, message, Time(0));
    }
    assert_eq!(sent(&mut component, 1, Time(0)).0, all);
    component.timeout(Time(1_000_000));
    sent(&mut component, 0, Time(1_000_000));
    drop(component);
    let mut component = open(Some(&disk), windows, Time(2_000_000));
    component.recovered(0, Time(2_000_000));
    assert_eq!(sent(&mut component, 9, Time(2_000_000)).0, all);
}

#[test]
fn of_messages_that_are_the_same_each_keeps_its_name() {
    for windows in [Windows::Unbounded, Windows::Tumbling { length: 10_000 }] {
        let same = [(0, 1, 1), (1, 1, 1), (2, 5, 2)];
        let mut component = open(None, windows, Time(0));
        component.recovered(0, Time(0));
        for message in same {
            give(&mut component, message, Time(0));
        }
        let (first, acked) = sent(&mut component, 1, Time(0));
        assert_eq!((first.len(), acked.len()), (2, 1));
        // The other one comes again alone.
        let mut component = open(None, windows, Time(1));
        let again = same.into_iter().filter(|(token, ..)| !acked.contains(token));
        for message in again {
            give(&mut component, message, Time(1));
        }
        component.recovered(0, Time(1));
        let (second, _) = sent(&mut component, 9, Time(1));
        assert_eq!(
            second,
            first[1..],
            "who has accepted the first takes it for no repeat"
        );
    }
}
