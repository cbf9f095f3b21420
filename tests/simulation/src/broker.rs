//! The brokers' side: what is delivered next, and what is acked.

use crate::case::Broker;
use crate::world::{End, World};
use streaming_engine::time::Time;

/// A message that the broker has no ack for.
pub(crate) struct Unacked {
    pub(crate) message: usize,
    pub(crate) attempts: u32,
    /// The component has acked it, and the protocol has not: MQTT acks in order.
    pub(crate) done: bool,
}

impl World<'_> {
    /// Without event time messages come when they are received, over all inputs in order.
    pub(crate) fn next_arrival(&self, input: usize) -> Option<usize> {
        let next = *self.waiting[input].front()?;
        let first = self.case.event_time || self.waiting.iter().flatten().all(|other| *other >= next);
        first.then_some(next)
    }

    pub(crate) fn deliver(&mut self, input: usize) -> Result<(), End> {
        if !self.case.event_time
            && let Some(next) = self.waiting[input].front()
        {
            let at = Time(self.case.messages[*next].at);
            self.elapse(at)?;
        }
        if let Some(message) = self.waiting[input].pop_front() {
            self.unacked[input].push(Unacked {
                message,
                attempts: 0,
                done: false,
            });
            self.hand_in(message, 0);
        }
        Ok(())
    }

    /// The component acks a message: all that was made of it must have been accepted by every recipient.
    pub(crate) fn ack(&mut self, input: usize, message: usize) -> Result<(), End> {
        let Some(unacked) = self.unacked[input]
            .iter_mut()
            .find(|each| each.message == message && !each.done)
        else {
            return Err(End::Wrong(format!("{message} is acked twice")));
        };
        unacked.done = true;
        self.say(|| format!("ack {message} of {input}"));
        // What is kept is acked before anything is made of it.
        let checked = self.bounds_hold() && !self.case.kept;
        for row in self.expected.iter().filter(|row| row.of.contains(&message)) {
            for output in 0..self.case.outputs {
                let content = row.content.to_string();
                if checked && !self.doubts(&content) && !self.is_settled(output, &content) {
                    return Err(End::Wrong(format!(
                        "{message} is acked before {} is accepted by {output}",
                        row.content
                    )));
                }
            }
        }
        let late = self.lateness.is_late(self.case, message) && self.stats.crashes == 0;
        if late && self.case.keeps_late && !self.case.kept && !self.late.contains(&message) {
            return Err(End::Wrong(format!(
                "{message} is late and acked before it is sent on"
            )));
        }
        let unacked = &mut self.unacked[input];
        if self.case.brokers[input] == Broker::Mqtt {
            let acked = unacked.iter().take_while(|each| each.done).count();
            unacked.drain(..acked);
        } else {
            unacked.retain(|each| !each.done);
        }
        Ok(())
    }
}
