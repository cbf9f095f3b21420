//! What bounds the memory of a source. A broker sends as many messages as may be in flight, asked for or not, and a window
//! may hold very many: when enough of them wait to be received, no more are read from the connection, and TCP makes the
//! broker wait. Acks go out all the same, which is why it is the connection's reading half that stops, and why these
//! connections have no keep-alive of MQTT's, whose answers would wait behind the messages: TCP has one of its own, and `pulse`
//! asks where messages would be read and none come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::tls::{Socket, Tls};
use super::pulse::{Patience, Pulse};

/// What may wait to be received, in bytes, before no more is read.
const MOST: usize = 2 << 20;
/// What a message takes beside its payload, about.
const OVERHEAD: usize = 128;
/// A connection that carries nothing is asked whether it is still there after this time,
const QUIET: Duration = Duration::from_secs(10);
/// so often,
const INTERVAL: Duration = Duration::from_secs(5);
/// and what is not acknowledged for so long ends it.
const DEAD: Duration = Duration::from_secs(30);

/// How long a broker may be silent.
const PATIENCE: Patience = Patience {
    quiet: QUIET,
    answer: Duration::from_secs(20),
};

/// How long a broker may take, at the end of a connection, to read what it was sent.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Held by whatever of a connection is not over yet.
pub(super) type Over = Arc<watch::Sender<()>>;

/// Counts what waits.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waiting: AtomicUsize,
    waker: AtomicWaker,
}

impl Gate {
    /// A message of so many bytes came in.
    pub(super) fn came(&self, bytes: usize) {
        self.waiting.fetch_add(bytes + OVERHEAD, Ordering::AcqRel);
    }

    /// A message of so many bytes was received.
    pub(super) fn received(&self, bytes: usize) {
        let before = self.waiting.fetch_sub(bytes + OVERHEAD, Ordering::AcqRel);
        if before > MOST {
            self.waker.wake();
        }
    }

    fn is_shut(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > MOST
    }
}

/// A connection that is not read from while its gate is shut.
pub(super) struct Gated {
    /// Until this is dropped.
    stream: Option<Pulse<Socket>>,
    gate: Arc<Gate>,
    over: Over,
}

impl Gated {
    /// Connects to `host:port`.
    pub(super) async fn connect(
        address: String,
        tls: Option<Tls>,
        gate: Arc<Gate>,
        over: Over,
    ) -> io::Result<Gated> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        let keepalive = TcpKeepalive::new().with_time(QUIET).with_interval(INTERVAL);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(DEAD))?;
        let socket = Socket::new(stream, tls.as_ref()).await?;
        let stream = Some(Pulse::new(socket, PATIENCE));
        Ok(Gated { stream, gate, over })
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Pulse<Socket>>> {
        let stream = self.stream.as_mut().map(Pin::new);
        stream.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// All that was sent is read by the broker, acks above all, before anybody comes in this connection's place: mosquitto takes a
/// packet from each connection in turn, so that the next one's CONNECT would overtake them. And a connection that is closed
/// with something unread would be reset.
impl Drop for Gated {
    fn drop(&mut self) {
        let (Some(mut stream), Ok(runtime)) = (self.stream.take(), Handle::try_current()) else {
            return;
        };
        let over = Arc::clone(&self.over);
        runtime.spawn(async move {
            let ended = async {
                stream.shutdown().await?;
                let mut rest = vec![0; 16 << 10];
                while stream.read(&mut rest).await? > 0 {}
                io::Result::Ok(())
            };
            // If the broker doesn't end it too, it is closed all the same.
            timeout(LINGER, ended).await.ok();
            drop(over);
        });
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.gate.is_shut() {
            self.gate.waker.register(context.waker());
            // It may have been opened before there was anybody to wake.
            if self.gate.is_shut() {
                return Poll::Pending;
            }
        }
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_shut_gate_lets_nothing_in_and_everything_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let gate = Arc::new(Gate::default());
        let over = Arc::new(watch::channel(()).0);
        let mut gated = Gated::connect(address, None, Arc::clone(&gate), over)
            .await
            .unwrap();
        let (mut broker, _) = listener.accept().await.unwrap();
        broker.write_all(b"in").await.unwrap();
        gate.came(MOST);
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(20), gated.read_exact(&mut byte)).await;
        assert!(read.is_err());
        gated.write_all(b"out").await.unwrap();
        broker.read_exact(&mut [0; 3]).await.unwrap();
        let opening = async {
            tokio::task::yield_now().await;
            gate.received(MOST);
        };
        let (read, ()) = tokio::join!(gated.read_exact(&mut byte), opening);
        assert_eq!((read.unwrap(), byte), (1, *b"i"));
    }
}
