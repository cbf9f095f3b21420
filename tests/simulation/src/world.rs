//! The component between a broker and recipients that have their troubles, on virtual time.
//!
//! What is done next is drawn from the seed: a message is delivered, a recipient answers (or asks again, refuses, answers
//! twice), time passes. The component dies after the steps that the case says; the broker then gives it again what it has
//! not acked. Acks that come in one go are one step, as they are one command to a broker: no death comes between those of a
//! window.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streaming_engine::component::{Config, Effect, Incoming, InputConfig, Role, SendId, Target};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::state::MemoryDisk;
use streaming_engine::time::Time;

use crate::Stats;
use crate::case::{Broker, Case, NAMES};
use crate::judge::{canonical, text};
use crate::oracle::{self, Row};

const MQTT_RECEIVE_MAXIMUM: usize = 20;
const MAX_STEPS: u64 = 1_000_000;

/// One run.
pub struct World<'a> {
    pub(crate) case: &'a Case,
    config: Config,
    /// What a life leaves to the next.
    disk: MemoryDisk,
    pub(crate) component: Durable,
    random: SmallRng,
    now: Time,
    /// By input: messages that were not delivered yet.
    waiting: Vec<VecDeque<usize>>,
    /// By input, in the order of delivery: messages that the broker has no ack for.
    unacked: Vec<Vec<Unacked>>,
    paused: Vec<bool>,
    /// How many unacked messages each input may have.
    limits: Vec<usize>,
    in_flight: Vec<(SendId, Target, Arc<Event>)>,
    pub(crate) expected: Vec<Row>,
    /// By output and row: the ids it was accepted under.
    pub(crate) accepted: BTreeMap<(usize, String), BTreeSet<String>>,
    pub(crate) refused: BTreeSet<(usize, String)>,
    pub(crate) dead: BTreeSet<String>,
    ids: BTreeMap<String, String>,
    steps: u64,
    crashes: VecDeque<u64>,
    pub(crate) stats: Stats,
    trace: bool,
}

struct Unacked {
    message: usize,
    attempts: u32,
    /// The component has acked it, and the protocol has not: MQTT acks in order.
    done: bool,
}

/// What ends a life.
enum End {
    Crash,
    Wrong(String),
}

impl From<String> for End {
    fn from(why: String) -> End {
        End::Wrong(why)
    }
}

