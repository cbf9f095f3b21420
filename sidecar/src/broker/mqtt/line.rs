//! The way to a broker, and its end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::tls::{Socket, Tls};

/// A connection that carries nothing is asked by TCP whether it is still there after this time,
const QUIET: Duration = Duration::from_secs(10);
/// so often,
const INTERVAL: Duration = Duration::from_secs(5);
/// and what is not acknowledged for so long ends it.
const DEAD: Duration = Duration::from_secs(30);

/// How long a broker may take, at the end of a connection, to read what it was sent.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Held by whatever of a connection is not over yet.
pub(super) type Over = Arc<watch::Sender<()>>;

/// A connection.
pub(super) struct Line {
    /// Until this is dropped.
    stream: Option<Socket>,
    over: Over,
}

impl Line {
    /// Connects to `host:port`.
    pub(super) async fn connect(address: String, tls: Option<&Tls>, over: &Over) -> io::Result<Line> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        let keepalive = TcpKeepalive::new().with_time(QUIET).with_interval(INTERVAL);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(DEAD))?;
        let stream = Some(Socket::new(stream, tls).await?);
        let over = Arc::clone(over);
        Ok(Line { stream, over })
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Socket>> {
        let stream = self.stream.as_mut().map(Pin::new);
        stream.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// All that was sent is read by the broker, acks above all, before anybody comes in this connection's place: mosquitto takes a
/// packet from each connection in turn, so that the next one's CONNECT would overtake them. And a connection that is closed
/// with something unread would be reset.
impl Drop for Line {
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

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
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
