//! Whether the broker is still at the other end. What stands between may keep a connection open, and answer TCP's questions, when
//! nothing gets through it any more; so where nothing has come for a while, and more would be read, MQTT's own is asked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// PINGREQ, the same in MQTT 5 (3.12) and 3.1.1.
const QUESTION: &[u8] = &[0xC0, 0];

/// How long nothing may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before the broker is asked whether it is there.
    pub(super) quiet: Duration,
    /// After that.
    pub(super) answer: Duration,
}

/// A connection that asks, once the broker has said something.
pub(super) struct Pulse<S> {
    socket: S,
    patience: Patience,
    /// When to ask, or to give up.
    alarm: Pin<Box<Sleep>>,
    /// Something has come on this connection: nobody may be asked before that.
    heard: bool,
    /// What was written has left: a question doesn't get into the middle of something.
    between: bool,
    /// What of the question has not left; `None` if there is none.
    asked: Option<&'static [u8]>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pulse<S> {
    pub(super) fn new(socket: S, patience: Patience) -> Pulse<S> {
        Pulse {
            socket,
            patience,
            alarm: Box::pin(sleep(patience.quiet)),
            heard: false,
            between: true,
            asked: None,
        }
    }

    fn wake_after(&mut self, time: Duration) {
        self.alarm.as_mut().reset(Instant::now() + time);
    }

    /// Something has come.
    fn hear(&mut self) {
        self.heard = true;
        // A question whose second byte is on its way still has to leave.
        self.asked = self.asked.filter(|left| !left.is_empty());
        self.wake_after(self.patience.quiet);
    }

    /// Sends what is left of the question.
    fn poll_question(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.asked.filter(|left| !left.is_empty()) {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(context, left))?;
            self.asked = left.get(sent..);
        }
        Poll::Ready(Ok(()))
    }

    /// Asks when it is time to, and fails when the answer doesn't come.
    fn poll_pulse(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.alarm.as_mut().poll(context).is_ready() {
            if self.asked.is_some() {
                let what = "nothing comes from the MQTT broker, and no answer";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)));
            }
            if self.heard && self.between {
                self.asked = Some(QUESTION);
                self.wake_after(self.patience.answer);
            } else {
                self.wake_after(self.patience.quiet);
            }
        }
        if self.asked.is_some_and(|left| !left.is_empty()) {
            ready!(self.poll_question(context))?;
            // If it doesn't all leave now it does with what is written next.
            if let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(context) {
                flushed?;
            }
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Pulse<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.hear();
                Poll::Ready(read)
            }
            Poll::Pending => self.poll_pulse(context),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Pulse<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_question(context))?;
        self.between = false;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_question(context))?;
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.between = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn who_says_nothing_is_asked_and_given_up_without_an_answer() {
        let (client, mut broker) = duplex(64);
        let patience = Patience {
            quiet: Duration::from_millis(20),
            answer: Duration::from_millis(200),
        };
        let mut client = Pulse::new(client, patience);
        broker.write_all(b"!").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();

        let answering = async {
            let mut question = [0; 2];
            broker.read_exact(&mut question).await.unwrap();
            assert_eq!(question, *QUESTION);
            broker.write_all(b"+").await.unwrap();
        };
        let mut answer = [0];
        let (read, ()) = tokio::join!(client.read_exact(&mut answer), answering);
        assert_eq!((read.unwrap(), answer), (1, *b"+"));

        let error = client.read_exact(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        broker.read_exact(&mut [0; 2]).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_asked_in_the_middle_of_something() {
        let (client, mut broker) = duplex(64);
        let patience = Patience {
            quiet: Duration::from_millis(5),
            answer: Duration::from_millis(5),
        };
        let mut client = Pulse::new(client, patience);
        // Nothing has come yet, so however long it takes nothing is wrong.
        let early = tokio::time::timeout(Duration::from_millis(50), client.read_exact(&mut [0])).await;
        assert!(early.is_err());
        broker.write_all(b"!").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        client.between = false;
        let half = tokio::time::timeout(Duration::from_millis(50), client.read_exact(&mut [0])).await;
        assert!(half.is_err());
        client.flush().await.unwrap();
        assert!(client.read_exact(&mut [0]).await.is_err());
    }
}
