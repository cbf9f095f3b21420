//! A connection, from its greeting to its end: what comes in is told as events, what is to leave waits in a buffer. Pure.

mod asks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use amq_protocol::protocol::{AMQPClass, channel, connection};
use amq_protocol::types::ShortString;

use super::FRAME;
use super::channel::Channel;
use super::confirms::Outcome;
use super::fault::Fault;
use super::login::Login;
use super::wire::{self, BODY, Frame, GREETING, HEADER, HEARTBEAT, METHOD, Method};

/// Names a question, or a batch, to who waits for what becomes of it.
pub(crate) type Ticket = u64;

/// Intervals, two to a heartbeat, in which nothing has to come until the broker counts as gone.
const SILENT: u8 = 4;

/// What came of something.
#[derive(Debug)]
pub(super) enum Event {
    /// A question is answered, or won't be.
    Answered(Ticket, Result<AMQPClass, Fault>),
    /// All messages of a batch are settled.
    Settled(Ticket, Vec<Outcome>),
    /// What was said before has left, or won't.
    Left(Ticket, Result<(), Fault>),
    /// A channel has something for who reads from it.
    Came,
}

/// A connection.
pub(super) struct State {
    stage: Stage,
    login: Login,
    /// What leaves next.
    out: Vec<u8>,
    /// Who waits for that,
    unsaid: Vec<Ticket>,
    /// and for what is leaving.
    leaving: Vec<Ticket>,
    channels: BTreeMap<u16, Channel>,
    events: Vec<Event>,
    /// Who waits for its end.
    waiting: Vec<Ticket>,
    tickets: Ticket,
    most_channels: u16,
    /// The largest frame.
    frame: u32,
    heartbeat: u16,
    blocked: bool,
    /// Whether anything came, and left, in this interval.
    heard: bool,
    said: bool,
    /// Intervals in which nothing came.
    silent: u8,
}

#[derive(Debug)]
enum Stage {
    /// The broker is to say who it is,
    Greeting,
    /// and then what it can do,
    Tuning,
    /// and that the virtual host is ours to use.
    Opening,
    Open,
    /// We have closed it, and wait for the broker to agree.
    Closing,
    Ended(Fault),
}

impl State {
    /// A connection that is about to begin.
    pub(super) fn new(login: Login) -> State {
        State {
            stage: Stage::Greeting,
            out: GREETING.to_vec(),
            unsaid: Vec::new(),
            leaving: Vec::new(),
            channels: BTreeMap::new(),
            events: Vec::new(),
            waiting: Vec::new(),
            tickets: 0,
            most_channels: u16::MAX,
            frame: FRAME,
            heartbeat: login.heartbeat,
            login,
            blocked: false,
            heard: false,
            said: false,
            silent: 0,
        }
    }

