use std::borrow::Cow;

use super::*;
use crate::ack::{Handle, Ledger, Messages};
use crate::event::{Data, DeadLetter};

fn parcel(number: u64, dead: bool) -> Parcel {
    let mut ledger = Ledger::default();
    let group = ledger.open(Messages::One(Handle {
        input: 0,
        token: number,
    }));
    let letter = || DeadLetter {
        reason: "InvalidJson",
        message: String::new(),
        source: String::new(),
        position: String::new(),
        count: 1,
    };
    Parcel {
        event: Arc::new(Event {
            id: number.to_string(),
            source: "".into(),
            kind: Cow::Borrowed(""),
            time: Time(0),
            origin: None,
            data: Data::Json(Vec::new()),
            dead_letter: dead.then(letter),
            subject: None,
            watermark: None,
            sequence: None,
        }),
        group,
        input: 0,
        attempts: 0,
        bytes: 0,
        share: Arc::new(()),
    }
}

fn outbox(concurrency: usize, max_deliveries: u32, parcels: u64) -> Outbox {
    let mut outbox = Outbox::new(Backoff::default(), concurrency, max_deliveries);
    (0..parcels).for_each(|number| outbox.push(parcel(number, false)));
    outbox
}

fn sent(outbox: &mut Outbox, now: Time) -> Vec<(String, u32)> {
    let mut out = Vec::new();
    while let Some((_, attempt, event)) = outbox.poll(now) {
        out.push((event.id.clone(), attempt));
    }
    out
}

fn retry() -> Answer {
    Answer::Retry("busy".to_owned())
}

#[test]
fn one_at_a_time_waits_for_the_first() {
    let mut outbox = outbox(1, 0, 3);
    assert_eq!(sent(&mut outbox, Time(0)), [("0".to_owned(), 1)]);
    assert!(matches!(outbox.answered(0, retry(), Time(0)), Outcome::Retry));
    assert_eq!(sent(&mut outbox, Time(0)), []);
    let again = outbox.next_retry().unwrap();
    assert!(again >= Time(500_000) && again <= Time(1_000_000));
    assert_eq!(sent(&mut outbox, Time(again.0 - 1)), []);
    assert_eq!(sent(&mut outbox, again), [("0".to_owned(), 2)]);
    assert!(matches!(
        outbox.answered(0, Answer::Accepted, again),
        Outcome::Accepted(_)
    ));
    assert_eq!(sent(&mut outbox, again), [("1".to_owned(), 1)]);
}

#[test]
fn concurrency_is_how_many_are_not_done() {
    let mut outbox = outbox(2, 0, 4);
    assert_eq!(
        sent(&mut outbox, Time(0)),
        [("0".to_owned(), 1), ("1".to_owned(), 1)]
    );
    outbox.answered(0, retry(), Time(0));
    assert_eq!(
        sent(&mut outbox, Time(0)),
        [],
        "one that waits still has its place"
    );
    outbox.answered(1, Answer::Accepted, Time(0));
    assert_eq!(sent(&mut outbox, Time(0)), [("2".to_owned(), 1)]);
}

#[test]
fn deliveries_end_at_their_limit() {
    let mut outbox = outbox(1, 2, 1);
    for attempt in 1..=2 {
        let now = outbox.next_retry().unwrap_or_default();
        assert_eq!(sent(&mut outbox, now), [("0".to_owned(), attempt)]);
        let outcome = outbox.answered(0, retry(), now);
        assert_eq!(
            matches!(outcome, Outcome::Refused(..)),
            attempt == 2,
            "{outcome:?}"
        );
    }
    assert!(outbox.is_empty());
}

#[test]
fn a_dead_letter_is_tried_for_ever() {
    let mut outbox = Outbox::new(Backoff::default(), 1, 0);
    outbox.push(parcel(0, true));
    for _ in 0..1000 {
        let now = outbox.next_retry().unwrap_or_default();
        assert_eq!(sent(&mut outbox, now).len(), 1);
        assert!(matches!(
            outbox.answered(0, Answer::Drop("no".to_owned()), now),
            Outcome::Retry
        ));
    }
    assert!(!outbox.is_empty());
}

#[test]
fn an_answer_counts_once() {
    let mut outbox = outbox(1, 0, 1);
    assert!(
        matches!(outbox.answered(0, Answer::Accepted, Time(0)), Outcome::Unknown),
        "not sent yet"
    );
    sent(&mut outbox, Time(0));
    assert!(matches!(outbox.answered(0, retry(), Time(0)), Outcome::Retry));
    assert!(
        matches!(outbox.answered(0, Answer::Accepted, Time(0)), Outcome::Unknown),
        "answered before"
    );
    assert!(matches!(
        outbox.answered(7, Answer::Accepted, Time(0)),
        Outcome::Unknown
    ));
}
