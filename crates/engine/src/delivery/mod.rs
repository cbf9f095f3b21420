//! Delivery: results wait here, one queue for each recipient, until the recipient has accepted them.
//!
//! Order within a queue is kept: a result that has to be tried again is waited for (with `concurrency` above 1,
//! it takes up one of the places). One recipient's trouble never holds up another's.

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

#[derive(Debug)]
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

/// One recipient's queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    backoff: Backoff,
    concurrency: usize,
    /// Deliveries after which it gives up; 0 for never.
    max_deliveries: u32,
    next: u64,
    queue: VecDeque<Parcel>,
    active: Vec<Active>,
}

impl Outbox {
    pub(crate) fn new(backoff: Backoff, concurrency: usize, max_deliveries: u32) -> Outbox {
        Outbox {
            backoff,
            concurrency: concurrency.max(1),
            max_deliveries,
            next: 0,
            queue: VecDeque::new(),
            active: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, parcel: Parcel) {
        self.queue.push_back(parcel);
    }

    /// What is to be sent now: its number, which attempt it is, and the event. To be asked until `None`.
    pub(crate) fn poll(&mut self, now: Time) -> Option<(u64, u32, Arc<Event>)> {
        let due = |active: &Active| matches!(active.state, State::Waiting(at) if at <= now);
        if let Some(active) = self.active.iter_mut().find(|active| due(active)) {
            active.state = State::Sent;
            active.parcel.attempts = active.parcel.attempts.saturating_add(1);
            return Some((active.number, active.parcel.attempts, active.parcel.event.clone()));
        }
        if self.active.len() >= self.concurrency {
            return None;
        }
        let mut parcel = self.queue.pop_front()?;
        parcel.attempts = parcel.attempts.saturating_add(1);
        let sent = (self.next, parcel.attempts, parcel.event.clone());
        self.active.push(Active {
            number: self.next,
            state: State::Sent,
            parcel,
        });
        self.next += 1;
        if self.queue.is_empty() {
            // A queue that one stall made long must not keep its memory for ever.
            self.queue.shrink_to(64);
        }
        Some(sent)
    }

    pub(crate) fn answered(&mut self, number: u64, answer: Answer, now: Time) -> Outcome {
        let sent = |active: &Active| active.number == number && matches!(active.state, State::Sent);
        let Some(at) = self.active.iter().position(sent) else {
            return Outcome::Unknown;
        };
        let reason = match answer {
            Answer::Accepted => return Outcome::Accepted(self.active.remove(at).parcel),
            // A dead letter has nowhere else to go.
            Answer::Drop(reason) if self.active[at].parcel.event.dead_letter.is_none() => {
                return Outcome::Refused(self.active.remove(at).parcel, reason);
            }
            Answer::Drop(reason) | Answer::Retry(reason) => reason,
        };
        let Active { state, parcel, .. } = &mut self.active[at];
        if self.max_deliveries > 0 && parcel.attempts >= self.max_deliveries {
            return Outcome::Refused(self.active.remove(at).parcel, reason);
        }
        *state = State::Waiting(now.plus(self.backoff.delay(parcel.attempts, &parcel.event.id)));
        Outcome::Retry
    }

    /// When something has to be sent again.
    pub(crate) fn next_retry(&self) -> Option<Time> {
        let waiting = self.active.iter().filter_map(|active| match active.state {
            State::Waiting(at) => Some(at),
            State::Sent => None,
        });
        waiting.min()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.active.is_empty()
    }
}

#[cfg(test)]
mod tests;
