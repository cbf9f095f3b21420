//! Drives a connection that stands: reads while there is room for what comes, writes all that is to be written in one go, and
//! asks the broker whether it is there when it says nothing.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::{future, io};

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::exchange::{Exchange, News};
use super::fault::Fault;
use super::gate::Gate;
use super::line::LINGER;
use super::packet;
use super::pulse::{Beat, Pulse};

/// What is read at once.
const PIECE: usize = 64 << 10;
/// With less room than this there is made more before reading.
const LEAST: usize = 4 << 10;

/// What a connection's users and its driver share.
#[derive(Debug)]
pub(super) struct Shared {
    exchange: Mutex<Exchange>,
    gate: Gate,
    /// Nobody uses the connection any more.
    closed: AtomicBool,
    driver: AtomicWaker,
}

impl Shared {
    pub(super) fn new(exchange: Exchange) -> Shared {
        Shared {
            exchange: Mutex::new(exchange),
            gate: Gate::default(),
            closed: AtomicBool::new(false),
            driver: AtomicWaker::new(),
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for something, and has it written.
    pub(super) fn ask<T>(&self, what: impl FnOnce(&mut Exchange) -> T) -> T {
        let result = what(&mut self.exchange());
        self.driver.wake();
        result
    }

    /// Messages of so many bytes each were received.
    pub(super) fn received(&self, sizes: impl Iterator<Item = usize>) {
        let mut opened = false;
        for bytes in sizes {
            opened |= self.gate.received(bytes);
        }
        if opened {
            self.driver.wake();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.exchange().is_over()
    }

    /// What is still to be written is, and then it ends.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.driver.wake();
    }
}

/// What comes over a connection that reads.
#[derive(Debug)]
pub(super) enum Came {
    News(News),
    Lost(Fault),
}

pub(super) struct Driver<L> {
    line: L,
    shared: Arc<Shared>,
    pulse: Pulse,
    /// When to look after the pulse.
    alarm: Pin<Box<Sleep>>,
    /// What has come of a packet that is not whole.
    unread: BytesMut,
    /// Who listens; nobody on a connection that publishes.
    came: Option<mpsc::UnboundedSender<Came>>,
    /// How many bytes have left.
    left: watch::Sender<u64>,
    /// Something was written that may still be on its way.
    flushing: bool,
}

impl<L> Drop for Driver<L> {
    fn drop(&mut self) {
        self.shared.exchange().end();
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> Driver<L> {
    /// Of a connection on which so much has come after the answer to CONNECT.
    pub(super) fn new(
        line: L,
        unread: BytesMut,
        shared: &Arc<Shared>,
        pulse: Pulse,
        came: Option<mpsc::UnboundedSender<Came>>,
        left: watch::Sender<u64>,
    ) -> Driver<L> {
        let due = pulse.due(true, Instant::now());
        Driver {
            line,
            shared: Arc::clone(shared),
            pulse,
            alarm: Box::pin(sleep_until(due)),
            unread,
            came,
            left,
            flushing: false,
        }
    }

    /// Until the connection's end, or nobody uses it any more.
    pub(super) async fn run(mut self) {
        let lost = match self.take() {
            Ok(()) => future::poll_fn(|context| self.poll(context)).await.err(),
            Err(fault) => Some(fault),
        };
        let Some(fault) = lost else {
            // What doesn't leave soon is asked for again by whoever comes next.
            let rest = future::poll_fn(|context| self.poll_write(context));
            timeout(LINGER, rest).await.ok();
            return;
        };
        self.shared.exchange().end();
        if let Some(came) = &self.came {
            came.send(Came::Lost(fault)).ok();
        }
    }

    /// Ready when it is over; without an error if nobody uses it any more.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.shared.driver.register(context.waker());
        if self.shared.closed.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        // First, so that what says again what came before is known as such: not once its ack has left.
        let listening = self.poll_read(context)?;
        self.poll_pulse(listening, context)?;
        match self.poll_write(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Reads what there is, if there is room for it. Says whether more would be read.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<bool, Fault> {
        while !self.shared.gate.is_shut() {
            self.make_room();
            let Poll::Ready(read) = pin!(self.line.read_buf(&mut self.unread)).poll(context) else {
                return Ok(true);
            };
            if read? == 0 {
                return Err(Fault::HungUp);
            }
            self.pulse.hear(Instant::now());
            self.take()?;
        }
        Ok(false)
    }

    fn make_room(&mut self) {
        let there = self.unread.len();
        // Of what a packet is said to be no more is believed at once than has come.
        let missing = packet::length(&self.unread).map_or(0, |length| length.saturating_sub(there));
        let room = missing.min(there.max(PIECE));
        if self.unread.capacity() - there < room.max(LEAST) {
            self.unread.reserve(room.max(PIECE));
        }
    }

    /// Takes in what has been read, and hands it over.
    fn take(&mut self) -> Result<(), Fault> {
        let mut news = News::default();
        let taken = self.shared.exchange().take(&mut self.unread, &mut news);
        if let Some(came) = &self.came {
            for (_, message) in &news.messages {
                self.shared.gate.came(message.payload.len());
            }
            if !news.is_empty() {
                // Who doesn't listen any more is about to end this.
                came.send(Came::News(news)).ok();
            }
        } else {
            // Nobody asked for it.
            let tokens: Vec<u64> = news.messages.iter().map(|(token, _)| *token).collect();
            self.shared.exchange().ack(&tokens);
        }
        taken
    }

    fn poll_pulse(&mut self, listening: bool, context: &mut Context<'_>) -> Result<(), Fault> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            match self.pulse.check(listening, now) {
                Beat::Fine => {}
                Beat::Ask => self.shared.exchange().ask(),
                Beat::Gone => {
                    let what = "nothing comes from the MQTT broker, and no answer";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what).into());
                }
            }
            self.alarm.as_mut().reset(self.pulse.due(listening, now));
        }
        Ok(())
    }

    /// Writes what is to be written; ready when all of it has left.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut exchange = self.shared.exchange();
            if exchange.out().is_empty() {
                let left = exchange.left();
                drop(exchange);
                if self.flushing {
                    ready!(Pin::new(&mut self.line).poll_flush(context))?;
                    self.flushing = false;
                    self.pulse.say(Instant::now());
                }
                self.left
                    .send_if_modified(|told| std::mem::replace(told, left) != left);
                return Poll::Ready(Ok(()));
            }
            let sent = ready!(Pin::new(&mut self.line).poll_write(context, exchange.out()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.flushing = true;
            exchange.sent(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use rumqttc::{ConnAck, ConnectReturnCode, Packet, Publish, QoS};
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex, split};
    use tokio::task::JoinHandle;

    use super::super::frame::Version;
    use super::super::gate::MOST;
    use super::super::outbox::{Limits, Outbox};
    use super::super::packet::PINGREQ;
    use super::super::publish::Manner;
    use super::super::pulse::{PATIENCE, Patience};
    use super::*;

    struct Client {
        shared: Arc<Shared>,
        came: mpsc::UnboundedReceiver<Came>,
        driver: JoinHandle<()>,
    }

    impl Client {
        fn of(line: DuplexStream, patience: Patience) -> Client {
            let answer = ConnAck {
                session_present: false,
                code: ConnectReturnCode::Success,
                properties: None,
            };
            let manner = Manner {
                version: Version::Five,
                qos: QoS::AtLeastOnce,
                retain: false,
            };
            let outbox = Outbox::new(manner, Limits::of(&answer));
            let shared = Arc::new(Shared::new(Exchange::new(Version::Five, outbox)));
            let pulse = Pulse::new(patience, 0, Instant::now());
            let (out, came) = mpsc::unbounded_channel();
            let left = watch::channel(0).0;
            let driver = Driver::new(line, BytesMut::new(), &shared, pulse, Some(out), left);
            Client {
                driver: tokio::spawn(driver.run()),
                shared,
                came,
            }
        }

        async fn token(&mut self) -> u64 {
            match self.came.recv().await.unwrap() {
                Came::News(news) => news.messages[0].0,
                Came::Lost(fault) => panic!("{fault:?}"),
            }
        }
    }

    fn message(pkid: u16, bytes: usize) -> Bytes {
        let mut message = Publish::new("t", QoS::AtLeastOnce, vec![b'x'; bytes], None);
        message.pkid = pkid;
        let mut packet = BytesMut::new();
        Packet::Publish(message).write(&mut packet, None).unwrap();
        packet.freeze()
    }

    #[tokio::test]
    async fn a_shut_gate_lets_nothing_in_and_everything_out() {
        let (line, broker) = duplex(1024);
        let (mut from_client, mut to_client) = split(broker);
        let mut client = Client::of(line, PATIENCE);
        to_client.write_all(&message(1, MOST)).await.unwrap();
        let token = client.token().await;
        let next = message(2, 4096);
        let mut writing = pin!(to_client.write_all(&next));
        let written = timeout(Duration::from_millis(20), &mut writing).await;
        assert!(written.is_err());
        client.shared.ask(|exchange| exchange.ack(&[token]));
        let mut ack = [0; 4];
        from_client.read_exact(&mut ack).await.unwrap();
        assert_eq!(ack, [0x40, 2, 0, 1]);
        client.shared.received([MOST].into_iter());
        writing.await.unwrap();
        assert_eq!(client.token().await, token + 1);
    }

    #[tokio::test]
    async fn who_says_nothing_is_asked_and_given_up_without_an_answer() {
        let (line, mut broker) = duplex(64);
        let patience = Patience {
            quiet: Duration::from_millis(20),
            answer: Duration::from_millis(200),
        };
        let mut client = Client::of(line, patience);
        let mut question = [0; 2];
        broker.read_exact(&mut question).await.unwrap();
        assert_eq!(question, PINGREQ);
        broker.write_all(&[0xd0, 0]).await.unwrap();
        broker.read_exact(&mut question).await.unwrap();
        let Some(Came::Lost(Fault::Io(error))) = client.came.recv().await else {
            panic!("an answer to nothing")
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(client.shared.is_over());
    }

    #[tokio::test]
    async fn what_was_asked_for_leaves_before_the_end() {
        let (line, mut broker) = duplex(1024);
        let mut client = Client::of(line, PATIENCE);
        broker.write_all(&message(1, 10)).await.unwrap();
        let token = client.token().await;
        client.shared.ask(|exchange| exchange.ack(&[token]));
        client.shared.close();
        let mut rest = Vec::new();
        broker.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [0x40, 2, 0, 1]);
        client.driver.await.unwrap();
    }
}
