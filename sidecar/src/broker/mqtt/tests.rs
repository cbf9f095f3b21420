//! An [`Exchange`] against a broker that is held to the protocol, reads and writes by the client library's codec, and does what
//! a broker may do: answers in any order and more than once, says messages again before their acks have come, gives an
//! identifier to another message, and loses the connection.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use proptest::prelude::*;
use rumqttc::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Packet, PubAck,
    PubAckReason, PubComp, PubRec, PubRecReason, PubRel, Publish, QoS,
};
use tokio::sync::oneshot;

use super::super::Outgoing;
use super::exchange::{Exchange, News};
use super::fault::Fault;
use super::frame::Version;
use super::outbox::{Limits, Outbox, Outcome};
use super::packet::Verdict;
use super::publish::Manner;

/// What a broker answers to a message by its number.
fn verdict(number: usize) -> Verdict {
    match number % 5 {
        0 => Verdict::Unread,
        1 => Verdict::Refused("QuotaExceeded".to_owned()),
        _ => Verdict::Taken,
    }
}

#[derive(Default)]
struct Broker {
    most: usize,
    heard: BytesMut,
    says: BytesMut,
    /// What it owes an answer, by identifier, and what it has said of it.
    open: BTreeMap<u16, usize>,
    answers: Vec<Packet>,
    /// What was published to it, by number.
    got: Vec<usize>,
    /// What it sent and was not acked: identifier, quality, number.
    sent: VecDeque<(u16, QoS, usize)>,
    /// Of quality 2: received, and not complete.
    received: BTreeSet<u16>,
    acked: usize,
}

impl Broker {
    /// Takes in all that it heard.
    fn listen(&mut self) {
        while let Ok(packet) = Packet::read(&mut self.heard, None) {
            match packet {
                Packet::Publish(message) => {
                    let number = number(&message.payload);
                    self.got.push(number);
                    if message.qos == QoS::AtMostOnce {
                        continue;
                    }
                    assert_eq!(self.open.insert(message.pkid, number), None, "in use");
                    assert!(self.open.len() <= self.most, "more than the broker takes");
                    self.answers.push(if message.qos == QoS::AtLeastOnce {
                        let reason = match verdict(number) {
                            Verdict::Taken => PubAckReason::Success,
                            Verdict::Unread => PubAckReason::NoMatchingSubscribers,
                            Verdict::Refused(_) => PubAckReason::QuotaExceeded,
                        };
                        Packet::PubAck(PubAck {
                            reason,
                            ..PubAck::new(message.pkid, None)
                        })
                    } else {
                        let reason = match verdict(number) {
                            Verdict::Taken => PubRecReason::Success,
                            Verdict::Unread => PubRecReason::NoMatchingSubscribers,
                            Verdict::Refused(_) => PubRecReason::QuotaExceeded,
                        };
                        Packet::PubRec(PubRec {
                            reason,
                            ..PubRec::new(message.pkid, None)
                        })
                    });
                }
                Packet::PubRel(release) => {
                    let complete = Packet::PubComp(PubComp::new(release.pkid, None));
                    if self.open.contains_key(&release.pkid) && !self.answers.contains(&complete) {
                        self.answers.push(complete);
                    }
                }
                Packet::PubAck(ack) => {
                    let (identifier, qos, _) = self.sent.pop_front().expect("an ack of something");
                    assert_eq!((ack.pkid, QoS::AtLeastOnce), (identifier, qos), "in order");
                    self.acked += 1;
                }
                Packet::PubRec(ack) => {
                    let (identifier, qos, _) = self.sent.pop_front().expect("an ack of something");
                    assert_eq!((ack.pkid, QoS::ExactlyOnce), (identifier, qos), "in order");
                    self.acked += 1;
                    self.received.insert(identifier);
                    self.say(&Packet::PubRel(PubRel::new(identifier, None)));
                }
                Packet::PubComp(ack) => assert!(self.received.remove(&ack.pkid)),
                other => panic!("{other:?}"),
            }
        }
    }

