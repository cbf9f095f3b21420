//! Messages that another consumer of the group took and never acked. One is claimed when nobody has touched it for
//! `processingTimeout`; who is alive touches what it holds before that, and who ends in good order makes it look so. For
//! windows nothing is claimed: the messages of one window belong together, and come back when their consumer does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use super::super::BrokerError;
use super::super::properties::Properties;
use super::Member;
use super::entries::{self, Entry};
use super::link::Lazy;
use super::tokens::{Held, Id};

/// Claimed at once.
const CHUNK: usize = 100;
/// The longest time between two looks: a consumer that ends in good order leaves what it holds, and nobody says when.
const LOOK: Duration = Duration::from_secs(2);

/// When to claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// For how long nobody may have touched a message.
    idle: Duration,
    /// How often to look.
    every: Duration,
}

impl Times {
    /// By Dapr's names and defaults; `None` if either is 0, which turns it off.
    pub(super) fn new(properties: &Properties<'_>) -> Result<Option<Times>, BrokerError> {
        let or = |name, seconds| {
            let set = properties.duration(name);
            set.map(|set| set.unwrap_or(Duration::from_secs(seconds)))
        };
        let times = Times {
            idle: or("processingTimeout", 60)?,
            every: or("redeliverInterval", 15)?,
        };
        Ok((!times.idle.is_zero() && !times.every.is_zero()).then_some(times))
    }
}

/// A reader's claims.
#[derive(Debug)]
pub(super) struct Claims {
    times: Times,
    due: Instant,
}

impl Claims {
    pub(super) fn new(times: Times) -> Claims {
        Claims {
            times,
            due: Instant::now(),
        }
    }

    /// How long a read may block without delaying a claim.
    pub(super) fn wait(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Claims, if it is time for it. Gives entries with the deliveries that they have had.
    pub(super) async fn run(
        &mut self,
        connection: &mut MultiplexedConnection,
        member: &Member,
        held: &Held,
    ) -> RedisResult<Vec<(Entry, u32)>> {
        if Instant::now() < self.due {
            return Ok(Vec::new());
        }
        let idle = u64::try_from(self.times.idle.as_millis()).unwrap_or(u64::MAX);
        let mut pending = redis::cmd("XPENDING");
        pending
            .arg(&*member.topic)
            .arg(&*member.group)
            .arg("IDLE")
            .arg(idle)
            .arg("-")
            .arg("+")
            .arg(CHUNK);
        let rows = entries::pending(pending.query_async(connection).await?);
        let full = rows.len() == CHUNK;
        let held: HashSet<Id> = held.lock().held().collect();
        let dead = rows.into_iter().filter(|(id, ..)| !held.contains(id));
        let dead: HashMap<Id, u32> = dead.map(|(id, _, deliveries)| (id, deliveries)).collect();
        // A full answer that was all ours would come again at once.
        if !full || dead.is_empty() {
            self.due = Instant::now() + self.times.every.min(LOOK);
        }
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        let mut claim = redis::cmd("XCLAIM");
        claim
            .arg(&*member.topic)
            .arg(&*member.group)
            .arg(&*member.consumer)
            .arg(idle);
        for id in dead.keys() {
            claim.arg(id.to_string());
        }
        let (mut entries, nameless) = entries::claimed(claim.query_async(connection).await?);
        if nameless {
            let claimed: HashSet<Id> = entries.iter().map(|entry| entry.id).collect();
            let missing = dead.keys().filter(|id| !claimed.contains(*id));
            entries.extend(gone(connection, member, missing).await?);
        }
        entries.sort_by_key(|entry| entry.id);
        let deliveries = |entry: &Entry| dead.get(&entry.id).copied().unwrap_or(0);
        Ok(entries
            .into_iter()
            .map(|entry| (deliveries(&entry), entry))
            .map(|(n, e)| (e, n))
            .collect())
    }
}

/// Those of some entries that are in the stream no more. Before Redis 7.0 they stay pending when they are claimed, and the
/// answer has nothing in their place, not even the id; from 7.0 on the claim ends them.
async fn gone(
    connection: &mut MultiplexedConnection,
    member: &Member,
    ids: impl Iterator<Item = &Id>,
) -> RedisResult<Vec<Entry>> {
    let mut gone = Vec::new();
    for id in ids {
        let mut range = redis::cmd("XRANGE");
        let text = id.to_string();
        range.arg(&*member.topic).arg(&text).arg(&text);
        if entries::entries(range.query_async(connection).await?).is_empty() {
            gone.push(Entry {
                id: *id,
                payload: None,
                trace: None,
            });
        }
    }
    Ok(gone)
}

/// Touches what is held, so that no other consumer takes it for abandoned. Runs until it is dropped.
pub(super) async fn keep(times: Times, member: Member, held: Arc<Held>, commands: Arc<Lazy>) {
    loop {
        tokio::time::sleep(times.idle / 3).await;
        let held: Vec<Id> = held.lock().held().collect();
        for ids in held.chunks(CHUNK) {
            // Who can't reach Redis finds out when it reads; this only tries again later.
            let Ok(mut connection) = commands.get().await else {
                break;
            };
            let mut touch = redis::cmd("XCLAIM");
            touch
                .arg(&*member.topic)
                .arg(&*member.group)
                .arg(&*member.consumer)
                .arg(0);
            for id in ids {
                touch.arg(id.to_string());
            }
            if touch.arg("JUSTID").exec_async(&mut connection).await.is_err() {
                commands.broke().await;
                break;
            }
        }
    }
}
