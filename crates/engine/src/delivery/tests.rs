use std::borrow::Cow;

use proptest::prelude::*;

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
            trace: None,
        }),
        group,
        input: 0,
        attempts: 0,
        bytes: 0,
        share: Arc::new(()),
    }
}

fn outbox(concurrency: usize, max_deliveries: u32, parcels: u64) -> Outbox {
    let mut outbox = Outbox::concurrent(Backoff::default(), concurrency, max_deliveries);
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
    let mut outbox = Outbox::ordered(Backoff::default(), InFlight::TOPIC, 0);
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

#[test]
fn what_goes_to_a_topic_goes_in_batches() {
    let limit = InFlight {
        count: 3,
        bytes: u64::MAX,
    };
    let mut outbox = Outbox::ordered(Backoff::default(), limit, 0);
    (0..5).for_each(|number| outbox.push(parcel(number, false)));
    let ids = |sent: Vec<(String, u32)>| sent.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(sent(&mut outbox, Time(0))), ["0", "1", "2"]);
    outbox.answered(0, Answer::Accepted, Time(0));
    assert_eq!(sent(&mut outbox, Time(0)), [], "the batch is not answered yet");
    outbox.answered(2, retry(), Time(0));
    outbox.answered(1, retry(), Time(0));
    assert_eq!(sent(&mut outbox, Time(0)), []);
    let again = outbox.next_retry().unwrap();
    assert_eq!(
        sent(&mut outbox, again),
        [("1".to_owned(), 2)],
        "the first is tried alone"
    );
    outbox.answered(1, Answer::Accepted, again);
    assert_eq!(
        sent(&mut outbox, again),
        [("2".to_owned(), 2)],
        "and then the rest"
    );
    outbox.answered(2, Answer::Accepted, again);
    assert_eq!(ids(sent(&mut outbox, again)), ["3", "4"], "and then what is new");
}

proptest! {
    /// A topic whose connection breaks: what was sent before that is there, and not always said to be.
    #[test]
    fn order_per_output_is_kept_however_often_a_connection_breaks(
        pushes in prop::collection::vec(0..7u64, 1..12),
        breaks in prop::collection::vec(prop::option::of((0..8usize, 0..8usize)), 0..30),
        count in 1..6usize,
        bytes in 0..40u64,
    ) {
        let mut outbox = Outbox::ordered(Backoff::default(), InFlight { count, bytes }, 0);
        let (mut now, mut pushed) = (Time(0), 0);
        let mut topic: Vec<u64> = Vec::new();
        let mut breaks = breaks.into_iter();
        for more in pushes.into_iter().chain([0; 100]) {
            for _ in 0..more {
                outbox.push(Parcel { bytes: 10, ..parcel(pushed, false) });
                pushed += 1;
            }
            let mut batch = Vec::new();
            while let Some((number, _, event)) = outbox.poll(now) {
                batch.push((number, event.id.parse::<u64>().unwrap()));
            }
            prop_assert!(batch.len() <= count);
            prop_assert!(batch.len() <= 1 || batch.len() as u64 * 10 <= bytes);
            // How many arrive, and of how many of these that is told.
            let (arrive, told) = breaks.next().flatten().unwrap_or((usize::MAX, usize::MAX));
            topic.extend(batch.iter().take(arrive).map(|(_, id)| *id));
            for (at, (number, _)) in batch.iter().enumerate().rev() {
                let answer = if at < arrive.min(told) { Answer::Accepted } else { retry() };
                outbox.answered(*number, answer, now);
            }
            now = outbox.next_retry().unwrap_or(now).max(now);
        }
        prop_assert!(outbox.is_empty());
        // Each came, and what came for the first time came after all before it.
        let mut next = 0;
        for id in topic {
            prop_assert!(id <= next, "{} before {}", id, next);
            next = next.max(id + 1);
        }
        prop_assert_eq!(next, pushed);
    }
}
