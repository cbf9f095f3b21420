//! Getting events accepted: results by their recipients, dead letters by their topics.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::{Component, Effect, Incoming, SendId, Target};
use crate::ack::{GroupId, Handle, Messages};
use crate::delivery::{Answer, Outcome, Parcel};
use crate::event::{Data, DeadLetter, Event};
use crate::id::{self, Id};
use crate::time::Time;

/// A recipient refused an event, or never accepted it.
const NOT_DELIVERED: &str = "NotDelivered";

/// Ids of dead letters.
const DEAD: u8 = b'd';

/// What an event is made of.
#[derive(Clone, Copy)]
pub(super) struct Shipment {
    /// The messages that wait for it.
    pub(super) group: GroupId,
    /// The input whose dead-letter topic it goes to if need be.
    pub(super) input: usize,
    /// Deliveries before this process knew of it.
    pub(super) attempts: u32,
}

impl Component {
    /// Holds a message until what depends on it is accepted.
    pub(super) fn hold_one(&mut self, message: &Incoming<'_>) -> GroupId {
        self.hold(Messages::One(Handle {
            input: message.input,
            token: message.token,
        }))
    }

    /// Sends what was made of one message to each of these outboxes, and holds the message meanwhile. `attempts` are
    /// deliveries before this process knew of it.
    pub(super) fn ship_alone(
        &mut self,
        event: Event,
        message: &Incoming<'_>,
        attempts: u32,
        outboxes: Range<usize>,
        now: Time,
    ) {
        let group = self.hold_one(message);
        let shipment = Shipment {
            group,
            input: message.input,
            attempts,
        };
        self.ship(event, &shipment, outboxes, now);
        self.release(group);
    }

    /// Sends an event to each of these outboxes.
    pub(super) fn ship(&mut self, event: Event, shipment: &Shipment, outboxes: Range<usize>, now: Time) {
        let event = Arc::new(event);
        let share = Arc::new(());
        let bytes = event.bytes() + size_of::<Parcel>() as u64;
        if !outboxes.is_empty() {
            self.budget.add(Some(shipment.input), bytes);
            self.in_flight += bytes;
        }
        for outbox in outboxes {
            self.ledger.depend(shipment.group);
            self.outboxes[outbox].push(Parcel {
                event: Arc::clone(&event),
                group: shipment.group,
                input: shipment.input,
                attempts: shipment.attempts,
                bytes,
                share: Arc::clone(&share),
            });
            self.pump(outbox, now);
        }
    }

    /// Sends what an outbox has to send now.
    pub(super) fn pump(&mut self, outbox: usize, now: Time) {
        let to = match outbox.checked_sub(self.recipients) {
            None => Target::Output(outbox),
            Some(input) if input < self.inputs.len() => Target::DeadLetter(input),
            Some(_) => Target::Late,
        };
        while let Some((number, attempt, event)) = self.outboxes[outbox].poll(now) {
            // As many outboxes as recipients and inputs: far from 2^32.
            #[allow(clippy::cast_possible_truncation)]
            let id = SendId {
                outbox: outbox as u32,
                number,
            };
            self.effects.push(Effect::Send {
                id,
                to,
                attempt,
                event,
            });
        }
    }

    /// The messages that are not acked before a delivery is accepted, by input and token: the one that it was made of, or those of
    /// its window, so many of each input at most.
    pub fn made_of(&self, send: SendId, most: usize) -> Vec<(usize, u64)> {
        let outbox = self.outboxes.get(send.outbox as usize);
        let group = outbox.and_then(|outbox| outbox.group(send.number));
        let messages = group.map_or_else(Vec::new, |group| self.ledger.first(group, most));
        messages
            .into_iter()
            .map(|handle| (handle.input, handle.token))
            .collect()
    }

