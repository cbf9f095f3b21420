//! What moves a connection's bytes: what comes is read into one buffer, and all that is to leave is written together.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::super::super::tls::Socket;
use super::FRAME;
use super::connection::Shared;
use super::fault::Fault;

/// Bytes that are read at once: some messages, and at least one frame of the largest.
const READ: usize = 2 * FRAME as usize;
/// What an empty buffer may keep of its memory.
const KEEP: usize = 256 << 10;
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    socket: Socket,
    shared: Arc<Shared>,
    /// What came, of which so much isn't taken in yet.
    input: Vec<u8>,
    filled: usize,
    /// What leaves, of which so much has left.
    output: Vec<u8>,
    written: usize,
    flushed: bool,
    /// Why nothing can be written any more. Why the broker hung up may still be there to read.
    broken: Option<io::Error>,
    /// Twice a heartbeat, once it is known.
    beats: Option<Interval>,
}

impl Driver {
    pub(super) fn new(socket: Socket, shared: Arc<Shared>) -> Driver {
        Driver {
            socket,
            shared,
            input: vec![0; READ],
            filled: 0,
            output: Vec::new(),
            written: 0,
            flushed: true,
            broken: None,
            beats: None,
        }
    }

    /// Goes on until the connection has ended.
    pub(super) async fn run(mut self) {
        poll_fn(|context| self.poll(context)).await;
        // If the broker closed it, it waits to hear that we know.
        let farewell = async {
            let rest = self.output.get(self.written..).unwrap_or_default();
            self.socket.write_all(rest).await?;
            let mut last = Vec::new();
            self.shared.with(|inner| inner.state.leaves(&mut last));
            self.socket.write_all(&last).await?;
            self.socket.shutdown().await
        };
        let _ = timeout(FAREWELL, farewell).await;
    }

    /// Does all that can be done now; ready when the connection has ended.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.shared.driver.register(context.waker());
        loop {
            let read = self.read(context);
            self.beat(context);
            if self.shared.with(|inner| inner.state.has_ended()) {
                return Poll::Ready(());
            }
            let written = self.write(context);
            if read.is_pending() && written.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Reads once.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut buffer = ReadBuf::new(self.input.get_mut(self.filled..).unwrap_or_default());
        let read = Pin::new(&mut self.socket).poll_read(context, &mut buffer);
        let count = buffer.filled().len();
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if count > 0 => {}
            Poll::Ready(Ok(())) => {
                let hung_up = || io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection");
                let error = self.broken.take().unwrap_or_else(hung_up);
                self.end(error);
                return Poll::Ready(());
            }
            Poll::Ready(Err(error)) => {
                self.end(error);
                return Poll::Ready(());
            }
        }
        self.filled += count;
        let came = self.input.get(..self.filled).unwrap_or_default();
        let taken = self.shared.with(|inner| inner.state.receive(came));
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Poll::Ready(())
    }

    /// Writes once.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.broken.is_some() {
            return Poll::Pending;
        }
        if self.written == self.output.len() {
            if !self.flushed {
                // What is encrypted may not have left yet.
                match Pin::new(&mut self.socket).poll_flush(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(flushed) => {
                        self.flushed = true;
                        self.broken = flushed.err();
                        return Poll::Ready(());
                    }
                }
            }
            self.written = 0;
            self.output.clear();
            self.output.shrink_to(KEEP);
            let output = &mut self.output;
            self.shared.with(|inner| inner.state.leaves(output));
        }
        let rest = self.output.get(self.written..).unwrap_or_default();
        if rest.is_empty() {
            return Poll::Pending;
        }
        self.flushed = false;
        self.broken = match Pin::new(&mut self.socket).poll_write(context, rest) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => Some(ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => {
                self.written += count;
                None
            }
            Poll::Ready(Err(error)) => Some(error),
        };
        Poll::Ready(())
    }

    /// Counts the intervals in which both sides have to say something.
    fn beat(&mut self, context: &mut Context<'_>) {
        if self.beats.is_none() {
            self.beats = self.shared.with(|inner| {
                let seconds = Duration::from_secs(inner.state.heartbeat().max(1).into());
                inner.state.is_open().then(|| beats(seconds / 2))
            });
        }
        while let Some(beats) = &mut self.beats
            && beats.poll_tick(context).is_ready()
        {
            self.shared.with(|inner| inner.state.tick());
        }
    }

    fn end(&self, error: io::Error) {
        let fault = Fault::from(error);
        self.shared.with(|inner| inner.state.end(&fault));
    }
}

fn beats(period: Duration) -> Interval {
    let mut beats = interval(period);
    // A process that stood still has missed no heartbeat of the broker's: they are there to be read.
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}
