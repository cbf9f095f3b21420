//! MQTT, as much as publishing and counting with `QoS` 1 needs: 3.1.1
//! (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html>) to publish, since its clients may have any number of messages in flight;
//! 5 (<https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html>) to count, since its clients may say that they take any number.

use anyhow::{Result, bail, ensure};

use super::{Counter, KEEP, Publisher, Wire};

/// Publishes to one topic, many messages in flight.
pub(crate) struct Mqtt {
    wire: Wire,
    topic: String,
    /// The identifier of the last packet.
    packet: u16,
    unconfirmed: usize,
}

/// Messages in flight.
const DEPTH: usize = 512;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
/// Of a PUBLISH: it wants an ack.
const QOS_1: u8 = 0x02;

const CLEAN: u8 = 0x02;
/// Of CONNECT: for ever; 65,535 messages may be unacked.
const FOR_EVER: [u8; 5] = [0x11, 0xff, 0xff, 0xff, 0xff];
const ANY_NUMBER: [u8; 3] = [0x21, 0xff, 0xff];

impl Mqtt {
    pub(crate) fn connect(port: u16, topic: &str) -> Result<Mqtt> {
        let mut wire = Wire::connect(port)?;
        let mut connect = Vec::new();
        text(&mut connect, "MQTT");
        connect.extend_from_slice(&[4, CLEAN, 0, 0]);
        text(&mut connect, "");
        packet(&mut wire.output, CONNECT, &connect);
        expect(&mut wire, CONNACK, (1, 0))?;
        Ok(Mqtt {
            wire,
            topic: topic.to_owned(),
            packet: 0,
            unconfirmed: 0,
        })
    }

    fn confirm(&mut self, left: usize) -> Result<()> {
        self.wire.send()?;
        while self.unconfirmed > left {
            let (kind, _) = receive(&mut self.wire)?;
            ensure!(kind == PUBACK, "the MQTT broker sends a packet of kind {kind:#x}");
            self.unconfirmed -= 1;
        }
        Ok(())
    }
}

impl Publisher for Mqtt {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.packet = self.packet.checked_add(1).unwrap_or(1);
        let mut publish = Vec::with_capacity(message.len() + self.topic.len() + 4);
        text(&mut publish, &self.topic);
        publish.extend_from_slice(&self.packet.to_be_bytes());
        publish.extend_from_slice(message);
        packet(&mut self.wire.output, PUBLISH | QOS_1, &publish);
        self.unconfirmed += 1;
        if self.unconfirmed >= DEPTH {
            self.confirm(DEPTH / 2)
        } else if self.wire.output.len() > KEEP {
            self.wire.send()
        } else {
            Ok(())
        }
    }

    fn push(&mut self) -> Result<()> {
        self.wire.send()
    }

    fn flush(&mut self) -> Result<()> {
        self.confirm(0)
    }
}

/// A session that reads a topic, and outlives its connection.
pub(crate) struct Session {
    wire: Wire,
    count: u64,
}

impl Session {
    /// Begins it.
    pub(crate) fn begin(port: u16, client: &str, topic: &str) -> Result<Session> {
        let mut wire = Wire::connect(port)?;
        let mut connect = Vec::new();
        text(&mut connect, "MQTT");
        connect.extend_from_slice(&[5, CLEAN, 0, 0, 8]);
        connect.extend_from_slice(&FOR_EVER);
        connect.extend_from_slice(&ANY_NUMBER);
        text(&mut connect, client);
        packet(&mut wire.output, CONNECT, &connect);
        expect(&mut wire, CONNACK, (1, 0))?;
        // Packet 1, no properties.
        let mut subscribe = vec![0, 1, 0];
        text(&mut subscribe, topic);
        subscribe.push(1);
        packet(&mut wire.output, SUBSCRIBE, &subscribe);
        expect(&mut wire, SUBACK, (3, 1))?;
        Ok(Session { wire, count: 0 })
    }
}

impl Counter for Session {
    fn count(&mut self) -> Result<u64> {
        self.wire.look()?;
        while let Some((kind, body)) = waiting(&mut self.wire) {
            if kind & 0xf0 != PUBLISH {
                bail!("the MQTT broker sends a packet of kind {kind:#x}");
            }
            self.count += 1;
            if kind & QOS_1 != 0 {
                let topic = body.first_chunk::<2>().map_or(0, |len| u16::from_be_bytes(*len));
                let id = body.get(2 + usize::from(topic)..).unwrap_or(&[]);
                packet(&mut self.wire.output, PUBACK, id.get(..2).unwrap_or(&[]));
            }
        }
        self.wire.send()?;
        Ok(self.count)
    }
}

/// Sends what is to be sent, and takes the answer, which has this code at this place if all is well.
fn expect(wire: &mut Wire, kind: u8, (at, code): (usize, u8)) -> Result<()> {
    wire.send()?;
    let (answer, body) = receive(wire)?;
    ensure!(
        answer == kind && body.get(at) == Some(&code),
        "the MQTT broker answers {answer:#x} {body:?}"
    );
    Ok(())
}

/// Waits for a packet.
fn receive(wire: &mut Wire) -> Result<(u8, Vec<u8>)> {
    loop {
        if let Some(packet) = waiting(wire) {
            return Ok(packet);
        }
        let bytes = wire.waiting().len();
        wire.need(bytes + 1)?;
    }
}

/// The next packet, if all of it has arrived: its first byte, and what follows its length.
fn waiting(wire: &mut Wire) -> Option<(u8, Vec<u8>)> {
    let (kind, rest) = wire.waiting().split_first()?;
    let (kind, mut len) = (*kind, 0);
    for (at, byte) in rest.iter().enumerate().take(4) {
        len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let body = rest.get(at + 1..at + 1 + len)?.to_vec();
            wire.consume(at + 2 + len);
            return Some((kind, body));
        }
    }
    None
}

fn packet(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    let mut len = body.len();
    loop {
        let low = u8::try_from(len & 0x7f).unwrap_or_default();
        len >>= 7;
        if len == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(body);
}

// Names are short.
fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        for (len, head) in [
            (2, vec![PUBACK, 2]),
            (127, vec![PUBACK, 127]),
            (300, vec![PUBACK, 0xac, 2]),
        ] {
            let mut out = Vec::new();
            packet(&mut out, PUBACK, &vec![7; len]);
            assert_eq!((&out[..head.len()], out.len()), (&head[..], head.len() + len));
        }
    }
}
