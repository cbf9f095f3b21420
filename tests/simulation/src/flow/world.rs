//! The component between brokers and recipients that have their troubles, on virtual time, as in [`crate::world`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use streaming_engine::component::{Config, Effect, Incoming, InputConfig, SendId, Target};
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::event::Event;
use streaming_engine::state::MemoryDisk;
use streaming_engine::time::Time;

use super::case::{Case, Kind, NAMES, Odd};
use super::oracle::Oracle;
use crate::Stats;
use crate::broker::Unacked;
use crate::case::Broker;
use crate::world::{End, MAX_STEPS, limit};

/// One run.
pub(crate) struct World<'a> {
    pub(crate) case: &'a Case,
    pub(crate) config: Config,
    disk: MemoryDisk,
    pub(crate) component: Durable,
    pub(crate) random: SmallRng,
    pub(crate) now: Time,
    /// By input: messages that were not delivered yet.
    pub(crate) waiting: Vec<VecDeque<usize>>,
    /// By input, in the order of delivery: messages that the broker has no ack for.
    pub(crate) unacked: Vec<Vec<Unacked>>,
    pub(crate) paused: Vec<bool>,
    pub(crate) limits: Vec<usize>,
    pub(crate) in_flight: Vec<(SendId, Target, Arc<Event>)>,
    /// What this life has to do.
    pub(crate) oracle: Oracle<'a>,
    /// What has been delivered in any life, in that order.
    pub(crate) delivered: Vec<usize>,
    /// By output: what was sent in this life, each once.
    pub(crate) sent: Vec<Vec<Value>>,
    /// In this life.
    pub(crate) tries: BTreeMap<SendId, Tries>,
    /// By output and content: the ids it was accepted under.
    pub(crate) accepted: BTreeMap<(usize, String), BTreeSet<String>>,
    pub(crate) refused: BTreeSet<(usize, String)>,
    /// What was refused, and is a dead letter.
    pub(crate) buried: BTreeSet<String>,
    /// Messages that are dead letters.
    pub(crate) dead: BTreeSet<usize>,
    pub(crate) ids: BTreeMap<String, String>,
    /// By message, of what is kept: what earlier lives were to make of it, and whether that could be nothing.
    pub(crate) chances: BTreeMap<usize, BTreeSet<String>>,
    pub(crate) spared: BTreeSet<usize>,
    pub(crate) steps: u64,
    crashes: VecDeque<u64>,
    pub(crate) stats: Stats,
    trace: bool,
}

/// How often something was sent.
#[derive(Clone, Copy)]
pub(crate) struct Tries {
    /// In this life.
    pub(crate) count: u32,
    /// In all, as far as the component knows.
    pub(crate) known: u32,
    /// When it may come again.
    pub(crate) due: Time,
}

