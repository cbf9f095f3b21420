//! What has come and is not acked yet, and which acks to send: MQTT wants them in the order in which the messages came, so a
//! message's waits until all before it are done. Pure.
//!
//! An identifier alone doesn't say which message it is. Mosquitto 2.0.11 says some messages of a long backlog three times in a
//! row, though none of them is acked; and where more than 65,535 have been sent, it gives the identifier of one that is not
//! acked to another. So the same identifier with the same content is the same message until its ack has left, and takes one
//! ack; with another content it is another message, with an ack of its own.

use std::collections::{HashMap, HashSet, VecDeque};

use rumqttc::QoS;

use super::frame::{PUBACK, PUBCOMP, PUBREC};
use super::publish::Published;

/// The messages of one connection that are not acked yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The token of the front.
    first: u64,
    held: VecDeque<Held>,
    /// The fingerprints of messages whose ack has not left.
    known: HashSet<u64>,
    /// Those of messages that are known until the broker says that it says them no more, by identifier.
    received: HashMap<u16, u64>,
    /// Those that are not known any more once so many bytes have left.
    leaving: VecDeque<(u64, u64)>,
}

#[derive(Debug)]
struct Held {
    identifier: u16,
    qos: QoS,
    done: bool,
    fingerprint: u64,
}

/// A packet that is nothing but its kind and an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) kind: u8,
    pub(super) identifier: u16,
    /// Of the message that is not known any more when this has left.
    fingerprint: Option<u64>,
}

impl Ledger {
    /// The token of a message that comes now; `None` if it has come already.
    pub(super) fn give(&mut self, message: &Published) -> Option<u64> {
        // Those of QoS 0 are never said again.
        if message.qos != QoS::AtMostOnce && !self.known.insert(message.fingerprint) {
            return None;
        }
        self.held.push_back(Held {
            identifier: message.identifier,
            qos: message.qos,
            done: false,
            fingerprint: message.fingerprint,
        });
        Some(self.first + (self.held.len() as u64 - 1))
    }

    /// Takes in that messages are done, and gives what to send now, in this order. Repeats change nothing.
    pub(super) fn done(&mut self, tokens: &[u64]) -> Vec<Ack> {
        for token in tokens {
            let at = token
                .checked_sub(self.first)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(held) = at.and_then(|at| self.held.get_mut(at)) {
                held.done = true;
            }
        }
        let mut acks = Vec::new();
        while let Some(held) = self.held.pop_front_if(|held| held.done) {
            self.first += 1;
            let (identifier, fingerprint) = (held.identifier, held.fingerprint);
            let (kind, fingerprint) = match held.qos {
                QoS::AtMostOnce => continue,
                QoS::AtLeastOnce => (PUBACK, Some(fingerprint)),
                QoS::ExactlyOnce => {
                    if let Some(before) = self.received.insert(identifier, fingerprint) {
                        self.known.remove(&before);
                    }
                    (PUBREC, None)
                }
            };
            acks.push(Ack {
                kind,
                identifier,
                fingerprint,
            });
        }
        acks
    }

    /// The broker says a message of `QoS` 2 no more: what to answer. An earlier connection may have been the one to ack it.
    pub(super) fn released(&mut self, identifier: u16) -> Ack {
        Ack {
            kind: PUBCOMP,
            identifier,
            fingerprint: self.received.remove(&identifier),
        }
    }

    /// An ack leaves when so many bytes have.
    pub(super) fn leaves(&mut self, ack: Ack, at: u64) {
        self.leaving
            .extend(ack.fingerprint.map(|fingerprint| (at, fingerprint)));
    }

    /// So many bytes have left.
    pub(super) fn left(&mut self, bytes: u64) {
        while let Some((_, fingerprint)) = self.leaving.pop_front_if(|(at, _)| *at <= bytes) {
            self.known.remove(&fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(identifier: u16, qos: QoS, fingerprint: u64) -> Published {
        Published {
            identifier,
            qos,
            again: false,
            topic: "t".into(),
            headers: None,
            payload: bytes::Bytes::new(),
            fingerprint,
        }
    }

    fn give(ledger: &mut Ledger, identifier: u16) -> Option<u64> {
        let qos = if identifier == 0 {
            QoS::AtMostOnce
        } else {
            QoS::AtLeastOnce
        };
        ledger.give(&message(identifier, qos, identifier.into()))
    }

    fn done(ledger: &mut Ledger, tokens: &[u64]) -> Vec<(u8, u16)> {
        let acks = ledger.done(tokens);
        acks.into_iter().map(|ack| (ack.kind, ack.identifier)).collect()
    }

    #[test]
    fn acks_go_in_the_order_of_delivery() {
        let mut ledger = Ledger::default();
        let tokens: Vec<u64> = [7, 0, 3, 9]
            .map(|packet| give(&mut ledger, packet).unwrap())
            .into();
        assert!(done(&mut ledger, &tokens[1..3]).is_empty());
        assert_eq!(done(&mut ledger, &tokens[..1]), [(PUBACK, 7), (PUBACK, 3)]);
        // Again, and one that was never given.
        assert!(done(&mut ledger, &[tokens[0], tokens[2], 99]).is_empty());
        let more = give(&mut ledger, 8).unwrap();
        assert_eq!(done(&mut ledger, &[more]), []);
        assert_eq!(done(&mut ledger, &tokens[3..]), [(PUBACK, 9), (PUBACK, 8)]);
    }

    #[test]
    fn the_same_message_is_taken_once_until_its_ack_has_left() {
        let mut ledger = Ledger::default();
        let token = give(&mut ledger, 7).unwrap();
        assert_eq!(give(&mut ledger, 7), None);
        let acks = ledger.done(&[token]);
        ledger.leaves(acks[0], 4);
        assert_eq!(give(&mut ledger, 7), None);
        ledger.left(3);
        assert_eq!(give(&mut ledger, 7), None);
        ledger.left(4);
        assert!(give(&mut ledger, 7).is_some());
        // Those without an identifier are all different.
        assert!(give(&mut ledger, 0).is_some() && give(&mut ledger, 0).is_some());
    }

    #[test]
    fn another_message_with_the_same_identifier_has_an_ack_of_its_own() {
        let mut ledger = Ledger::default();
        let [one, other] = [1, 2].map(|content| {
            let message = message(7, QoS::AtLeastOnce, content);
            ledger.give(&message).unwrap()
        });
        assert_eq!(done(&mut ledger, &[other]), []);
        assert_eq!(done(&mut ledger, &[one]), [(PUBACK, 7), (PUBACK, 7)]);
    }

    #[test]
    fn what_comes_exactly_once_is_known_until_it_is_released() {
        let mut ledger = Ledger::default();
        let message = message(7, QoS::ExactlyOnce, 1);
        let token = ledger.give(&message).unwrap();
        let acks = ledger.done(&[token]);
        assert_eq!((acks.len(), acks[0].kind), (1, PUBREC));
        ledger.leaves(acks[0], 4);
        ledger.left(4);
        assert_eq!(ledger.give(&message), None);
        let complete = ledger.released(7);
        assert_eq!(complete.kind, PUBCOMP);
        ledger.leaves(complete, 8);
        ledger.left(8);
        assert!(ledger.give(&message).is_some());
    }
}
