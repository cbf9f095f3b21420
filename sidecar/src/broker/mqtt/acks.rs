//! Which PUBACKs to send: MQTT wants them in the order in which the messages came, so a message's waits until all before it
//! are done. Pure.

use std::collections::VecDeque;

/// The messages of one connection that are not acked yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The token of the front.
    first: u64,
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    /// Its packet identifier; 0 for a message that wants no ack (`QoS` 0).
    packet: u16,
    done: bool,
}

impl Ledger {
    /// The token of a message that is given out now.
    pub(super) fn give(&mut self, packet: u16) -> u64 {
        self.held.push_back(Held { packet, done: false });
        self.first + (self.held.len() as u64 - 1)
    }

    /// Takes in that messages are done, and says which packets are to be acked now, in this order. Repeats change nothing.
    pub(super) fn done(&mut self, tokens: &[u64]) -> Vec<u16> {
        for token in tokens {
            let at = token
                .checked_sub(self.first)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(held) = at.and_then(|at| self.held.get_mut(at)) {
                held.done = true;
            }
        }
        let mut packets = Vec::new();
        while let Some(held) = self.held.pop_front_if(|held| held.done) {
            self.first += 1;
            packets.extend((held.packet > 0).then_some(held.packet));
        }
        packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_go_in_the_order_of_delivery() {
        let mut ledger = Ledger::default();
        let tokens: Vec<u64> = [7, 0, 3, 9].map(|packet| ledger.give(packet)).into();
        assert!(ledger.done(&tokens[1..3]).is_empty());
        assert_eq!(ledger.done(&tokens[..1]), [7, 3]);
        // Again, and one that was never given.
        assert!(ledger.done(&[tokens[0], tokens[2], 99]).is_empty());
        let more = ledger.give(7);
        assert_eq!(ledger.done(&[more]), [0; 0]);
        assert_eq!(ledger.done(&tokens[3..]), [9, 7]);
    }
}
