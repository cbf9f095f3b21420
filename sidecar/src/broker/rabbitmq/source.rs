//! Reading. A consumer is pushed as many messages as its prefetch says, called or not, so that is what bounds the memory
//! of a source (see `credit`).
//!
//! Recovery: what an earlier life of this consumer held is back at the head of the queue, marked as redelivered. All of
//! it has been given again when a message without that mark comes, or when as many have come as were waiting when the
//! subscription began, or when the queue is found empty.
//!
//! It goes back when its channel ends, not when its consumer does. So a reader's consumer is never cancelled before its
//! connection is closed: who waits for the queue to have no consumer would begin behind what the channel still holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::ShortString;
use async_trait::async_trait;
use bytes::Bytes;
use streaming_engine::time::Time;

use super::super::{BrokerError, Message, Received, Source, binary, clock, trace};
use super::amqp::{Came, Channel, Delivery, Fault, Value};
use super::credit::{Credit, cancel, consume, limit};
use super::fault::explain;
use super::session;
use super::settings::Settings;

/// Messages given at once.
const BATCH: usize = 1000;
/// Bytes given at once, about.
const BATCH_BYTES: usize = 1 << 20;
/// How long nothing may come before the queue is looked at, while recovery isn't over.
const QUIET: Duration = Duration::from_secs(1);

/// What a source reads.
pub(super) struct Feed {
    pub(super) settings: Arc<Settings>,
    pub(super) channel: Arc<Channel>,
    /// The topic, or where it is a pattern that of the last message.
    pub(super) topic: Arc<str>,
    /// A message's topic is its routing key.
    pub(super) by_key: bool,
    pub(super) queue: ShortString,
}

pub(super) struct Reader {
    feed: Feed,
    credit: Credit,
    /// Messages that were waiting when the subscription began and haven't come yet; `None` when recovery is over.
    recovering: Option<u32>,
    /// Taken from the channel and not given yet.
    next: VecDeque<Received>,
}

impl Reader {
    /// Begins to consume. `waiting` messages are in the queue now.
    pub(super) async fn start(
        feed: Feed,
        prefetch: Option<u16>,
        waiting: u32,
    ) -> Result<Reader, BrokerError> {
        let reader = Reader {
            credit: Credit::new(prefetch),
            feed,
            recovering: Some(waiting),
            next: VecDeque::new(),
        };
        let started = async {
            reader.feed.channel.post([limit(reader.credit.granted())])?;
            reader.feed.channel.call(consume(reader.feed.queue.clone())).await
        };
        let started = started.await.map(drop);
        started.map_err(|fault| reader.explain(&fault))?;
        Ok(reader)
    }

    fn explain(&self, fault: &Fault) -> BrokerError {
        explain(&self.feed.settings, fault)
    }

    /// Waits for more, and takes it in.
    async fn more(&mut self) -> Result<(), BrokerError> {
        if let Some(old) = self.credit.replace_if_due() {
            let queue = self.feed.queue.clone();
            let new = [limit(self.credit.granted()), consume(queue)];
            let posted = self.feed.channel.post(cancel(old).into_iter().chain(new));
            posted.map_err(|fault| self.explain(&fault))?;
        }
        let came = self.feed.channel.read(BATCH, BATCH_BYTES).await;
        let came = came.map_err(|fault| self.explain(&fault))?;
        self.take(came)
    }

    fn take(&mut self, came: Vec<Came>) -> Result<(), BrokerError> {
        let mut deliveries = Vec::with_capacity(came.len());
        for came in came {
            match came {
                Came::Delivery(delivery) => {
                    self.credit.used(delivery.data.len());
                    deliveries.push(delivery);
                }
                Came::Consuming(consumer) => self.credit.begins(consumer),
                Came::Cancelled => {
                    let what = "RabbitMQ ended the subscription: its queue was deleted";
                    return Err(self.feed.settings.fault("SubscriptionEnded", true, what));
                }
            }
        }
        if !deliveries.is_empty() {
            self.credit.step();
            self.sort(deliveries);
        }
        Ok(())
    }