impl<'a> World<'a> {
    /// A world at its start.
    ///
    /// # Errors
    /// The engine does not take the pipeline.
    pub fn new(case: &'a Case, seed: u64, trace: bool) -> Result<World<'a>, String> {
        let spec =
            JoinSpec::compile(&case.query()).map_err(|errors| format!("does not compile: {errors:?}"))?;
        let inputs: Vec<InputConfig> = case
            .brokers
            .iter()
            .map(|_| InputConfig {
                cluster_stream: "cs".to_owned(),
                max_deliveries: 0,
            })
            .collect();
        let config = Config::new(
            "uid",
            "/simulation",
            Role::Join(Box::new(spec)),
            inputs,
            case.outputs,
        );
        let of = |input: usize| {
            (0..case.messages.len()).filter(move |message| case.messages[*message].input == input)
        };
        let limit = |broker: &Broker| match broker {
            Broker::Redis => usize::MAX,
            Broker::Rabbit(prefetch) => *prefetch,
            Broker::Mqtt => MQTT_RECEIVE_MAXIMUM,
        };
        let disk = MemoryDisk::default();
        Ok(World {
            component: start(case, &config, &disk, Time(0))?,
            disk,
            config,
            random: SmallRng::seed_from_u64(seed ^ 0x5eed),
            now: Time(0),
            waiting: (0..case.brokers.len()).map(|input| of(input).collect()).collect(),
            unacked: case.brokers.iter().map(|_| Vec::new()).collect(),
            paused: vec![false; case.brokers.len()],
            limits: case.brokers.iter().map(limit).collect(),
            in_flight: Vec::new(),
            expected: oracle::rows(case),
            accepted: BTreeMap::new(),
            refused: BTreeSet::new(),
            dead: BTreeSet::new(),
            ids: BTreeMap::new(),
            steps: 0,
            crashes: case.crashes.iter().copied().collect(),
            stats: Stats::default(),
            trace,
            case,
        })
    }

    /// Runs it to its end and judges it.
    ///
    /// # Errors
    /// What went otherwise than it must.
    pub fn run(mut self) -> Result<Stats, String> {
        let mut life = self.start();
        loop {
            match life {
                Err(End::Wrong(why)) => return Err(why),
                Err(End::Crash) => {
                    self.stats.crashes += 1;
                    self.say(|| "death".to_owned());
                    life = self.start();
                    continue;
                }
                Ok(()) => {}
            }
            let acked = self.waiting.iter().all(VecDeque::is_empty) && self.unacked.iter().all(Vec::is_empty);
            if acked && (!self.case.kept || self.component.is_idle()) {
                break;
            }
            life = self.act();
        }
        // A window may be open still, all of whose messages were kept out.
        self.component.flush(self.now);
        while let Some(effect) = self.component.poll_effect() {
            if !matches!(effect, Effect::Window(_)) {
                return Err(format!("out of nothing: {effect:?}"));
            }
        }
        self.judge()?;
        self.stats.messages = self.case.messages.len() as u64;
        self.stats.rows = self.expected.len() as u64;
        Ok(self.stats)
    }

    /// A life begins: what was not acked comes again, before anything else.
    fn start(&mut self) -> Result<(), End> {
        self.component = start(self.case, &self.config, &self.disk, self.now)?;
        self.in_flight.clear();
        for input in 0..self.case.brokers.len() {
            self.paused[input] = false;
            let mut again = std::mem::take(&mut self.unacked[input]);
            for each in &mut again {
                each.done = false;
                each.attempts += 1;
            }
            let attempts: Vec<(usize, u32)> =
                again.iter().map(|each| (each.message, each.attempts)).collect();
            self.unacked[input] = again;
            for (message, attempts) in attempts {
                self.hand_in(message, attempts);
                self.carry_out()?;
            }
        }
        for input in 0..self.case.brokers.len() {
            self.component.recovered(input, self.now);
        }
        self.carry_out()
    }

    /// For who looks at one seed.
    #[allow(clippy::print_stdout)]
    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>5} {} {}", self.steps, self.now, what());
        }
    }

    fn hand_in(&mut self, message: usize, attempts: u32) {
        let of = &self.case.messages[message];
        self.say(|| {
            format!(
                "message {message} of {} at {}, {attempts} attempts: {}",
                of.input, of.at, of.payload
            )
        });
        self.component.message(
            Incoming {
                input: of.input,
                token: message as u64,
                position: &message.to_string(),
                received: if self.case.event_time {
                    self.now
                } else {
                    Time(of.at)
                },
                attempts,
                topic: "t",
                key: None,
                payload: of.payload.as_bytes(),
            },
            self.now,
        );
    }

    /// One thing happens.
    fn act(&mut self) -> Result<(), End> {
        self.step()?;
        if self.steps > MAX_STEPS {
            return Err(End::Wrong("it does not come to rest".to_owned()));
        }
        let deliverable: Vec<usize> = (0..self.waiting.len())
            .filter(|input| !self.paused[*input] && self.unacked[*input].len() < self.limits[*input])
            .filter(|input| self.next_arrival(*input).is_some())
            .collect();
        match self.random.random_range(0..10) {
            0..4 if !deliverable.is_empty() => {
                let input = deliverable[self.random.random_range(0..deliverable.len())];
                self.deliver(input)?;
            }
            4..8 if !self.in_flight.is_empty() => self.answer()?,
            8 => {
                let until = self.now.plus(self.random.random_range(0..2_000));
                self.pass(until)?;
            }
            _ if deliverable.is_empty() && self.in_flight.is_empty() => self.rest()?,
            _ => {}
        }
        self.carry_out()
    }

    /// Without event time messages come when they are received, over all inputs in order.
    fn next_arrival(&self, input: usize) -> Option<usize> {
        let next = *self.waiting[input].front()?;
        let first = self.case.event_time || self.waiting.iter().flatten().all(|other| *other >= next);
        first.then_some(next)
    }

    fn deliver(&mut self, input: usize) -> Result<(), End> {
        if !self.case.event_time
            && let Some(next) = self.waiting[input].front()
        {
            let at = Time(self.case.messages[*next].at);
            self.elapse(at)?;
        }
        if let Some(message) = self.waiting[input].pop_front() {
            self.unacked[input].push(Unacked {
                message,
                attempts: 0,
                done: false,
            });
            self.hand_in(message, 0);
        }
        Ok(())
    }

    /// Time passes, but not past when the next message is received.
    fn pass(&mut self, until: Time) -> Result<(), End> {
        let next = self.waiting.iter().flatten().min();
        let bound = next.filter(|_| !self.case.event_time);
        let bound = bound.map_or(Time::MAX, |next| Time(self.case.messages[*next].at));
        self.elapse(until.min(bound))
    }

    fn elapse(&mut self, until: Time) -> Result<(), End> {
        while let Some(due) = self.component.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.component.timeout(self.now);
            self.step()?;
            self.carry_out()?;
            if self.steps > MAX_STEPS {
                return Err(End::Wrong("a timeout that is never over".to_owned()));
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Nothing can be delivered and nothing is in flight.
    fn rest(&mut self) -> Result<(), End> {
        if self.waiting.iter().all(VecDeque::is_empty) {
            if let Some(due) = self.component.poll_timeout() {
                return self.pass(due);
            }
            self.component.flush(self.now);
            return Ok(());
        }
        // Without event time a message that must wait would be another window's.
        if let Some(due) = self.component.poll_timeout().filter(|_| self.case.event_time) {
            return self.pass(due.max(self.now.plus(1)));
        }
        // A window holds more than the protocol lets be unacked: such a plan is refused, so it is given more here.
        for (input, limit) in self.limits.iter_mut().enumerate() {
            if self.unacked[input].len() >= *limit {
                *limit *= 2;
                return Ok(());
            }
        }
        Err(End::Wrong(format!("stuck: paused {:?}", self.paused)))
    }

    fn answer(&mut self) -> Result<(), End> {
        let pick = self.random.random_range(0..self.in_flight.len());
        let (id, to, event) = self.in_flight.swap_remove(pick);
        let content = canonical(&event)?;
        let answer = match (self.random.random_range(0..12), to) {
            (0..2, _) => Answer::Retry("busy".to_owned()),
            (2, Target::Output(output)) => {
                self.refused.extend(content.into_iter().map(|row| (output, row)));
                Answer::Drop("no".to_owned())
            }
            (_, Target::Output(output)) => {
                for row in content {
                    let ids = self.accepted.entry((output, row)).or_default();
                    ids.insert(event.id.clone());
                }
                Answer::Accepted
            }
            (_, Target::DeadLetter(_)) => {
                self.dead.extend(content);
                Answer::Accepted
            }
            (_, Target::Late) => {
                return Err(End::Wrong(
                    "a message is late that is within the bound".to_owned(),
                ));
            }
        };
        self.stats.deliveries += 1;
        self.say(|| format!("{to:?} answers {answer:?} to {}", text(&event.data())));
        // The recipient has it; whether the component ever learns that is another matter.
        self.step()?;
        self.component.answered(id, answer.clone(), self.now);
        if self.random.random_bool(0.1) {
            self.component.answered(id, answer, self.now);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), End> {
        self.steps += 1;
        if self.crashes.front().is_some_and(|crash| *crash <= self.steps) {
            self.crashes.pop_front();
            return Err(End::Crash);
        }
        Ok(())
    }

    fn carry_out(&mut self) -> Result<(), End> {
        let mut acking = false;
        let bounds_hold = self.bounds_hold();
        while let Some(effect) = self.component.poll_effect() {
            if let Effect::Ack { input, token } = effect {
                self.ack(input, usize::try_from(token).unwrap_or(usize::MAX))?;
                acking = true;
                continue;
            }
            if std::mem::take(&mut acking) {
                self.step()?;
            }
            match effect {
                Effect::Send { id, to, event, .. } => {
                    let data = self.named(&event)?;
                    let known = self
                        .ids
                        .entry(format!("{} {to:?}", event.id))
                        .or_insert_with(|| data.clone());
                    if *known != data && bounds_hold {
                        return Err(End::Wrong(format!("id {} names {known} and {data}", event.id)));
                    }
                    self.say(|| format!("send {} to {to:?}: {}", event.id, text(&event.data())));
                    self.in_flight.push((id, to, event));
                }
                Effect::Pause { input } => self.paused[input] = true,
                Effect::Resume { input } => self.paused[input] = false,
                Effect::OverBudget(over) => return Err(End::Wrong(format!("over budget: {over:?}"))),
                Effect::Ack { .. } | Effect::Window(_) => {}
            }
        }
        Ok(())
    }

    /// The component acks a message: all that was made of it must have been accepted by every recipient.
    fn ack(&mut self, input: usize, message: usize) -> Result<(), End> {
        let Some(unacked) = self.unacked[input]
            .iter_mut()
            .find(|each| each.message == message && !each.done)
        else {
            return Err(End::Wrong(format!("{message} is acked twice")));
        };
        unacked.done = true;
        self.say(|| format!("ack {message} of {input}"));
        // What is kept is acked before anything is made of it.
        let checked = self.bounds_hold() && !self.case.kept;
        for row in self.expected.iter().filter(|row| row.of.contains(&message)) {
            for output in 0..self.case.outputs {
                if checked && !self.is_settled(output, &row.content.to_string()) {
                    return Err(End::Wrong(format!(
                        "{message} is acked before {} is accepted by {output}",
                        row.content
                    )));
                }
            }
        }
        let unacked = &mut self.unacked[input];
        if self.case.brokers[input] == Broker::Mqtt {
            let acked = unacked.iter().take_while(|each| each.done).count();
            unacked.drain(..acked);
        } else {
            unacked.retain(|each| !each.done);
        }
        Ok(())
    }
}

/// A life, with what the one before it kept.
fn start(case: &Case, config: &Config, disk: &MemoryDisk, now: Time) -> Result<Durable, String> {
    let kept = case.kept.then(|| Kept {
        state: disk.open(),
        inputs: NAMES[..case.brokers.len()]
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    });
    Durable::new(config.clone(), kept, now).map_err(|error| format!("can't start: {error}"))
}