    fn say(&mut self, packet: &Packet) {
        packet.write(&mut self.says, None).unwrap();
    }

    /// Says one of the answers that it owes, perhaps more than once.
    fn answer(&mut self, which: usize, times: usize) {
        if self.answers.is_empty() {
            return;
        }
        let packet = self.answers.remove(which % self.answers.len());
        let over = match &packet {
            Packet::PubAck(ack) => Some(ack.pkid),
            Packet::PubRec(ack) if ack.reason == PubRecReason::QuotaExceeded => Some(ack.pkid),
            Packet::PubComp(ack) => Some(ack.pkid),
            _ => None,
        };
        if let Some(identifier) = over {
            self.open.remove(&identifier);
        }
        for _ in 0..times {
            self.say(&packet);
        }
    }

    /// Sends a message, perhaps more than once, by an identifier that may be another's.
    fn send(&mut self, number: usize, qos: QoS, times: usize, wraps: bool) {
        // As mosquitto does it, which counts identifiers up and doesn't look.
        let may_share = |by: QoS| wraps && qos == QoS::AtLeastOnce && by == qos;
        let used = |identifier: &u16| {
            let mut sent = self.sent.iter();
            self.received.contains(identifier)
                || sent.any(|(used, by, _)| used == identifier && !may_share(*by))
        };
        let identifier = (1..=u16::MAX).find(|identifier| !used(identifier));
        let identifier = identifier.unwrap();
        if qos != QoS::AtMostOnce {
            self.sent.push_back((identifier, qos, number));
        }
        for _ in 0..if qos == QoS::AtMostOnce { 1 } else { times } {
            self.publish((identifier, qos, number), false);
        }
    }

    fn publish(&mut self, (pkid, qos, number): (u16, QoS, usize), dup: bool) {
        let mut message = Publish::new("t", qos, number.to_string(), None);
        message.pkid = pkid;
        message.dup = dup;
        self.say(&Packet::Publish(message));
    }
}

fn number(payload: &[u8]) -> usize {
    std::str::from_utf8(payload).unwrap().parse().unwrap()
}

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// So many messages are published together.
    Publish(usize),
    /// So many bytes leave, once all that was said has been read.
    Write(usize),
    Answer(usize, usize),
    /// A quality, how many times, and whether by the identifier of another.
    Send(usize, usize, bool),
    /// One that is not acked is said again.
    Repeat(usize),
    /// One that was given is done.
    Done(usize),
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..12_usize).prop_map(Step::Publish),
        6 => (0..200_usize).prop_map(Step::Write),
        4 => (any::<usize>(), 1..3_usize).prop_map(|(which, times)| Step::Answer(which, times)),
        4 => (0..3_usize, 1..4_usize, any::<bool>()).prop_map(|(qos, times, wraps)| Step::Send(qos, times, wraps)),
        1 => any::<usize>().prop_map(Step::Repeat),
        4 => any::<usize>().prop_map(Step::Done),
        1 => Just(Step::Cut),
    ]
}

struct World {
    qos: QoS,
    exchange: Exchange,
    broker: Broker,
    published: usize,
    sent: usize,
    waiting: Vec<(usize, oneshot::Receiver<Vec<Outcome>>)>,
    /// Unacked on this connection: tokens.
    held: Vec<u64>,
    /// Given on this connection, and how many of them want no ack.
    given: Vec<usize>,
    /// Given on any.
    all: HashSet<usize>,
}

fn exchange(qos: QoS, most: usize) -> Exchange {
    let properties = ConnAckProperties {
        session_expiry_interval: None,
        receive_max: Some(u16::try_from(most).unwrap()),
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    };
    let answer = ConnAck {
        session_present: true,
        code: ConnectReturnCode::Success,
        properties: Some(properties),
    };
    let manner = Manner {
        version: Version::Five,
        qos,
        retain: false,
    };
    Exchange::new(Version::Five, Outbox::new(manner, Limits::of(&answer)))
}