    /// Queues messages for `receive`, and the word that recovery is over where it belongs.
    fn sort(&mut self, deliveries: Vec<Delivery>) {
        let now = clock::now();
        let mut messages = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            if let Some(waiting) = self.recovering {
                self.recovering = Some(waiting.saturating_sub(1));
                if !delivery.redelivered {
                    self.recovered(&mut messages);
                }
            }
            if self.feed.by_key && self.feed.topic != delivery.key {
                self.feed.topic = Arc::clone(&delivery.key);
            }
            messages.push(message(delivery, &self.feed.topic, now));
            if self.recovering == Some(0) {
                self.recovered(&mut messages);
            }
        }
        if !messages.is_empty() {
            self.next.push_back(Received::Messages(messages));
        }
    }

    fn recovered(&mut self, before: &mut Vec<Message>) {
        self.recovering = None;
        if !before.is_empty() {
            self.next.push_back(Received::Messages(std::mem::take(before)));
        }
        self.next.push_back(Received::Recovered);
    }

    /// Nothing came for a while: recovery is over if nothing is left that could come.
    async fn look(&mut self) -> Result<(), BrokerError> {
        let queue = session::inspect(&self.feed.channel, self.feed.queue.clone()).await;
        let queue = queue.map_err(|fault| self.explain(&fault))?;
        // What was delivered before the answer is here by now.
        let came = self.feed.channel.try_read(BATCH, BATCH_BYTES);
        let came = came.map_err(|fault| self.explain(&fault))?;
        if queue.messages == 0 && came.is_empty() {
            self.recovered(&mut Vec::new());
        }
        self.take(came)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Begun here; who has to know that it is closed closes it by leaving.
        self.feed
            .channel
            .connection()
            .begin_close("the subscription ends");
    }
}

#[async_trait]
impl Source for Reader {
    async fn receive(&mut self) -> Result<Received, BrokerError> {
        if self.recovering == Some(0) {
            self.recovered(&mut Vec::new());
        }
        loop {
            if let Some(received) = self.next.pop_front() {
                return Ok(received);
            }
            if self.recovering.is_none() {
                self.more().await?;
                continue;
            }
            match tokio::time::timeout(QUIET, self.more()).await {
                Ok(outcome) => outcome?,
                Err(_) => self.look().await?,
            }
        }
    }
}

fn message(delivery: Delivery, topic: &Arc<str>, now: Time) -> Message {
    Message {
        token: delivery.tag,
        position: Box::default(),
        received: now,
        attempts: attempts(&delivery),
        topic: Arc::clone(topic),
        key: None,
        trace: trace(texts(&delivery)),
        payload: payload(delivery),
    }
}

/// A `CloudEvent`'s attributes are headers with a prefix.
fn payload(mut delivery: Delivery) -> Bytes {
    let data = Bytes::from(std::mem::take(&mut delivery.data));
    let Some(properties) = delivery.properties() else {
        return data;
    };
    let mut attributes = texts(&delivery)
        .filter_map(|(name, value)| {
            let name = name
                .strip_prefix("cloudEvents:")
                .or_else(|| name.strip_prefix("cloudEvents_"))?;
            Some((name, value))
        })
        .peekable();
    if attributes.peek().is_none() {
        return data;
    }
    binary::structured(attributes, properties.content_type, data)
}

/// The headers of a message that are texts.
fn texts(delivery: &Delivery) -> impl Iterator<Item = (&str, &str)> {
    let headers = delivery.properties().into_iter();
    headers
        .flat_map(|properties| properties.headers())
        .filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name, text)),
            _ => None,
        })
}

/// Quorum queues count deliveries; others only say whether there was one.
fn attempts(delivery: &Delivery) -> u32 {
    let counted = delivery.properties().and_then(|properties| {
        let mut headers = properties.headers();
        headers.find_map(|header| match header {
            ("x-delivery-count", Value::Number(count)) => u32::try_from(count).ok(),
            _ => None,
        })
    });
    counted.unwrap_or_default().max(u32::from(delivery.redelivered))
}
