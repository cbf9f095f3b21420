//! AMQP 0-9-1 (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>), as much as publishing with confirms needs.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::{Counter, KEEP, Publisher, Wire};
use crate::brokers::Mode;

/// Publishes to one exchange, with confirms, many messages in flight.
pub(crate) struct Amqp {
    wire: Wire,
    /// The arguments of `basic.publish`.
    publish: Vec<u8>,
    mode: Mode,
    sent: u64,
    /// The tags of messages in flight.
    unconfirmed: BTreeSet<u64>,
}

/// Messages in flight. More than a window has: a broker confirms persistent ones by the hundreds, each time that it has
/// written them, and who waited for that would not be in time.
const DEPTH: usize = 32 * 1024;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;

/// A frame that has arrived.
struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

impl Frame {
    /// Class and method, of a method's frame.
    fn method(&self) -> Option<(u8, u8)> {
        match self.payload.as_slice() {
            [0, class, 0, method, ..] if self.kind == METHOD => Some((*class, *method)),
            _ => None,
        }
    }
}

impl Amqp {
    /// Connects as `guest`. The exchange is not declared: it is the reader's.
    pub(crate) fn connect(port: u16, exchange: &str, mode: Mode) -> Result<Amqp> {
        let mut wire = Wire::connect(port)?;
        wire.output.extend_from_slice(b"AMQP\x00\x00\x09\x01");
        let mut publish = vec![0, 60, 0, 40, 0, 0];
        short(&mut publish, exchange);
        publish.extend_from_slice(&[0, 0]);
        let mut amqp = Amqp {
            wire,
            publish,
            mode,
            sent: 0,
            unconfirmed: BTreeSet::new(),
        };
        amqp.expect((10, 10))?;
        let mut start_ok = vec![0, 10, 0, 11, 0, 0, 0, 0];
        short(&mut start_ok, "PLAIN");
        long(&mut start_ok, b"\0guest\0guest");
        short(&mut start_ok, "en_US");
        amqp.method(0, &start_ok);
        let tune = amqp.expect((10, 30))?;
        // The limits that the server proposes, and no heartbeats.
        let mut tune_ok = vec![0, 10, 0, 31];
        tune_ok.extend_from_slice(tune.payload.get(4..10).unwrap_or(&[]));
        tune_ok.extend_from_slice(&[0, 0]);
        amqp.method(0, &tune_ok);
        amqp.method(0, &[0, 10, 0, 40, 1, b'/', 0, 0]);
        amqp.expect((10, 41))?;
        amqp.method(1, &[0, 20, 0, 10, 0]);
        amqp.expect((20, 11))?;
        amqp.method(1, &[0, 85, 0, 10, 0]);
        amqp.expect((85, 11))?;
        Ok(amqp)
    }

    fn method(&mut self, channel: u8, payload: &[u8]) {
        frame(&mut self.wire.output, METHOD, channel, payload);
    }

    /// Whether a whole frame has arrived.
    fn has_frame(&self) -> bool {
        let waiting = self.wire.waiting();
        waiting.len() >= 7 && waiting.len() > 7 + size_of_frame(waiting)
    }

    fn receive(&mut self) -> Result<Frame> {
        let head = self.wire.need(7)?;
        let len = size_of_frame(head);
        let kind = head.first().copied().unwrap_or_default();
        let frame = self.wire.need(7 + len + 1)?;
        let payload = frame.get(7..7 + len).unwrap_or(&[]).to_vec();
        ensure!(frame.get(7 + len) == Some(&FRAME_END), "RabbitMQ sends no frame");
        self.wire.consume(7 + len + 1);
        Ok(Frame { kind, payload })
    }

    fn expect(&mut self, method: (u8, u8)) -> Result<Frame> {
        self.wire.send()?;
        let frame = self.receive()?;
        if frame.method() != Some(method) {
            bail!(
                "RabbitMQ answers {:?} instead of {method:?}: {}",
                frame.method(),
                String::from_utf8_lossy(&frame.payload)
            );
        }
        Ok(frame)
    }

