//! A connection with a broker that the test plays.

use std::collections::VecDeque;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::{BasicProperties, basic, queue};
use amq_protocol::types::FieldTable;
use proptest::prelude::*;

use super::super::channel::Came;
use super::super::wire::Publication;
use super::*;

fn login() -> Login {
    Login {
        user: "u".to_owned(),
        password: "p".to_owned(),
        external: false,
        vhost: "v".into(),
        heartbeat: 10,
    }
}

fn bytes(frame: &AMQPFrame) -> Vec<u8> {
    let written = gen_frame::<Vec<u8>>(frame)(Vec::new().into());
    written.unwrap().into_inner().0
}

fn method(channel: u16, method: AMQPClass) -> AMQPFrame {
    AMQPFrame::Method(channel, method)
}

/// The broker says something.
fn hear(state: &mut State, frame: &AMQPFrame) {
    let bytes = bytes(frame);
    assert!(state.receive(&bytes) == bytes.len() || state.has_ended());
}

fn hear_of_connection(state: &mut State, said: connection::AMQPMethod) {
    hear(state, &method(0, AMQPClass::Connection(said)));
}

/// What has been said to it.
fn said(state: &mut State) -> Vec<AMQPFrame> {
    let mut out = Vec::new();
    state.leaves(&mut out);
    let mut rest = &out[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (after, frame) = parse_frame(rest).unwrap();
        frames.push(frame);
        rest = after;
    }
    frames
}

fn start() -> connection::AMQPMethod {
    connection::AMQPMethod::Start(connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: FieldTable::default(),
        mechanisms: "PLAIN EXTERNAL".into(),
        locales: "en_US".into(),
    })
}

fn tune(frame_max: u32, heartbeat: u16) -> connection::AMQPMethod {
    connection::AMQPMethod::Tune(connection::Tune {
        channel_max: 2047,
        frame_max,
        heartbeat,
    })
}

fn open_with(frame_max: u32) -> State {
    let mut state = State::new(login());
    hear_of_connection(&mut state, start());
    hear_of_connection(&mut state, tune(frame_max, 60));
    hear_of_connection(&mut state, connection::AMQPMethod::OpenOk(connection::OpenOk {}));
    assert!(state.is_open());
    said(&mut state);
    state
}

/// A connection with so many channels.
fn with_channels(count: u16) -> State {
    let mut state = open_with(0);
    for expected in 1..=count {
        let (id, ticket) = state.open().unwrap();
        assert_eq!(id, expected);
        hear(
            &mut state,
            &method(
                id,
                AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})),
            ),
        );
        assert_eq!(answered(&mut state), [(ticket, true)]);
    }
    said(&mut state);
    state
}

fn close(code: u16, text: &str) -> channel::Close {
    channel::Close {
        reply_code: code,
        reply_text: text.into(),
        class_id: 0,
        method_id: 0,
    }
}

fn refuse(state: &mut State, id: u16) {
    let close = channel::AMQPMethod::Close(close(404, "NOT_FOUND - no such thing"));
    hear(state, &method(id, AMQPClass::Channel(close)));
}

fn qos() -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos {
        prefetch_count: 1,
        global: false,
    }))
}

fn answer_qos(state: &mut State, id: u16) {
    let ok = basic::AMQPMethod::QosOk(basic::QosOk {});
    hear(state, &method(id, AMQPClass::Basic(ok)));
}

fn inspect() -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: "q".into(),
        passive: true,
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

fn found() -> AMQPFrame {
    let found = queue::DeclareOk {
        queue: "q".into(),
        message_count: 1,
        consumer_count: 0,
    };
    method(1, AMQPClass::Queue(queue::AMQPMethod::DeclareOk(found)))
}

fn confirm(state: &mut State, id: u16, delivery_tag: u64, multiple: bool) {
    let ack = basic::AMQPMethod::Ack(basic::Ack {
        delivery_tag,
        multiple,
    });
    hear(state, &method(id, AMQPClass::Basic(ack)));
}

/// Who was told of an answer, and whether it was one.
fn answered(state: &mut State) -> Vec<(Ticket, bool)> {
    let of = |event| match event {
        Event::Answered(ticket, answer) => Some((ticket, answer.is_ok())),
        _ => None,
    };
    state.events().into_iter().filter_map(of).collect()
}