impl World {
    fn new(qos: QoS, most: usize) -> World {
        let broker = Broker {
            most,
            ..Broker::default()
        };
        World {
            qos,
            exchange: exchange(qos, most),
            broker,
            published: 0,
            sent: 0,
            waiting: Vec::new(),
            held: Vec::new(),
            given: Vec::new(),
            all: HashSet::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish(count) => {
                let range = self.published..self.published + count;
                let first = range.start;
                let batch = range.map(outgoing).collect();
                let outcomes = self.exchange.publish(Arc::new(batch));
                self.waiting.push((first, outcomes));
                self.published += count;
            }
            Step::Write(bytes) => {
                self.read();
                let bytes = bytes.min(self.exchange.out().len());
                self.broker.heard.extend_from_slice(&self.exchange.out()[..bytes]);
                self.exchange.sent(bytes);
                self.broker.listen();
            }
            Step::Answer(which, times) => self.broker.answer(which, times),
            Step::Send(qos, times, wraps) => {
                let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][qos];
                self.broker.send(self.sent, qos, times, wraps);
                self.sent += 1;
            }
            Step::Repeat(which) => {
                if !self.broker.sent.is_empty() {
                    let which = which % self.broker.sent.len();
                    self.broker.publish(self.broker.sent[which], false);
                }
            }
            Step::Done(which) => {
                if !self.held.is_empty() {
                    let token = self.held.swap_remove(which % self.held.len());
                    self.exchange.ack(&[token, token]);
                }
            }
            Step::Cut => self.cut(),
        }
    }

    /// All that was said.
    fn read(&mut self) {
        let mut unread = std::mem::take(&mut self.broker.says);
        // A packet may come in two parts.
        let rest = unread.split_off(unread.len() / 2);
        let mut news = News::default();
        self.exchange.take(&mut unread, &mut news).unwrap();
        unread.extend_from_slice(&rest);
        self.exchange.take(&mut unread, &mut news).unwrap();
        assert!(unread.is_empty() && news.subscribed.is_none());
        for (token, message) in news.messages {
            self.held.push(token);
            let number = number(&message.payload);
            self.given.push(number);
            self.all.insert(number);
        }
        self.check_given();
    }

    fn check_given(&self) {
        let each: BTreeSet<usize> = self.given.iter().copied().collect();
        assert_eq!(each.len(), self.given.len(), "given twice: {:?}", self.given);
    }

    /// The connection is lost; what was not acked comes again on the next.
    fn cut(&mut self) {
        self.exchange.end();
        self.settle(true);
        let broker = &mut self.broker;
        let most = broker.most;
        self.exchange = exchange(self.qos, most);
        (broker.heard, broker.says) = Default::default();
        broker.open.clear();
        broker.answers.clear();
        self.held.clear();
        self.given.clear();
        for message in broker.sent.clone() {
            broker.publish(message, true);
        }
        for identifier in broker.received.clone() {
            broker.say(&Packet::PubRel(PubRel::new(identifier, None)));
        }
    }

    /// What is known of what was published. `cut`: all is, or will not be.
    fn settle(&mut self, cut: bool) {
        let got: HashSet<usize> = self.broker.got.iter().copied().collect();
        self.waiting.retain_mut(|(first, outcomes)| {
            let Ok(outcomes) = outcomes.try_recv() else {
                assert!(!cut, "not told");
                return true;
            };
            for (at, outcome) in outcomes.into_iter().enumerate() {
                let number = *first + at;
                match outcome {
                    Outcome::Unknown => assert!(cut),
                    Outcome::Answered(answered) => {
                        assert!(got.contains(&number), "{number} never left");
                        let expected = if self.qos == QoS::AtMostOnce {
                            Verdict::Taken
                        } else {
                            verdict(number)
                        };
                        assert_eq!(answered, expected);
                    }
                    other => panic!("{other:?}"),
                }
            }
            false
        });
        let ordered = self.broker.got.is_sorted_by(|one, next| one < next);
        assert!(ordered, "{:?}", self.broker.got);
    }

    /// Until nothing is left to do.
    fn finish(mut self) {
        loop {
            self.read();
            let tokens = std::mem::take(&mut self.held);
            self.exchange.ack(&tokens);
            let quiet = self.exchange.out().is_empty() && self.broker.answers.is_empty();
            self.step(&Step::Write(usize::MAX));
            self.broker.answer(0, 1);
            if quiet && self.broker.says.is_empty() && self.exchange.out().is_empty() {
                break;
            }
        }
        self.settle(false);
        assert!(self.waiting.is_empty(), "not told");
        let broker = &self.broker;
        assert!(broker.sent.is_empty() && broker.received.is_empty(), "not acked");
        assert!(broker.open.is_empty() && !self.broker.heard.has_remaining());
    }
}

