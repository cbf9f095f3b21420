//! What a component asks its runner to do.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ack::{Handle, Handles, Messages};
use crate::counters::WindowReport;
use crate::event::Event;
use crate::window::Window;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Deliver an event and say [`Component::answered`](super::Component::answered).
    Send {
        /// To be given with the answer.
        id: SendId,
        /// Where to.
        to: Target,
        /// Which delivery of the event this is, from 1; those before a restart included where brokers count.
        attempt: u32,
        /// The event.
        event: Arc<Event>,
    },
    /// Ack a message: all that was made of it has been accepted.
    Ack {
        /// The message's input.
        input: usize,
        /// The message's token.
        token: u64,
    },
    /// Take no more messages from an input. Those that arrive all the same are not lost.
    Pause {
        /// The input.
        input: usize,
    },
    /// Take messages from an input again.
    Resume {
        /// The input.
        input: usize,
    },
    /// A window has closed.
    Window(Box<WindowReport>),
    /// A window alone holds more than the memory budget. Reported once a window.
    OverBudget(OverBudget),
}

/// A window that holds too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// The window.
    pub window: Window,
    /// Bytes that it holds.
    pub held: u64,
    /// Bytes that the component may hold.
    pub budget: u64,
}

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A recipient.
    Output(usize),
    /// The dead-letter topic of an input.
    DeadLetter(usize),
    /// Where messages go that come when all of their windows have closed.
    Late,
}

/// Names one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SendId {
    pub(super) outbox: u32,
    pub(super) number: u64,
}

enum Entry {
    Effect(Effect),
    /// A window may hold a million messages: their acks are told apart when they are asked for.
    Acks(Handles),
}

/// Effects that the runner has not asked for yet, in order.
#[derive(Default)]
pub(super) struct Effects {
    entries: VecDeque<Entry>,
}

impl Effects {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.entries.push_back(Entry::Effect(effect));
    }

    pub(super) fn ack(&mut self, messages: Messages) {
        self.entries.push_back(Entry::Acks(messages.into_iter()));
    }

    /// If acks are next: an input, and tokens that follow each other, as the first and how many.
    pub(super) fn poll_acks(&mut self) -> Option<(usize, u64, u64)> {
        loop {
            let acks = match self.entries.front_mut()? {
                Entry::Acks(messages) => messages.next_run(),
                Entry::Effect(Effect::Ack { input, token }) => {
                    let acks = (*input, *token, 1);
                    self.entries.pop_front();
                    return Some(acks);
                }
                Entry::Effect(_) => return None,
            };
            if acks.is_some() {
                return acks;
            }
            self.entries.pop_front();
        }
    }

    pub(super) fn poll(&mut self) -> Option<Effect> {
        loop {
            if let Some(Entry::Acks(messages)) = self.entries.front_mut()
                && let Some(Handle { input, token }) = messages.next()
            {
                return Some(Effect::Ack { input, token });
            }
            if let Entry::Effect(effect) = self.entries.pop_front()? {
                if self.entries.is_empty() && self.entries.capacity() > 64 {
                    self.entries.shrink_to(64);
                }
                return Some(effect);
            }
        }
    }
}
