//! Acking: a batch becomes as few frames as is safe.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{Stream, StreamExt as _};
use lapin::options::BasicAckOptions;
use lapin::{Channel, Connection, Error, ErrorKind, Event};
use tokio::time::timeout;

use super::super::{Acker, BrokerError};
use super::acks::Ledger;
use super::fault::explain;
use super::ordered;
use super::session::REPLY_SUCCESS;
use super::settings::Settings;

/// How long the client may take to tell why a channel ended, once it can't be used.
const REASON: Duration = Duration::from_secs(1);

pub(super) struct Acks {
    settings: Arc<Settings>,
    connection: Arc<Connection>,
    channel: Channel,
    ledger: Ledger,
    /// What ends channels. Whoever reads is told as well, but doesn't listen while the input is paused.
    ends: Pin<Box<dyn Stream<Item = Event> + Send>>,
}

impl Acks {
    pub(super) fn new(
        settings: &Arc<Settings>,
        connection: &Arc<Connection>,
        channel: &Channel,
        ledger: Ledger,
    ) -> Acks {
        Acks {
            settings: Arc::clone(settings),
            connection: Arc::clone(connection),
            channel: channel.clone(),
            ledger,
            ends: Box::pin(connection.events_listener()),
        }
    }

    /// Why acks are not taken any more: not that the channel is closed, but what closed it.
    async fn cause(&mut self, error: Error) -> Error {
        if !matches!(
            error.kind(),
            ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidChannel(_)
        ) {
            return error;
        }
        let cause = async {
            loop {
                match self.ends.next().await {
                    Some(Event::Error(cause)) => return cause,
                    Some(_) => {}
                    None => return error.clone(),
                }
            }
        };
        timeout(REASON, cause).await.unwrap_or(error)
    }
}

#[async_trait]
impl Acker for Acks {
    async fn ack(&mut self, tokens: &[u64]) -> Result<(), BrokerError> {
        let sending = self.ledger.ack(tokens).into_iter().map(|frame| {
            let options = BasicAckOptions {
                multiple: frame.multiple,
            };
            self.channel.basic_ack(frame.tag, options)
        });
        let sent: lapin::Result<()> = ordered::begin(sending).await.finish().await.into_iter().collect();
        match sent {
            Ok(()) => Ok(()),
            Err(error) => {
                let cause = self.cause(error).await;
                Err(explain(&self.settings, &cause))
            }
        }
    }

    /// Waits until the broker has closed the connection: by then what was unacked is back in its queue, in its place.
    async fn leave(&mut self) {
        let closing = self.connection.close(REPLY_SUCCESS, "the component ends".into());
        if let Err(error) = closing.await {
            // It is gone already, and what was unacked with it.
            tracing::debug!(%error, "closing the connection");
        }
    }
}
