//! Delivery under faults: recipients that answer anything, and crashes at any point. Nothing is acked before all
//! that was made of it is accepted, and nothing is lost.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;
use streaming_engine::component::{Component, Config, Effect, Incoming, InputConfig, Role, SendId, Target};
use streaming_engine::delivery::{Answer, InFlight};
use streaming_engine::event::Event;
use streaming_engine::join::JoinSpec;
use streaming_engine::map::MapSpec;
use streaming_engine::query::{Emit, EventTime, Query, QueryInput, Windows};
use streaming_engine::time::Time;

const LENGTH: i64 = 1_000_000;

#[derive(Clone, Debug)]
struct Message {
    input: usize,
    received: Time,
    payload: String,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The next message arrives; before it, time passes to when it was received.
    Deliver,
    Pass(i64),
    /// One of the deliveries in flight is answered: accepted, to be retried, dropped.
    Answer(prop::sample::Index, u8),
    /// All in flight is accepted and the process dies. So many of the effects that this had were still carried out.
    Crash(usize),
}

/// A broker, recipients and the process between them.
struct World {
    config: Config,
    messages: Vec<Message>,
    /// By message: what must have been accepted before it is acked, by which outputs.
    owed: BTreeMap<usize, Vec<(Vec<usize>, String)>>,
    next: usize,
    now: Time,
    component: Component,
    in_flight: Vec<(SendId, Target, Arc<Event>)>,
    effects: VecDeque<Effect>,
    accepted: BTreeSet<(Target, String)>,
    dropped: BTreeSet<(Target, String)>,
    acked: BTreeSet<usize>,
    ids: BTreeMap<String, String>,
    order: Vec<(Target, String)>,
}

fn data(event: &Event) -> String {
    String::from_utf8_lossy(&event.data()).into_owned()
}

impl World {
    fn start(&mut self) {
        self.component = Component::new(self.config.clone());
        self.in_flight.clear();
        self.effects.clear();
        self.order.clear();
        for n in 0..self.next {
            if !self.acked.contains(&n) {
                self.hand_in(n, 1);
            }
        }
        for input in 0..self.config.inputs.len() {
            self.component.recovered(input, self.now);
        }
    }

    fn hand_in(&mut self, n: usize, attempts: u32) {
        let message = &self.messages[n];
        let incoming = Incoming {
            input: message.input,
            token: n as u64,
            position: &n.to_string(),
            received: message.received,
            attempts,
            topic: "t",
            key: None,
            payload: message.payload.as_bytes(),
        };
        self.component.message(incoming, self.now);
    }

    fn pass(&mut self, to: Time) -> Result<(), TestCaseError> {
        while let Some(due) = self.component.poll_timeout().filter(|due| *due <= to) {
            self.now = self.now.max(due);
            self.component.timeout(self.now);
            self.carry_out(usize::MAX)?;
        }
        self.now = self.now.max(to);
        Ok(())
    }

    fn carry_out(&mut self, count: usize) -> Result<(), TestCaseError> {
        for _ in 0..count {
            let Some(effect) = self.component.poll_effect() else {
                break;
            };
            match effect {
                Effect::Send { id, to, event, .. } => {
                    // A dead letter of a result says where it could not go, so it is another event.
                    let text = format!("{}{}", data(&event), u8::from(event.dead_letter.is_some()));
                    let known = self.ids.entry(event.id.clone()).or_insert_with(|| text.clone());
                    prop_assert_eq!(&*known, &text, "an id names one event, in every life");
                    self.in_flight.push((id, to, event));
                }
                Effect::Ack { token, .. } => self.check_ack(usize::try_from(token).unwrap())?,
                Effect::Pause { .. } | Effect::Resume { .. } | Effect::Window(_) | Effect::OverBudget(_) => {}
            }
        }
        Ok(())
    }

    fn check_ack(&mut self, n: usize) -> Result<(), TestCaseError> {
        prop_assert!(self.acked.insert(n), "{} acked twice", n);
        for (outputs, row) in self.owed.get(&n).into_iter().flatten() {
            for output in outputs {
                let target = Target::Output(*output);
                let accepted = self.accepted.contains(&(target, row.clone()));
                let letters =
                    [0, self.messages[n].input].map(|input| (Target::DeadLetter(input), row.clone()));
                let dead = self.dropped.contains(&(target, row.clone()))
                    && letters.iter().any(|letter| self.accepted.contains(letter));
                prop_assert!(
                    accepted || dead,
                    "{} acked before {} was accepted by {}",
                    n,
                    row,
                    output
                );
            }
            if outputs.is_empty() {
                let input = self.messages[n].input;
                let letter = (Target::DeadLetter(input), row.clone());
                prop_assert!(
                    self.accepted.contains(&letter),
                    "{} acked before its dead letter",
                    n
                );
            }
        }
        Ok(())
    }

