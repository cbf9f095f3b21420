//! What happens to a message that arrives.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Component, Incoming, Input, Role};
use crate::event::{Data, Event, Origin, Trace};
use crate::id::{self, Id};
use crate::join::JoinSpec;
use crate::json::{DecodeError, Decoded, Identity};
use crate::map::{MapError, MapSpec, Mapped};
use crate::time::Time;
use crate::window::{Tumbling, Window, Windowing};

/// A message was delivered as often as its input allows.
const TOO_MANY_DELIVERIES: &str = "TooManyDeliveries";

/// Ids of what a map makes.
const MAPPED: u8 = b'm';

impl Component {
    /// A message has arrived.
    pub fn message(&mut self, message: Incoming<'_>, now: Time) {
        let Some(input) = self.inputs.get(message.input) else {
            return;
        };
        self.counters.inputs[message.input].received += 1;
        self.now = now;
        self.sequence += 1;
        if input.max_deliveries > 0 && message.attempts >= input.max_deliveries {
            // It may be what brought the process down before: it is not even looked at.
            let text = format!("delivered {} times without an ack", message.attempts);
            self.dead_letter_message(&message, TOO_MANY_DELIVERIES, text, message.attempts, now);
        } else {
            // To count who shares it, for every message, would cost more than all else that is done here.
            let role = self.lent.take().unwrap_or_else(|| Arc::clone(&self.role));
            match &*role {
                Role::Join(spec) => self.join(spec, &message, now),
                Role::Map(spec) => self.map(spec, &message, now),
                Role::Relay { .. } => self.relay(&message, now),
            }
            self.lent = Some(role);
        }
        self.mind_budget();
    }

    fn join(&mut self, spec: &JoinSpec, message: &Incoming<'_>, now: Time) {
        if spec.is_table(message.input) {
            return self.update_table(spec, message, now);
        }
        if let Some(time) = spec.times().and_then(|times| times.get(message.input)?.as_ref()) {
            return self.join_in_event_time(spec, time, message, now);
        }
        let Windowing::Tumbling(windows) = spec.windows() else {
            return self.join_in_receipt_time(spec, message, now);
        };
        let decoded = match self.decode(spec, message) {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(message, &error, now),
        };
        let window = self.window(windows, message.received, now);
        let sequence = self.sequence;
        let id = |inputs: &mut [Input]| {
            let topic = inputs[message.input].topic(message.topic);
            identify(decoded.identity.as_ref(), topic, message, sequence)
        };
        if !self.enter(
            spec,
            window,
            (message.input, message.received),
            (id, message.token),
        ) {
            self.counters.inputs[message.input].filtered += 1;
            self.ack(message.input, message.token);
        }
    }

