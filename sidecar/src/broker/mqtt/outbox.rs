//! What is published on a connection: batches in order, as many messages unconfirmed as the broker takes, and what became of
//! each. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use rumqttc::{ConnAck, QoS};
use tokio::sync::oneshot;

use super::super::Outgoing;
use super::frame::{LONGEST, PUBREL};
use super::packet::{Answer, Step, Verdict, put_answer};
use super::publish::Manner;
use super::ring::Ring;

/// Messages that may be unconfirmed, if the broker doesn't want fewer.
const UNCONFIRMED: usize = 4096;
/// From the oldest message that is unconfirmed to the newest: packets have that many identifiers.
const SPAN: u64 = u16::MAX as u64;
/// What may wait to be written, in bytes, before no more is begun.
const MOST: usize = 256 << 10;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not known: the connection is gone.
    Unknown,
    Answered(Verdict),
    /// Nothing can be published there.
    NoTopic,
    /// So many bytes are more than the broker takes.
    TooLarge(usize),
    NothingRetained,
    /// The broker takes no more than this.
    QosUnsupported(u8),
}

/// Messages that are published together.
pub(super) type Batch = Arc<Vec<Outgoing>>;

/// What a broker takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Messages that are unconfirmed.
    unconfirmed: usize,
    /// Bytes of a packet.
    largest: usize,
    qos: u8,
    retains: bool,
}

impl Limits {
    /// As a broker says when it is connected to; one of 3.1.1 says nothing.
    pub(super) fn of(answer: &ConnAck) -> Limits {
        let properties = answer.properties.as_ref();
        let unconfirmed = properties.and_then(|all| all.receive_max).map(usize::from);
        let largest = properties.and_then(|all| all.max_packet_size);
        Limits {
            unconfirmed: unconfirmed.unwrap_or(UNCONFIRMED).clamp(1, UNCONFIRMED),
            largest: largest.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)),
            qos: properties.and_then(|all| all.max_qos).unwrap_or(2),
            retains: properties.is_none_or(|all| all.retain_available != Some(0)),
        }
    }
}

#[derive(Debug)]
pub(super) struct Outbox {
    manner: Manner,
    limits: Limits,
    batches: Ring<Underway>,
    /// The first batch of which not all has been begun.
    next: u64,
    /// By the order of their identifiers.
    unconfirmed: Ring<Unconfirmed>,
    /// How many are.
    count: usize,
    /// Messages that nobody will confirm, and after how many bytes they have left.
    leaving: VecDeque<(u64, Which)>,
}

#[derive(Debug)]
struct Underway {
    messages: Batch,
    begun: usize,
    outcomes: Vec<Outcome>,
    /// How many have no outcome yet.
    open: usize,
    done: oneshot::Sender<Vec<Outcome>>,
}

/// A message: its batch, and where in it.
type Which = (u64, usize);

#[derive(Debug)]
struct Unconfirmed {
    which: Which,
    /// The answer that it waits for.
    step: Step,
    verdict: Verdict,
}

impl Outbox {
    pub(super) fn new(manner: Manner, limits: Limits) -> Outbox {
        Outbox {
            manner,
            limits,
            batches: Ring::default(),
            next: 0,
            unconfirmed: Ring::default(),
            count: 0,
            leaving: VecDeque::new(),
        }
    }

    /// Messages to publish, after all before them.
    pub(super) fn push(&mut self, messages: Batch, done: oneshot::Sender<Vec<Outcome>>) {
        let open = messages.len();
        self.batches.push(Underway {
            messages,
            begun: 0,
            outcomes: vec![Outcome::Unknown; open],
            open,
            done,
        });
    }

