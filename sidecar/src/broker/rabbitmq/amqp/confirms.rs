//! What becomes of what was published on a channel. The broker counts messages from 1, and confirms them in any order, one
//! by one or all up to a number. Whoever published a batch is told once, when all of it is settled.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::state::Ticket;
use super::wire::Publication;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The broker has taken responsibility for it.
    Taken,
    /// It has, but no queue wanted the message.
    Returned,
    /// It could not.
    Refused,
    /// The channel ended before it said so.
    Unknown,
}

/// By what a message is known when it comes back: a return doesn't say which number it had. Messages of the same mark
/// count as returned together, so that none is taken for published that was not.
pub(super) fn mark(exchange: &str, key: &str, id: &[u8], size: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (exchange, key, id, size).hash(&mut hasher);
    hasher.finish()
}

/// The mark of what is published; anything, where it can't come back.
pub(super) fn mark_of(message: &Publication<'_>) -> u64 {
    if !message.mandatory {
        return 0;
    }
    let id = message.id.unwrap_or_default().as_bytes();
    mark(message.exchange, message.key, id, message.payload.len())
}

/// The messages of a channel that are not settled, in the batches in which they were published.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// Messages so far, which is the number of the last.
    count: u64,
    batches: VecDeque<Batch>,
}

#[derive(Debug)]
struct Batch {
    ticket: Ticket,
    /// The number of its first message.
    first: u64,
    messages: Vec<Sent>,
    /// How many are not settled.
    open: usize,
    /// All before this one are.
    floor: usize,
}

#[derive(Debug)]
struct Sent {
    mark: u64,
    returned: bool,
    outcome: Option<Outcome>,
}

impl Batch {
    fn settle(&mut self, at: usize, taken: bool) {
        let Some(message) = self.messages.get_mut(at) else {
            return;
        };
        if message.outcome.is_none() {
            self.open -= 1;
            message.outcome = Some(match (taken, message.returned) {
                (false, _) => Outcome::Refused,
                (true, true) => Outcome::Returned,
                (true, false) => Outcome::Taken,
            });
        }
    }

    /// Settles all up to a message.
    fn settle_to(&mut self, last: usize, taken: bool) {
        let end = last.saturating_add(1).min(self.messages.len());
        for at in self.floor..end {
            self.settle(at, taken);
        }
        self.floor = self.floor.max(end);
    }

    fn outcomes(self) -> (Ticket, Vec<Outcome>) {
        let outcome = |message: Sent| message.outcome.unwrap_or(Outcome::Unknown);
        (self.ticket, self.messages.into_iter().map(outcome).collect())
    }
}

impl Confirms {
    /// A batch of messages was published, one at least. They are known by these marks.
    pub(super) fn published(&mut self, ticket: Ticket, marks: impl IntoIterator<Item = u64>) {
        let sent = |mark| Sent {
            mark,
            returned: false,
            outcome: None,
        };
        let messages: Vec<Sent> = marks.into_iter().map(sent).collect();
        let first = self.count + 1;
        self.count += messages.len() as u64;
        self.batches.push_back(Batch {
            ticket,
            first,
            open: messages.len(),
            messages,
            floor: 0,
        });
    }

    /// A message came back. Its confirm comes next.
    pub(super) fn returned(&mut self, mark: u64) {
        for message in self.batches.iter_mut().flat_map(|batch| &mut batch.messages) {
            message.returned |= message.mark == mark;
        }
    }

    /// The broker says what became of a message, or of all up to it. Gives what is settled by that.
    pub(super) fn settle(&mut self, tag: u64, multiple: bool, taken: bool) -> Vec<(Ticket, Vec<Outcome>)> {
        // Zero stands for all.
        let tag = if tag == 0 && multiple { self.count } else { tag };
        let mut after = self.batches.partition_point(|batch| batch.first <= tag);
        let before = if multiple { 0 } else { after.saturating_sub(1) };
        for batch in self.batches.range_mut(before..after) {
            let at = usize::try_from(tag - batch.first).unwrap_or(usize::MAX);
            if multiple {
                batch.settle_to(at, taken);
            } else {
                batch.settle(at, taken);
            }
        }
        let mut settled = Vec::new();
        let mut at = before;
        while at < after {
            if self.batches.get(at).is_some_and(|batch| batch.open == 0) {
                settled.extend(self.batches.remove(at).map(Batch::outcomes));
                after -= 1;
            } else {
                at += 1;
            }
        }
        settled
    }

