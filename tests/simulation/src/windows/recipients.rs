//! What is told of a component with windows while it runs: what it sends, and what its recipients answer.

use std::collections::BTreeSet;

use serde_json::Value;
use streaming_engine::component::Target;
use streaming_engine::delivery::Answer;
use streaming_engine::durable::Durable;
use streaming_engine::event::Event;
use streaming_engine::time::Time;

use super::judge::{Windows, bounds, canonical, cut_window, group};
use crate::Stats;
use crate::broker::Brokers;
use crate::judge::{Judge, Sent, text};

impl Judge for Windows<'_> {
    fn arrives(&mut self, message: usize, _attempts: u32, now: Time) {
        if self.case.is_timed() && self.lateness.deliver(self.case, message, now.0) {
            self.expect();
        }
    }

    fn passes(&mut self, now: Time) {
        if self.case.is_timed() && self.lateness.pass(self.case, now.0) {
            self.expect();
        }
    }

    fn acks(&mut self, message: usize) -> Result<(), String> {
        self.judge_ack(message)
    }

    fn sends(&mut self, sent: &Sent, _on_the_way: &[Sent], _now: Time) -> Result<(), String> {
        let event = &sent.event;
        let data = self.named(event)?;
        let name = format!("{} {:?}", event.id, sent.to);
        let known = self.ids.entry(name).or_insert_with(|| data.clone());
        if *known != data {
            let known = known.clone();
            if self.bounds_hold() {
                return Err(format!("id {} names {known} and {data}", event.id));
            }
        }
        if let Target::Output(_) = sent.to {
            let rows = canonical(event)?;
            let window = rows.first().map(|row| bounds(row)).unwrap_or_default();
            let made = self.made.entry(window).or_default();
            made.0.extend(rows);
            made.1 = made.1.max(event.data().len());
        }
        Ok(())
    }

    fn answers(&mut self, sent: &Sent, roll: u32, _now: Time) -> Result<Answer, String> {
        let event = &sent.event;
        if roll < 2 {
            return Ok(Answer::Retry("busy".to_owned()));
        }
        match sent.to {
            Target::Late => self.take_late(event)?,
            Target::DeadLetter(_) => match cut_window(event) {
                Some(window) => {
                    self.cut.entry(window).or_default().insert(event.id.clone());
                }
                None => self.dead.extend(canonical(event)?),
            },
            Target::Output(output) if roll == 2 => {
                let rows = canonical(event)?.into_iter();
                self.refused.extend(rows.map(|row| (output, row)));
                return Ok(Answer::Drop("no".to_owned()));
            }
            Target::Output(output) => {
                for row in canonical(event)? {
                    self.accept(output, row, event)?;
                }
            }
        }
        Ok(Answer::Accepted)
    }

    fn dies(&mut self) -> Result<(), String> {
        self.died = true;
        self.lateness.die(self.case);
        Ok(())
    }

    fn ends(&mut self, component: &Durable, _brokers: &Brokers) -> Result<Stats, String> {
        self.judge(component)?;
        Ok(self.stats())
    }
}

impl Windows<'_> {
    fn accept(&mut self, output: usize, row: String, event: &Event) -> Result<(), String> {
        if let Some(number) = event.sequence {
            let last = (number, row.clone());
            let of = (output, group(&row)?);
            if self.updates.get(&of).is_none_or(|before| before.0 <= number) {
                self.updates.insert(of, last);
            }
        }
        let ids: &mut BTreeSet<String> = self.accepted.entry((output, row)).or_default();
        ids.insert(event.id.clone());
        Ok(())
    }

    /// Something is said to be late.
    fn take_late(&mut self, event: &Event) -> Result<(), String> {
        let data: Value = serde_json::from_slice(&event.data()).map_err(|error| error.to_string())?;
        // Of those that came twice, this one.
        let letter = event.dead_letter.as_ref();
        let place = letter.and_then(|letter| letter.position.parse::<usize>().ok());
        let is = |message: &usize| {
            let message = self.case.messages.get(*message);
            message.is_some_and(|message| data["n"] == message.n)
        };
        let Some(message) = place.filter(is) else {
            return Err(format!("nobody sent {}, which is late", text(event)));
        };
        if !self.died && !self.lateness.is_late(self.case, message) {
            return Err(format!("{message} is not late"));
        }
        self.late.insert(message);
        Ok(())
    }
}
