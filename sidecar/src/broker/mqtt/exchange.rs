//! All that is said on a connection once it stands: what is asked for becomes bytes to write, and bytes that come become what
//! they say. Pure: who drives it reads, writes and has the clock.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, BytesMut};
use rumqttc::{SubscribeFilter, SubscribeReasonCode};
use tokio::sync::oneshot;

use super::acks::{Ack, Ledger};
use super::fault::Fault;
use super::frame::{Malformed, Version};
use super::outbox::{Batch, Outbox, Outcome};
use super::packet::{self, PINGREQ, Packet, put_answer, put_subscribe};
use super::publish::Published;

/// What is kept for what is to be written, in bytes.
const KEPT: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Exchange {
    version: Version,
    outbox: Outbox,
    ledger: Ledger,
    /// What is to be written.
    out: BytesMut,
    /// It takes more memory than it is to keep: a large message was in it.
    grown: bool,
    /// How many bytes have left before that.
    left: u64,
    /// The topic of the last message that came.
    topic: Arc<str>,
    over: bool,
}

/// What came together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Each with its token.
    pub(super) messages: Vec<(u64, Published)>,
    /// The answer to the subscription.
    pub(super) subscribed: Option<Vec<SubscribeReasonCode>>,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.subscribed.is_none()
    }
}

impl Exchange {
    pub(super) fn new(version: Version, outbox: Outbox) -> Exchange {
        Exchange {
            version,
            outbox,
            ledger: Ledger::default(),
            out: BytesMut::new(),
            grown: false,
            left: 0,
            topic: Arc::default(),
            over: false,
        }
    }

    pub(super) fn subscribe(&mut self, filter: SubscribeFilter) -> Result<(), Malformed> {
        put_subscribe(filter, self.version, &mut self.out)
    }

    /// Asks whether the broker is there.
    pub(super) fn ask(&mut self) {
        self.out.put_slice(PINGREQ);
    }

    /// Publishes messages, after all before them. What becomes of them is told when it is known of all.
    pub(super) fn publish(&mut self, messages: Batch) -> oneshot::Receiver<Vec<Outcome>> {
        let (done, outcomes) = oneshot::channel();
        self.outbox.push(messages, done);
        if self.over {
            self.outbox.give_up();
        } else {
            self.outbox.begin(&mut self.out, self.left);
        }
        outcomes
    }

    /// Acks messages. They are acked when so many bytes have left.
    pub(super) fn ack(&mut self, tokens: &[u64]) -> u64 {
        for ack in self.ledger.done(tokens) {
            self.answer(ack);
        }
        self.left + self.out.len() as u64
    }

    fn answer(&mut self, ack: Ack) {
        put_answer(ack.kind, ack.identifier, &mut self.out);
        self.ledger.leaves(ack, self.left + self.out.len() as u64);
    }

    /// Takes in what has come, as far as there are whole packets. What came before something that may not come is told too.
    pub(super) fn take(&mut self, unread: &mut BytesMut, news: &mut News) -> Result<(), Fault> {
        let taken = loop {
            match packet::read(unread, self.version, &mut self.topic) {
                Ok(None) => break Ok(()),
                Ok(Some(packet)) => {
                    if let Err(fault) = self.packet(packet, news) {
                        break Err(fault);
                    }
                }
                Err(malformed) => break Err(malformed.into()),
            }
        };
        self.outbox.begin(&mut self.out, self.left);
        taken
    }

    fn packet(&mut self, packet: Packet, news: &mut News) -> Result<(), Fault> {
        match packet {
            Packet::Message(message) => {
                if let Some(token) = self.ledger.give(&message) {
                    news.messages.push((token, message));
                }
            }
            Packet::Answer(answer) => self.outbox.answered(answer, &mut self.out),
            Packet::Released(identifier) => {
                let ack = self.ledger.released(identifier);
                self.answer(ack);
            }
            Packet::Subscribed(codes) => news.subscribed = Some(codes),
            Packet::Here => {}
            Packet::Disconnected(code) => return Err(Fault::Disconnected(code)),
            Packet::Connected(_) => return Err(Malformed::new("a second answer to CONNECT").into()),
        }
        Ok(())
    }

    /// What is to be written.
    pub(super) fn out(&self) -> &[u8] {
        &self.out
    }

    /// So much of it has left.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.grown |= self.out.capacity() > KEPT;
        self.out.advance(bytes);
        self.left += bytes as u64;
        if self.out.is_empty() && std::mem::take(&mut self.grown) {
            self.out = BytesMut::new();
        }
        self.ledger.left(self.left);
        self.outbox.left(self.left);
        self.outbox.begin(&mut self.out, self.left);
    }

    /// How many bytes have left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The connection is gone.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.outbox.give_up();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }
}
