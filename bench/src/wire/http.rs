//! The far end: a container that takes what the pipeline posts to it, and notes when.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Wire;
use crate::clock;

/// A message, and when it was there completely, in nanoseconds since the epoch.
pub(crate) struct Received {
    pub(crate) at: u64,
    pub(crate) body: Vec<u8>,
}

/// Answers every POST with 200.
pub(crate) struct Listener {
    port: u16,
    messages: Receiver<Received>,
}

impl Listener {
    pub(crate) fn bind() -> Result<Listener> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
        let port = listener.local_addr()?.port();
        let (sender, messages) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                // A connection that fails has been closed by the other side, which will open another.
                thread::spawn(move || serve(stream, &sender).ok());
            }
        });
        Ok(Listener { port, messages })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next message, unless it takes too long.
    pub(crate) fn next(&self, wait: Duration) -> Option<Received> {
        self.messages.recv_timeout(wait).ok()
    }

    /// All messages until none came for a while.
    pub(crate) fn all(&self, quiet: Duration) -> Vec<Received> {
        let mut all = Vec::new();
        let mut last = Instant::now();
        while let Some(left) = quiet.checked_sub(last.elapsed()) {
            if let Some(message) = self.next(left) {
                all.push(message);
                last = Instant::now();
            }
        }
        all
    }
}

fn serve(stream: TcpStream, sender: &Sender<Received>) -> Result<()> {
    let mut wire = Wire::new(stream)?;
    loop {
        let head = loop {
            if let Some(end) = wire.waiting().windows(4).position(|end| end == b"\r\n\r\n") {
                break end;
            }
            if !wire.fill()? {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(wire.need(head)?.get(..head).unwrap_or(&[])).to_ascii_lowercase();
        let len = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let len = len.map_or(Ok(0), |len| len.trim().parse::<usize>())?;
        let body = wire.need(head + 4 + len)?.get(head + 4..head + 4 + len);
        let body = body.unwrap_or(&[]).to_vec();
        wire.consume(head + 4 + len);
        let post = text.starts_with("post ");
        if post {
            sender.send(Received {
                at: clock::now(),
                body,
            })?;
        }
        let answer: &[u8] = if post {
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        } else {
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
        };
        wire.output.extend_from_slice(answer);
        wire.send()?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn posts_are_messages_whatever_their_pieces() {
        let listener = Listener::bind().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
        let requests = "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\none\
                        GET /a HTTP/1.1\r\n\r\n\
                        POST /a HTTP/1.1\r\ncontent-length:  3\r\n\r\ntwo";
        for piece in requests.as_bytes().chunks(7) {
            stream.write_all(piece).unwrap();
        }
        let long = Duration::from_secs(20);
        let bodies = [listener.next(long), listener.next(long)].map(|message| message.unwrap().body);
        assert_eq!(bodies, [b"one", b"two"]);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        let codes: Vec<&str> = answers
            .matches("HTTP/1.1 200")
            .chain(answers.matches("HTTP/1.1 404"))
            .collect();
        assert_eq!(codes.len(), 3, "{answers}");
    }
}
