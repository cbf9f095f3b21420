//! Reading: a task with a connection of its own (XREADGROUP blocks) stays one batch ahead of whoever calls `receive`,
//! and no further. First come the consumer's own pending entries, then new ones.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult};
use streaming_engine::time::Time;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};

use super::super::backoff::Backoff;
use super::super::pace::Pace;
use super::super::{BrokerError, Message, Received, Source};
use super::claim::{self, Claims, Times};
use super::entries::{self, Entry};
use super::fault::explain;
use super::link::{Lazy, Link};
use super::tokens::{Held, Id};
use super::{Member, fence};

/// Entries in one answer, at most.
const BATCH: usize = 1000;
/// How long one XREADGROUP waits for something new.
pub(super) const BLOCK: Duration = Duration::from_secs(5);

/// The reading half of a subscription.
pub(super) struct Reader {
    batches: mpsc::Receiver<Result<Received, BrokerError>>,
    fault: watch::Receiver<Option<BrokerError>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Reader {
    /// Joins the group and begins to read.
    pub(super) async fn start(
        link: &Arc<Link>,
        member: &Member,
        held: &Arc<Held>,
        commands: &Arc<Lazy>,
        in_flight: Option<u32>,
        times: Option<Times>,
    ) -> Result<Reader, BrokerError> {
        let (sender, batches) = mpsc::channel(1);
        let (tell, fault) = watch::channel(None);
        let most = in_flight.map_or(BATCH, |most| usize::try_from(most).unwrap_or(BATCH));
        let mut reading = Reading {
            link: Arc::clone(link),
            member: member.clone(),
            held: Arc::clone(held),
            in_flight: in_flight.map(|most| usize::try_from(most.max(1)).unwrap_or(usize::MAX)),
            pace: Pace::new(most.clamp(1, BATCH)),
            again: Some(Id::ZERO),
            last: Id::ZERO,
            recovered: false,
            claims: times.map(Claims::new),
            sender,
            fault: tell,
        };
        let connection = reading.connect().await.map_err(|error| explain(link, &error))?;
        let mut tasks = vec![tokio::spawn(reading.run(connection))];
        if let Some(times) = times {
            let (held, commands) = (Arc::clone(held), Arc::clone(commands));
            tasks.push(tokio::spawn(claim::keep(times, member.clone(), held, commands)));
        }
        Ok(Reader {
            batches,
            fault,
            tasks,
        })
    }

    /// What it consists of, for who ends it.
    pub(super) fn tasks(&self) -> Vec<AbortHandle> {
        self.tasks.iter().map(JoinHandle::abort_handle).collect()
    }
}

#[async_trait]
impl Source for Reader {
    async fn receive(&mut self) -> Result<Received, BrokerError> {
        match self.batches.recv().await {
            Some(batch) => batch,
            // It has said why, and was asked again nevertheless.
            None => std::future::pending().await,
        }
    }

