//! Acking: a batch becomes as few frames as is safe, which leave together.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::{Acker, BrokerError};
use super::acks::Ledger;
use super::amqp::Channel;
use super::fault::explain;
use super::settings::Settings;

pub(super) struct Acks {
    settings: Arc<Settings>,
    channel: Arc<Channel>,
    ledger: Ledger,
}

impl Acks {
    pub(super) fn new(settings: &Arc<Settings>, channel: &Arc<Channel>, ledger: Ledger) -> Acks {
        Acks {
            settings: Arc::clone(settings),
            channel: Arc::clone(channel),
            ledger,
        }
    }
}

#[async_trait]
impl Acker for Acks {
    async fn ack(&mut self, tokens: &[u64]) -> Result<(), BrokerError> {
        let frames = self.ledger.ack(tokens);
        let acks = frames.into_iter().map(|frame| (frame.tag, frame.multiple));
        // Whoever reads is told as well why a channel ended, but doesn't listen while the input is paused.
        let acked = self.channel.ack(acks).await;
        acked.map_err(|fault| explain(&self.settings, &fault))
    }

    /// Waits until the broker has closed the connection: by then what was unacked is back in its queue, in its place.
    async fn leave(&mut self) {
        self.channel.connection().close("the component ends").await;
    }
}
