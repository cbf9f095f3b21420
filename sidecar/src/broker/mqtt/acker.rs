//! Acking: in the order of delivery, and done when it has left.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::{Acker, BrokerError};
use super::session::Link;
use super::settings::Settings;

pub(super) struct Acks {
    pub(super) settings: Arc<Settings>,
    /// Closed when nobody holds it.
    pub(super) link: Arc<Link>,
}

#[async_trait]
impl Acker for Acks {
    async fn ack(&mut self, tokens: &[u64]) -> Result<(), BrokerError> {
        let mut left = self.link.left.clone();
        let all = self.link.shared.ask(|exchange| exchange.ack(tokens));
        let all = left.wait_for(|left| *left >= all).await;
        all.map(|_| ()).map_err(|_| self.settings.gone())
    }
}
