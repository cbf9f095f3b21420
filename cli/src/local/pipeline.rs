//! What moves messages: from topics into components, from components to whoever accepts their results, acks back.
//!
//! One step at a time and always in the same order, so that the same messages at the same times give the same
//! deliveries, and so that a crash can be put between any two steps.

use std::collections::VecDeque;

use streaming_engine::component::{Effect, Incoming, OverBudget, SendId, Target};
use streaming_engine::counters::WindowReport;
use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;
use streaming_engine::time::Time;
use streaming_plan::Plan;
use streaming_sidecar::config::ConfigError;

use super::broker::{Broker, Published, TopicId, TopicName};
use super::part::{Part, Recipient};

/// Rounds in which a drain waits for what has to be sent again.
const DRAIN_ROUNDS: usize = 64;

/// Everything that runs.
pub(crate) struct Pipeline {
    broker: Broker,
    parts: Vec<Part>,
    /// Answers that recipients gave and components don't know yet.
    answers: VecDeque<(usize, SendId, Answer)>,
    now: Time,
    halted: bool,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A message went into a component.
    Message,
    /// Time passed for a component: a window closed, or something is due again.
    Timeout,
    /// A recipient accepted something, and its answer is on its way back.
    Accepted,
    /// A component got an answer.
    Answered,
    /// The broker got an ack.
    Acked,
    /// Anything else.
    Other,
}

/// What an observer makes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// On with it.
    Go,
    /// Somebody dies now.
    Crash(Crash),
    /// Enough: nothing moves until [`Pipeline::resume`]. Components can feed each other in a circle for ever.
    Halt,
}

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// One component: this number, modulo how many there are.
    One(usize),
    /// All of them at once.
    All,
}

/// Something that reached a recipient.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    /// When.
    pub(crate) at: Time,
    /// The namespace of both ends.
    pub(crate) namespace: &'a str,
    /// The component, or for a message that a Processor takes off a Stream its `clusterStream/topic`.
    pub(crate) from: &'a str,
    /// `component/route` or `clusterStream/topic`.
    pub(crate) to: &'a str,
    /// The component, if it is one.
    pub(crate) component: Option<&'a str>,
    /// What.
    pub(crate) event: &'a Event,
}

