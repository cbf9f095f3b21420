//! What is asked of a connection by its users, and of its channels.

use amq_protocol::protocol::{AMQPClass, channel, connection};
use amq_protocol::types::ShortString;

use super::super::channel::{Came, Channel};
use super::super::confirms::mark_of;
use super::super::fault::Fault;
use super::super::wire::{self, Publication};
use super::{Event, Stage, State, Ticket};

/// Everything is closed in good order.
const REPLY_SUCCESS: u16 = 200;

impl State {
    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    /// Opens a channel: its number, and the ticket of the broker's answer.
    pub(crate) fn open(&mut self) -> Result<(u16, Ticket), Fault> {
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        let id = (1..=self.most_channels).find(|id| !self.channels.contains_key(id));
        let id = id.ok_or(Fault::Unexpected("no end of channels"))?;
        self.channels.insert(id, Channel::new());
        let ticket = self.ask(
            id,
            AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
            true,
        )?;
        Ok((id, ticket))
    }

    /// A channel that can be used.
    fn channel(&mut self, id: u16) -> Result<&mut Channel, Fault> {
        if let Some(fault) = self.fault_of(id) {
            return Err(fault);
        }
        self.channels.get_mut(&id).ok_or(Fault::Closed)
    }

    /// Why a channel can't be used; `None` while it can. What ended it counts, or else what ended its connection.
    pub(crate) fn fault_of(&self, id: u16) -> Option<Fault> {
        let own = self.channels.get(&id).and_then(Channel::fault);
        own.or_else(|| self.fault())
    }

    /// Asks something on a channel. Whoever waits for the answer has the ticket of it; the others hear of it only if it
    /// ends the channel.
    pub(crate) fn ask(&mut self, id: u16, method: AMQPClass, waits: bool) -> Result<Ticket, Fault> {
        let ticket = self.ticket();
        self.channel(id)?.asks(waits.then_some(ticket), &method);
        wire::call(&mut self.out, id, method)?;
        Ok(ticket)
    }

    /// Publishes messages, one at least; the ticket is that of what becomes of them.
    pub(crate) fn publish<'m>(
        &mut self,
        id: u16,
        messages: impl Iterator<Item = Publication<'m>>,
    ) -> Result<Ticket, Fault> {
        let ticket = self.ticket();
        self.channel(id)?;
        let (out, most) = (&mut self.out, self.frame);
        let sent = messages.map(|message| {
            wire::publish(out, id, &message, most);
            mark_of(&message)
        });
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.confirms.published(ticket, sent);
        }
        Ok(ticket)
    }

    /// Acks a delivery, `multiple`: and all before it.
    pub(crate) fn ack(&mut self, id: u16, tag: u64, multiple: bool) {
        wire::ack(&mut self.out, id, tag, multiple);
    }

    /// A ticket for the moment when all that has been said is on its way.
    pub(crate) fn wait_until_left(&mut self) -> Ticket {
        let ticket = self.ticket();
        self.unsaid.push(ticket);
        ticket
    }

    /// What has come for who reads from a channel; nothing yet, or never again.
    pub(crate) fn take(&mut self, id: u16, most: usize, bytes: usize) -> Result<Vec<Came>, Fault> {
        let taken = self
            .channels
            .get_mut(&id)
            .map(|channel| channel.take(most, bytes));
        match taken.filter(|taken| !taken.is_empty()) {
            Some(taken) => Ok(taken),
            None => self.fault_of(id).map_or(Ok(Vec::new()), Err),
        }
    }

    /// Nobody uses a channel any more.
    pub(crate) fn release(&mut self, id: u16) {
        let is_usable = self.fault().is_none();
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if is_usable && channel.close() {
            let close = channel::Close {
                reply_code: REPLY_SUCCESS,
                reply_text: ShortString::default(),
                class_id: 0,
                method_id: 0,
            };
            // Names that don't fit are all that can't be written.
            let _ = wire::call(
                &mut self.out,
                id,
                AMQPClass::Channel(channel::AMQPMethod::Close(close)),
            );
        } else {
            self.channels.remove(&id);
        }
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self, why: &'static str) {
        if self.fault().is_some() {
            return;
        }
        self.stage = Stage::Closing;
        let close = connection::Close {
            reply_code: REPLY_SUCCESS,
            reply_text: why.into(),
            class_id: 0,
            method_id: 0,
        };
        let _ = self.say(connection::AMQPMethod::Close(close));
    }

    /// A ticket that is answered when the connection has ended.
    pub(crate) fn wait(&mut self) -> Ticket {
        let ticket = self.ticket();
        match &self.stage {
            Stage::Ended(fault) => self.events.push(Event::Answered(ticket, Err(fault.clone()))),
            _ => self.waiting.push(ticket),
        }
        ticket
    }
}
