//! One component as the pipeline holds it: the engine's state machine, its subscriptions and its recipients.

use std::rc::Rc;

use streaming_engine::component::{Config, Effect};
use streaming_engine::durable::{Durable, Kept};
use streaming_engine::state::{MemoryDisk, StateError};
use streaming_engine::time::Time;
use streaming_plan as plan;
use streaming_sidecar::config::{ConfigError, config, kept_as};
use streaming_sidecar::repeats::Repeats;

use super::broker::{Broker, GroupId, TopicId, TopicName};

/// A running component.
pub(crate) struct Part {
    /// What it was made from.
    pub(crate) plan: plan::Plan,
    /// Its state.
    pub(crate) engine: Durable,
    config: Config,
    /// What outlives a crash, if the component keeps anything.
    disk: MemoryDisk,
    /// An effect that was asked for while acks were gathered.
    peeked: Option<Effect>,
    pub(super) inputs: Vec<Input>,
    pub(super) recipients: Vec<Recipient>,
    /// By input; a Stream that is a dead letter itself has none.
    pub(super) dead_letters: Vec<Option<TopicId>>,
    /// Where late messages go.
    pub(super) late: Option<TopicId>,
    pub(super) arrived: Arrived,
}

/// What recipients made of what a component sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Taken as new, dead letters included.
    pub(crate) new: u64,
    /// Recognised by its id as had before, and dropped.
    pub(crate) repeats: u64,
}

/// One subscription.
pub(super) struct Input {
    pub(super) group: GroupId,
    /// `clusterStream/topic`.
    pub(super) name: String,
    pub(super) paused: bool,
    /// While it recovers: the end of what it must have been given before windows may close.
    pub(super) recovering: Option<u64>,
}

/// Who accepts a component's results.
pub(super) enum Recipient {
    /// A route of a component; what it accepted before is dropped as a repeat.
    Route {
        to: Rc<str>,
        component: String,
        accepted: Repeats,
    },
    /// A topic.
    Topic(TopicId),
}

impl Part {
    /// Makes the component of a plan and subscribes it.
    pub(crate) fn new(plan: plan::Plan, broker: &mut Broker) -> Result<Self, ConfigError> {
        let config = config(&plan)?;
        let topic = |broker: &mut Broker, topic: &plan::Topic| {
            broker.topic(&TopicName {
                namespace: plan.component.namespace.clone(),
                cluster_stream: topic.cluster_stream.clone(),
                topic: topic.topic.clone(),
            })
        };
        let mut inputs = Vec::new();
        let mut dead_letters = Vec::new();
        for input in &plan.inputs {
            let id = topic(broker, &input.source);
            let protocol = plan
                .cluster_streams
                .get(&input.source.cluster_stream)
                .map(|c| c.protocol);
            if protocol == Some(plan::Protocol::Mqtt) && input.source.topic.contains(['+', '#']) {
                broker.is_filter(id);
            }
            inputs.push(Input {
                group: broker.subscribe(id),
                name: format!("{}/{}", input.source.cluster_stream, input.source.topic),
                paused: false,
                recovering: Some(0),
            });
            dead_letters.push(input.dead_letter.as_ref().map(|to| topic(broker, to)));
        }
        let late = plan.late_to.as_ref().map(|to| topic(broker, to));
        let route = |component: &str, route: &str| Recipient::Route {
            to: format!("{component}/{route}").into(),
            component: component.to_owned(),
            accepted: Repeats::default(),
        };
        let name = &plan.component.name;
        let recipients = match plan.role {
            plan::Role::Relay { .. } => plan
                .inputs
                .iter()
                .map(|i| route(name, i.route.as_deref().unwrap_or(name)))
                .collect(),
            _ => plan
                .outputs
                .iter()
                .map(|output| match output {
                    plan::Output::Component {
                        component,
                        route: path,
                        ..
                    } => route(component, path),
                    plan::Output::Stream(name) => Recipient::Topic(topic(broker, name)),
                })
                .collect(),
        };
        let disk = MemoryDisk::default();
        let engine = start(&config, &plan, &disk, Time::default())
            .map_err(|error| ConfigError::new(&plan.component.name, &error))?;
        Ok(Self {
            engine,
            config,
            disk,
            peeked: None,
            plan,
            inputs,
            recipients,
            dead_letters,
            late,
            arrived: Arrived::default(),
        })
    }

    /// What became of what it sent.
    pub(crate) fn arrived(&self) -> Arrived {
        self.arrived
    }

    /// What the component wants done next.
    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        self.peeked.take().or_else(|| self.engine.poll_effect())
    }

    /// Acks a message, and with it all that are to be acked right after: the broker takes them in one go, as XACK
    /// does, so that no crash comes between the messages of one window.
    pub(super) fn ack(&mut self, input: usize, token: u64, broker: &mut Broker) {
        let mut next = Some(Effect::Ack { input, token });
        while let Some(Effect::Ack { input, token }) = next {
            if let Some(input) = self.inputs.get(input) {
                broker.ack(input.group, token);
            }
            next = self.engine.poll_effect();
        }
        self.peeked = next;
    }

    /// The process dies and comes back: what it held is gone, and what it had not acked will come again.
    pub(super) fn crash(&mut self, broker: &mut Broker, now: Time) {
        // Memory can be read, and what is in it was written by this very component.
        if let Ok(engine) = start(&self.config, &self.plan, &self.disk, now) {
            self.engine = engine;
        }
        self.peeked = None;
        for input in &mut self.inputs {
            broker.requeue(input.group);
            input.paused = false;
            input.recovering = Some(broker.end(input.group));
        }
    }
}

/// A component at the start of its process, with what an earlier one kept.
fn start(config: &Config, plan: &plan::Plan, disk: &MemoryDisk, now: Time) -> Result<Durable, StateError> {
    let kept = plan.state.as_ref().map(|_| Kept {
        state: disk.open(),
        inputs: kept_as(plan),
    });
    Durable::new(config.clone(), kept, now)
}