fn publication(id: &str) -> Publication<'_> {
    Publication {
        exchange: "e",
        key: "k",
        mandatory: true,
        content_type: "text/plain",
        headers: Vec::new(),
        persistent: true,
        id: Some(id),
        timestamp: 0,
        payload: b"payload",
    }
}

fn deliver(delivery_tag: u64) -> AMQPFrame {
    let deliver = basic::Deliver {
        consumer_tag: "c".into(),
        delivery_tag,
        redelivered: false,
        exchange: "e".into(),
        routing_key: "k".into(),
    };
    method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)))
}

fn content(size: usize, properties: BasicProperties) -> AMQPFrame {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: size as u64,
        properties,
    };
    AMQPFrame::Header(1, header)
}

#[test]
fn who_logs_in_says_so_and_agrees_on_the_lesser_of_what_both_can_do() {
    let mut state = State::new(login());
    let mut greeting = Vec::new();
    state.leaves(&mut greeting);
    assert_eq!(greeting, GREETING);
    hear_of_connection(&mut state, start());
    let [AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::StartOk(start_ok)))] =
        &said(&mut state)[..]
    else {
        panic!("no answer");
    };
    assert_eq!(start_ok.mechanism.as_str(), "PLAIN");
    assert_eq!(start_ok.response.as_bytes(), b"\0u\0p");
    hear_of_connection(&mut state, tune(8192, 4));
    let tuned = connection::TuneOk {
        channel_max: 2047,
        frame_max: 8192,
        heartbeat: 4,
    };
    let opens = connection::Open {
        virtual_host: "v".into(),
    };
    let expected = [
        connection::AMQPMethod::TuneOk(tuned),
        connection::AMQPMethod::Open(opens),
    ];
    let expected = expected.map(|said| method(0, AMQPClass::Connection(said)));
    assert_eq!(said(&mut state), expected);
    assert!(!state.is_open());
    hear_of_connection(&mut state, connection::AMQPMethod::OpenOk(connection::OpenOk {}));
    assert!(state.is_open());
    assert_eq!(state.heartbeat(), 4);
}

#[test]
fn a_certificate_logs_in_without_a_password() {
    let start_ok = Login {
        external: true,
        ..login()
    }
    .start_ok();
    assert_eq!(
        (start_ok.mechanism.as_str(), start_ok.response.len()),
        ("EXTERNAL", 0)
    );
}

#[test]
fn a_refused_login_is_told_in_the_broker_s_words() {
    let mut state = State::new(login());
    hear_of_connection(&mut state, start());
    said(&mut state);
    let ticket = state.wait();
    let close = connection::Close {
        reply_code: 403,
        reply_text: "ACCESS_REFUSED - Login was refused".into(),
        class_id: 0,
        method_id: 0,
    };
    hear_of_connection(&mut state, connection::AMQPMethod::Close(close));
    assert!(
        matches!(state.fault(), Some(Fault::Refused { code: 403, said }) if said.contains("Login")),
        "{:?}",
        state.fault()
    );
    let close_ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
    assert_eq!(said(&mut state), [method(0, AMQPClass::Connection(close_ok))]);
    assert_eq!(answered(&mut state), [(ticket, false)]);
    assert!(state.open().is_err());
}

#[test]
fn what_is_no_step_of_the_protocol_ends_the_connection() {
    for frame in [
        method(
            0,
            AMQPClass::Connection(connection::AMQPMethod::OpenOk(connection::OpenOk {})),
        ),
        method(1, qos()),
        AMQPFrame::Body(0, vec![1]),
        AMQPFrame::Body(9, vec![1]),
    ] {
        let mut state = State::new(login());
        hear(&mut state, &frame);
        assert!(
            matches!(state.fault(), Some(Fault::Unexpected(_))),
            "{frame:?}: {:?}",
            state.fault()
        );
    }
    let mut state = with_channels(1);
    answer_qos(&mut state, 1);
    assert!(state.has_ended());
}

#[test]
fn a_queue_may_answer_later_than_the_channel() {
    let mut state = with_channels(1);
    let [inspected, limited, again] =
        [inspect(), qos(), inspect()].map(|method| state.ask(1, method, true).unwrap());
    answer_qos(&mut state, 1);
    assert_eq!(answered(&mut state), [(limited, true)]);
    for ticket in [inspected, again] {
        hear(&mut state, &found());
        assert_eq!(answered(&mut state), [(ticket, true)]);
    }
}