    /// Takes in the whole frames of what was read; gives how many bytes that were.
    pub(super) fn receive(&mut self, read: &[u8]) -> usize {
        self.heard = true;
        let mut at = 0;
        while !self.has_ended() {
            match wire::next(&read[at..], self.frame) {
                Ok(Some(frame)) => {
                    at += frame.len();
                    if let Err(fault) = self.frame(&frame) {
                        self.end(&fault);
                    }
                }
                Ok(None) => break,
                Err(fault) => self.end(&fault),
            }
        }
        at
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Fault> {
        if frame.kind == HEARTBEAT {
            return Ok(());
        }
        if frame.channel == 0 {
            return match wire::method(frame.payload)? {
                Method::Other(AMQPClass::Connection(method)) if frame.kind == METHOD => {
                    self.connection(method)
                }
                _ => Err(Fault::Unexpected("a message outside of a channel")),
            };
        }
        let Some(channel) = self.channels.get_mut(&frame.channel) else {
            // Who leaves doesn't wait for its channels.
            let leaving = matches!(self.stage, Stage::Closing);
            let fault = Fault::Unexpected("a frame for a channel that is not open");
            return if leaving { Ok(()) } else { Err(fault) };
        };
        match frame.kind {
            METHOD => {
                let method = wire::method(frame.payload)?;
                if let Method::Other(AMQPClass::Channel(
                    method @ (channel::AMQPMethod::Close(_) | channel::AMQPMethod::CloseOk(_)),
                )) = method
                {
                    return self.channel_ends(frame.channel, method);
                }
                // Once it is closed, what is still on its way means nothing.
                if channel.is_closing() {
                    return Ok(());
                }
                channel.method(method, &mut self.events)
            }
            HEADER | BODY if channel.is_closing() => Ok(()),
            HEADER => {
                let (size, properties) = wire::header(frame.payload)?;
                channel.header(size, properties, &mut self.events)
            }
            BODY => channel.body(frame.payload, &mut self.events),
            _ => Err(Fault::Unexpected("a frame of an unknown type")),
        }
    }

    fn channel_ends(&mut self, id: u16, method: channel::AMQPMethod) -> Result<(), Fault> {
        let Some(channel) = self.channels.get_mut(&id) else {
            return Ok(());
        };
        let ours = channel.is_closing();
        if let channel::AMQPMethod::Close(close) = method {
            let close_ok = AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {}));
            wire::call(&mut self.out, id, close_ok)?;
            // The answer to our own is still to come.
            if !ours {
                channel.end(&refused(close.reply_code, &close.reply_text), &mut self.events);
                self.events.push(Event::Came);
            }
        } else if ours {
            self.channels.remove(&id);
        }
        Ok(())
    }

    fn connection(&mut self, method: connection::AMQPMethod) -> Result<(), Fault> {
        use connection::AMQPMethod;

        match (&self.stage, method) {
            (Stage::Greeting, AMQPMethod::Start(_)) => {
                self.stage = Stage::Tuning;
                let start_ok = self.login.start_ok();
                self.say(AMQPMethod::StartOk(start_ok))
            }
            (Stage::Tuning, AMQPMethod::Tune(tune)) => {
                self.stage = Stage::Opening;
                // Zero is no limit, or no wish.
                let least = |ours: u32, theirs: u32| if theirs == 0 { ours } else { ours.min(theirs) };
                self.frame = least(FRAME, tune.frame_max);
                let heartbeat = least(self.login.heartbeat.into(), tune.heartbeat.into());
                self.heartbeat = u16::try_from(heartbeat).unwrap_or(self.login.heartbeat);
                self.most_channels = match tune.channel_max {
                    0 => u16::MAX,
                    most => most,
                };
                self.say(AMQPMethod::TuneOk(connection::TuneOk {
                    channel_max: self.most_channels,
                    frame_max: self.frame,
                    heartbeat: self.heartbeat,
                }))?;
                let virtual_host = self.login.vhost.clone();
                self.say(AMQPMethod::Open(connection::Open { virtual_host }))
            }
            (Stage::Opening, AMQPMethod::OpenOk(_)) => {
                self.stage = Stage::Open;
                Ok(())
            }
            (_, AMQPMethod::Close(close)) => {
                self.say(AMQPMethod::CloseOk(connection::CloseOk {}))?;
                Err(refused(close.reply_code, &close.reply_text))
            }
            (Stage::Closing, AMQPMethod::CloseOk(_)) => Err(Fault::Closed),
            (Stage::Open | Stage::Closing, AMQPMethod::Blocked(_)) => {
                self.blocked = true;
                Ok(())
            }
            (Stage::Open | Stage::Closing, AMQPMethod::Unblocked(_)) => {
                self.blocked = false;
                Ok(())
            }
            _ => Err(Fault::Unexpected("a step that is out of order")),
        }
    }

    fn say(&mut self, method: connection::AMQPMethod) -> Result<(), Fault> {
        wire::call(&mut self.out, 0, AMQPClass::Connection(method))
    }

    /// It has ended, and everybody who waits for something is told so.
    pub(super) fn end(&mut self, fault: &Fault) {
        if self.has_ended() {
            return;
        }
        self.stage = Stage::Ended(fault.clone());
        for channel in self.channels.values_mut() {
            channel.end(fault, &mut self.events);
        }
        let waiting = self.waiting.drain(..);
        self.events
            .extend(waiting.map(|ticket| Event::Answered(ticket, Err(fault.clone()))));
        let unsaid = self.leaving.drain(..).chain(self.unsaid.drain(..));
        self.events
            .extend(unsaid.map(|ticket| Event::Left(ticket, Err(fault.clone()))));
        self.events.push(Event::Came);
    }

    /// Half a heartbeat has passed since it was said before.
    pub(super) fn tick(&mut self) {
        self.silent = if self.heard { 0 } else { self.silent + 1 };
        if self.silent >= SILENT {
            self.end(&Fault::Silent);
        }
        if !self.said {
            wire::heartbeat(&mut self.out);
        }
        (self.heard, self.said) = (false, false);
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Why it can't be used; `None` while it can.
    pub(super) fn fault(&self) -> Option<Fault> {
        match &self.stage {
            Stage::Ended(fault) => Some(fault.clone()),
            Stage::Closing => Some(Fault::Closed),
            _ => None,
        }
    }

    /// Whether the broker takes no messages at the moment.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// How often each side says that it is there, in seconds.
    pub(super) fn heartbeat(&self) -> u16 {
        self.heartbeat
    }

    /// Takes what is to leave, in exchange for an empty buffer: what was taken before has left.
    pub(super) fn leaves(&mut self, empty: &mut Vec<u8>) {
        let left = std::mem::replace(&mut self.leaving, std::mem::take(&mut self.unsaid));
        self.events
            .extend(left.into_iter().map(|ticket| Event::Left(ticket, Ok(()))));
        self.said |= !self.out.is_empty();
        std::mem::swap(&mut self.out, empty);
    }

    /// Whether anything is to leave.
    pub(super) fn has_to_say(&self) -> bool {
        !self.out.is_empty()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

fn refused(code: u16, said: &ShortString) -> Fault {
    Fault::Refused {
        code,
        said: said.as_str().into(),
    }
}
