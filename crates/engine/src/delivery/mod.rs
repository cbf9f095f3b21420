//! Delivery: results wait here, one queue for each recipient, until the recipient has accepted them.
//!
//! Order within a queue is kept: a result that has to be tried again is waited for (with `concurrency` above 1,
//! it takes up one of the places). What goes to a topic goes in batches, so that a round trip is not paid for every
//! message: the next one leaves when the last is answered, with all that has gathered meanwhile. Of a batch that
//! failed, in part or as a whole, the first is tried alone, then the rest, and only then what is new. One recipient's
//! trouble never holds up another's.

mod answer;
mod backoff;

use std::collections::VecDeque;
use std::sync::Arc;

pub use answer::{Answer, classify, classify_component};
pub use backoff::Backoff;

use crate::ack::GroupId;
use crate::event::Event;
use crate::time::Time;

/// Something that waits to be accepted by one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) event: Arc<Event>,
    /// What is released once it is settled.
    pub(crate) group: GroupId,
    /// Whose dead-letter topic it goes to if it can't be delivered.
    pub(crate) input: usize,
    /// Deliveries so far: those before this process knew it included.
    pub(crate) attempts: u32,
    /// Bytes that the memory budget counts for its event.
    pub(crate) bytes: u64,
    /// Shared by an event's parcels; runners have none, so the last parcel knows that it is.
    pub(crate) share: Arc<()>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Sent,
    /// To be sent (again) at this time.
    Waiting(Time),
}

#[derive(Debug)]
struct Active {
    number: u64,
    state: State,
    parcel: Parcel,
    /// Whether it failed before.
    again: bool,
}

/// What an answer led to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The recipient has it.
    Accepted(Parcel),
    /// It will be sent again.
    Retry,
    /// The recipient will not have it, for this reason.
    Refused(Parcel, String),
    /// Not something that was in flight: an answer given twice.
    Unknown,
}

/// How much of one recipient's may be under way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Deliveries. At least one.
    pub count: usize,
    /// Bytes of their events. One larger than that goes alone.
    pub bytes: u64,
}

impl InFlight {
    /// One after the other: for recipients that are asked one by one.
    pub const ONE: InFlight = InFlight {
        count: 1,
        bytes: u64::MAX,
    };
    /// For topics, where a round trip would otherwise be paid for every message: as much as a broker has done with in
    /// some ten milliseconds, and little enough to be sent again.
    pub const TOPIC: InFlight = InFlight {
        count: 4096,
        bytes: 4 << 20,
    };
}

/// One recipient's queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    backoff: Backoff,
    order: Order,
    /// Deliveries after which it gives up; 0 for never.
    max_deliveries: u32,
    next: u64,
    queue: VecDeque<Parcel>,
    /// Not done with, by number.
    active: VecDeque<Active>,
    /// How many of them are sent, and not answered.
    sent: usize,
    /// How many bytes they have.
    bytes: u64,
}

#[derive(Debug)]
enum Order {
    /// In batches, each sent when all of the one before is answered.
    Kept {
        limit: InFlight,
        /// Nothing is added to the batch under way.
        sealed: bool,
        /// Something failed: it is tried alone before anything behind it is.
        probe: bool,
    },
    /// As many as there are places. One that waits to be sent again keeps its own.
    Free { places: usize },
}

impl Outbox {
    /// One that keeps the order.
    pub(crate) fn ordered(backoff: Backoff, limit: InFlight, max_deliveries: u32) -> Outbox {
        let order = Order::Kept {
            limit,
            sealed: false,
            probe: false,
        };
        Outbox::new(backoff, order, max_deliveries)
    }

    /// One that does not, unless there is but one place.
    pub(crate) fn concurrent(backoff: Backoff, places: usize, max_deliveries: u32) -> Outbox {
        if places <= 1 {
            return Outbox::ordered(backoff, InFlight::ONE, max_deliveries);
        }
        Outbox::new(backoff, Order::Free { places }, max_deliveries)
    }

