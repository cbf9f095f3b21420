//! Between a sidecar and its broker: a connection that can be cut, or go silent.

use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// They work.
    Open,
    /// They are reset, and so are new ones.
    Cut,
    /// What either side sends is swallowed, on new ones too. Neither is told, and those that went silent stay it: the line that
    /// opens again is another one.
    Silent,
}

/// A proxy to one port.
pub struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    server: JoinHandle<()>,
}

impl Proxy {
    /// An open one.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(to: u16) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (line, lines) = watch::channel(Line::Open);
        let server = tokio::spawn(async move {
            let lines = Arc::new(lines);
            while let Ok((client, _)) = listener.accept().await {
                let line = watch::Receiver::clone(&lines);
                // Whatever ends a connection, its ends are closed.
                tokio::spawn(async move { carry(client, to, line).await.ok() });
            }
        });
        Ok(Proxy { port, line, server })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn carry(mut client: TcpStream, to: u16, mut line: watch::Receiver<Line>) -> Result<()> {
    let now = *line.borrow_and_update();
    match now {
        Line::Open => {}
        Line::Cut => return Ok(client.set_zero_linger()?),
        Line::Silent => return swallow(client).await,
    }
    let mut broker = TcpStream::connect(("127.0.0.1", to)).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let trouble = tokio::select! {
        carried = copy_bidirectional(&mut client, &mut broker) => {
            carried?;
            return Ok(());
        }
        line = line.wait_for(|line| *line != Line::Open) => *line?,
    };
    if trouble == Line::Cut {
        client.set_zero_linger()?;
        return Ok(broker.set_zero_linger()?);
    }
    // Each side's end is held until it closes by itself, and the other doesn't learn of that.
    let broker = tokio::spawn(swallow(broker));
    swallow(client).await?;
    broker.await?
}

async fn swallow(mut stream: TcpStream) -> Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_silent_line_swallows_and_a_cut_one_resets() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(broker.local_addr().unwrap().port()).await.unwrap();
        let connect = || TcpStream::connect(("127.0.0.1", proxy.port()));
        let mut silent = connect().await.unwrap();
        let (mut end, _) = broker.accept().await.unwrap();
        silent.write_all(b"in").await.unwrap();
        end.read_exact(&mut [0; 2]).await.unwrap();

        proxy.set(Line::Silent);
        tokio::task::yield_now().await;
        silent.write_all(b"gone").await.unwrap();
        let nothing = timeout(Duration::from_millis(50), end.read(&mut [0; 4])).await;
        assert!(nothing.is_err());

        proxy.set(Line::Open);
        let mut open = connect().await.unwrap();
        let (mut end, _) = broker.accept().await.unwrap();
        open.write_all(b"in").await.unwrap();
        end.read_exact(&mut [0; 2]).await.unwrap();
        proxy.set(Line::Cut);
        assert!(open.read(&mut [0]).await.is_err());
        assert!(end.read(&mut [0]).await.is_err());
    }
}