    fn answer(&mut self, pick: usize, kind: u8) -> Result<(), TestCaseError> {
        let (id, to, event) = self.in_flight.remove(pick);
        let answer = match (kind, to) {
            (0..=1, _) => Answer::Retry("busy".to_owned()),
            (2, Target::Output(_)) => {
                self.dropped.insert((to, data(&event)));
                Answer::Drop("no".to_owned())
            }
            _ => {
                self.accepted.insert((to, data(&event)));
                self.order.push((to, data(&event)));
                Answer::Accepted
            }
        };
        self.component.answered(id, answer, self.now);
        self.carry_out(usize::MAX)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Deliver if self.next < self.messages.len() => {
                self.pass(self.messages[self.next].received)?;
                self.next += 1;
                self.hand_in(self.next - 1, 0);
                self.carry_out(usize::MAX)
            }
            Step::Pass(micros) => {
                // Not past the next message: in this world none is late.
                let next = self
                    .messages
                    .get(self.next)
                    .map_or(Time::MAX, |message| message.received);
                self.pass(self.now.plus(*micros).min(next))
            }
            Step::Answer(pick, kind) if !self.in_flight.is_empty() => {
                self.answer(pick.index(self.in_flight.len()), *kind)
            }
            Step::Crash(count) => {
                for (id, to, event) in std::mem::take(&mut self.in_flight) {
                    self.accepted.insert((to, data(&event)));
                    self.component.answered(id, Answer::Accepted, self.now);
                }
                self.carry_out(*count)?;
                self.start();
                self.carry_out(usize::MAX)
            }
            Step::Deliver | Step::Answer(..) => Ok(()),
        }
    }

    fn run(mut self, steps: &[Step]) -> Result<World, TestCaseError> {
        self.start();
        for step in steps {
            self.step(step)?;
        }
        while self.next < self.messages.len() {
            self.step(&Step::Deliver)?;
        }
        while self.acked.len() < self.messages.len() {
            while !self.in_flight.is_empty() {
                self.answer(0, 9)?;
            }
            let due = self.component.poll_timeout();
            prop_assert!(
                due.is_some() || !self.in_flight.is_empty() || self.acked.len() == self.messages.len()
            );
            self.pass(due.unwrap_or(self.now))?;
        }
        prop_assert!(self.component.is_idle());
        prop_assert_eq!(self.component.counters().held_bytes, 0);
        Ok(self)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Deliver),
        3 => (0..2 * LENGTH).prop_map(Step::Pass),
        12 => (any::<prop::sample::Index>(), 0..9u8).prop_map(|(pick, kind)| Step::Answer(pick, kind)),
        1 => (0..6usize).prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 0..150)
}

fn world(
    role: Role,
    messages: Vec<Message>,
    outputs: usize,
    inputs: usize,
    owed: BTreeMap<usize, Vec<(Vec<usize>, String)>>,
) -> World {
    let inputs = vec![
        InputConfig {
            cluster_stream: "cs".to_owned(),
            max_deliveries: 0
        };
        inputs
    ];
    let mut config = Config::new("uid", "/test", role, inputs, outputs);
    // The first is asked one by one, others are topics.
    config
        .outputs
        .iter_mut()
        .skip(1)
        .for_each(|limit| *limit = InFlight::TOPIC);
    World {
        component: Component::new(config.clone()),
        config,
        messages,
        owed,
        next: 0,
        now: Time(0),
        in_flight: Vec::new(),
        effects: VecDeque::new(),
        accepted: BTreeSet::new(),
        dropped: BTreeSet::new(),
        acked: BTreeSet::new(),
        ids: BTreeMap::new(),
        order: Vec::new(),
    }
}

/// Messages of two inputs with their keys; no key is a message that can't be decoded.
fn messages() -> impl Strategy<Value = Vec<(usize, i64, Option<u8>)>> {
    let message = (0..2usize, 0..4 * LENGTH, prop::option::weighted(0.9, 0..3u8));
    prop::collection::vec(message, 0..25).prop_map(|mut all| {
        all.sort_by_key(|(_, at, _)| *at);
        all
    })
}

fn text(n: usize, key: Option<u8>) -> String {
    key.map_or_else(|| format!("{{{n}"), |key| format!("{{\"i\":{n},\"k\":{key}}}"))
}

