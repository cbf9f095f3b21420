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
use serde_json::{Value, json};
use streaming_engine::component::{Component, Config, Effect, Incoming, InputConfig, Role, SendId, Target};
use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{Emit, JoinKind, Windows};
use streaming_engine::time::Time;

use crate::Stats;
use crate::case::{Broker, Case};
use crate::oracle::{self, Row};

const MQTT_RECEIVE_MAXIMUM: usize = 20;
const MAX_STEPS: u64 = 1_000_000;

/// One run.
pub struct World<'a> {
    case: &'a Case,
    config: Config,
    component: Component,
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
    expected: Vec<Row>,
    /// By output and row: the ids it was accepted under.
    accepted: BTreeMap<(usize, String), BTreeSet<String>>,
    refused: BTreeSet<(usize, String)>,
    dead: BTreeSet<String>,
    ids: BTreeMap<String, Vec<u8>>,
    steps: u64,
    crashes: VecDeque<u64>,
    stats: Stats,
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
    pub fn new(case: &'a Case, seed: u64) -> Result<World<'a>, String> {
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
        Ok(World {
            component: Component::new(config.clone()),
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
                    life = self.start();
                    continue;
                }
                Ok(()) => {}
            }
            if self.waiting.iter().all(VecDeque::is_empty) && self.unacked.iter().all(Vec::is_empty) {
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
        self.component = Component::new(self.config.clone());
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

    fn hand_in(&mut self, message: usize, attempts: u32) {
        let of = &self.case.messages[message];
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
                    let data = event.data().into_owned();
                    let known = self
                        .ids
                        .entry(format!("{} {to:?}", event.id))
                        .or_insert_with(|| data.clone());
                    if *known != data && bounds_hold {
                        return Err(End::Wrong(format!(
                            "id {} names {} and {}",
                            event.id,
                            text(known),
                            text(&data)
                        )));
                    }
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
        let bounds_hold = self.bounds_hold();
        for row in self.expected.iter().filter(|row| row.of.contains(&message)) {
            for output in 0..self.case.outputs {
                if bounds_hold && !self.is_settled(output, &row.content.to_string()) {
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

    fn is_settled(&self, output: usize, row: &str) -> bool {
        let at = (output, row.to_owned());
        self.accepted.contains_key(&at) || self.refused.contains(&at) && self.dead.contains(row)
    }

    /// Everything has come to rest.
    fn judge(&self) -> Result<(), String> {
        if !self.component.is_idle() || self.component.counters().held_bytes != 0 {
            return Err(format!(
                "something is still held: {:?}",
                self.component.counters()
            ));
        }
        if !self.bounds_hold() {
            return Ok(());
        }
        let expected: BTreeSet<String> = self.expected.iter().map(|row| row.content.to_string()).collect();
        if expected.len() != self.expected.len() {
            return Err("the oracle has a row twice".to_owned());
        }
        for row in &expected {
            if let Some(output) = (0..self.case.outputs).find(|output| !self.is_settled(*output, row)) {
                return Err(format!("{row} never came to {output}"));
            }
        }
        for ((_, row), ids) in &self.accepted {
            if !expected.contains(row) && self.is_exact() {
                return Err(format!("{row} should not have come"));
            }
            if ids.len() > 1 && self.is_exact() && self.names_last() {
                return Err(format!("{row} came as {ids:?}"));
            }
        }
        Ok(())
    }

    /// Whether windows are the same after a death. Those of sessions depend on their messages, of which MQTT gives again
    /// what it has no ack for yet.
    fn bounds_hold(&self) -> bool {
        let session = matches!(self.case.windows, Windows::Session { .. });
        self.stats.crashes == 0 || !session || !self.case.brokers.contains(&Broker::Mqtt)
    }

    /// Whether what comes again after a death is the same, so that no other row ever comes. It is not where a message may
    /// come again without those of its window that were acked: hopping windows share messages, MQTT acks in order. Then a
    /// row that says 'no match', or that counts, can be wrong; one that joins can't.
    fn is_exact(&self) -> bool {
        let whole = !matches!(self.case.windows, Windows::Hopping { .. })
            && !self.case.brokers.contains(&Broker::Mqtt);
        let monotonic = self.case.kind == JoinKind::Inner && !self.case.grouped;
        self.stats.crashes == 0 || whole || monotonic
    }

    /// Whether a row that comes again has the id that it had.
    fn names_last(&self) -> bool {
        let whole = !matches!(self.case.windows, Windows::Hopping { .. })
            && !self.case.brokers.contains(&Broker::Mqtt);
        self.stats.crashes == 0 || self.case.event_time && (whole || self.case.emit == Emit::Each)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An event's rows, as the oracle writes them.
fn canonical(event: &Event) -> Result<Vec<String>, String> {
    let value: Value =
        serde_json::from_slice(&event.data()).map_err(|error| format!("{error}: {}", text(&event.data())))?;
    let Value::Array(rows) = value else {
        return Err(format!("no rows: {value}"));
    };
    let rows = if rows.first().is_some_and(Value::is_array) {
        rows
    } else {
        vec![Value::Array(rows)]
    };
    rows.into_iter().map(row).collect()
}

fn row(row: Value) -> Result<String, String> {
    let Value::Array(mut fields) = row else {
        return Err(format!("no row: {row}"));
    };
    for field in fields.iter_mut().take(2) {
        let time = field
            .as_str()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok());
        *field = json!(time.ok_or_else(|| format!("no time: {field}"))?.as_microsecond());
    }
    if let Some(Value::Array(numbers)) = fields.last_mut() {
        numbers.sort_by_key(Value::as_u64);
    }
    Ok(Value::Array(fields).to_string())
}
