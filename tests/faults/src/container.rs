//! The container that gets the rows: it remembers what it accepted, and may be in a bad mood.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::oracle;

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Well,
    /// Never answers.
    Stall,
    /// Answers 500.
    Refuse,
    /// Resets the connection.
    Reset,
    /// Takes it, after a while.
    Slow(Duration),
    /// Answers with what is no HTTP.
    Garbage,
}

/// What it has accepted.
#[derive(Debug, Default)]
struct Accepted {
    bodies: Vec<Vec<u8>>,
    numbers: HashSet<u64>,
    requests: u64,
}

/// A container.
pub struct Container {
    port: u16,
    accepted: Arc<Mutex<Accepted>>,
    server: JoinHandle<()>,
}

impl Container {
    /// One whose mood at a request is of the request's number.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(mood: impl Fn(u64) -> Mood + Send + Sync + 'static) -> Result<Container> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let accepted = Arc::<Mutex<Accepted>>::default();
        let (memory, mood) = (Arc::clone(&accepted), Arc::new(mood));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (memory, mood) = (Arc::clone(&memory), Arc::clone(&mood));
                // A connection that fails has been closed by the other side, which will open another.
                tokio::spawn(async move { serve(stream, &memory, &*mood).await.ok() });
            }
        });
        Ok(Container {
            port,
            accepted,
            server,
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many rows have come, each counted once.
    pub fn rows(&self) -> u64 {
        lock(&self.accepted).numbers.len() as u64
    }

    /// Tells that to somebody else.
    pub fn counter(&self) -> impl Fn() -> u64 + Send + 'static {
        let accepted = Arc::clone(&self.accepted);
        move || lock(&accepted).numbers.len() as u64
    }

    /// Judges what it has accepted, after so many pairs were sent.
    pub fn judge(&self, sent: u64) -> oracle::Verdict {
        oracle::judge(sent, lock(&self.accepted).bodies.iter().map(Vec::as_slice))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(accepted: &Mutex<Accepted>) -> MutexGuard<'_, Accepted> {
    accepted.lock().unwrap_or_else(PoisonError::into_inner)
}

const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

async fn serve(
    mut stream: TcpStream,
    accepted: &Mutex<Accepted>,
    mood: &(dyn Fn(u64) -> Mood + Send + Sync),
) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    while let Some(body) = request(&mut stream, &mut input).await? {
        let number = {
            let mut accepted = lock(accepted);
            accepted.requests += 1;
            accepted.requests - 1
        };
        match mood(number) {
            Mood::Well => {}
            Mood::Slow(wait) => sleep(wait).await,
            Mood::Refuse => {
                stream.write_all(REFUSED).await?;
                continue;
            }
            Mood::Garbage => {
                stream.write_all(b"\0\xff220 ready when you are\r\n\r\n").await?;
                return Ok(());
            }
            Mood::Reset => return Ok(stream.set_zero_linger()?),
            // Until the other side has had enough of it.
            Mood::Stall => {
                while stream.read(&mut [0; 1024]).await? > 0 {}
                return Ok(());
            }
        }
        accept(accepted, body);
        stream.write_all(TAKEN).await?;
    }
    Ok(())
}

fn accept(accepted: &Mutex<Accepted>, body: Vec<u8>) {
    let row = serde_json::from_slice::<Value>(&body).ok();
    let mut accepted = lock(accepted);
    if let Some(number) = row.as_ref().and_then(oracle::number) {
        accepted.numbers.insert(number);
    }
    accepted.bodies.push(body);
}

/// The body of the next request; `None` at the end.
async fn request(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    let head = loop {
        if let Some(end) = input.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(input.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(Ok(0), |length| length.trim().parse::<usize>())?;
    while input.len() < head + length {
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
    let rest = input.split_off(head + length);
    let mut body = std::mem::replace(input, rest);
    Ok(Some(body.split_off(head)))
}
