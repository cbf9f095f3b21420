//! A component: one state machine from messages to effects, which a runner drives.
//!
//! The runner hands in what happens ([`Component::message`], [`Component::answered`], the passing of time) and
//! carries out what [`Component::poll_effect`] asks for. The files follow a message: [`intake`] decodes it and
//! hands it to the component's role, [`windows`] holds it for a join, [`shipping`] gets what was made of it
//! accepted, and then it is acked. [`budget`] watches over what is held meanwhile.

mod budget;
mod config;
mod effects;
mod intake;
mod shipping;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use config::{Config, Incoming, InputConfig, Role};
pub use effects::{Effect, OverBudget, SendId, Target};

use crate::ack::{GroupId, Ledger, Messages};
use crate::counters::{Counters, InputCounters};
use crate::delivery::{Answer, Outbox};
use crate::id::Id;
use crate::join::{Closing, OpenWindow};
use crate::json::Decoder;
use crate::row::RowBuilder;
use crate::time::Time;
use crate::window::Window;
use budget::Budget;
use effects::Effects;
use windows::SLICE;

/// One component's state.
pub struct Component {
    uid: String,
    source: Arc<str>,
    role: Arc<Role>,
    inputs: Vec<Input>,
    row: RowBuilder,
    /// Windows by their start. Empty for other roles than joins.
    open: BTreeMap<Time, OpenWindow>,
    /// What the windows' keys are hashed with.
    seed: u64,
    /// The window that is being joined.
    closing: Option<Closing>,
    /// The window of the last message.
    latest: Window,
    ledger: Ledger,
    /// Recipients first, then the dead-letter topic of each input.
    outboxes: Vec<Outbox>,
    recipients: usize,
    budget: Budget,
    effects: Effects,
    counters: Counters,
    /// Messages so far, to tell those apart that have no id.
    sequence: u64,
}

struct Input {
    cluster_stream: Arc<str>,
    /// The topic of the last message, and its id: nearly always that of the next one too.
    topic: (String, Id),
    max_deliveries: u32,
    decoder: Decoder,
    /// Whether what had been delivered before a crash has been redelivered.
    recovered: bool,
}

impl Input {
    fn topic(&mut self, topic: &str) -> Id {
        if self.topic.0 != topic {
            self.topic = (topic.to_owned(), Id::of_topic(&self.cluster_stream, topic));
        }
        self.topic.1
    }
}

impl Component {
    /// A component at the start of its life. Until [`Component::recovered`] was called for every input no window
    /// closes.
    pub fn new(config: Config) -> Component {
        let Config {
            uid,
            source,
            role,
            inputs,
            outputs,
            memory_budget,
            max_message_bytes,
            backoff,
            seed,
        } = config;
        // A relay's recipient is the component's own container, by each input's route: each has its own order.
        let (recipients, concurrency) = match &role {
            Role::Relay { concurrency } => (inputs.len(), *concurrency as usize),
            Role::Join(_) | Role::Map(_) => (outputs, 1),
        };
        let limit = |at: usize| inputs.get(at).map_or(0, |input| input.max_deliveries);
        let outbox = |at: usize| match &role {
            Role::Relay { .. } => Outbox::new(backoff, concurrency, limit(at)),
            Role::Join(_) | Role::Map(_) => Outbox::new(backoff, 1, limit(0)),
        };
        let mut outboxes: Vec<Outbox> = (0..recipients).map(outbox).collect();
        outboxes.extend(inputs.iter().map(|_| Outbox::new(backoff, 1, 0)));
        Component {
            uid,
            source: source.into(),
            row: RowBuilder::default(),
            open: BTreeMap::new(),
            seed,
            closing: None,
            latest: Window::default(),
            ledger: Ledger::default(),
            outboxes,
            recipients,
            budget: Budget::new(memory_budget, inputs.len()),
            effects: Effects::default(),
            counters: Counters {
                inputs: vec![InputCounters::default(); inputs.len()],
                ..Counters::default()
            },
            sequence: 0,
            inputs: inputs
                .into_iter()
                .map(|input| Input {
                    topic: (String::new(), Id::of_topic(&input.cluster_stream, "")),
                    cluster_stream: input.cluster_stream.into(),
                    max_deliveries: input.max_deliveries,
                    decoder: Decoder::new(max_message_bytes),
                    recovered: false,
                })
                .collect(),
            role: Arc::new(role),
        }
    }

    /// The runner has seen the end of what this input had been delivered, but had not acked, before the
    /// component started. From when all inputs have, windows close.
    pub fn recovered(&mut self, input: usize, now: Time) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.recovered = true;
        }
        self.timeout(now);
    }

    /// A recipient has answered a [`Effect::Send`]. An answer to something that was answered before is ignored.
    pub fn answered(&mut self, send: SendId, answer: Answer, now: Time) {
        self.settle_answer(send, answer, now);
        self.mind_budget();
    }

    /// Time has passed. To be called when [`Component::poll_timeout`] is reached; earlier does no harm. A window
    /// that takes long to join is not finished by one call: [`Component::poll_timeout`] asks for another one at
    /// once, so that the runner can look at other things in between.
    pub fn timeout(&mut self, now: Time) {
        if self.live() {
            self.close_windows(now, now, SLICE);
        }
        for outbox in 0..self.outboxes.len() {
            self.pump(outbox, now);
        }
        self.mind_budget();
    }

    /// When [`Component::timeout`] has to be called next, if at all.
    pub fn poll_timeout(&self) -> Option<Time> {
        let closing = self.closing.as_ref().map(Closing::bounds);
        let window = closing
            .or_else(|| self.open.values().next().map(OpenWindow::bounds))
            .filter(|_| self.live())
            .map(|window| window.end);
        let retry = self.outboxes.iter().filter_map(Outbox::next_retry).min();
        window.into_iter().chain(retry).min()
    }

    /// Closes all windows now, as when no more messages come.
    pub fn flush(&mut self, now: Time) {
        self.close_windows(Time::MAX, now, u64::MAX);
        self.mind_budget();
    }

    /// What the runner has to do next; to be asked until `None`.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.poll()
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether nothing is held: no window is open and nothing waits to be accepted.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.closing.is_none() && self.ledger.is_empty()
    }

    /// Whether all inputs have recovered.
    fn live(&self) -> bool {
        self.inputs.iter().all(|input| input.recovered)
    }

    /// Holds messages until what depends on them is accepted.
    fn hold(&mut self, messages: Messages) -> GroupId {
        self.budget.add(None, messages.bytes());
        self.ledger.open(messages)
    }

    /// One thing less depends on a group.
    fn release(&mut self, group: GroupId) {
        if let Some(messages) = self.ledger.settle(group) {
            self.budget.sub(None, messages.bytes());
            for (input, count) in messages.count() {
                self.counters.inputs[input].acked += count;
            }
            self.effects.ack(messages);
        }
    }

    /// Acks a message that nothing depends on.
    fn ack(&mut self, input: usize, token: u64) {
        self.counters.inputs[input].acked += 1;
        self.effects.push(Effect::Ack { input, token });
    }

    /// Pauses and resumes inputs by what is held.
    fn mind_budget(&mut self) {
        let Component {
            budget,
            effects,
            inputs,
            ..
        } = self;
        // What an input redelivers after a crash fitted before; to pause it could mean to wait for ever.
        budget.check(|input| inputs[input].recovered, |effect| effects.push(effect));
        self.counters.held_bytes = self.budget.held();
    }
}