    fn confirm(&mut self, left: usize) -> Result<()> {
        self.wire.send()?;
        while self.unconfirmed.len() > left {
            let frame = self.receive()?;
            self.take(&frame)?;
        }
        Ok(())
    }

    /// Takes the confirms that have arrived.
    fn look(&mut self) -> Result<()> {
        self.wire.look()?;
        while self.has_frame() {
            let frame = self.receive()?;
            self.take(&frame)?;
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame) -> Result<()> {
        match (frame.method(), frame.payload.get(4..)) {
            // An ack: the tag, and whether it is for all before it too.
            (Some((60, 80)), Some([tag @ .., multiple])) => {
                let tag = tag.first_chunk().map_or(0, |tag| u64::from_be_bytes(*tag));
                if multiple & 1 == 1 {
                    self.unconfirmed = self.unconfirmed.split_off(&(tag + 1));
                } else {
                    self.unconfirmed.remove(&tag);
                }
            }
            _ if frame.kind == HEARTBEAT => {}
            (method, _) => bail!(
                "RabbitMQ says {method:?}: {}",
                String::from_utf8_lossy(&frame.payload)
            ),
        }
        Ok(())
    }
}

impl Publisher for Amqp {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let out = &mut self.wire.output;
        frame(out, METHOD, 1, &self.publish);
        let mut header = vec![0, 60, 0, 0];
        header.extend_from_slice(&(message.len() as u64).to_be_bytes());
        // A content type and a delivery mode follow.
        header.extend_from_slice(&[0x90, 0]);
        short(&mut header, "application/json");
        header.push(match self.mode {
            Mode::Transient => 1,
            Mode::Persistent => 2,
        });
        frame(out, HEADER, 1, &header);
        frame(out, BODY, 1, message);
        self.sent += 1;
        self.unconfirmed.insert(self.sent);
        if self.unconfirmed.len() >= DEPTH {
            self.confirm(DEPTH / 2)
        } else if self.wire.output.len() > KEEP {
            self.push()
        } else {
            Ok(())
        }
    }

    fn push(&mut self) -> Result<()> {
        self.wire.send()?;
        self.look()
    }

    fn flush(&mut self) -> Result<()> {
        self.confirm(0)
    }
}

/// The messages that wait in a queue that nobody reads.
pub(crate) struct Waiting {
    amqp: Amqp,
    queue: String,
}

impl Waiting {
    pub(crate) fn connect(port: u16, queue: String) -> Result<Waiting> {
        let amqp = Amqp::connect(port, "", Mode::Transient)?;
        Ok(Waiting { amqp, queue })
    }
}

impl Counter for Waiting {
    fn count(&mut self) -> Result<u64> {
        // queue.declare, passive.
        let mut declare = vec![0, 50, 0, 10, 0, 0];
        short(&mut declare, &self.queue);
        declare.extend_from_slice(&[1, 0, 0, 0, 0]);
        self.amqp.method(1, &declare);
        let declared = self.amqp.expect((50, 11))?;
        // Its name, then the numbers of messages and of consumers.
        let numbers = declared
            .payload
            .rchunks(4)
            .nth(1)
            .and_then(<[u8]>::first_chunk::<4>);
        Ok(numbers.map_or(0, |count| u32::from_be_bytes(*count)).into())
    }
}

/// The size of a frame's payload, by its first 7 bytes.
fn size_of_frame(head: &[u8]) -> usize {
    let len = head.get(3..7).and_then(<[u8]>::first_chunk::<4>);
    len.map_or(0, |len| u32::from_be_bytes(*len) as usize)
}

fn frame(out: &mut Vec<u8>, kind: u8, channel: u8, payload: &[u8]) {
    out.extend_from_slice(&[kind, 0, channel]);
    out.extend_from_slice(&size(payload).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
}

fn short(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

fn long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&size(bytes).to_be_bytes());
    out.extend_from_slice(bytes);
}

// Messages are far from 4 GiB.
fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