    /// The channel has ended: nothing more is said of the rest.
    pub(super) fn end(&mut self) -> impl Iterator<Item = (Ticket, Vec<Outcome>)> + use<> {
        std::mem::take(&mut self.batches).into_iter().map(Batch::outcomes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Publish(Vec<u64>),
        Return(u64),
        Settle { tag: u64, multiple: bool, taken: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop::collection::vec(0..9_u64, 1..6).prop_map(Step::Publish),
            (0..9_u64).prop_map(Step::Return),
            (0..60_u64, any::<bool>(), prop::bool::weighted(0.9))
                .prop_map(|(tag, multiple, taken)| Step::Settle { tag, multiple, taken }),
        ]
    }

    /// Each message by itself.
    struct Single {
        ticket: Ticket,
        mark: u64,
        returned: bool,
        outcome: Option<Outcome>,
    }

    proptest! {
        #[test]
        fn a_batch_is_settled_once_and_as_its_messages_would_be_one_by_one(steps in prop::collection::vec(step(), 1..60)) {
            let mut confirms = Confirms::default();
            let mut model: BTreeMap<u64, Single> = BTreeMap::new();
            let mut told: BTreeMap<Ticket, Vec<Outcome>> = BTreeMap::new();
            for (ticket, step) in steps.into_iter().enumerate() {
                let ticket = ticket as Ticket;
                match step {
                    Step::Publish(marks) => {
                        confirms.published(ticket, marks.clone());
                        for mark in marks {
                            let number = model.len() as u64 + 1;
                            model.insert(number, Single { ticket, mark, returned: false, outcome: None });
                        }
                    }
                    Step::Return(mark) => {
                        confirms.returned(mark);
                        for single in model.values_mut().filter(|single| single.mark == mark && single.outcome.is_none()) {
                            single.returned = true;
                        }
                    }
                    Step::Settle { tag, multiple, taken } => {
                        for (ticket, outcomes) in confirms.settle(tag, multiple, taken) {
                            prop_assert!(told.insert(ticket, outcomes).is_none(), "told twice");
                        }
                        let is_meant = |number: u64| number == tag || (multiple && (number < tag || tag == 0));
                        for (_, single) in model.iter_mut().filter(|(number, single)| is_meant(**number) && single.outcome.is_none()) {
                            single.outcome = Some(match (taken, single.returned) {
                                (false, _) => Outcome::Refused,
                                (true, true) => Outcome::Returned,
                                (true, false) => Outcome::Taken,
                            });
                        }
                    }
                }
                for (ticket, outcomes) in &told {
                    let of: Vec<_> = model.values().filter(|single| single.ticket == *ticket).map(|single| single.outcome).collect();
                    prop_assert_eq!(outcomes.iter().copied().map(Some).collect::<Vec<_>>(), of);
                }
                for single in model.values().filter(|single| single.outcome.is_none()) {
                    prop_assert!(!told.contains_key(&single.ticket), "told too early");
                }
                let open: usize = confirms.batches.iter().map(|batch| batch.open).sum();
                prop_assert_eq!(open, model.values().filter(|single| single.outcome.is_none()).count());
            }
            for (ticket, outcomes) in confirms.end() {
                let of = model.values().filter(|single| single.ticket == ticket);
                let expected: Vec<_> = of.map(|single| single.outcome.unwrap_or(Outcome::Unknown)).collect();
                prop_assert!(expected.contains(&Outcome::Unknown));
                prop_assert_eq!(outcomes, expected);
            }
        }
    }

    #[test]
    fn two_messages_that_can_t_be_told_apart_both_count_as_returned() {
        let mut confirms = Confirms::default();
        let (same, other) = (mark("e", "k", b"1", 2), mark("e", "k", b"2", 2));
        confirms.published(1, [same, other, same]);
        confirms.returned(same);
        let outcomes = vec![Outcome::Returned, Outcome::Taken, Outcome::Returned];
        assert_eq!(confirms.settle(3, true, true), [(1, outcomes)]);
    }
}
