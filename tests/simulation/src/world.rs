//! The component between brokers and recipients that have their troubles, on virtual time.
//!
//! What is done next is drawn from the seed: a message is delivered, a recipient answers (or asks again, refuses, answers
//! twice), time passes. The component dies after the steps that the case says; the broker then gives it again what it has
//! not acked. Acks that come in one go are one step, as they are one command to a broker: no death comes between those of a
//! window. What is right is for a [`Judge`] to say.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streaming_engine::component::{Config, Effect, Incoming};
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::state::MemoryDisk;
use streaming_engine::time::Time;

use crate::Stats;
use crate::broker::{Broker, Brokers};
use crate::judge::{Judge, Sent, text};
use crate::message::Message;

const MAX_STEPS: u64 = 1_000_000;

/// What is run, and how.
// Each is a question of its own.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Setting<'a> {
    pub(crate) config: Config,
    /// By input.
    pub(crate) brokers: &'a [Broker],
    /// What inputs are called, and maybe more.
    pub(crate) names: &'static [&'static str],
    /// In the order in which brokers have them.
    pub(crate) messages: &'a [Message],
    /// Steps after which the component dies.
    pub(crate) crashes: &'a [u64],
    /// Whether the component keeps its messages, and acks them when that is durable.
    pub(crate) kept: bool,
    /// Whether messages say when they happened.
    pub(crate) event_time: bool,
    /// Whether when they are received says which windows they are in.
    pub(crate) dated: bool,
    /// Whether all that is due is done at once, and not some time later.
    pub(crate) prompt: bool,
    /// Whether there is so little memory that inputs may be paused.
    pub(crate) tight: bool,
    /// How many microseconds pass at once at most.
    pub(crate) pace: i64,
}

/// One run.
pub(crate) struct World<'a, J> {
    setting: Setting<'a>,
    /// What a life leaves to the next.
    disk: MemoryDisk,
    component: Durable,
    brokers: Brokers,
    on_the_way: Vec<Sent>,
    judge: J,
    random: SmallRng,
    now: Time,
    steps: u64,
    crashes: VecDeque<u64>,
    stats: Stats,
    trace: bool,
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