/// Who watches a pipeline.
pub(crate) trait Observer {
    /// A recipient accepted something for the first time.
    fn delivery(&mut self, delivery: Delivery<'_>);
    /// A window closed.
    fn window(&mut self, _component: &str, _report: &WindowReport) {}
    /// A window holds more than its component's budget.
    fn over_budget(&mut self, _component: &str, _report: &OverBudget) {}
    /// A step was made.
    fn step(&mut self, _step: Step) -> Verdict {
        Verdict::Go
    }
}

impl Pipeline {
    /// The components of these plans, with nothing in their topics, at a time.
    pub(crate) fn new(plans: &[Plan], now: Time) -> Result<Self, ConfigError> {
        let mut broker = Broker::default();
        let parts = plans
            .iter()
            .map(|plan| Part::new(plan.clone(), &mut broker))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            broker,
            parts,
            answers: VecDeque::new(),
            now,
            halted: false,
        })
    }

    /// The topic of this name.
    pub(crate) fn topic(&mut self, name: &TopicName) -> TopicId {
        self.broker.topic(name)
    }

    /// The components.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Bytes of payload that the broker holds.
    pub(crate) fn held(&self) -> usize {
        self.broker.held()
    }

    /// Whether an observer has had enough.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted
    }

    /// Moves again.
    pub(crate) fn resume(&mut self) {
        self.halted = false;
    }

    /// Appends a message to a topic, at the pipeline's time. Call [`Pipeline::advance`] first, and after.
    pub(crate) fn publish(&mut self, topic: TopicId, payload: &[u8]) -> Published {
        self.broker.publish(topic, None, payload, self.now)
    }

    /// When something happens next without a message, if at all.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.parts
            .iter()
            .filter_map(|part| part.engine.poll_timeout())
            .min()
    }

    /// Lets time pass until `now`, with everything that is due on the way at the time at which it is due.
    pub(crate) fn advance(&mut self, now: Time, observer: &mut dyn Observer) {
        self.settle(observer);
        while let Some(due) = self.next_timeout().filter(|due| *due <= now && !self.halted) {
            self.now = self.now.max(due);
            self.settle(observer);
        }
        self.now = self.now.max(now);
        self.settle(observer);
    }

    /// Closes what is open, as if no message would ever come: each component after those that feed it.
    pub(crate) fn drain(&mut self, observer: &mut dyn Observer) {
        self.settle(observer);
        for index in self.upstream_first() {
            self.parts[index].engine.flush(self.now);
            self.settle(observer);
        }
        for _ in 0..DRAIN_ROUNDS {
            let Some(due) = self.next_timeout() else { return };
            self.advance(due, observer);
        }
    }

    /// Whether no component holds anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.parts.iter().all(|part| part.engine.is_idle())
    }

    /// Steps until there is nothing left to do now.
    fn settle(&mut self, observer: &mut dyn Observer) {
        while !self.halted
            && let Some(step) = self.step(observer)
        {
            match observer.step(step) {
                Verdict::Go => {}
                Verdict::Crash(Crash::One(number)) => {
                    if let Some(index) = number.checked_rem(self.parts.len()) {
                        self.crash(index);
                    }
                }
                Verdict::Crash(Crash::All) => (0..self.parts.len()).for_each(|index| self.crash(index)),
                Verdict::Halt => self.halted = true,
            }
        }
    }

    fn crash(&mut self, index: usize) {
        self.answers.retain(|(part, ..)| *part != index);
        self.parts[index].crash(&mut self.broker, self.now);
    }

    fn step(&mut self, observer: &mut dyn Observer) -> Option<Step> {
        if let Some((part, id, answer)) = self.answers.pop_front() {
            self.parts[part].engine.answered(id, answer, self.now);
            return Some(Step::Answered);
        }
        for index in 0..self.parts.len() {
            if let Some(effect) = self.parts[index].next_effect() {
                return Some(self.carry_out(index, effect, observer));
            }
        }
        let now = self.now;
        for part in &mut self.parts {
            if part.engine.poll_timeout().is_some_and(|due| due <= now) {
                part.engine.timeout(now);
                return Some(Step::Timeout);
            }
        }
        self.hand_in()
    }

    /// Gives the next message to a component, or tells one that it has been given all that it missed.
    fn hand_in(&mut self) -> Option<Step> {
        let Self {
            broker, parts, now, ..
        } = self;
        for part in parts {
            for (index, input) in part.inputs.iter_mut().enumerate() {
                if input
                    .recovering
                    .is_some_and(|end| broker.caught_up(input.group, end))
                {
                    input.recovering = None;
                    part.engine.recovered(index, *now);
                    return Some(Step::Other);
                }
                if input.paused {
                    continue;
                }
                let Some(delivered) = broker.next(input.group) else {
                    continue;
                };
                let incoming = Incoming {
                    input: index,
                    token: delivered.offset,
                    position: &delivered.offset.to_string(),
                    received: delivered.appended,
                    attempts: delivered.attempts - 1,
                    topic: &delivered.topic,
                    key: None,
                    payload: &delivered.payload,
                };
                part.engine.message(incoming, *now);
                return Some(Step::Message);
            }
        }
        None
    }

    fn carry_out(&mut self, index: usize, effect: Effect, observer: &mut dyn Observer) -> Step {
        let part = &mut self.parts[index];
        match effect {
            Effect::Send { id, to, event, .. } => {
                let answer = self.send(index, to, &event, observer);
                self.answers.push_back((index, id, answer));
                return Step::Accepted;
            }
            Effect::Ack { input, token } => {
                part.ack(input, token, &mut self.broker);
                return Step::Acked;
            }
            Effect::Pause { input } | Effect::Resume { input } => {
                if let Some(state) = part.inputs.get_mut(input) {
                    state.paused = matches!(effect, Effect::Pause { .. });
                }
            }
            Effect::Window(report) => observer.window(&part.plan.component.name, &report),
            Effect::OverBudget(report) => observer.over_budget(&part.plan.component.name, &report),
        }
        Step::Other
    }

    fn send(&mut self, index: usize, to: Target, event: &Event, observer: &mut dyn Observer) -> Answer {
        let Self {
            broker, parts, now, ..
        } = self;
        let Part {
            plan,
            inputs,
            recipients,
            dead_letters,
            late,
            arrived,
            ..
        } = &mut parts[index];
        let component = plan.component.name.as_str();
        let relays = matches!(plan.role, streaming_plan::Role::Relay { .. });
        let topic = match to {
            Target::Output(output) => match recipients.get_mut(output) {
                Some(Recipient::Route {
                    to,
                    component: recipient,
                    accepted,
                }) => {
                    if accepted.first_time(&format!("{}\0{}", event.source, event.id)) {
                        arrived.new += 1;
                        observer.delivery(Delivery {
                            at: *now,
                            namespace: &plan.component.namespace,
                            from: if relays { &inputs[output].name } else { component },
                            to,
                            component: Some(recipient),
                            event,
                        });
                    } else {
                        arrived.repeats += 1;
                    }
                    return Answer::Accepted;
                }
                Some(Recipient::Topic(topic)) => Some(*topic),
                None => None,
            },
            Target::DeadLetter(input) => dead_letters.get(input).copied().flatten(),
            Target::Late => *late,
        };
        let Some(topic) = topic else {
            return Answer::Retry("what fails on a dead-letter topic stays there".to_owned());
        };
        let id = format!("{}\0{}", event.source, event.id);
        // What nobody reads need not be written.
        let payload = if broker.is_read(topic) {
            event.to_cloudevent()
        } else {
            Vec::new()
        };
        match broker.publish(topic, Some(&id), &payload, *now) {
            Published::Full => return Answer::Retry("the embedded broker is full".to_owned()),
            Published::Repeat => arrived.repeats += 1,
            Published::New => {
                arrived.new += 1;
                let name = broker.name(topic);
                observer.delivery(Delivery {
                    at: *now,
                    namespace: &name.namespace,
                    from: component,
                    to: &format!("{}/{}", name.cluster_stream, name.topic),
                    component: None,
                    event,
                });
            }
        }
        Answer::Accepted
    }

    /// Components in an order in which each comes after those whose results it reads; in a circle, as they are.
    fn upstream_first(&self) -> Vec<usize> {
        let feeds = |a: &Part, b: &Part| {
            let topics = a.recipients.iter().filter_map(|r| match r {
                Recipient::Topic(topic) => Some(*topic),
                Recipient::Route { .. } => None,
            });
            let mut topics = topics.chain(a.dead_letters.iter().copied().flatten());
            topics.any(|topic| b.inputs.iter().any(|input| input.group.topic() == topic))
        };
        let mut order: Vec<usize> = Vec::new();
        while order.len() < self.parts.len() {
            let left: Vec<usize> = (0..self.parts.len()).filter(|i| !order.contains(i)).collect();
            let free = left.iter().find(|i| {
                left.iter()
                    .all(|j| j == *i || !feeds(&self.parts[*j], &self.parts[**i]))
            });
            order.extend(free.or(left.first()));
        }
        order
    }
}
