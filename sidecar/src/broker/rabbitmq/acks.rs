//! Which acks to send: one frame for everything up to a tag where all before it is done, single ones near it. Pure.
//!
//! A broker finds the message of a single ack by walking through what is unacked before it, so single acks far into a
//! window would cost it the square of the window. Those wait until what is before them is done.

use std::collections::BTreeSet;

/// An ack as it goes over the wire (`basic.ack`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) tag: u64,
    /// It stands for every unacked tag before it too.
    pub(super) multiple: bool,
}

/// The acks of one channel. Its tags count from 1, without gaps.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Every tag up to here is done, and its ack is sent.
    floor: u64,
    /// Done, and not sent yet.
    waiting: BTreeSet<u64>,
    /// Done and sent, with something before them that isn't.
    ahead: BTreeSet<u64>,
    /// How far above the floor single acks are sent.
    reach: u64,
}

impl Ledger {
    pub(super) fn new(reach: u64) -> Ledger {
        Ledger {
            floor: 0,
            waiting: BTreeSet::new(),
            ahead: BTreeSet::new(),
            reach,
        }
    }

    /// Takes in that messages are done, and says what to send now. Repeats change nothing.
    pub(super) fn ack(&mut self, tags: &[u64]) -> Vec<Frame> {
        let news = tags
            .iter()
            .filter(|tag| **tag > self.floor && !self.ahead.contains(tag));
        self.waiting.extend(news);
        let mut frames = Vec::new();
        if let Some(tag) = self.advance() {
            frames.push(Frame { tag, multiple: true });
        }
        while let Some(tag) = self.waiting.first().copied() {
            if tag > self.floor.saturating_add(self.reach) {
                break;
            }
            self.waiting.pop_first();
            self.ahead.insert(tag);
            frames.push(Frame { tag, multiple: false });
        }
        frames
    }

    /// Raises the floor over everything that is done; the last tag on the way whose ack has yet to be sent.
    fn advance(&mut self) -> Option<u64> {
        let mut last = None;
        loop {
            let next = self.floor + 1;
            if self.waiting.first() == Some(&next) {
                self.waiting.pop_first();
                last = Some(next);
            } else if self.ahead.first() == Some(&next) {
                self.ahead.pop_first();
            } else {
                return last;
            }
            self.floor = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a broker does with acks.
    struct Server {
        unacked: BTreeSet<u64>,
    }

    impl Server {
        fn receive(&mut self, frame: Frame) {
            // RabbitMQ closes the channel over a tag that it doesn't know (PRECONDITION_FAILED).
            assert!(
                self.unacked.contains(&frame.tag),
                "unknown delivery tag {}",
                frame.tag
            );
            if frame.multiple {
                self.unacked.retain(|tag| *tag > frame.tag);
            } else {
                self.unacked.remove(&frame.tag);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_acked_that_is_not_done_and_in_the_end_everything_is(
            order in Just((1..=200_u64).collect::<Vec<_>>()).prop_shuffle(),
            sizes in prop::collection::vec(1..20_usize, 200),
            reach in prop_oneof![Just(u64::MAX), 0..50_u64],
        ) {
            let mut server = Server { unacked: (1..=200).collect() };
            let mut ledger = Ledger::new(reach);
            let mut open: BTreeSet<u64> = (1..=200).collect();
            let mut rest = order.as_slice();
            for size in sizes {
                let (tags, after) = rest.split_at(size.min(rest.len()));
                rest = after;
                open.retain(|tag| !tags.contains(tag));
                for frame in ledger.ack(tags).into_iter().chain(ledger.ack(tags)) {
                    server.receive(frame);
                }
                prop_assert!(open.is_subset(&server.unacked));
                if reach == u64::MAX {
                    prop_assert_eq!(&server.unacked, &open);
                }
            }
            prop_assert_eq!(&server.unacked, &open);
            prop_assert!(ledger.waiting.is_empty() && ledger.ahead.is_empty());
        }
    }

    #[test]
    fn a_window_is_acked_by_one_frame() {
        let tags: Vec<u64> = (1..=1000).collect();
        let frame = Frame {
            tag: 1000,
            multiple: true,
        };
        assert_eq!(Ledger::new(10).ack(&tags), [frame]);
    }

    #[test]
    fn single_acks_far_into_a_window_wait() {
        let mut ledger = Ledger::new(10);
        assert_eq!(ledger.ack(&[500]), []);
        assert_eq!(
            ledger.ack(&[5]),
            [Frame {
                tag: 5,
                multiple: false
            }]
        );
        let before: Vec<u64> = (1..495).collect();
        let frames = ledger.ack(&before);
        let single = Frame {
            tag: 500,
            multiple: false,
        };
        assert_eq!(
            frames,
            [
                Frame {
                    tag: 494,
                    multiple: true
                },
                single
            ]
        );
    }
}