impl<'a, J: Judge> World<'a, J> {
    /// A world at its start.
    pub(crate) fn new(setting: Setting<'a>, judge: J, seed: u64, trace: bool) -> Result<Self, String> {
        let disk = MemoryDisk::default();
        Ok(World {
            component: start(&setting, &disk, Time(0))?,
            disk,
            brokers: Brokers::new(setting.brokers, setting.messages, setting.dated),
            on_the_way: Vec::new(),
            judge,
            random: SmallRng::seed_from_u64(seed),
            now: Time(0),
            steps: 0,
            crashes: setting.crashes.iter().copied().collect(),
            stats: Stats::default(),
            trace,
            setting,
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
                    self.judge.dies()?;
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
        // A window may be open still, with nothing in it or with what was kept out.
        self.component.flush(self.now);
        while let Some(effect) = self.component.poll_effect() {
            if !matches!(effect, Effect::Window(_)) {
                return Err(format!("out of nothing: {effect:?}"));
            }
        }
        self.stats.add(&self.judge.ends(&self.component, &self.brokers)?);
        self.stats.messages = self.setting.messages.len() as u64;
        Ok(self.stats)
    }

    /// Whether all is done with, but for what is held for good.
    fn is_over(&self) -> bool {
        self.brokers.is_silent()
            && self.on_the_way.is_empty()
            && self.brokers.unacked().all(|message| self.judge.stays(message))
            && (!self.setting.kept || self.component.is_idle())
    }

    /// A life begins: what was not acked comes again, before anything else.
    fn start(&mut self) -> Result<(), End> {
        self.component = start(&self.setting, &self.disk, self.now)?;
        self.on_the_way.clear();
        self.judge.begins(self.now);
        let inputs = self.setting.brokers.len();
        for input in 0..inputs {
            for (message, attempts) in self.brokers.again(input) {
                self.hand_in(message, attempts);
                self.carry_out()?;
            }
        }
        self.judge.recovers(self.now);
        for input in 0..inputs {
            self.component.recovered(input, self.now);
        }
        self.settle()
    }

    /// For who looks at one seed.
    #[allow(clippy::print_stdout)]
    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>5} {} {}", self.steps, self.now, what());
        }
    }

    fn hand_in(&mut self, message: usize, attempts: u32) {
        let of = &self.setting.messages[message];
        self.say(|| {
            format!(
                "message {message} of {} at {}, {attempts} attempts: {}",
                of.input, of.at, of.payload
            )
        });
        self.judge.arrives(message, attempts, self.now);
        let received = if self.setting.event_time {
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
                key: of.key().as_deref(),
                payload: of.payload.as_bytes(),
            },
            self.now,
        );
    }

    /// One thing happens.
    fn act(&mut self) -> Result<(), End> {
        self.step()?;
        let deliverable = self.brokers.deliverable();
        match self.random.random_range(0..10) {
            0..4 if !deliverable.is_empty() => {
                let input = deliverable[self.random.random_range(0..deliverable.len())];
                self.deliver(input)
            }
            4..8 if !self.on_the_way.is_empty() => self.answer(),
            8 => {
                let until = self.now.plus(self.random.random_range(0..self.setting.pace));
                self.pass(until)
            }
            _ if deliverable.is_empty() && self.on_the_way.is_empty() => self.rest(),
            _ => Ok(()),
        }
    }

    fn deliver(&mut self, input: usize) -> Result<(), End> {
        if let Some(next) = self.brokers.next_received() {
            self.elapse(Time(self.setting.messages[next].at))?;
        }
        if let Some(message) = self.brokers.deliver(input) {
            self.hand_in(message, 0);
        }
        self.settle()
    }

    fn answer(&mut self) -> Result<(), End> {
        let pick = self.random.random_range(0..self.on_the_way.len());
        let sent = self.on_the_way.swap_remove(pick);
        let roll = self.random.random_range(0..12);
        let answer = self.judge.answers(&sent, roll, self.now)?;
        self.stats.deliveries += 1;
        self.say(|| format!("{:?} answers {answer:?} to {}", sent.to, text(&sent.event)));
        // The recipient has it; whether the component ever learns that is another matter.
        self.step()?;
        self.component.answered(sent.id, answer.clone(), self.now);
        if self.random.random_bool(0.1) {
            self.component.answered(sent.id, answer, self.now);
        }
        self.settle()
    }

    /// Time passes, but not past when the next message is received, where that says which window it is in.
    fn pass(&mut self, until: Time) -> Result<(), End> {
        let next = self.brokers.next_received();
        let next = next.map(|next| Time(self.setting.messages[next].at));
        self.elapse(next.map_or(until, |next| next.min(until)))
    }

    fn elapse(&mut self, until: Time) -> Result<(), End> {
        while let Some(due) = self.component.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.judge.passes(self.now);
            self.component.timeout(self.now);
            self.step()?;
            self.carry_out()?;
        }
        self.now = self.now.max(until);
        self.judge.passes(self.now);
        self.carry_out()
    }

    /// Effects are carried out, and what is due is done if that is not left for later.
    fn settle(&mut self) -> Result<(), End> {
        self.carry_out()?;
        if self.setting.prompt {
            self.elapse(self.now)?;
        }
        Ok(())
    }

    /// Nothing can be delivered and nothing is on its way.
    fn rest(&mut self) -> Result<(), End> {
        let silent = self.brokers.is_silent();
        let due = self.component.poll_timeout();
        // By when it is received a message that must wait would be in another window.
        if let Some(due) = due.filter(|_| silent || !self.setting.dated) {
            return self.pass(due.max(self.now.plus(1)));
        }
        if silent {
            self.say(|| "flush".to_owned());
            self.judge.flushes();
            self.component.flush(self.now);
            return self.settle();
        }
        // A window, a table or what a trigger waits for may hold more than the protocol lets be unacked: such a plan is
        // refused, so it is given more here.
        if self.brokers.widen() {
            return Ok(());
        }
        // Whoever is waited for has no more to say, which only the end of a simulation brings about; it is not paused.
        if let Some(input) = self.brokers.under_way().filter(|_| self.setting.tight) {
            return self.deliver(input);
        }
        Err(End::Wrong("stuck: what is waited for is paused".to_owned()))
    }

    fn carry_out(&mut self) -> Result<(), End> {
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
                } => {
                    self.say(|| format!("send {} to {to:?}: {}", event.id, text(&event)));
                    let sent = Sent {
                        id,
                        to,
                        event,
                        attempt,
                    };
                    self.on_the_way.push(sent.clone());
                    self.judge.sends(&sent, &self.on_the_way, self.now)?;
                }
                Effect::Pause { input } => self.brokers.pause(input, true),
                Effect::Resume { input } => self.brokers.pause(input, false),
                Effect::OverBudget(_) if self.setting.tight => {}
                Effect::OverBudget(over) => return Err(End::Wrong(format!("over budget: {over:?}"))),
                Effect::Window(report) => self.say(|| format!("{report:?}")),
                Effect::Ack { .. } => {}
            }
        }
        Ok(())
    }

    fn ack(&mut self, input: usize, message: usize) -> Result<(), End> {
        self.say(|| format!("ack {message} of {input}"));
        if !self.brokers.ack(input, message) {
            return Err(End::Wrong(format!("{message} is acked twice")));
        }
        self.judge.acks(message).map_err(End::Wrong)
    }

    fn step(&mut self) -> Result<(), End> {
        self.steps += 1;
        if self.crashes.front().is_some_and(|crash| *crash <= self.steps) {
            self.crashes.pop_front();
            return Err(End::Crash);
        }
        if self.steps > MAX_STEPS {
            return Err(End::Wrong("it does not come to rest".to_owned()));
        }
        Ok(())
    }
}

/// A life, with what the one before it kept.
fn start(setting: &Setting<'_>, disk: &MemoryDisk, now: Time) -> Result<Durable, String> {
    let names = &setting.names[..setting.brokers.len()];
    let kept = setting.kept.then(|| Kept {
        state: disk.open(),
        inputs: names.iter().map(|name| (*name).to_owned()).collect(),
    });
    Durable::new(setting.config.clone(), kept, now).map_err(|error| format!("can't start: {error}"))
}
