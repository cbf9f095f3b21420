//! What an MQTT client is connected by: it speaks MQTT 5, and here that is translated if its broker speaks 3.1.1. A broker
//! that was addressed in 5 may refuse it in 3.1.1, which is translated too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::older::{Direction, Malformed, Translator};

/// What is read at once.
const PIECE: usize = 16 << 10;
/// The beginning of 3.1.1's CONNACK; 5's is longer.
const OLDER_ANSWER: [u8; 2] = [0x20, 2];

/// A connection to a broker.
pub(super) struct Wire<S> {
    stream: S,
    heard: Heard,
    from_broker: Translator,
    /// Where the broker speaks 3.1.1.
    to_broker: Option<Translator>,
}

/// What a broker says.
enum Heard {
    /// Nothing yet, or not enough to tell.
    Nothing(BytesMut),
    Five,
    Older,
}

impl<S> Wire<S> {
    /// `older` is whether the broker is to be addressed in 3.1.1.
    pub(super) fn new(stream: S, older: bool) -> Wire<S> {
        Wire {
            stream,
            heard: if older {
                Heard::Older
            } else {
                Heard::Nothing(BytesMut::new())
            },
            from_broker: Translator::new(Direction::ToClient),
            to_broker: older.then(|| Translator::new(Direction::ToBroker)),
        }
    }

    /// Takes in what came, if it isn't MQTT 5 for sure.
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        match &mut self.heard {
            Heard::Nothing(before) => {
                before.extend_from_slice(bytes);
                if before.len() < OLDER_ANSWER.len() {
                    return Ok(());
                }
                let before = std::mem::take(before);
                if before.starts_with(&OLDER_ANSWER) {
                    self.heard = Heard::Older;
                    return self.from_broker.push(&before);
                }
                self.heard = Heard::Five;
                self.from_broker.out = before;
                Ok(())
            }
            Heard::Five | Heard::Older => self.from_broker.push(bytes),
        }
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Sends what is translated.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(translator) = &mut self.to_broker else {
            return Poll::Ready(Ok(()));
        };
        while !translator.out.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &translator.out))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            translator.out.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let out = &mut self.from_broker.out;
            if !out.is_empty() {
                let part = out.split_to(out.len().min(buffer.remaining()));
                buffer.put_slice(&part);
                return Poll::Ready(Ok(()));
            }
            if matches!(self.heard, Heard::Five) {
                return Pin::new(&mut self.stream).poll_read(context, buffer);
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.hear(piece.filled()).map_err(io::Error::other)?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // What was translated before leaves first, so that no more than one write waits here.
        ready!(self.poll_out(context))?;
        let Some(translator) = &mut self.to_broker else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        translator.push(bytes).map_err(io::Error::other)?;
        match self.poll_out(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // The rest leaves with the next write, or when it is flushed.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
