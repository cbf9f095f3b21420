//! A component whose messages outlive its process: what has arrived is written down, and acked as soon as that is
//! durable, long before its window ends.
//!
//! The broker is done with a message then, however long its window is, and a component that comes back is given what
//! was written down before anything else: the same messages in the same order, so that its windows are what they were.
//! An entry goes when all that was made of its message has been accepted, that is when the message would be acked if
//! nothing were written down.
//!
//! A message that the broker gives again, because the ack was lost, is known by its id and acked once more. One that
//! neither broker nor producer named can't be known again.
//!
//! Because messages are kept as they came and not what was made of them, any edit of a component's expressions and
//! windows finds what it needs. Only an input that is no longer read leaves messages behind that can go nowhere: that
//! is refused, by name.

mod entry;
mod journal;

use crate::component::{Component, Config, Effect, Incoming, Role, SendId};
use crate::counters::Counters;
use crate::delivery::Answer;
use crate::state::{State, StateError};
use crate::time::Time;
use journal::Journal;

/// Where a component's messages are kept.
#[derive(Debug)]
pub struct Kept {
    /// The store; nobody else writes to it.
    pub state: Box<dyn State>,
    /// What the inputs are called, the same after a restart and whatever their order.
    pub inputs: Vec<String>,
}

/// A [`Component`] that may keep its messages. What it has no word for here is as there.
pub struct Durable {
    component: Component,
    journal: Option<Journal>,
    failure: Option<StateError>,
    /// When it was last called.
    now: Time,
}

impl Durable {
    /// A component at the start of a process, with what an earlier one kept. Without `kept` messages are held by
    /// their brokers until they are done with, and this is a component like any other.
    ///
    /// # Errors
    /// The store can't be read, or has messages of an input that is not there any more.
    pub fn new(config: Config, kept: Option<Kept>, now: Time) -> Result<Durable, StateError> {
        let max_bytes = config.max_message_bytes;
        let budget = config.memory_budget;
        let open = |kept| Journal::open(kept, max_bytes, budget);
        let mut journal = kept.map(open).transpose()?;
        let settled = journal.as_ref().map(Journal::settled).transpose()?.flatten();
        let looks_back = match &config.role {
            Role::Join(spec) => spec.looks_back().map(str::to_owned),
            Role::Map(_) | Role::Relay { .. } => None,
        };
        let mut component = Component::new(Config { settled, ..config });
        if let Some(journal) = &mut journal {
            component.spill_to(journal.store())?;
            if let Some(meaning) = looks_back {
                let (store, prefix) = journal.past(&meaning)?;
                component.look_back_at(store, prefix);
            }
            journal.replay(|message| {
                component.message(message, now);
                component.failure().cloned().map_or(Ok(()), Err)
            })?;
        }
        Ok(Durable {
            component,
            journal,
            failure: None,
            now,
        })
    }

    /// Why nothing can be kept any more. What was not acked by then never is: the runner drops all of this, and
    /// begins anew when the store can be opened again. Until it does nothing goes on: what windows hold may be a part of
    /// what they should.
    pub fn failure(&self) -> Option<&StateError> {
        self.failure.as_ref().or_else(|| self.component.failure())
    }

    /// A message has arrived.
    pub fn message(&mut self, message: Incoming<'_>, now: Time) {
        self.now = now;
        if self.failure().is_some() {
            return;
        }
        let Some(journal) = &mut self.journal else {
            return self.component.message(message, now);
        };
        match journal.keep(&message, now) {
            Ok(Some(number)) => {
                // What nobody named has a name from now on.
                let own = number.to_string();
                let position = if message.position.is_empty() {
                    &own
                } else {
                    message.position
                };
                let kept = Incoming {
                    token: number,
                    position,
                    ..message
                };
                self.component.message(kept, now);
            }
            Ok(None) => {}
            Err(error) => self.fail(error),
        }
    }

    /// See [`Component::recovered`].
    pub fn recovered(&mut self, input: usize, now: Time) {
        self.now = now;
        if self.failure().is_none() {
            self.component.recovered(input, now);
        }
    }

    /// See [`Component::unreachable`].
    pub fn unreachable(&mut self, input: usize, away: bool, now: Time) {
        self.now = now;
        self.component.unreachable(input, away, now);
    }

    /// See [`Component::answered`].
    pub fn answered(&mut self, send: SendId, answer: Answer, now: Time) {
        self.now = now;
        self.component.answered(send, answer, now);
    }

    /// See [`Component::made_of`]. None where messages are kept: they are acked before anything is made of them.
    pub fn made_of(&self, send: SendId, most: usize) -> Vec<(usize, u64)> {
        match self.journal {
            Some(_) => Vec::new(),
            None => self.component.made_of(send, most),
        }
    }

    /// See [`Component::timeout`].
    pub fn timeout(&mut self, now: Time) {
        self.now = now;
        if self.failure().is_some() {
            return;
        }
        self.component.timeout(now);
        let due = self.journal.as_ref().and_then(Journal::due);
        if due.is_some_and(|due| due <= now) {
            self.sync();
        }
    }

    /// See [`Component::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.failure().is_some() {
            return None;
        }
        let sync = self.journal.as_ref().and_then(Journal::due);
        self.component.poll_timeout().into_iter().chain(sync).min()
    }

    /// See [`Component::flush`]; what has arrived is durable afterwards.
    pub fn flush(&mut self, now: Time) {
        self.now = now;
        if self.failure().is_none() {
            self.component.flush(now);
            self.sync();
        }
    }

    /// See [`Component::poll_effect`].
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let Some(journal) = &mut self.journal else {
            return self.component.poll_effect();
        };
        if self.failure.is_none()
            && self.component.failure().is_none()
            && let Some((input, token)) = journal.next_ack()
        {
            return Some(Effect::Ack { input, token });
        }
        while let Some((_, first, count)) = self.component.poll_acks() {
            journal.done(first, count);
        }
        let effect = self.component.poll_effect();
        // All acks of a window come without a pause: its messages go together or not at all.
        if effect.is_none() && journal.is_done_with_any() {
            if let Err(error) = self.component.keep_past(journal.settled_durably()) {
                self.fail(error);
                return None;
            }
            journal.settle(self.component.settled(), self.now);
        }
        effect
    }

    /// See [`Component::counters`].
    pub fn counters(&self) -> &Counters {
        self.component.counters()
    }

    /// Whether nothing is held, neither in memory nor by the broker.
    pub fn is_idle(&self) -> bool {
        self.component.is_idle() && self.journal.as_ref().is_none_or(Journal::is_settled)
    }

    /// Makes durable what has arrived, as when the process ends: it is acked by what [`Durable::poll_effect`] gives next.
    pub fn sync(&mut self) {
        if let Some(journal) = &mut self.journal
            && self.failure.is_none()
            && let Err(error) = journal.sync()
        {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: StateError) {
        self.failure.get_or_insert(error);
    }
}
