//! Acking: a batch becomes as few frames as is safe.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::BasicAckOptions;
use lapin::{Channel, Connection};

use super::super::{Acker, BrokerError};
use super::acks::Ledger;
use super::fault::explain;
use super::ordered;
use super::session::REPLY_SUCCESS;
use super::settings::Settings;

pub(super) struct Acks {
    pub(super) settings: Arc<Settings>,
    pub(super) connection: Arc<Connection>,
    pub(super) channel: Channel,
    pub(super) ledger: Ledger,
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
        sent.map_err(|error| explain(&self.settings, &error))
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
