//! The recipients' side: what is sent to them, how much at once, and what they answer.

use serde_json::{Value, json};
use streaming_engine::component::Target;
use streaming_engine::delivery::{Answer, InFlight};
use streaming_engine::durable::Durable;
use streaming_engine::event::Event;
use streaming_engine::time::Time;

use super::judge::{Flow, Tries};
use super::kind::Kind;
use super::oracle::Oracle;
use crate::Stats;
use crate::broker::Brokers;
use crate::judge::{Judge, Sent, text};

impl Judge for Flow<'_> {
    fn begins(&mut self, now: Time) {
        self.tries.clear();
        self.sent.iter_mut().for_each(Vec::clear);
        self.oracle = Oracle::new(self.case);
        if self.case.kept {
            // Of what was kept all may be given again, and at least what was not done with.
            for message in &self.delivered {
                self.oracle.arrive(*message, 0, now.0);
            }
        }
    }

    fn arrives(&mut self, message: usize, attempts: u32, now: Time) {
        // What a broker gives again was kept.
        let again = self.delivered.contains(&message);
        if !again {
            self.delivered.push(message);
        }
        if !again || !self.case.kept {
            self.oracle.arrive(message, attempts, now.0);
        }
    }

    fn recovers(&mut self, now: Time) {
        self.oracle.recovered(now.0);
    }

    fn passes(&mut self, now: Time) {
        self.oracle.pass(now.0);
    }

    fn flushes(&mut self) {
        self.flushed = true;
        self.oracle.flush();
    }

    fn acks(&mut self, message: usize) -> Result<(), String> {
        self.judge_ack(message)
    }

    fn sends(&mut self, sent: &Sent, on_the_way: &[Sent], now: Time) -> Result<(), String> {
        let (id, to, event) = (sent.id, sent.to, &sent.event);
        let rows = self.rows(to, event)?;
        let content = self.named(rows.clone()).to_string();
        let name = format!("{} {to:?}", event.id);
        let known = self.ids.entry(name).or_insert_with(|| content.clone());
        if *known != content {
            return Err(format!("id {} names {known} and {content}", event.id));
        }
        let before = self.tries.get(&id).map_or(0, |tries| tries.count);
        let limit = self.limit_of(to);
        if limit == 1 && self.tries.get(&id).is_some_and(|tries| now < tries.due) {
            return Err(format!("{content} comes again too soon"));
        }
        if before == 0
            && let Target::Output(output) = to
        {
            self.sent[output].extend(rows);
        }
        let tries = Tries {
            count: before + 1,
            known: sent.attempt,
            due: now,
        };
        self.tries.insert(id, tries);
        let counted = sent.attempt.checked_sub(before + 1);
        if counted.is_none() || counted != Some(0) && !matches!(self.case.kind, Kind::Relay(_)) {
            return Err(format!(
                "{content} is sent {} times, and says {}",
                before + 1,
                sent.attempt
            ));
        }
        if on_the_way.iter().filter(|other| other.to == to).count() > limit {
            return Err(format!("more than {limit} on their way to {to:?}"));
        }
        Ok(())
    }

    fn answers(&mut self, sent: &Sent, roll: u32, now: Time) -> Result<Answer, String> {
        let rows = self.rows(sent.to, &sent.event)?;
        let answer = match roll {
            0..2 => Answer::Retry("busy".to_owned()),
            2 => Answer::Drop("no".to_owned()),
            _ => Answer::Accepted,
        };
        match (sent.to, &answer) {
            (Target::Output(output), Answer::Accepted) => {
                for row in rows {
                    let ids = self.accepted.entry((output, row.to_string())).or_default();
                    ids.insert(sent.event.id.clone());
                }
            }
            (Target::Output(output), answer) => {
                let tries = self.tries.get(&sent.id).map_or(0, |tries| tries.known);
                let most = self.case.max_deliveries;
                if matches!(answer, Answer::Drop(_)) || most > 0 && tries >= most {
                    self.refused
                        .extend(rows.iter().map(|row| (output, row.to_string())));
                } else if let Some(tries) = self.tries.get_mut(&sent.id) {
                    tries.due = now.plus(self.backoff.initial_micros / 2);
                }
            }
            (_, Answer::Accepted) => self.bury(&sent.event)?,
            _ => {}
        }
        Ok(answer)
    }

    fn stays(&self, message: usize) -> bool {
        self.oracle.is_latest(message)
    }

    fn dies(&mut self) -> Result<(), String> {
        self.died = true;
        self.judge_life(false)
    }

    fn ends(&mut self, component: &Durable, brokers: &Brokers) -> Result<Stats, String> {
        self.judge_life(true)?;
        self.judge(component, brokers)?;
        Ok(Stats {
            rows: self.oracle.made.len() as u64,
            ..Stats::default()
        })
    }
}

impl Flow<'_> {
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
        let data = text(event);
        let whole = matches!(self.case.kind, Kind::Relay(_)) || !matches!(to, Target::Output(_));
        if whole {
            return Ok(vec![json!(data)]);
        }
        let value: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        Ok(match value {
            Value::Array(rows) if rows.first().is_some_and(Value::is_array) => rows,
            row => vec![row],
        })
    }

    /// A dead letter has come where they go.
    fn bury(&mut self, event: &Event) -> Result<(), String> {
        let letter = event
            .dead_letter
            .as_ref()
            .ok_or("a dead letter without a reason")?;
        if letter.reason == "NotDelivered" {
            let rows = self.rows(Target::Output(0), event)?;
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