impl<'a> World<'a> {
    /// A world at its start.
    pub(crate) fn new(case: &'a Case, seed: u64, trace: bool) -> Result<World<'a>, String> {
        let input = |_: &Broker| InputConfig {
            cluster_stream: "cs".to_owned(),
            max_deliveries: case.max_deliveries,
        };
        let inputs: Vec<InputConfig> = case.brokers.iter().map(input).collect();
        let mut config = Config::new("uid", "/simulation", case.role()?, inputs, case.outputs);
        config.outputs = vec![case.in_flight; case.outputs];
        let of = |input: usize| {
            (0..case.messages.len()).filter(move |message| case.messages[*message].input == input)
        };
        let disk = MemoryDisk::default();
        Ok(World {
            component: start(case, &config, &disk, Time(0))?,
            disk,
            config,
            random: SmallRng::seed_from_u64(seed ^ 0xf1_05eed),
            now: Time(0),
            waiting: (0..case.brokers.len()).map(|input| of(input).collect()).collect(),
            unacked: case.brokers.iter().map(|_| Vec::new()).collect(),
            paused: vec![false; case.brokers.len()],
            limits: case.brokers.iter().map(limit).collect(),
            in_flight: Vec::new(),
            oracle: Oracle::new(case),
            delivered: Vec::new(),
            sent: vec![Vec::new(); case.outputs],
            tries: BTreeMap::new(),
            accepted: BTreeMap::new(),
            refused: BTreeSet::new(),
            buried: BTreeSet::new(),
            dead: BTreeSet::new(),
            ids: BTreeMap::new(),
            chances: BTreeMap::new(),
            spared: BTreeSet::new(),
            steps: 0,
            crashes: case.crashes.iter().copied().collect(),
            stats: Stats::default(),
            trace,
            case,
        })
    }

    /// Runs it to its end and judges it.
    pub(crate) fn run(mut self) -> Result<Stats, String> {
        let mut life = self.start();
        loop {
            match life {
                Err(End::Wrong(why)) => return Err(why),
                Err(End::Crash) => {
                    self.stats.crashes += 1;
                    self.say(|| "death".to_owned());
                    self.judge_life(false)?;
                    life = self.start();
                    continue;
                }
                Ok(()) => {}
            }
            if self.is_over() {
                break;
            }
            life = self.act();
        }
        // What collects is open still, with nothing in it.
        self.component.flush(self.now);
        while let Some(effect) = self.component.poll_effect() {
            if !matches!(effect, Effect::Window(_)) {
                return Err(format!("out of nothing: {effect:?}"));
            }
        }
        self.judge_life(true)?;
        self.judge()?;
        self.stats.messages = self.case.messages.len() as u64;
        self.stats.rows = self.oracle.made.len() as u64;
        Ok(self.stats)
    }

    /// Whether all is done with, but for what tables have.
    fn is_over(&self) -> bool {
        let is_latest = |message: usize| {
            self.oracle
                .tables
                .iter()
                .any(|table| table.values().any(|other| *other == message))
        };
        let mut unacked = self.unacked.iter().flatten().filter(|each| !each.done);
        let acked = self.waiting.iter().all(VecDeque::is_empty)
            && self.in_flight.is_empty()
            && unacked.all(|each| is_latest(each.message));
        acked && (!self.case.kept || self.component.is_idle())
    }

    /// A life begins: what was not acked comes again, before anything else.
    fn start(&mut self) -> Result<(), End> {
        self.component = start(self.case, &self.config, &self.disk, self.now)?;
        self.in_flight.clear();
        self.tries.clear();
        self.sent.iter_mut().for_each(Vec::clear);
        self.oracle = Oracle::new(self.case);
        if self.case.kept {
            // Of what was kept all may be given again, and at least what was not done with.
            for message in self.delivered.clone() {
                self.oracle.arrive(message, 0, self.now.0);
            }
        }
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
                if !self.case.kept {
                    self.oracle.arrive(message, attempts, self.now.0);
                }
                self.hand_in(message, attempts);
                self.carry_out()?;
            }
        }
        self.oracle.recovered(self.now.0);
        for input in 0..self.case.brokers.len() {
            self.component.recovered(input, self.now);
        }
        self.settle()
    }

    pub(crate) fn deliver(&mut self, input: usize) -> Result<(), End> {
        if self.is_dated()
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
            self.delivered.push(message);
            self.oracle.arrive(message, 0, self.now.0);
            self.hand_in(message, 0);
        }
        self.settle()
    }

    fn hand_in(&mut self, message: usize, attempts: u32) {
        let of = &self.case.messages[message];
        self.say(|| {
            format!(
                "message {message} of {} at {}, {attempts} attempts: {}",
                of.input, of.at, of.payload
            )
        });
        let key = of.k.filter(|_| of.odd == Odd::Tombstone).map(|k| format!("k{k}"));
        let received = if self.case.bound.is_some() {
            self.now
        } else {
            Time(of.at)
        };
        self.component.message(
            Incoming {
                input: of.input,
                token: message as u64,
                position: &message.to_string(),
                received,
                attempts,
                topic: "t",
                key: key.as_deref(),
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
            .filter(|input| !self.waiting[*input].is_empty())
            .collect();
        match self.random.random_range(0..10) {
            0..4 if !deliverable.is_empty() => {
                let input = deliverable[self.random.random_range(0..deliverable.len())];
                self.deliver(input)
            }
            4..8 if !self.in_flight.is_empty() => self.answer(),
            8 => {
                let until = self.now.plus(self.random.random_range(0..2_000));
                self.pass(until)
            }
            _ if deliverable.is_empty() && self.in_flight.is_empty() => self.rest(),
            _ => Ok(()),
        }
    }

    /// Whether windows go by when messages are received.
    fn is_dated(&self) -> bool {
        let windowed = matches!(self.case.kind, Kind::Trigger { length: Some(_), .. });
        windowed && self.case.bound.is_none()
    }

    /// Time passes, but not past when the next message is received, where that says which window it is in.
    fn pass(&mut self, until: Time) -> Result<(), End> {
        let next = self.waiting.iter().flatten().min();
        let next = next
            .filter(|_| self.is_dated())
            .map(|next| Time(self.case.messages[*next].at));
        self.elapse(next.map_or(until, |next| next.min(until)))
    }

    fn elapse(&mut self, until: Time) -> Result<(), End> {
        while let Some(due) = self.component.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.oracle.pass(self.now.0);
            self.component.timeout(self.now);
            self.step()?;
            self.carry_out()?;
            if self.steps > MAX_STEPS {
                return Err(End::Wrong("a timeout that is never over".to_owned()));
            }
        }
        self.now = self.now.max(until);
        self.oracle.pass(self.now.0);
        self.carry_out()
    }

    /// All that is to be done at once is.
    pub(crate) fn settle(&mut self) -> Result<(), End> {
        self.carry_out()?;
        self.elapse(self.now)
    }

    /// Nothing can be delivered and nothing is in flight.
    fn rest(&mut self) -> Result<(), End> {
        let silent = self.waiting.iter().all(VecDeque::is_empty);
        if let Some(due) = self
            .component
            .poll_timeout()
            .filter(|_| silent || !self.is_dated())
        {
            return self.pass(due.max(self.now.plus(1)));
        }
        if silent {
            self.say(|| "flush".to_owned());
            self.oracle.flush();
            self.component.flush(self.now);
            return self.settle();
        }
        // What tables have is never acked, and what a trigger waits for may be as much.
        for (input, limit) in self.limits.iter_mut().enumerate() {
            if self.unacked[input].len() >= *limit {
                *limit *= 2;
                return Ok(());
            }
        }
        Err(End::Wrong(format!("stuck: paused {:?}", self.paused)))
    }

    pub(crate) fn carry_out(&mut self) -> Result<(), End> {
        let mut acking = false;
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
                Effect::Send {
                    id,
                    to,
                    event,
                    attempt,
                } => self.send((id, attempt), to, event)?,
                Effect::Pause { input } => self.paused[input] = true,
                Effect::Resume { input } => self.paused[input] = false,
                Effect::Window(_) => {}
                other => return Err(End::Wrong(format!("out of nothing: {other:?}"))),
            }
        }
        Ok(())
    }

    pub(crate) fn step(&mut self) -> Result<(), End> {
        self.steps += 1;
        if self.crashes.front().is_some_and(|crash| *crash <= self.steps) {
            self.crashes.pop_front();
            return Err(End::Crash);
        }
        Ok(())
    }

    /// For who looks at one seed.
    #[allow(clippy::print_stdout)]
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>5} {} {}", self.steps, self.now, what());
        }
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