fn of(all: &[(usize, i64, Option<u8>)]) -> Vec<Message> {
    let message = |(n, (input, at, key)): (usize, &(usize, i64, Option<u8>))| Message {
        input: *input,
        received: Time(*at),
        payload: text(n, *key),
    };
    all.iter().enumerate().map(message).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_join_loses_nothing(all in messages(), steps in steps(), outputs in 1..3usize) {
        let spec = JoinSpec::new(&["a", "b"], LENGTH, Some("a.k == b.k"), Some("[a.i, b.i]"), Emit::Each).unwrap();
        let mut owed: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (x, a) in all.iter().enumerate() {
            if a.2.is_none() {
                owed.entry(x).or_default().push((vec![], text(x, None)));
            }
            for (y, b) in all.iter().enumerate() {
                let pair = a.0 == 0 && b.0 == 1 && a.1.div_euclid(LENGTH) == b.1.div_euclid(LENGTH);
                if pair && a.2.is_some() && a.2 == b.2 {
                    for n in [x, y] {
                        owed.entry(n).or_default().push(((0..outputs).collect(), format!("[{x},{y}]")));
                    }
                }
            }
        }
        let rows: BTreeSet<String> = owed.values().flatten().map(|(_, row)| row.clone()).collect();
        let world = world(Role::Join(Box::new(spec)), of(&all), outputs, 2, owed);
        let world = world.run(&steps)?;
        prop_assert!(world.accepted.iter().all(|(_, row)| rows.contains(row)), "only rows that should be");
    }

    #[test]
    fn a_join_in_event_time_loses_nothing(all in messages(), steps in steps(), hops in 1..4i64) {
        let (length, slide) = (LENGTH, LENGTH / hops);
        let input = |variable: &str| QueryInput {
            variable: variable.to_owned(),
            // When all is over, nothing more comes.
            time: Some(EventTime {
                timestamp: format!("{variable}.t"),
                out_of_orderness: 0,
                idle_timeout: Some(100 * LENGTH),
            }),
            table: None,
        };
        let query = Query {
            inputs: vec![input("a"), input("b")],
            windows: Windows::Hopping { length: length * 1000, slide: slide * 1000 },
            filter: Some("a.k == b.k".to_owned()),
            select: Some("[a.i, b.i]".to_owned()),
            emit: Emit::Each,
            ..Query::default()
        };
        let together = |a: i64, b: i64| {
            let (first, last) = (a.min(b), a.max(b));
            (last - length).div_euclid(slide) < first.div_euclid(slide)
        };
        let mut owed: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (x, a) in all.iter().enumerate() {
            if a.2.is_none() {
                owed.entry(x).or_default().push((vec![], text(x, None)));
            }
            for (y, b) in all.iter().enumerate() {
                if a.0 == 0 && b.0 == 1 && a.2.is_some() && a.2 == b.2 && together(a.1, b.1) {
                    for n in [x, y] {
                        owed.entry(n).or_default().push((vec![0], format!("[{x},{y}]")));
                    }
                }
            }
        }
        let rows: BTreeSet<String> = owed.values().flatten().map(|(_, row)| row.clone()).collect();
        let mut messages = of(&all);
        for message in &mut messages {
            if let Some(open) = message.payload.strip_suffix('}') {
                message.payload = format!("{open},\"t\":{}}}", message.received.0);
            }
        }
        let spec = JoinSpec::compile(&query).unwrap();
        let world = world(Role::Join(Box::new(spec)), messages, 1, 2, owed).run(&steps)?;
        prop_assert!(world.accepted.iter().all(|(_, row)| rows.contains(row)), "only rows that should be");
        prop_assert!(world.component.counters().inputs.iter().all(|input| input.late == 0));
    }

    #[test]
    fn a_map_loses_nothing(all in messages(), steps in steps(), outputs in 1..3usize) {
        let spec = MapSpec::new("m", Some("m.k > 0"), Some("m.i")).unwrap();
        let owed = all.iter().enumerate().filter(|(_, m)| m.2 != Some(0)).map(|(n, m)| {
            (n, vec![match m.2 {
                None => (vec![], text(n, None)),
                Some(_) => ((0..outputs).collect(), n.to_string()),
            }])
        });
        let owed = owed.collect();
        let mut messages = of(&all);
        for message in &mut messages {
            message.input = 0;
        }
        world(Role::Map(Box::new(spec)), messages, outputs, 1, owed).run(&steps)?;
    }

    #[test]
    fn a_relay_loses_nothing(all in messages(), steps in steps(), concurrency in 1..4u32) {
        let owed = all.iter().enumerate().map(|(n, m)| {
            (n, vec![(m.2.map_or(vec![], |_| vec![m.0]), text(n, m.2))])
        });
        let world = world(Role::Relay { concurrency }, of(&all), 0, 2, owed.collect());
        let world = world.run(&steps)?;
        if concurrency == 1 {
            // The last life's deliveries, by input: in the order in which the messages came.
            for input in 0..2 {
                let number = |text: &str| text[5..].split(',').next().unwrap().parse::<usize>().unwrap();
                let of = world.order.iter().filter(|(to, _)| *to == Target::Output(input));
                let numbers: Vec<usize> = of.map(|(_, text)| number(text)).collect();
                prop_assert!(numbers.is_sorted(), "{:?}", numbers);
            }
        }
    }
}