    pub(super) fn settle_answer(&mut self, send: SendId, answer: Answer, now: Time) {
        let outbox = send.outbox as usize;
        let Some(queue) = self.outboxes.get_mut(outbox) else {
            return;
        };
        match queue.answered(send.number, answer, now) {
            Outcome::Accepted(parcel) => {
                self.counters.delivered += 1;
                self.finish(parcel);
            }
            Outcome::Refused(parcel, reason) => self.dead_letter_parcel(parcel, reason, now),
            Outcome::Retry => self.counters.retried += 1,
            Outcome::Unknown => return,
        }
        self.pump(outbox, now);
    }

    /// Nothing has to be done any more for a parcel.
    fn finish(&mut self, parcel: Parcel) {
        // The last one of an event's parcels: the event is gone with it.
        if let Some(()) = Arc::into_inner(parcel.share) {
            self.budget.sub(Some(parcel.input), parcel.bytes);
            self.in_flight = self.in_flight.saturating_sub(parcel.bytes);
        }
        self.release(parcel.group);
    }

    /// Something that a recipient does not take goes to the dead-letter topic; what waits for it goes on waiting.
    fn dead_letter_parcel(&mut self, parcel: Parcel, reason: String, now: Time) {
        let event = &parcel.event;
        let source = match &event.origin {
            Some(origin) => format!("{}/{}", origin.cluster_stream, origin.topic),
            None => self.source.to_string(),
        };
        let letter = Event {
            id: id::of_one(DEAD, &self.uid, Id::of_event(&event.source, &event.id)).hex(),
            source: Arc::clone(&self.source),
            kind: DEAD_LETTER,
            time: now,
            origin: None,
            // A message that was passed on goes there as it came, envelope and all.
            data: match &event.data {
                Data::CloudEvent(event) | Data::Json(event) => Data::Json(event.clone()),
                Data::Bytes(bytes) => Data::Bytes(bytes.clone()),
            },
            dead_letter: Some(DeadLetter {
                reason: NOT_DELIVERED,
                message: reason,
                source,
                position: String::new(),
                count: parcel.attempts,
            }),
            subject: None,
            watermark: None,
            sequence: None,
            trace: None,
        };
        self.send_dead_letter(letter, parcel.group, parcel.input, now);
        self.finish(parcel);
    }

    /// A message that can't be used goes to its dead-letter topic, as it came.
    pub(super) fn dead_letter_message(
        &mut self,
        message: &Incoming<'_>,
        reason: &'static str,
        text: String,
        count: u32,
        now: Time,
    ) {
        let input = &mut self.inputs[message.input];
        let topic = input.topic(message.topic);
        // Not by the id it may have as a CloudEvent: there may be no telling.
        let id = super::intake::identify(None, topic, message, self.sequence);
        let payload = message.payload.to_vec();
        let letter = Event {
            id: id::of_one(DEAD, &self.uid, id).hex(),
            source: Arc::clone(&self.source),
            kind: DEAD_LETTER,
            time: now,
            origin: None,
            data: if input.decoder.identify(message.payload).is_ok() {
                Data::Json(payload)
            } else {
                Data::Bytes(payload)
            },
            dead_letter: Some(DeadLetter {
                reason,
                message: text,
                source: format!("{}/{}", input.cluster_stream, message.topic),
                position: message.position.to_owned(),
                count,
            }),
            subject: None,
            watermark: None,
            sequence: None,
            trace: None,
        };
        let group = self.hold_one(message);
        self.send_dead_letter(letter, group, message.input, now);
        self.release(group);
    }

    /// `letter` is given complete but for being counted and sent.
    pub(super) fn send_dead_letter(&mut self, letter: Event, group: GroupId, input: usize, now: Time) {
        if let Some(dead_letter) = &letter.dead_letter {
            *self.counters.dead_lettered.entry(dead_letter.reason).or_default() += 1;
        }
        let outbox = self.recipients + input;
        self.ship(
            letter,
            &Shipment {
                group,
                input,
                attempts: 0,
            },
            outbox..outbox + 1,
            now,
        );
    }
}

/// The `type` of dead letters.
pub(super) const DEAD_LETTER: Cow<'static, str> = Cow::Borrowed("io.vivien.streaming.deadletter");
