//! Beside a message's way: the trace that its broker's headers say it is part of. The engine reads what a message says itself;
//! what stands beside it waits here from when it is taken in until it is acked, and goes onto what is made of it.

use std::collections::HashMap;
use std::sync::Arc;

use streaming_engine::event::{Event, Trace};

use crate::broker::Message;

/// Of messages that are not acked yet, by input and token.
#[derive(Default)]
pub(crate) struct Beside(HashMap<(usize, u64), Arc<Trace>>);

impl Beside {
    /// A message is taken in.
    pub(crate) fn taken(&mut self, input: usize, message: &Message) {
        if let Some(trace) = &message.trace {
            self.0.insert((input, message.token), Arc::clone(trace));
        }
    }

    /// A message is acked.
    pub(crate) fn acked(&mut self, input: usize, token: u64) {
        if !self.0.is_empty() {
            self.0.remove(&(input, token));
        }
    }

    /// What is to be delivered, as part of the trace of the message that it was made of, unless that has said itself of which.
    /// `made_of` gives the messages that wait for it, so many of each input at most.
    pub(crate) fn put_onto(
        &self,
        event: Arc<Event>,
        made_of: impl FnOnce(usize) -> Vec<(usize, u64)>,
    ) -> Arc<Event> {
        if self.0.is_empty() || event.trace.is_some() {
            return event;
        }
        let Some(trace) = made_of(1).first().and_then(|message| self.0.get(message)) else {
            return event;
        };
        Arc::new(Event {
            trace: Some(Box::new(Trace::clone(trace))),
            ..Event::clone(&event)
        })
    }
}
