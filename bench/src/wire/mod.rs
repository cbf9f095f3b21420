//! What the messages travel by, spoken directly: a client library in the same two cores would be measured too.

mod amqp;
pub(crate) mod http;
mod mqtt;
mod redis;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};

pub(crate) use amqp::{Amqp, Waiting};
pub(crate) use mqtt::{Mqtt, Session};
pub(crate) use redis::RedisStream;

/// Sends messages to one topic.
pub(crate) trait Publisher {
    /// Sends a message, or keeps it to send it with the next ones.
    fn send(&mut self, message: &[u8]) -> Result<()>;
    /// Sends what was kept, without waiting for it to be confirmed.
    fn push(&mut self) -> Result<()>;
    /// Returns when the broker has confirmed all.
    fn flush(&mut self) -> Result<()>;
}

/// Sees what has arrived at one topic.
pub(crate) trait Counter {
    /// How many messages there have been so far.
    fn count(&mut self) -> Result<u64>;
}

/// Bytes that are kept before they are sent.
const KEEP: usize = 16 * 1024;

/// A connection with what has arrived on it and what is to be sent.
pub(crate) struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
    /// How much of the input has been consumed.
    read: usize,
    output: Vec<u8>,
}

impl Wire {
    fn connect(port: u16) -> Result<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("port {port}"))?;
        Wire::new(stream)
    }

    fn new(stream: TcpStream) -> Result<Wire> {
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            input: Vec::new(),
            read: 0,
            output: Vec::new(),
        })
    }

    /// What has arrived and was not consumed.
    fn waiting(&self) -> &[u8] {
        self.input.get(self.read..).unwrap_or(&[])
    }

    fn consume(&mut self, bytes: usize) {
        self.read += bytes;
        if self.read > 1 << 20 || self.read == self.input.len() {
            self.input.drain(..self.read.min(self.input.len()));
            self.read = 0;
        }
    }

    /// Waits for more to arrive. False at the end.
    fn fill(&mut self) -> Result<bool> {
        let mut more = [0; 16 * 1024];
        let bytes = self.stream.read(&mut more)?;
        self.input.extend_from_slice(more.get(..bytes).unwrap_or(&[]));
        Ok(bytes > 0)
    }

    /// Takes in all that has arrived, without waiting for more.
    fn look(&mut self) -> Result<()> {
        self.stream.set_nonblocking(true)?;
        let looked = loop {
            match self.fill() {
                Ok(true) => {}
                looked => break looked,
            }
        };
        self.stream.set_nonblocking(false)?;
        match looked {
            Err(error) if error.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::WouldBlock) => {
                Ok(())
            }
            looked => looked.map(|_| ()),
        }
    }

    /// Waits until there are so many bytes.
    fn need(&mut self, bytes: usize) -> Result<&[u8]> {
        while self.waiting().len() < bytes {
            ensure!(self.fill()?, "the other side closed the connection");
        }
        Ok(self.waiting())
    }

    fn send(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output)?;
            self.output.clear();
        }
        Ok(())
    }
}
