//! Messages that come when all of their windows have closed.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Component, Incoming};
use crate::event::{Data, DeadLetter, Event};
use crate::id::{Hash, Id};
use crate::time::Time;

/// Ids of late messages as they are sent on.
const LATE: u8 = b'l';

impl Component {
    /// Sends a late message to where they go, or drops it.
    pub(super) fn late(
        &mut self,
        message: &Incoming<'_>,
        (at, watermark): (Time, Time),
        id: Id,
        data: &str,
        now: Time,
    ) {
        self.counters.inputs[message.input].late += 1;
        if !self.keeps_late {
            return self.ack(message.input, message.token);
        }
        // It is in no window, where its place among others would tell it from its like.
        let topic = self.inputs[message.input].topic(message.topic);
        let place = super::intake::identify(None, topic, message, self.sequence);
        let mut name = Hash::of_component(LATE, &self.uid);
        name.row([id, place].into_iter());
        let event = Event {
            id: name.finish().hex(),
            source: Arc::clone(&self.source),
            kind: Cow::Borrowed("io.vivien.streaming.late"),
            time: at,
            origin: None,
            data: Data::Json(data.as_bytes().to_vec()),
            dead_letter: Some(DeadLetter {
                reason: "Late",
                message: format!(
                    "it happened at {at}, and its windows had closed: the watermark was {watermark}"
                ),
                source: format!("{}/{}", self.inputs[message.input].cluster_stream, message.topic),
                position: message.position.to_owned(),
                count: message.attempts.saturating_add(1),
            }),
            subject: None,
            watermark: None,
            sequence: None,
            trace: None,
        };
        let outbox = self.recipients + self.inputs.len();
        self.ship_alone(event, message, 0, outbox..outbox + 1, now);
    }
}
