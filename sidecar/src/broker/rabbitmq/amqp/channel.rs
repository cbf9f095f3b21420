//! A channel: what is asked on it is answered, messages come and are confirmed, and what the broker refuses ends
//! the channel and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic};

use super::confirms::{Confirms, Outcome, mark};
use super::content::{Assembly, Delivery, Opening, Whole};
use super::fault::Fault;
use super::state::{Event, Ticket};
use super::wire::Method;

/// What a channel's consumers are sent, in the broker's order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// A message.
    Delivery(Delivery),
    /// A consumer of this name begins here; what comes next is its.
    Consuming(String),
    /// The broker ended a consumer: its queue is gone.
    Cancelled,
}

/// One channel of a connection.
#[derive(Debug)]
pub(super) struct Channel {
    stage: Stage,
    /// What was asked and not answered.
    calls: VecDeque<Call>,
    assembly: Assembly,
    pub(super) confirms: Confirms,
    came: VecDeque<Came>,
    /// The routing key of the last message: others mostly have the same.
    key: Arc<str>,
}

#[derive(Debug)]
enum Stage {
    Open,
    /// We have closed it, and wait for the broker to agree.
    Closing,
    Ended(Fault),
}

#[derive(Debug)]
struct Call {
    /// Who waits for the answer, if anybody.
    ticket: Option<Ticket>,
    /// The answer's class and method.
    answer: (u16, u16),
}

impl Channel {
    pub(super) fn new() -> Channel {
        Channel {
            stage: Stage::Open,
            calls: VecDeque::new(),
            assembly: Assembly::default(),
            confirms: Confirms::default(),
            came: VecDeque::new(),
            key: "".into(),
        }
    }

    /// Why it can't be used; `None` while it can.
    pub(super) fn fault(&self) -> Option<Fault> {
        match &self.stage {
            Stage::Open => None,
            Stage::Closing => Some(Fault::Closed),
            Stage::Ended(fault) => Some(fault.clone()),
        }
    }

    /// Something is asked. Each method that has an answer is followed by it in number.
    pub(super) fn asks(&mut self, ticket: Option<Ticket>, method: &AMQPClass) {
        let answer = (method.get_amqp_class_id(), method.get_amqp_method_id() + 1);
        self.calls.push_back(Call { ticket, answer });
    }

    /// Nobody uses it any more. Says whether the broker has to be told so.
    pub(super) fn close(&mut self) -> bool {
        let was_open = matches!(self.stage, Stage::Open);
        if was_open {
            self.stage = Stage::Closing;
            self.came.clear();
        }
        was_open
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing)
    }

    /// It has ended, with all that was asked on it.
    pub(super) fn end(&mut self, fault: &Fault, events: &mut Vec<Event>) {
        if !matches!(self.stage, Stage::Ended(_)) {
            self.stage = Stage::Ended(fault.clone());
        }
        let asked = self.calls.drain(..).filter_map(|call| call.ticket);
        events.extend(asked.map(|ticket| Event::Answered(ticket, Err(fault.clone()))));
        events.extend(self.confirms.end().map(settled));
    }

    /// A method came that is not the channel's own.
    pub(super) fn method(&mut self, method: Method<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        match method {
            Method::Deliver {
                tag,
                redelivered,
                key,
            } => {
                if *self.key != *key {
                    self.key = key.into();
                }
                let key = Arc::clone(&self.key);
                self.assembly.open(Opening::Delivery {
                    tag,
                    redelivered,
                    key,
                })
            }
            Method::Confirm { tag, multiple, taken } => {
                events.extend(
                    self.confirms
                        .settle(tag, multiple, taken)
                        .into_iter()
                        .map(settled),
                );
                Ok(())
            }
            Method::Other(AMQPClass::Basic(basic::AMQPMethod::Return(method))) => {
                self.assembly.open(Opening::Return {
                    exchange: method.exchange.into(),
                    key: method.routing_key.into(),
                })
            }
            Method::Other(AMQPClass::Basic(basic::AMQPMethod::Cancel(_))) => {
                self.comes(Came::Cancelled, events);
                Ok(())
            }
            Method::Other(method) => self.answered(method, events),
        }
    }

    fn answered(&mut self, method: AMQPClass, events: &mut Vec<Event>) -> Result<(), Fault> {
        let is = (method.get_amqp_class_id(), method.get_amqp_method_id());
        // A queue answers by itself, and others may be quicker; what is alike is answered in order.
        let asked = self.calls.iter().position(|call| call.answer == is);
        let Some(call) = asked.and_then(|at| self.calls.remove(at)) else {
            return Err(Fault::Unexpected("an answer to what was not asked"));
        };
        if let AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(consuming)) = &method {
            let consumer = consuming.consumer_tag.as_str().to_owned();
            self.comes(Came::Consuming(consumer), events);
        }
        if let Some(ticket) = call.ticket {
            events.push(Event::Answered(ticket, Ok(method)));
        }
        Ok(())
    }

    /// A message's header came.
    pub(super) fn header(
        &mut self,
        size: u64,
        properties: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let whole = self.assembly.header(size, properties)?;
        self.content(whole, events);
        Ok(())
    }

    /// A part of its body did.
    pub(super) fn body(&mut self, part: &[u8], events: &mut Vec<Event>) -> Result<(), Fault> {
        let whole = self.assembly.body(part)?;
        self.content(whole, events);
        Ok(())
    }

    fn content(&mut self, whole: Option<Whole>, events: &mut Vec<Event>) {
        match whole {
            Some(Whole::Delivery(delivery)) => self.comes(Came::Delivery(delivery), events),
            Some(Whole::Return {
                exchange,
                key,
                id,
                size,
            }) => self.confirms.returned(mark(&exchange, &key, &id, size)),
            None => {}
        }
    }

    /// Something is there for who reads, who is told of the first.
    fn comes(&mut self, came: Came, events: &mut Vec<Event>) {
        if self.came.is_empty() {
            events.push(Event::Came);
        }
        self.came.push_back(came);
    }

    /// What has come, up to so many messages and about so many bytes; the end of a consumer only by itself, so that it
    /// hides no message.
    pub(super) fn take(&mut self, most: usize, most_bytes: usize) -> Vec<Came> {
        let mut taken = Vec::with_capacity(self.came.len().min(most));
        let mut bytes = 0;
        while let Some(came) = self.came.front() {
            let is_end = matches!(came, Came::Cancelled) && !taken.is_empty();
            if is_end || taken.len() >= most || bytes >= most_bytes {
                break;
            }
            if let Came::Delivery(delivery) = came {
                bytes += delivery.data.len();
            }
            taken.extend(self.came.pop_front());
        }
        taken
    }
}

fn settled((ticket, outcomes): (Ticket, Vec<Outcome>)) -> Event {
    Event::Settled(ticket, outcomes)
}
