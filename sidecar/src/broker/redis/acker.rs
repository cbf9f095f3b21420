//! Acking: many entries in one XACK. It waits a broken connection out, because the entries stay pending meanwhile.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Cmd;
use tokio::task::AbortHandle;

use super::super::backoff::Backoff;
use super::super::{Acker, BrokerError};
use super::fault::explain;
use super::link::Lazy;
use super::tokens::{Held, Id};
use super::{Member, entries, fence};

/// Entries in one command.
const CHUNK: usize = 1000;
/// Longer ago than any `processingTimeout`.
const LONG_AGO: Duration = Duration::from_hours(24);

pub(super) struct Acks {
    pub(super) member: Member,
    pub(super) held: Arc<Held>,
    pub(super) commands: Arc<Lazy>,
    /// What reads, and touches what is held; `None` where nobody else would take what is left behind.
    pub(super) reading: Option<Vec<AbortHandle>>,
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

    async fn leave(&mut self) {
        let Some(reading) = self.reading.take() else {
            return;
        };
        for task in reading {
            task.abort();
        }
        if let Err(error) = self.abandon().await {
            tracing::warn!(topic = &*self.member.topic, %error, "what is left is claimed only after processingTimeout");
        }
    }
}

impl Acks {
    /// Makes all that is this consumer's, seen or not, look as if nobody had touched it for long, so that the next look
    /// of another consumer claims it.
    async fn abandon(&self) -> Result<(), BrokerError> {
        let mut connection = self.commands.get().await?;
        fence::lower(&mut connection, &self.member).await;
        let explained = |error| explain(&self.commands.link, &error);
        let mut after = "-".to_owned();
        loop {
            let mut pending = self.command("XPENDING");
            pending
                .arg(&after)
                .arg("+")
                .arg(CHUNK)
                .arg(&*self.member.consumer);
            let rows = entries::pending(pending.query_async(&mut connection).await.map_err(explained)?);
            let Some((last, ..)) = rows.last() else {
                return Ok(());
            };
            after = format!("({last}");
            let mut claim = self.command("XCLAIM");
            claim.arg(&*self.member.consumer).arg(0);
            for (id, ..) in &rows {
                claim.arg(id.to_string());
            }
            claim
                .arg("IDLE")
                .arg(LONG_AGO.as_millis().to_string())
                .arg("JUSTID");
            claim.exec_async(&mut connection).await.map_err(explained)?;
        }
    }

    /// A command about the group.
    fn command(&self, name: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(&*self.member.topic).arg(&*self.member.group);
        command
    }

    async fn confirm(&self, ids: &[Id]) -> Result<(), BrokerError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut ack = self.command("XACK");
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
