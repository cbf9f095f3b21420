//! The brokers' side: what the component may ack.

use super::world::World;
use crate::case::Broker;
use crate::world::End;

impl World<'_> {
    /// The component acks a message: all that was made of it must have been accepted by every recipient.
    pub(crate) fn ack(&mut self, input: usize, message: usize) -> Result<(), End> {
        let unacked = self.unacked[input]
            .iter_mut()
            .find(|each| each.message == message && !each.done);
        let Some(unacked) = unacked else {
            return Err(End::Wrong(format!("{message} is acked twice")));
        };
        unacked.done = true;
        self.say(|| format!("ack {message} of {input}"));
        // What is kept is acked before anything is made of it.
        if !self.case.kept {
            self.judge_ack(message)?;
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