    /// Writes as many messages as may be under way. `left` is how many bytes have left before `out`.
    pub(super) fn begin(&mut self, out: &mut BytesMut, left: u64) {
        while let Some(batch) = self.batches.get_mut(self.next) {
            if batch.done.is_closed() {
                // Nobody waits for it any more.
                batch.open -= batch.messages.len() - batch.begun;
                batch.begun = batch.messages.len();
            }
            let Some(message) = batch.messages.get(batch.begun) else {
                let over = batch.open == 0;
                let number = self.next;
                self.next += 1;
                if over {
                    self.finish(number);
                }
                continue;
            };
            let which = (self.next, batch.begun);
            let outcome = match refused(self.manner, &self.limits, message) {
                Some(outcome) => outcome,
                None if out.len() >= MOST => return,
                None if self.manner.qos == QoS::AtMostOnce => {
                    self.manner.write(message, 0, out);
                    self.leaving.push_back((left + out.len() as u64, which));
                    batch.begun += 1;
                    continue;
                }
                None => {
                    let number = self.unconfirmed.next();
                    if self.count >= self.limits.unconfirmed || number - self.unconfirmed.first() >= SPAN {
                        return;
                    }
                    self.manner.write(message, identifier(number), out);
                    self.count += 1;
                    let step = if self.manner.qos == QoS::AtLeastOnce {
                        Step::Acknowledged
                    } else {
                        Step::Received
                    };
                    self.unconfirmed.push(Unconfirmed {
                        which,
                        step,
                        verdict: Verdict::Taken,
                    });
                    batch.begun += 1;
                    continue;
                }
            };
            batch.begun += 1;
            self.end(which, outcome);
        }
    }

    /// Takes in an answer. One that nothing waits for changes nothing.
    pub(super) fn answered(&mut self, answer: Answer, out: &mut BytesMut) {
        let first = self.unconfirmed.first();
        let past = (u64::from(answer.identifier) + SPAN - u64::from(identifier(first))) % SPAN;
        let number = first + past;
        let Some(message) = self.unconfirmed.get_mut(number) else {
            return;
        };
        match (message.step, answer.step) {
            (Step::Acknowledged, Step::Acknowledged) => message.verdict = answer.verdict,
            (Step::Received, Step::Received) if matches!(answer.verdict, Verdict::Refused(_)) => {
                message.verdict = answer.verdict;
            }
            // It may be said again: what answers it may have been lost.
            (Step::Received | Step::Complete, Step::Received) => {
                if message.step == Step::Received {
                    message.step = Step::Complete;
                    message.verdict = answer.verdict;
                }
                put_answer(PUBREL, answer.identifier, out);
                return;
            }
            (Step::Complete, Step::Complete) => {}
            _ => return,
        }
        if let Some(message) = self.unconfirmed.remove(number) {
            self.count -= 1;
            self.end(message.which, Outcome::Answered(message.verdict));
        }
    }

    /// So many bytes have left.
    pub(super) fn left(&mut self, bytes: u64) {
        while let Some((_, which)) = self.leaving.pop_front_if(|(at, _)| *at <= bytes) {
            self.end(which, Outcome::Answered(Verdict::Taken));
        }
    }

    /// The connection is gone: nothing more becomes known.
    pub(super) fn give_up(&mut self) {
        for batch in self.batches.drain() {
            batch.done.send(batch.outcomes).ok();
        }
        self.next = self.batches.next();
    }

    fn end(&mut self, (number, at): Which, outcome: Outcome) {
        let Some(batch) = self.batches.get_mut(number) else {
            return;
        };
        if let Some(place) = batch.outcomes.get_mut(at) {
            *place = outcome;
        }
        batch.open -= 1;
        if batch.open == 0 && number < self.next {
            self.finish(number);
        }
    }

    fn finish(&mut self, number: u64) {
        if let Some(batch) = self.batches.remove(number) {
            batch.done.send(batch.outcomes).ok();
        }
    }
}

/// Why a message can't be published here.
fn refused(manner: Manner, limits: &Limits, message: &Outgoing) -> Option<Outcome> {
    let topic = &*message.topic;
    if topic.is_empty() || topic.len() > LONGEST || topic.contains('\0') || !rumqttc::valid_topic(topic) {
        return Some(Outcome::NoTopic);
    }
    if manner.retain && !limits.retains {
        return Some(Outcome::NothingRetained);
    }
    if manner.qos as u8 > limits.qos {
        return Some(Outcome::QosUnsupported(limits.qos));
    }
    match manner.size(message) {
        Some(size) if size <= limits.largest => None,
        _ => Some(Outcome::TooLarge(message.payload.len())),
    }
}

/// Identifiers are used in turn, so that one is used again as late as can be.
fn identifier(number: u64) -> u16 {
    u16::try_from(number % SPAN + 1).unwrap_or(u16::MAX)
}
