//! The brokers' side: what is delivered next, what comes again after a death, and what is acked.

use std::collections::VecDeque;

use crate::message::Message;

const MQTT_RECEIVE_MAXIMUM: usize = 20;

/// Where an input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// Acks of any message in any order, as many at once as there are.
    Redis,
    /// So many messages unacked at most.
    Rabbit(usize),
    /// Twenty unacked at most, and acks in the order of delivery.
    Mqtt,
}

impl Broker {
    /// All of them.
    pub(crate) const ANY: [Broker; 3] = [Broker::Redis, Broker::Rabbit(16), Broker::Mqtt];

    /// How many unacked messages an input may have.
    fn limit(self) -> usize {
        match self {
            Broker::Redis => usize::MAX,
            Broker::Rabbit(prefetch) => prefetch,
            Broker::Mqtt => MQTT_RECEIVE_MAXIMUM,
        }
    }
}

/// What the broker of one input knows.
struct Topic {
    broker: Broker,
    /// Messages that were not delivered yet.
    waiting: VecDeque<usize>,
    /// In the order of delivery: messages that there is no ack for.
    unacked: Vec<Unacked>,
    paused: bool,
    /// How many unacked messages it may have.
    limit: usize,
}

struct Unacked {
    message: usize,
    attempts: u32,
    /// The component has acked it, and the protocol has not: MQTT acks in order.
    done: bool,
}

/// The brokers of all inputs.
pub(crate) struct Brokers {
    topics: Vec<Topic>,
    /// Whether messages come when they are received, over all inputs in order.
    dated: bool,
}

impl Brokers {
    pub(crate) fn new(brokers: &[Broker], messages: &[Message], dated: bool) -> Brokers {
        let of = |input: usize| (0..messages.len()).filter(move |message| messages[*message].input == input);
        let topic = |(input, broker): (usize, &Broker)| Topic {
            broker: *broker,
            waiting: of(input).collect(),
            unacked: Vec::new(),
            paused: false,
            limit: broker.limit(),
        };
        Brokers {
            topics: brokers.iter().enumerate().map(topic).collect(),
            dated,
        }
    }

    /// The earliest message of all that were not delivered, where messages come when they are received.
    pub(crate) fn next_received(&self) -> Option<usize> {
        let waiting = self.topics.iter().flat_map(|topic| &topic.waiting);
        waiting.min().copied().filter(|_| self.dated)
    }

    /// Whether the next message of an input may be the next of all.
    fn speaks(&self, input: usize) -> bool {
        let next = self.topics[input].waiting.front();
        next.is_some_and(|next| self.next_received().is_none_or(|first| first == *next))
    }

    /// Inputs that a message may be delivered of.
    pub(crate) fn deliverable(&self) -> Vec<usize> {
        let may = |input: &usize| {
            let topic = &self.topics[*input];
            !topic.paused && topic.unacked.len() < topic.limit && self.speaks(*input)
        };
        (0..self.topics.len()).filter(may).collect()
    }

    /// The next message of an input is under way.
    pub(crate) fn deliver(&mut self, input: usize) -> Option<usize> {
        let topic = &mut self.topics[input];
        let message = topic.waiting.pop_front()?;
        topic.unacked.push(Unacked {
            message,
            attempts: 0,
            done: false,
        });
        Some(message)
    }

    /// The component lives again: what of an input has no ack is given again, with how often it was before.
    pub(crate) fn again(&mut self, input: usize) -> Vec<(usize, u32)> {
        let topic = &mut self.topics[input];
        topic.paused = false;
        for each in &mut topic.unacked {
            each.done = false;
            each.attempts += 1;
        }
        let again = topic.unacked.iter();
        again.map(|each| (each.message, each.attempts)).collect()
    }

    /// The component acks a message. False if it had before.
    #[must_use]
    pub(crate) fn ack(&mut self, input: usize, message: usize) -> bool {
        let topic = &mut self.topics[input];
        let unacked = &mut topic.unacked;
        let is = |each: &&mut Unacked| each.message == message && !each.done;
        let Some(acked) = unacked.iter_mut().find(is) else {
            return false;
        };
        acked.done = true;
        if topic.broker == Broker::Mqtt {
            let acked = unacked.iter().take_while(|each| each.done).count();
            unacked.drain(..acked);
        } else {
            unacked.retain(|each| !each.done);
        }
        true
    }

    /// The component wants no more of an input, or does again.
    pub(crate) fn pause(&mut self, input: usize, paused: bool) {
        self.topics[input].paused = paused;
    }

    /// Messages that were delivered, and that the component has not acked.
    pub(crate) fn unacked(&self) -> impl Iterator<Item = usize> {
        let unacked = self.topics.iter().flat_map(|topic| &topic.unacked);
        unacked.filter(|each| !each.done).map(|each| each.message)
    }

    /// Whether all has been delivered.
    pub(crate) fn is_silent(&self) -> bool {
        self.topics.iter().all(|topic| topic.waiting.is_empty())
    }

    /// Lets an input have more unacked messages, if one has as many as it may.
    pub(crate) fn widen(&mut self) -> bool {
        let full = |topic: &&mut Topic| topic.unacked.len() >= topic.limit;
        let Some(topic) = self.topics.iter_mut().find(full) else {
            return false;
        };
        topic.limit *= 2;
        true
    }

    /// An input that gives a message although the component has paused it, as long as it has not paused all: what a broker
    /// has under way comes all the same.
    pub(crate) fn under_way(&self) -> Option<usize> {
        let some = self.topics.iter().any(|topic| !topic.paused);
        (0..self.topics.len()).find(|input| some && self.speaks(*input))
    }
}