    fn fault(&self) -> Option<watch::Receiver<Option<BrokerError>>> {
        Some(self.fault.clone())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Reading {
    link: Arc<Link>,
    member: Member,
    held: Arc<Held>,
    /// How many may be held.
    in_flight: Option<usize>,
    pace: Pace,
    /// Own pending entries after this one have yet to be looked at.
    again: Option<Id>,
    /// The newest entry that was given out.
    last: Id,
    recovered: bool,
    claims: Option<Claims>,
    sender: mpsc::Sender<Result<Received, BrokerError>>,
    /// Why nothing can be read now.
    fault: watch::Sender<Option<BrokerError>>,
}

/// Why reading stopped.
enum Stop {
    /// Nobody listens any more.
    Closed,
    Failed(RedisError),
}

impl From<RedisError> for Stop {
    fn from(error: RedisError) -> Stop {
        Stop::Failed(error)
    }
}

impl Reading {
    async fn connect(&mut self) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.link.connect(BLOCK).await?;
        fence::raise(&mut connection, &self.member).await;
        if self.member.join(&mut connection).await? && self.recovered {
            tracing::warn!(
                broker = &*self.link.name,
                topic = &*self.member.topic,
                "the group was gone: flushed, or deleted; it is there again, from the stream's beginning"
            );
            self.last = Id::ZERO;
            self.again = Some(Id::ZERO);
        }
        Ok(connection)
    }

    async fn run(mut self, connection: MultiplexedConnection) {
        let mut connection = Ok(connection);
        let mut backoff = Backoff::default();
        loop {
            let stop = match connection {
                Ok(mut connection) => self.read(&mut connection, &mut backoff).await,
                Err(error) => Stop::Failed(error),
            };
            let Stop::Failed(error) = stop else {
                return;
            };
            let explained = explain(&self.link, &error);
            if !explained.transient {
                self.sender.send(Err(explained)).await.ok();
                return;
            }
            // What was on its way when the connection broke is pending now, and was never seen.
            self.again.get_or_insert(self.last);
            tracing::warn!(topic = &*self.member.topic, error = %explained, "can't read, trying again");
            self.fault.send_replace(Some(explained));
            backoff.wait().await;
            connection = self.connect().await;
            if connection.is_ok() {
                self.fault.send_replace(None);
            }
        }
    }

    async fn read(&mut self, connection: &mut MultiplexedConnection, backoff: &mut Backoff) -> Stop {
        loop {
            match self.step(connection).await {
                Ok(()) => backoff.reset(),
                Err(stop) => return stop,
            }
        }
    }

    async fn step(&mut self, connection: &mut MultiplexedConnection) -> Result<(), Stop> {
        if let Some(after) = self.again {
            return self.pending(connection, after).await;
        }
        if let Some(claims) = &mut self.claims {
            let claimed = claims.run(connection, &self.member, &self.held).await?;
            self.give(connection, claimed).await?;
        }
        let block = self
            .claims
            .as_ref()
            .map_or(BLOCK, |claims| claims.wait().min(BLOCK));
        let room = match self.in_flight {
            Some(most) => self.held.room(most).await,
            None => usize::MAX,
        };
        let mut read = self.group_read(room);
        read.arg("BLOCK")
            .arg(u64::try_from(block.as_millis()).unwrap_or(1).max(1));
        let answer = read
            .arg("STREAMS")
            .arg(&*self.member.topic)
            .arg(">")
            .query_async(connection)
            .await?;
        let entries = entries::read(answer);
        self.last = entries.last().map_or(self.last, |entry| entry.id);
        self.give(connection, entries.into_iter().map(|entry| (entry, 0)).collect())
            .await
    }

    fn group_read(&self, most: usize) -> Cmd {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(&*self.member.group)
            .arg(&*self.member.consumer)
            .arg("COUNT")
            .arg(self.pace.count().min(most));
        read
    }

    /// The next of this consumer's own pending entries.
    async fn pending(&mut self, connection: &mut MultiplexedConnection, after: Id) -> Result<(), Stop> {
        let mut read = self.group_read(usize::MAX);
        read.arg("STREAMS")
            .arg(&*self.member.topic)
            .arg(after.to_string());
        let entries = entries::read(read.query_async(connection).await?);
        let Some((first, last)) = entries.first().map(|e| e.id).zip(entries.last().map(|e| e.id)) else {
            self.again = None;
            if !self.recovered {
                self.recovered = true;
                return self.send(Received::Recovered).await;
            }
            return Ok(());
        };
        let mut pending = redis::cmd("XPENDING");
        pending
            .arg(&*self.member.topic)
            .arg(&*self.member.group)
            .arg(first.to_string())
            .arg(last.to_string());
        let rows = pending
            .arg(entries.len())
            .arg(&*self.member.consumer)
            .query_async(connection)
            .await?;
        let deliveries: HashMap<Id, u32> = entries::pending(rows)
            .into_iter()
            .map(|(id, _, n)| (id, n))
            .collect();
        // After a broken connection, and of claimed ones, some may be held already.
        let held: HashSet<Id> = if self.recovered || self.claims.is_some() {
            self.held.lock().held().collect()
        } else {
            HashSet::new()
        };
        let unseen = entries.into_iter().filter(|entry| !held.contains(&entry.id));
        // This reading counts as a delivery too.
        let before = |entry: &Entry| deliveries.get(&entry.id).copied().unwrap_or(0).saturating_sub(1);
        let given = unseen
            .map(|entry| (before(&entry), entry))
            .map(|(n, entry)| (entry, n))
            .collect();
        self.give(connection, given).await?;
        self.again = Some(last);
        self.last = self.last.max(last);
        Ok(())
    }

    /// Hands entries over, with the deliveries that they have had. What is gone from the stream is acked instead.
    async fn give(
        &mut self,
        connection: &mut MultiplexedConnection,
        entries: Vec<(Entry, u32)>,
    ) -> Result<(), Stop> {
        if entries.is_empty() {
            return Ok(());
        }
        let (entries, gone): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|(entry, _)| entry.payload.is_some());
        let gone: Vec<Id> = gone.into_iter().map(|(entry, _)| entry.id).collect();
        // First, because it may fail: what is given a token must be sent.
        self.forget(connection, &gone).await?;
        let messages = self.messages(entries);
        self.pace.step();
        if messages.is_empty() {
            return Ok(());
        }
        self.send(Received::Messages(messages)).await
    }

    /// Entries as messages, which are held from now on.
    fn messages(&mut self, entries: Vec<(Entry, u32)>) -> Vec<Message> {
        let mut tokens = self.held.lock();
        let message = |(entry, attempts): (Entry, u32)| {
            let payload = entry.payload.unwrap_or_default();
            self.pace.saw(payload.len());
            Message {
                token: tokens.give(entry.id),
                position: entry.id.to_string().into(),
                received: Time::from_millis(i64::try_from(entry.id.millis).unwrap_or(i64::MAX)),
                attempts,
                topic: Arc::clone(&self.member.topic),
                key: None,
                trace: entry.trace,
                payload,
            }
        };
        entries.into_iter().map(message).collect()
    }

    async fn forget(&self, connection: &mut MultiplexedConnection, gone: &[Id]) -> RedisResult<()> {
        if gone.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            broker = &*self.link.name,
            topic = &*self.member.topic,
            count = gone.len(),
            "unacked messages are gone from the stream: deleted, or trimmed by maxLenApprox"
        );
        let mut ack = redis::cmd("XACK");
        ack.arg(&*self.member.topic).arg(&*self.member.group);
        for id in gone {
            ack.arg(id.to_string());
        }
        ack.exec_async(connection).await
    }

    async fn send(&self, received: Received) -> Result<(), Stop> {
        self.sender.send(Ok(received)).await.map_err(|_| Stop::Closed)
    }
}