    /// Decodes a message into the row at hand.
    #[inline]
    pub(super) fn decode<'p>(
        &mut self,
        spec: &JoinSpec,
        message: &Incoming<'p>,
    ) -> Result<Decoded<'p>, DecodeError> {
        let layout = spec.layout(message.input);
        let extra = usize::from(spec.keeps_messages());
        let input = &mut self.inputs[message.input];
        let decoded = input
            .decoder
            .decode(message.payload, layout, extra, &mut self.row);
        if spec.keeps_messages()
            && let Ok(decoded) = &decoded
        {
            self.row.set_json(layout.slots(), &decoded.data);
        }
        decoded
    }

    /// The window that a message goes to: that of when it was received, but none before the oldest open window or
    /// the current one, whichever is older. While redelivery after a start goes on there is no such bound, so that
    /// a window's messages meet again.
    fn window(&mut self, windows: Tumbling, received: Time, now: Time) -> Window {
        let latest = self.latest;
        // Nearly always the window of the last message is that of this one and of the present. To say so takes
        // no division.
        if latest.contains(received) && latest.contains(now) {
            return latest;
        }
        let bound = if self.live() {
            let current = windows.of(now).start;
            self.open
                .keys()
                .next()
                .map_or(current, |oldest| current.min(oldest.start))
        } else {
            Time(i64::MIN)
        };
        self.latest = windows.of(received.max(bound));
        self.latest
    }

    fn map(&mut self, spec: &MapSpec, message: &Incoming<'_>, now: Time) {
        let input = &mut self.inputs[message.input];
        let decoded = match input
            .decoder
            .decode(message.payload, spec.layout(), 0, &mut self.row)
        {
            Ok(decoded) => decoded,
            Err(error) => return self.undecodable(message, &error, now),
        };
        let data = match spec.apply(&self.row.row(), message.topic, message.key) {
            Ok(Mapped::Result(data)) => data,
            Ok(Mapped::Unchanged) => decoded.data.into_owned().into_bytes(),
            Ok(Mapped::Filtered) => {
                self.counters.inputs[message.input].filtered += 1;
                return self.ack(message.input, message.token);
            }
            Err(MapError::Filter(error)) => {
                *self.counters.expression_errors.entry(error.reason()).or_default() += 1;
                self.counters.inputs[message.input].filtered += 1;
                return self.ack(message.input, message.token);
            }
            Err(MapError::Select(error)) => {
                *self.counters.expression_errors.entry(error.reason()).or_default() += 1;
                let count = message.attempts.saturating_add(1);
                return self.dead_letter_message(message, error.reason(), error.to_string(), count, now);
            }
        };
        let topic = self.inputs[message.input].topic(message.topic);
        let id = identify(decoded.identity.as_ref(), topic, message, self.sequence);
        self.counters.rows += 1;
        let event = Event {
            id: id::of_one(MAPPED, &self.uid, id).hex(),
            source: Arc::clone(&self.source),
            kind: Cow::Borrowed("io.vivien.streaming.message"),
            time: message.received,
            origin: None,
            data: Data::Json(data),
            dead_letter: None,
            subject: None,
            watermark: None,
            sequence: None,
            trace: decoded.identity.as_ref().and_then(Trace::of),
        };
        self.ship_alone(event, message, 0, 0..self.recipients, now);
    }

    fn relay(&mut self, message: &Incoming<'_>, now: Time) {
        let identity = match self.inputs[message.input].decoder.identify(message.payload) {
            Ok(identity) => identity,
            Err(error) => return self.undecodable(message, &error, now),
        };
        let cluster_stream = Arc::clone(&self.inputs[message.input].cluster_stream);
        let payload = message.payload.to_vec();
        let mut event = Event {
            id: String::new(),
            source: Arc::clone(&self.source),
            // What Dapr calls a message that came without an envelope.
            kind: Cow::Borrowed("com.dapr.event.sent"),
            time: message.received,
            origin: Some(Origin {
                cluster_stream,
                topic: message.topic.to_owned(),
            }),
            data: Data::Json(payload),
            dead_letter: None,
            subject: None,
            watermark: None,
            sequence: None,
            trace: None,
        };
        event.trace = identity.as_ref().and_then(Trace::of);
        if let Some(Identity { source, id, kind, .. }) = identity {
            event.id = id.into_owned();
            event.source = source.into();
            event.kind = Cow::Owned(kind.into_owned());
            if let Data::Json(payload) = event.data {
                event.data = Data::CloudEvent(payload);
            }
        } else {
            let topic = self.inputs[message.input].topic(message.topic);
            event.id = identify(None, topic, message, self.sequence).hex();
        }
        self.counters.rows += 1;
        let outbox = message.input;
        self.ship_alone(event, message, message.attempts, outbox..outbox + 1, now);
    }
}

impl Component {
    pub(super) fn undecodable(&mut self, message: &Incoming<'_>, error: &DecodeError, now: Time) {
        let count = message.attempts.saturating_add(1);
        self.dead_letter_message(message, error.reason(), error.to_string(), count, now);
    }
}

/// A message's id: its producer's if it gave one, else its broker's; failing both, one of its own.
pub(super) fn identify(
    identity: Option<&Identity<'_>>,
    topic: Id,
    message: &Incoming<'_>,
    sequence: u64,
) -> Id {
    match identity {
        Some(Identity { source, id, .. }) => Id::of_event(source, id),
        None if message.position.is_empty() => {
            Id::of_arrival(topic, message.received, sequence, message.payload)
        }
        None => Id::of_position(topic, message.position),
    }
}