fn outgoing(number: usize) -> Outgoing {
    Outgoing {
        topic: "t".into(),
        id: "1".into(),
        content_type: "application/json",
        trace: None,
        payload: number.to_string().into(),
    }
}

proptest! {
    #[test]
    fn what_is_said_is_what_the_protocol_has(
        qos in 0..3_usize,
        most in 1..8_usize,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][qos];
        let mut world = World::new(qos, most);
        for step in &steps {
            world.step(step);
        }
        world.finish();
    }
}

fn published(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, None).unwrap();
    bytes
}

fn message(pkid: u16, payload: &'static str) -> BytesMut {
    let mut message = Publish::new("t", QoS::AtLeastOnce, payload, None);
    message.pkid = pkid;
    published(&Packet::Publish(message))
}

#[test]
fn an_identifier_that_means_another_message_is_acked_for_each() {
    let mut exchange = exchange(QoS::AtLeastOnce, 10);
    let mut unread = BytesMut::new();
    // The first message three times, and a second one by the same identifier, twice.
    for payload in ["a", "a", "b", "a", "b"] {
        unread.extend_from_slice(&message(7, payload));
    }
    let mut news = News::default();
    exchange.take(&mut unread, &mut news).unwrap();
    let payloads: Vec<&[u8]> = news
        .messages
        .iter()
        .map(|(_, message)| &*message.payload)
        .collect();
    assert_eq!(payloads, [b"a", b"b"]);
    let tokens: Vec<u64> = news.messages.iter().map(|(token, _)| *token).collect();
    assert_eq!(exchange.ack(&tokens), 8);
    assert_eq!(exchange.out(), [0x40, 2, 0, 7, 0x40, 2, 0, 7]);
}

#[test]
fn what_came_before_the_end_is_told() {
    let mut exchange = exchange(QoS::AtLeastOnce, 10);
    let mut unread = message(7, "a");
    let end = Disconnect::new(DisconnectReasonCode::SessionTakenOver);
    unread.extend_from_slice(&published(&Packet::Disconnect(end)));
    let mut news = News::default();
    let fault = exchange.take(&mut unread, &mut news).unwrap_err();
    assert!(
        matches!(fault, Fault::Disconnected(DisconnectReasonCode::SessionTakenOver)),
        "{fault:?}"
    );
    assert_eq!(news.messages.len(), 1);
}

#[test]
fn a_batch_that_nobody_waits_for_is_not_begun() {
    let mut exchange = exchange(QoS::AtLeastOnce, 1);
    let _first = exchange.publish(Arc::new(vec![outgoing(0)]));
    let begun = exchange.out().len();
    drop(exchange.publish(Arc::new(vec![outgoing(1), outgoing(2)])));
    let mut last = exchange.publish(Arc::new(vec![outgoing(3)]));
    exchange.sent(begun);
    let mut unread = published(&Packet::PubAck(PubAck::new(1, None)));
    exchange.take(&mut unread, &mut News::default()).unwrap();
    assert!(exchange.out().ends_with(b"3"));
    last.try_recv().unwrap_err();
    let mut unread = published(&Packet::PubAck(PubAck::new(2, None)));
    exchange.take(&mut unread, &mut News::default()).unwrap();
    assert_eq!(last.try_recv().unwrap(), [Outcome::Answered(Verdict::Taken)]);
}
