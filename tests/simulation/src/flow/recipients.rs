//! The recipients' side: what is sent to them, how much at once, and what they answer.

use std::sync::Arc;

use rand::Rng;
use serde_json::{Value, json};
use streaming_engine::component::{SendId, Target};
use streaming_engine::delivery::{Answer, InFlight};
use streaming_engine::event::{Data, Event};

use super::case::Kind;
use super::world::{Tries, World};
use crate::judge::text;
use crate::world::End;

impl World<'_> {
    /// The component sends something.
    pub(crate) fn send(
        &mut self,
        (id, attempt): (SendId, u32),
        to: Target,
        event: Arc<Event>,
    ) -> Result<(), End> {
        self.say(|| format!("send {} to {to:?}: {}", event.id, text(&event.data())));
        let rows = self.rows(to, &event)?;
        let content = self.named(rows.clone()).to_string();
        let name = format!("{} {to:?}", event.id);
        let known = self.ids.entry(name).or_insert_with(|| content.clone());
        if *known != content {
            return Err(End::Wrong(format!("id {} names {known} and {content}", event.id)));
        }
        let before = self.tries.get(&id).map_or(0, |tries| tries.count);
        let limit = self.limit_of(to);
        if limit == 1 && self.tries.get(&id).is_some_and(|tries| self.now < tries.due) {
            return Err(End::Wrong(format!("{content} comes again too soon")));
        }
        if before == 0
            && let Target::Output(output) = to
        {
            self.sent[output].extend(rows);
        }
        let tries = Tries {
            count: before + 1,
            known: attempt,
            due: self.now,
        };
        self.tries.insert(id, tries);
        let counted = attempt.checked_sub(before + 1);
        if counted.is_none() || counted != Some(0) && !matches!(self.case.kind, Kind::Relay(_)) {
            return Err(End::Wrong(format!(
                "{content} is sent {} times, and says {attempt}",
                before + 1
            )));
        }
        self.in_flight.push((id, to, event));
        if self.in_flight.iter().filter(|(_, other, _)| *other == to).count() > limit {
            return Err(End::Wrong(format!("more than {limit} on their way to {to:?}")));
        }
        Ok(())
    }

    /// What an id stands for. Messages that come behind others come in another order after a death.
    fn named(&self, mut rows: Vec<Value>) -> Value {
        if self.case.is_loose() {
            for row in &mut rows {
                // A dead letter is its text.
                let read = row.as_str().and_then(|text| serde_json::from_str(text).ok());
                *row = read.unwrap_or_else(|| row.take());
                if let Some(Value::Array(names)) = row.as_array_mut().and_then(|row| row.last_mut()) {
                    names.sort_by_key(Value::as_u64);
                }
            }
        }
        Value::Array(rows)
    }

    fn limit_of(&self, to: Target) -> usize {
        match (to, &self.case.kind) {
            (Target::Output(_), Kind::Relay(concurrency)) => *concurrency as usize,
            (Target::Output(_), _) => self.case.in_flight.count,
            _ => InFlight::TOPIC.count,
        }
    }

    /// What an event says, as the oracle has it.
    pub(crate) fn rows(&self, to: Target, event: &Event) -> Result<Vec<Value>, String> {
        let (Data::Json(data) | Data::Bytes(data) | Data::CloudEvent(data)) = &event.data;
        let whole = matches!(self.case.kind, Kind::Relay(_)) || !matches!(to, Target::Output(_));
        if whole {
            return Ok(vec![json!(text(data))]);
        }
        let value: Value =
            serde_json::from_slice(data).map_err(|error| format!("{error}: {}", text(data)))?;
        Ok(match value {
            Value::Array(rows) if rows.first().is_some_and(Value::is_array) => rows,
            row => vec![row],
        })
    }

    pub(crate) fn answer(&mut self) -> Result<(), End> {
        let pick = self.random.random_range(0..self.in_flight.len());
        let (id, to, event) = self.in_flight.swap_remove(pick);
        let rows = self.rows(to, &event)?;
        let answer = match self.random.random_range(0..12) {
            0..2 => Answer::Retry("busy".to_owned()),
            2 => Answer::Drop("no".to_owned()),
            _ => Answer::Accepted,
        };
        match (to, &answer) {
            (Target::Output(output), Answer::Accepted) => {
                for row in rows {
                    let ids = self.accepted.entry((output, row.to_string())).or_default();
                    ids.insert(event.id.clone());
                }
            }
            (Target::Output(output), answer) => {
                if matches!(answer, Answer::Drop(_)) || self.is_tried_out(id) {
                    self.refused
                        .extend(rows.iter().map(|row| (output, row.to_string())));
                } else if let Some(tries) = self.tries.get_mut(&id) {
                    tries.due = self.now.plus(self.config.backoff.initial_micros / 2);
                }
            }
            (_, Answer::Accepted) => self.bury(&event)?,
            _ => {}
        }
        self.stats.deliveries += 1;
        self.say(|| format!("{to:?} answers {answer:?} to {}", text(&event.data())));
        // The recipient has it; whether the component ever learns that is another matter.
        self.step()?;
        self.component.answered(id, answer.clone(), self.now);
        if self.random.random_bool(0.1) {
            self.component.answered(id, answer, self.now);
        }
        self.settle()
    }

    /// Whether something has been sent as often as it may.
    fn is_tried_out(&self, id: SendId) -> bool {
        let tries = self.tries.get(&id).map_or(0, |tries| tries.known);
        self.case.max_deliveries > 0 && tries >= self.case.max_deliveries
    }

    /// A dead letter has come where they go.
    fn bury(&mut self, event: &Event) -> Result<(), String> {
        let letter = event
            .dead_letter
            .as_ref()
            .ok_or("a dead letter without a reason")?;
        if letter.reason == "NotDelivered" {
            let (Data::Json(data) | Data::Bytes(data) | Data::CloudEvent(data)) = &event.data;
            let is_relay = matches!(self.case.kind, Kind::Relay(_));
            let rows = if is_relay {
                vec![json!(text(data))]
            } else {
                self.rows(Target::Output(0), event)?
            };
            self.buried.extend(rows.iter().map(Value::to_string));
            return Ok(());
        }
        let message: usize = letter
            .position
            .parse()
            .map_err(|_| format!("no position: {letter:?}"))?;
        self.dead.insert(message);
        Ok(())
    }
}
