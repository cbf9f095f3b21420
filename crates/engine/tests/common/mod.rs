//! A runner for tests: a broker that keeps what is not acked, and recipients that answer as they are told.

// Each test uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use streaming_engine::component::{Component, Config, Effect, Incoming, OverBudget, Target};
use streaming_engine::counters::WindowReport;
use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;
use streaming_engine::time::Time;

/// A message that a test's broker holds.
#[derive(Clone, Debug)]
pub struct Message {
    pub input: usize,
    pub received: Time,
    pub payload: Vec<u8>,
    pub position: String,
}

impl Message {
    pub fn new(input: usize, received: i64, payload: impl Into<Vec<u8>>) -> Message {
        Message {
            input,
            received: Time(received),
            payload: payload.into(),
            position: String::new(),
        }
    }
}

/// Drives a component and notes what it does.
pub struct Runner {
    pub component: Component,
    pub now: Time,
    /// Everything accepted, in order.
    pub accepted: Vec<(Target, Arc<Event>)>,
    pub reports: Vec<WindowReport>,
    pub over_budget: Vec<OverBudget>,
    pub paused: Vec<bool>,
    /// Messages that are not acked, by input and token.
    pub unacked: BTreeMap<(usize, u64), Message>,
    pub acked: Vec<(usize, u64)>,
    next: u64,
}

impl Runner {
    pub fn new(config: Config) -> Runner {
        let inputs = config.inputs.len();
        let mut component = Component::new(config);
        for input in 0..inputs {
            component.recovered(input, Time(0));
        }
        Runner::of(component, inputs)
    }

    pub fn of(component: Component, inputs: usize) -> Runner {
        Runner {
            component,
            now: Time(0),
            accepted: Vec::new(),
            reports: Vec::new(),
            over_budget: Vec::new(),
            paused: vec![false; inputs],
            unacked: BTreeMap::new(),
            acked: Vec::new(),
            next: 0,
        }
    }

    /// Hands in a message, without looking at effects. Gives its token.
    pub fn deliver(&mut self, message: &Message) -> u64 {
        self.deliver_on(&format!("topic{}", message.input), message)
    }

    /// Hands in a message of some topic.
    pub fn deliver_on(&mut self, topic: &str, message: &Message) -> u64 {
        let token = self.next;
        self.next += 1;
        let position = match message.position.as_str() {
            "" => format!("{}-{token}", message.received.0),
            position => position.to_owned(),
        };
        self.unacked.insert((message.input, token), message.clone());
        self.component.message(
            Incoming {
                input: message.input,
                token,
                position: &position,
                received: message.received,
                attempts: 0,
                topic,
                key: None,
                payload: &message.payload,
            },
            self.now,
        );
        token
    }

    /// Lets time pass, window by window and retry by retry.
    pub fn until(&mut self, time: i64, answer: &mut impl FnMut(Target, &Event) -> Answer) {
        self.drain(answer);
        while let Some(next) = self.component.poll_timeout().filter(|next| next.0 <= time) {
            self.now = self.now.max(next);
            self.component.timeout(self.now);
            self.drain(answer);
        }
        self.now = self.now.max(Time(time));
    }

    /// Carries out effects until there are none.
    pub fn drain(&mut self, answer: &mut impl FnMut(Target, &Event) -> Answer) {
        let mut sends = VecDeque::new();
        loop {
            while let Some(effect) = self.component.poll_effect() {
                match effect {
                    Effect::Send { id, to, event, .. } => sends.push_back((id, to, event)),
                    Effect::Ack { input, token } => {
                        assert!(self.unacked.remove(&(input, token)).is_some(), "acked twice");
                        self.acked.push((input, token));
                    }
                    Effect::Pause { input } => {
                        assert!(!std::mem::replace(&mut self.paused[input], true), "paused twice");
                    }
                    Effect::Resume { input } => {
                        assert!(std::mem::replace(&mut self.paused[input], false), "resumed twice");
                    }
                    Effect::Window(report) => self.reports.push(*report),
                    Effect::OverBudget(over) => self.over_budget.push(over),
                }
            }
            let Some((id, to, event)) = sends.pop_front() else {
                return;
            };
            let answer = answer(to, &event);
            if answer == Answer::Accepted {
                self.accepted.push((to, event));
            }
            self.component.answered(id, answer, self.now);
        }
    }

    /// The data of what a target accepted, as text.
    pub fn data(&self, target: Target) -> Vec<String> {
        let of = |(to, event): &(Target, Arc<Event>)| {
            (*to == target).then(|| String::from_utf8_lossy(&event.data()).into_owned())
        };
        self.accepted.iter().filter_map(of).collect()
    }
}

/// A recipient that takes everything.
pub fn accept(_: Target, _: &Event) -> Answer {
    Answer::Accepted
}
