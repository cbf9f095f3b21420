//! The AMQP client's way to its broker: Tokio's, but that a connection is encrypted as every other of ours.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_compat::{Compat, CompatExt as _};
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::super::tls::{Socket, Tls};

/// What the client runs on.
pub(super) fn runtime(tls: Option<&Tls>) -> Runtime<RuntimeParts<Tokio, Network>> {
    let network = Network {
        tokio: Tokio::current(),
        tls: tls.cloned(),
    };
    Runtime::new(RuntimeParts::new(Tokio::current(), network))
}

/// What it connects with.
#[derive(Clone, Debug)]
pub(super) struct Network {
    tokio: Tokio,
    tls: Option<Tls>,
}

impl Reactor for Network {
    type TcpStream = Compat<Socket>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let tls = self.tls.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            Ok(Socket::new(stream, tls.as_ref()).await?.compat())
        }
    }
}
