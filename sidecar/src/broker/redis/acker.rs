//! Acking: many entries in one XACK. It waits a broken connection out, because the entries stay pending meanwhile.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::backoff::Backoff;
use super::super::{Acker, BrokerError};
use super::Member;
use super::fault::explain;
use super::link::Lazy;
use super::tokens::{Held, Id};

/// Entries in one command.
const CHUNK: usize = 1000;

pub(super) struct Acks {
    pub(super) member: Member,
    pub(super) held: Arc<Held>,
    pub(super) commands: Arc<Lazy>,
}

#[async_trait]
impl Acker for Acks {
    async fn ack(&mut self, tokens: &[u64]) -> Result<(), BrokerError> {
        for tokens in tokens.chunks(CHUNK) {
            let ids: Vec<Id> = {
                let held = self.held.lock();
                tokens.iter().filter_map(|token| held.entry(*token)).collect()
            };
            self.confirm(&ids).await?;
            self.held.forget(tokens);
        }
        Ok(())
    }
}

impl Acks {
    async fn confirm(&self, ids: &[Id]) -> Result<(), BrokerError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut ack = redis::cmd("XACK");
        ack.arg(&*self.member.topic).arg(&*self.member.group);
        for id in ids {
            ack.arg(id.to_string());
        }
        let mut backoff = Backoff::default();
        loop {
            let error = match self.commands.get().await {
                Ok(mut connection) => match ack.exec_async(&mut connection).await {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        self.commands.broke().await;
                        explain(&self.commands.link, &error)
                    }
                },
                Err(error) => error,
            };
            if !error.transient {
                return Err(error);
            }
            tracing::warn!(topic = &*self.member.topic, %error, "can't ack yet");
            backoff.wait().await;
        }
    }
}