    fn new(backoff: Backoff, order: Order, max_deliveries: u32) -> Outbox {
        Outbox {
            backoff,
            order,
            max_deliveries,
            next: 0,
            queue: VecDeque::new(),
            active: VecDeque::new(),
            sent: 0,
            bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, parcel: Parcel) {
        self.queue.push_back(parcel);
    }

    /// What is to be sent now: its number, which attempt it is, and the event. To be asked until `None`: what was
    /// given until then may leave together.
    pub(crate) fn poll(&mut self, now: Time) -> Option<(u64, u32, Arc<Event>)> {
        match self.order {
            Order::Kept { limit, sealed, probe } => {
                let polled = if sealed {
                    None
                } else {
                    self.poll_batch(limit, probe, now)
                };
                self.order = Order::Kept {
                    limit,
                    sealed: self.sent > 0 && (probe || polled.is_none()),
                    probe: probe && self.sent == 0,
                };
                polled
            }
            Order::Free { places } => self.poll_place(places, now),
        }
    }

    fn poll_batch(&mut self, limit: InFlight, probe: bool, now: Time) -> Option<(u64, u32, Arc<Event>)> {
        // What this batch has so far is at the front; what is left of the one before follows.
        match self.active.get(self.sent).map(|active| active.state) {
            Some(State::Waiting(at)) if probe && at > now => return None,
            Some(_) => return Some(self.send(self.sent)),
            None => {}
        }
        // What is new does not go with what failed before.
        let again = self.active.front().is_some_and(|first| first.again);
        if again || self.sent >= limit.count.max(1) {
            return None;
        }
        let next = self.queue.front()?;
        let fits = self.sent == 0 || self.bytes.saturating_add(next.bytes) <= limit.bytes;
        fits.then(|| self.send_next()).flatten()
    }

    fn poll_place(&mut self, places: usize, now: Time) -> Option<(u64, u32, Arc<Event>)> {
        let due = |active: &Active| matches!(active.state, State::Waiting(at) if at <= now);
        if self.active.len() > self.sent
            && let Some(at) = self.active.iter().position(due)
        {
            return Some(self.send(at));
        }
        if self.active.len() >= places {
            return None;
        }
        self.send_next()
    }

    /// Sends what has not been sent yet.
    fn send_next(&mut self) -> Option<(u64, u32, Arc<Event>)> {
        let parcel = self.queue.pop_front()?;
        if self.queue.is_empty() {
            // A queue that one stall made long must not keep its memory for ever.
            self.queue.shrink_to(64);
        }
        self.active.push_back(Active {
            number: self.next,
            state: State::Waiting(Time(0)),
            parcel,
            again: false,
        });
        self.next += 1;
        Some(self.send(self.active.len() - 1))
    }

    fn send(&mut self, at: usize) -> (u64, u32, Arc<Event>) {
        let active = &mut self.active[at];
        active.state = State::Sent;
        active.parcel.attempts = active.parcel.attempts.saturating_add(1);
        self.sent += 1;
        self.bytes = self.bytes.saturating_add(active.parcel.bytes);
        (active.number, active.parcel.attempts, active.parcel.event.clone())
    }

    pub(crate) fn answered(&mut self, number: u64, answer: Answer, now: Time) -> Outcome {
        let found = self.active.binary_search_by_key(&number, |active| active.number);
        let Some(at) = found
            .ok()
            .filter(|at| matches!(self.active[*at].state, State::Sent))
        else {
            return Outcome::Unknown;
        };
        self.sent -= 1;
        self.bytes = self.bytes.saturating_sub(self.active[at].parcel.bytes);
        let parcel = &self.active[at].parcel;
        let (given_up, reason) = match answer {
            Answer::Accepted => (false, None),
            // A dead letter has nowhere else to go.
            Answer::Drop(reason) if parcel.event.dead_letter.is_none() => (true, Some(reason)),
            Answer::Drop(reason) | Answer::Retry(reason) => {
                let most = self.max_deliveries;
                (most > 0 && parcel.attempts >= most, Some(reason))
            }
        };
        let outcome = match reason {
            Some(_) if !given_up => {
                let wait = self.backoff.delay(parcel.attempts, &parcel.event.id);
                let active = &mut self.active[at];
                active.state = State::Waiting(now.plus(wait));
                active.again = true;
                Outcome::Retry
            }
            reason => match (self.active.remove(at), reason) {
                (Some(Active { parcel, .. }), None) => Outcome::Accepted(parcel),
                (Some(Active { parcel, .. }), Some(reason)) => Outcome::Refused(parcel, reason),
                (None, _) => Outcome::Unknown,
            },
        };
        if let Order::Kept { sealed, probe, .. } = &mut self.order {
            *probe |= matches!(outcome, Outcome::Retry);
            *sealed &= self.sent > 0;
        }
        outcome
    }

    /// What waits for something that is not done with.
    pub(crate) fn group(&self, number: u64) -> Option<GroupId> {
        let found = self.active.binary_search_by_key(&number, |active| active.number);
        found.ok().map(|at| self.active[at].parcel.group)
    }

    /// When something has to be sent again. What waits for answers first is not known yet.
    pub(crate) fn next_retry(&self) -> Option<Time> {
        let at = |active: &Active| match active.state {
            State::Waiting(at) => Some(at),
            State::Sent => None,
        };
        match self.order {
            Order::Kept { .. } if self.sent > 0 => None,
            Order::Kept { .. } => self.active.front().and_then(at),
            Order::Free { .. } if self.active.len() == self.sent => None,
            Order::Free { .. } => self.active.iter().filter_map(at).min(),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.active.is_empty()
    }
}

#[cfg(test)]
mod tests;
