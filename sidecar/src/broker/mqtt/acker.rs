//! Acking: in the order of delivery, and done when it has left.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rumqttc::{ManualAck, PubAck};

use super::super::{Acker, BrokerError};
use super::acks::Ledger;
use super::session::Link;
use super::settings::Settings;

pub(super) struct Acks {
    pub(super) settings: Arc<Settings>,
    /// Closed when nobody holds it.
    pub(super) link: Arc<Link>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    /// How many PUBACKs were asked for on this connection.
    pub(super) sent: u64,
}

#[async_trait]
impl Acker for Acks {
    async fn ack(&mut self, tokens: &[u64]) -> Result<(), BrokerError> {
        let mut left = self.link.acked.clone();
        let packets = self
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .done(tokens);
        for packet in packets {
            let ack = ManualAck::PubAck(PubAck::new(packet, None));
            let asked = self.link.client.manual_ack(ack).await;
            asked.map_err(|_| self.settings.gone())?;
            self.sent += 1;
        }
        let all = left.wait_for(|left| *left >= self.sent).await;
        all.map(|_| ()).map_err(|_| self.settings.gone())
    }
}
