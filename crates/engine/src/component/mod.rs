//! A component: one state machine from messages to effects, which a runner drives.
//!
//! The runner hands in what happens ([`Component::message`], [`Component::answered`], the passing of time) and
//! carries out what [`Component::poll_effect`] asks for. The files follow a message: [`intake`] decodes it and
//! hands it to the component's role, [`ordered`] lets it wait for earlier ones where windows go by when events
//! happened ([`clock`] says how far that is), [`windows`] holds it for a join, [`shipping`] gets what was made of it
//! accepted, and then it is acked. [`budget`] watches over what is held meanwhile, and [`spilling`]
//! lets windows outgrow memory.

mod acks;
mod budget;
mod clock;
mod config;
mod early;
mod effects;
mod intake;
mod late;
mod lookback;
mod ordered;
mod reorder;
mod seen;
mod sessions;
mod shipping;
mod spilling;
mod tables;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use config::{Config, Incoming, InputConfig, Role};
pub use effects::{Effect, OverBudget, SendId, Target};

use rustc_hash::FxHashMap;

use crate::ack::{GroupId, Handle, Ledger, Messages};
use crate::aggregate::Previous;
use crate::counters::{Counters, InputCounters};
use crate::delivery::{Answer, InFlight, Outbox};
use crate::id::Id;
use crate::join::{Closing, InputTime, OpenWindow, Table};
use crate::json::Decoder;
use crate::row::RowBuilder;
use crate::spill::Spill;
use crate::time::Time;
use crate::window::{Window, Windowing};
use acks::Unsettled;
use budget::Budget;
use clock::{Clock, Patience, START};
use early::{Left, Updated};
use effects::Effects;
use reorder::{Reorder, Ties};
use seen::Seen;
use sessions::Sessions;
use windows::{SLICE, Slot};