#[test]
fn a_refusal_ends_its_channel_and_no_other() {
    let mut state = with_channels(2);
    let asked = [
        state.ask(1, qos(), true).unwrap(),
        state.ask(2, qos(), true).unwrap(),
    ];
    let batch = state.publish(1, [publication("1")].into_iter()).unwrap();
    said(&mut state);
    refuse(&mut state, 1);
    let events = state.events();
    let [
        Event::Answered(first, Err(_)),
        Event::Settled(settled, outcomes),
        Event::Came,
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(
        (*first, *settled, &outcomes[..]),
        (asked[0], batch, &[Outcome::Unknown][..])
    );
    let close_ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
    assert_eq!(said(&mut state), [method(1, AMQPClass::Channel(close_ok))]);
    assert!(matches!(
        state.fault_of(1),
        Some(Fault::Refused { code: 404, .. })
    ));
    assert!(state.ask(1, qos(), true).is_err() && state.take(1, 1, 1).is_err());
    // The other goes on, and the number is free once nobody has it any more.
    answer_qos(&mut state, 2);
    assert_eq!(answered(&mut state), [(asked[1], true)]);
    state.release(1);
    assert_eq!(state.open().unwrap().0, 1);
}

#[test]
fn a_channel_s_number_is_not_used_again_before_the_broker_has_let_go_of_it() {
    let mut state = with_channels(1);
    state.release(1);
    assert_eq!(state.open().unwrap().0, 2);
    // Still on its way.
    for frame in [
        deliver(1),
        content(1, BasicProperties::default()),
        AMQPFrame::Body(1, vec![1]),
    ] {
        hear(&mut state, &frame);
    }
    let close_ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
    hear(&mut state, &method(1, AMQPClass::Channel(close_ok)));
    assert_eq!(state.open().unwrap().0, 1);
}

#[test]
fn what_comes_back_counts_as_returned_once_it_is_confirmed() {
    let mut state = with_channels(1);
    let messages = [publication("1"), publication("2"), publication("3")];
    let batch = state.publish(1, messages.into_iter()).unwrap();
    let back = basic::AMQPMethod::Return(basic::Return {
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
        exchange: "e".into(),
        routing_key: "k".into(),
    });
    hear(&mut state, &method(1, AMQPClass::Basic(back)));
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_message_id("2".into());
    hear(&mut state, &content(7, properties));
    hear(&mut state, &AMQPFrame::Body(1, b"payload".to_vec()));
    confirm(&mut state, 1, 3, false);
    assert!(state.events().is_empty());
    confirm(&mut state, 1, 2, true);
    let events = state.events();
    let [Event::Settled(ticket, outcomes)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(*ticket, batch);
    assert_eq!(*outcomes, [Outcome::Taken, Outcome::Returned, Outcome::Taken]);
}

#[test]
fn the_end_of_a_consumer_hides_no_message() {
    let mut state = with_channels(1);
    hear(&mut state, &deliver(1));
    hear(&mut state, &content(0, BasicProperties::default()));
    let cancel = basic::AMQPMethod::Cancel(basic::Cancel {
        consumer_tag: "c".into(),
        nowait: true,
    });
    hear(&mut state, &method(1, AMQPClass::Basic(cancel)));
    assert!(matches!(&state.take(1, 9, 9).unwrap()[..], [Came::Delivery(_)]));
    assert_eq!(state.take(1, 9, 9).unwrap(), [Came::Cancelled]);
    assert!(state.take(1, 9, 9).unwrap().is_empty());
}

#[test]
fn a_consumer_begins_where_its_messages_do() {
    let mut state = with_channels(1);
    let consume = basic::Consume {
        queue: "q".into(),
        consumer_tag: "".into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    };
    let consume = AMQPClass::Basic(basic::AMQPMethod::Consume(consume));
    state.ask(1, consume, false).unwrap();
    for tag in [1, 2] {
        hear(&mut state, &deliver(tag));
        hear(&mut state, &content(1, BasicProperties::default()));
        hear(&mut state, &AMQPFrame::Body(1, vec![7]));
        if tag == 1 {
            let ok = basic::AMQPMethod::ConsumeOk(basic::ConsumeOk {
                consumer_tag: "new".into(),
            });
            hear(&mut state, &method(1, AMQPClass::Basic(ok)));
        }
    }
    let came = state.take(1, 9, 99).unwrap();
    let [
        Came::Delivery(first),
        Came::Consuming(consumer),
        Came::Delivery(second),
    ] = &came[..]
    else {
        panic!("{came:?}");
    };
    assert_eq!((first.tag, consumer.as_str(), second.tag), (1, "new", 2));
}

#[test]
fn who_leaves_is_told_when_the_broker_has_let_it_go() {
    let mut state = with_channels(1);
    state.close("bye");
    let ticket = state.wait();
    let close = connection::Close {
        reply_code: 200,
        reply_text: "bye".into(),
        class_id: 0,
        method_id: 0,
    };
    let close = method(0, AMQPClass::Connection(connection::AMQPMethod::Close(close)));
    assert_eq!(said(&mut state), [close]);
    assert!(matches!(state.fault_of(1), Some(Fault::Closed)));
    state.release(1);
    // What is on its way to a channel that is forgotten.
    hear(&mut state, &deliver(1));
    assert!(!state.has_ended() && state.events().is_empty());
    let close_ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
    hear_of_connection(&mut state, close_ok);
    assert!(state.has_ended());
    assert_eq!(answered(&mut state), [(ticket, false)]);
    // It is over, and everybody who asks is told at once.
    let ticket = state.wait();
    assert_eq!(answered(&mut state), [(ticket, false)]);
}

#[test]
fn who_acks_is_told_when_that_has_left() {
    let mut state = with_channels(1);
    state.ack(1, 7, true);
    let ticket = state.wait_until_left();
    assert_eq!(said(&mut state).len(), 1);
    assert!(state.events().is_empty(), "it is still being written");
    state.ack(1, 8, true);
    let next = state.wait_until_left();
    assert_eq!(said(&mut state).len(), 1);
    assert!(matches!(state.events()[..], [Event::Left(left, Ok(()))] if left == ticket));
    state.end(&Fault::Silent);
    assert!(matches!(state.events()[..], [Event::Left(left, Err(_)), Event::Came] if left == next));
}

#[test]
fn both_sides_say_that_they_are_there() {
    let mut state = open_with(0);
    state.tick();
    // There was more to say in the interval before.
    assert!(said(&mut state).is_empty());
    state.tick();
    assert_eq!(said(&mut state), [AMQPFrame::Heartbeat]);
    for _ in 0..2 {
        state.tick();
    }
    hear(&mut state, &AMQPFrame::Heartbeat);
    for _ in 0..4 {
        assert!(!state.has_ended());
        state.tick();
    }
    assert!(!state.has_ended());
    state.tick();
    assert!(matches!(state.fault(), Some(Fault::Silent)));
}

#[test]
fn a_broker_that_is_short_of_memory_says_when_it_is_over() {
    let mut state = open_with(0);
    let blocked = connection::Blocked {
        reason: "low on memory".into(),
    };
    hear_of_connection(&mut state, connection::AMQPMethod::Blocked(blocked));
    assert!(state.is_blocked());
    let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
    hear_of_connection(&mut state, unblocked);
    assert!(!state.is_blocked());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask,
    Publish(usize),
    Answer,
    Confirm,
    Refuse,
    Renew,
}

fn step() -> impl Strategy<Value = (u16, Step)> {
    let step = prop_oneof![
        4 => Just(Step::Ask),
        4 => (1..4_usize).prop_map(Step::Publish),
        4 => Just(Step::Answer),
        4 => Just(Step::Confirm),
        1 => Just(Step::Refuse),
        1 => Just(Step::Renew),
    ];
    (1..4_u16, step)
}

/// Who was told what of answers, and of batches.
type Told = (Vec<(Ticket, bool)>, Vec<(Ticket, bool)>);

/// What is open on a channel.
#[derive(Default)]
struct Model {
    has_ended: bool,
    asked: VecDeque<Ticket>,
    batches: VecDeque<(Ticket, usize)>,
    published: usize,
}

impl Model {
    /// Everything, as told when it is over.
    fn end(&mut self) -> Told {
        self.has_ended = true;
        let answers = self.asked.drain(..).map(|ticket| (ticket, false));
        let batches = self.batches.drain(..).map(|(ticket, _)| (ticket, false));
        (answers.collect(), batches.collect())
    }
}

/// Answers, and batches that were taken or not.
fn told(state: &mut State) -> Told {
    let (mut answers, mut batches) = (Vec::new(), Vec::new());
    for event in state.events() {
        match event {
            Event::Answered(ticket, answer) => answers.push((ticket, answer.is_ok())),
            Event::Settled(ticket, outcomes) => {
                let taken = outcomes.iter().all(|outcome| *outcome == Outcome::Taken);
                batches.push((ticket, taken));
            }
            Event::Left(..) | Event::Came => {}
        }
    }
    (answers, batches)
}

proptest! {
    #[test]
    fn whoever_waits_is_told_once_and_of_its_own(steps in prop::collection::vec(step(), 1..80)) {
        let mut state = with_channels(3);
        let mut models: Vec<Model> = (0..3).map(|_| Model::default()).collect();
        for (id, step) in steps {
            let model = &mut models[usize::from(id) - 1];
            let mut expected = (Vec::new(), Vec::new());
            match step {
                Step::Ask => match state.ask(id, qos(), true) {
                    Ok(ticket) => model.asked.push_back(ticket),
                    Err(_) => prop_assert!(model.has_ended),
                },
                Step::Publish(count) => {
                    let messages = (0..count).map(|_| publication("1"));
                    match state.publish(id, messages) {
                        Ok(ticket) => {
                            model.batches.push_back((ticket, count));
                            model.published += count;
                        }
                        Err(_) => prop_assert!(model.has_ended),
                    }
                }
                Step::Answer => if let Some(ticket) = model.asked.pop_front() {
                    answer_qos(&mut state, id);
                    expected.0.push((ticket, true));
                },
                Step::Confirm => if let Some((ticket, _)) = model.batches.pop_front() {
                    let open: usize = model.batches.iter().map(|(_, count)| count).sum();
                    confirm(&mut state, id, (model.published - open) as u64, true);
                    expected.1.push((ticket, true));
                },
                Step::Refuse => if !model.has_ended {
                    refuse(&mut state, id);
                    expected = model.end();
                },
                Step::Renew => if model.has_ended {
                    state.release(id);
                    let (renewed, ticket) = state.open().unwrap();
                    prop_assert_eq!(renewed, id);
                    let ok = channel::AMQPMethod::OpenOk(channel::OpenOk {});
                    hear(&mut state, &method(id, AMQPClass::Channel(ok)));
                    expected.0.push((ticket, true));
                    *model = Model::default();
                },
            }
            prop_assert_eq!(told(&mut state), expected);
            prop_assert!(!state.has_ended());
        }
        state.end(&Fault::Silent);
        let mut expected = (Vec::new(), Vec::new());
        for model in &mut models {
            let (answers, batches) = model.end();
            expected.0.extend(answers);
            expected.1.extend(batches);
        }
        prop_assert_eq!(told(&mut state), expected);
    }

    #[test]
    fn messages_are_the_same_however_they_are_cut(
        sizes in prop::collection::vec(0..300_usize, 1..12),
        largest in 20..90_usize,
        cuts in prop::collection::vec(1..200_usize, 1..40),
    ) {
        let mut state = with_channels(1);
        let payloads: Vec<Vec<u8>> = sizes.iter().map(|size| (0..=250).cycle().take(*size).collect()).collect();
        let mut sent = Vec::new();
        for (n, payload) in payloads.iter().enumerate() {
            sent.extend(bytes(&deliver(n as u64 + 1)));
            sent.extend(bytes(&content(payload.len(), BasicProperties::default())));
            for part in payload.chunks(largest) {
                sent.extend(bytes(&AMQPFrame::Body(1, part.to_vec())));
            }
            state.ask(1, inspect(), true).unwrap();
            sent.extend(bytes(&found()));
        }
        let mut buffer = Vec::new();
        let mut rest = &sent[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            buffer.extend_from_slice(part);
            let taken = state.receive(&buffer);
            buffer.drain(..taken);
            rest = after;
        }
        prop_assert!(buffer.is_empty() && !state.has_ended());
        prop_assert_eq!(answered(&mut state).len(), payloads.len());
        let mut got = Vec::new();
        loop {
            let came = state.take(1, 3, 100).unwrap();
            if came.is_empty() {
                break;
            }
            prop_assert!(came.len() <= 3);
            for came in came {
                let Came::Delivery(delivery) = came else { panic!("{came:?}") };
                prop_assert_eq!(delivery.tag, got.len() as u64 + 1);
                got.push(delivery.data);
            }
        }
        prop_assert_eq!(got, payloads);
    }
}