/// One component's state.
pub struct Component {
    uid: String,
    source: Arc<str>,
    role: Arc<Role>,
    /// The role again, but for while a message is with it.
    lent: Option<Arc<Role>>,
    inputs: Vec<Input>,
    row: RowBuilder,
    /// Windows in the order in which they close. Empty for other roles than joins.
    open: BTreeMap<Slot, OpenWindow>,
    /// The sessions among them.
    sessions: Sessions,
    /// Messages that wait for earlier ones.
    reorder: Reorder,
    /// In event time, those that are in windows.
    seen: Seen,
    /// By input: what others are looked up in, empty for inputs that are none.
    tables: Vec<Table>,
    /// Event time; `None` in receipt time.
    clock: Option<Clock>,
    /// Messages in more than one window, and in how many of them they are still needed.
    shares: FxHashMap<Handle, u32>,
    /// Whether a message may be in several windows.
    overlap: bool,
    /// The end of the last window that closed in this life.
    closed: Time,
    unsettled: Unsettled,
    /// Where windows are done with in their order: those whose results are accepted, but not all of those before them.
    settling: BTreeMap<(Time, GroupId), Messages>,
    /// Windows that ended by then were done with in an earlier life.
    settled: Time,
    /// What was sent of groups whose windows are open.
    updated: Updated,
    /// What has left sessions that are open.
    left: Left,
    /// When those that have changed are sent.
    update_at: Option<Time>,
    /// What `previous` reads.
    previous: Previous,
    /// Whether late messages are sent on.
    keeps_late: bool,
    /// When it was last called.
    now: Time,
    /// Whether it was reported that it holds too much and goes on all the same.
    stuck: bool,
    /// What the windows' keys are hashed with.
    seed: u64,
    /// The window that is being joined.
    closing: Option<Closing>,
    /// Where windows go that outgrow memory.
    spill: Option<Spill>,
    /// Bytes that sessions have gathered since they were written.
    gathered: u64,
    /// Bytes of events that are on their way.
    in_flight: u64,
    /// The window of the last message.
    latest: Window,
    ledger: Ledger,
    /// Recipients first, then the dead-letter topic of each input, then where late messages go.
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
            late,
            settled,
            memory_budget,
            max_message_bytes,
            backoff,
            seed,
        } = config;
        let mut outboxes: Vec<Outbox> = match &role {
            // A relay's recipient is the component's own container, by each input's route: each has its own order.
            Role::Relay { concurrency } => {
                let relay = |input: &InputConfig| {
                    Outbox::concurrent(backoff, *concurrency as usize, input.max_deliveries)
                };
                inputs.iter().map(relay).collect()
            }
            Role::Join(_) | Role::Map(_) => {
                let most = inputs.first().map_or(0, |input| input.max_deliveries);
                let output = |limit: &InFlight| Outbox::ordered(backoff, *limit, most);
                outputs.iter().map(output).collect()
            }
        };
        let recipients = outboxes.len();
        // Dead letters and late messages go to topics, as long as it takes.
        let topic = || Outbox::ordered(backoff, InFlight::TOPIC, 0);
        outboxes.extend(std::iter::repeat_with(topic).take(inputs.len() + 1));
        let times = match &role {
            Role::Join(spec) => spec.times(),
            Role::Map(_) | Role::Relay { .. } => None,
        };
        let patience = |time: &InputTime| Patience {
            out_of_orderness: time.out_of_orderness,
            idle_timeout: time.idle_timeout,
        };
        let settled = settled.unwrap_or(START);
        let overlap = matches!(&role, Role::Join(spec) if matches!(spec.windows(), Windowing::Hopping(_)));
        let looks_back = matches!(&role, Role::Join(spec) if spec.looks_back().is_some());
        let clock = times.map(|times| Clock::new(times.iter().map(|time| time.as_ref().map(patience))));
        Component {
            uid,
            source: source.into(),
            row: RowBuilder::default(),
            open: BTreeMap::new(),
            sessions: Sessions::new(),
            reorder: Reorder::new(if clock.is_some() {
                Ties::ById
            } else {
                Ties::AsTheyCame
            }),
            seen: Seen::default(),
            clock,
            shares: FxHashMap::default(),
            tables: inputs.iter().map(|_| Table::default()).collect(),
            closed: START,
            unsettled: Unsettled::new(overlap || looks_back),
            overlap,
            settling: BTreeMap::new(),
            settled,
            updated: Updated::new(),
            left: Left::new(),
            update_at: None,
            previous: Previous::default(),
            keeps_late: late,
            now: Time(i64::MIN),
            stuck: false,
            seed,
            closing: None,
            spill: None,
            gathered: 0,
            in_flight: 0,
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
            lent: None,
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
            let before = std::mem::replace(&mut input.recovered, true);
            if !before
                && self.live()
                && let Some(clock) = &mut self.clock
            {
                // Not before: by what had settled, what is given again would be taken out of its order.
                clock.raise(self.settled);
                clock.start(now);
            }
        }
        self.timeout(now);
    }

    /// The runner can't read an input because its broker is gone, or can again. Its silence meanwhile is nothing that
    /// the input says: in event time it is waited for.
    pub fn unreachable(&mut self, input: usize, away: bool, now: Time) {
        if let Some(clock) = &mut self.clock {
            clock.lose(input, away, now);
        }
    }

    /// A recipient has answered a [`Effect::Send`]. An answer to something that was answered before is ignored.
    pub fn answered(&mut self, send: SendId, answer: Answer, now: Time) {
        self.now = now;
        self.settle_answer(send, answer, now);
        self.mind_budget();
    }

    /// Time has passed. To be called when [`Component::poll_timeout`] is reached; earlier does no harm. A window
    /// that takes long to join is not finished by one call: [`Component::poll_timeout`] asks for another one at
    /// once, so that the runner can look at other things in between.
    pub fn timeout(&mut self, now: Time) {
        self.now = now;
        if self.live() {
            self.elapse(now);
            let until = self.clock.as_ref().map_or(now, Clock::watermark);
            self.progress(until, now, SLICE);
            self.send_updates(now);
        }
        for outbox in 0..self.outboxes.len() {
            self.pump(outbox, now);
        }
        self.mind_budget();
    }

    /// When [`Component::timeout`] has to be called next, if at all.
    pub fn poll_timeout(&self) -> Option<Time> {
        let retry = self.outboxes.iter().filter_map(Outbox::next_retry).min();
        let window = if !self.live() {
            None
        } else if self.is_due() {
            Some(self.now)
        } else if let Some(clock) = &self.clock {
            let holds = !self.open.is_empty() || !self.reorder.is_empty();
            clock.deadline().filter(|_| holds)
        } else {
            let end = self.open.keys().next().map(|slot| slot.end);
            end.filter(|end| *end < Time::MAX)
        };
        let window = window
            .into_iter()
            .chain(self.update_at.filter(|_| self.live()))
            .min();
        window.into_iter().chain(retry).min()
    }

    /// Closes all windows now, as when no more messages come.
    pub fn flush(&mut self, now: Time) {
        self.now = now;
        let end = self.last_end();
        if let (Some(clock), Some(end)) = (&mut self.clock, end) {
            clock.raise(end);
        }
        self.progress(Time::MAX, now, u64::MAX);
        self.mind_budget();
    }

    /// How far it is done, in event time, where windows overlap, and where each looks back at the one before: windows that ended by
    /// then have closed, and their results are accepted. Who keeps this together with what is acked can give it to the next life as
    /// [`Config::settled`]: windows that overlap share messages, and one that is done with is not to be made again from those that
    /// others still need.
    pub fn settled(&self) -> Option<Time> {
        let before = |end: Time| Time(end.0.saturating_sub(1));
        let done = self
            .unsettled
            .first()
            .map_or(self.closed, before)
            .min(self.closed);
        Some(done.max(self.settled)).filter(|done| *done > START)
    }

    /// What the runner has to do next; to be asked until `None`.
    #[inline]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        if self.effects.is_empty() {
            return None;
        }
        self.effects.poll()
    }

    /// The acks that are next of all effects, if any are: an input, and tokens that follow each other, as the first
    /// and how many.
    pub(crate) fn poll_acks(&mut self) -> Option<(usize, u64, u64)> {
        self.effects.poll_acks()
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether nothing is held: no window is open and nothing waits to be accepted.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.reorder.is_empty() && self.closing.is_none() && self.ledger.is_empty()
    }

    /// Whether all inputs have recovered.
    fn live(&self) -> bool {
        self.inputs.iter().all(|input| input.recovered)
    }
}
