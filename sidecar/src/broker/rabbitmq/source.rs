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
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::Stream as _;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use streaming_engine::time::Time;

use super::super::{BrokerError, Message, Received, Source, binary, clock, trace};
use super::credit::{Credit, consume};
use super::fault::explain;
use super::session::{self, REPLY_SUCCESS};
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
    pub(super) connection: Arc<Connection>,
    pub(super) channel: Channel,
    /// The topic, or where it is a pattern that of the last message.
    pub(super) topic: Arc<str>,
    /// A message's topic is its routing key.
    pub(super) by_key: bool,
    pub(super) queue: ShortString,
}

pub(super) struct Reader {
    feed: Feed,
    /// `None` between two consumers of one credit.
    consumer: Option<Consumer>,
    credit: Credit,
    /// Messages that were waiting when the subscription began and haven't come yet; `None` when recovery is over.
    recovering: Option<u32>,
    /// Taken from the consumer and not given yet.
    next: VecDeque<Received>,
}

impl Reader {
    /// Begins to consume. `waiting` messages are in the queue now.
    pub(super) async fn start(
        feed: Feed,
        prefetch: Option<u16>,
        waiting: u32,
    ) -> Result<Reader, BrokerError> {
        let credit = Credit::new(prefetch);
        let consuming = consume(feed.channel.clone(), feed.queue.clone(), credit.granted(), None).await;
        Ok(Reader {
            consumer: Some(consuming.map_err(|error| explain(&feed.settings, &error))?),
            feed,
            credit,
            recovering: Some(waiting),
            next: VecDeque::new(),
        })
    }

    /// Takes what has come, or waits for it.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BrokerError>> {
        let mut deliveries = Vec::new();
        let mut bytes = 0;
        self.credit.replace_if_due(&self.feed, self.consumer.as_ref());
        self.poll_credit(context)?;
        while deliveries.len() < BATCH && bytes < BATCH_BYTES {
            let Some(consumer) = &mut self.consumer else {
                // The old consumer is at its end, and the new one isn't there yet.
                self.poll_credit(context)?;
                if self.consumer.is_none() {
                    break;
                }
                continue;
            };
            match Pin::new(consumer).poll_next(context) {
                Poll::Ready(Some(Ok(delivery))) => {
                    bytes += delivery.data.len();
                    self.credit.used(delivery.data.len());
                    deliveries.push(delivery);
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(explain(&self.feed.settings, &error)));
                }
                Poll::Ready(None) if self.credit.is_replacing() => {
                    self.consumer = None;
                }
                Poll::Ready(None) => {
                    let what = "RabbitMQ ended the subscription: its queue was deleted";
                    return Poll::Ready(Err(self.feed.settings.fault("SubscriptionEnded", true, what)));
                }
                Poll::Pending => break,
            }
        }
        if deliveries.is_empty() {
            return Poll::Pending;
        }
        self.credit.step();
        self.sort(deliveries);
        Poll::Ready(Ok(()))
    }

    /// Goes on with the replacement of the consumer, if there is one.
    fn poll_credit(&mut self, context: &mut Context<'_>) -> Result<(), BrokerError> {
        self.credit
            .poll(context)
            .map_err(|error| explain(&self.feed.settings, &error))?;
        if self.consumer.is_none() {
            self.consumer = self.credit.take_new();
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
            let key = delivery.routing_key.as_str();
            if self.feed.by_key && *self.feed.topic != *key {
                self.feed.topic = key.into();
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
        let queue = queue.map_err(|error| explain(&self.feed.settings, &error))?;
        // What was delivered before the answer is here by now.
        let came = poll_fn(|context| Poll::Ready(self.poll(context))).await;
        if let Poll::Ready(outcome) = came {
            return outcome;
        }
        if queue.message_count() == 0 {
            self.recovered(&mut Vec::new());
        }
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Begun here, and before the consumer goes, whose end cancels it as long as the connection is open.
        let closing = self
            .feed
            .connection
            .close(REPLY_SUCCESS, "the subscription ends".into());
        // Who has to know that it is closed closes it by leaving.
        let _ = closing.now_or_never();
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
            let recovering = self.recovering.is_some();
            let polling = poll_fn(|context| self.poll(context));
            if !recovering {
                polling.await?;
                continue;
            }
            match tokio::time::timeout(QUIET, polling).await {
                Ok(outcome) => outcome?,
                Err(_) => self.look().await?,
            }
        }
    }
}

fn message(delivery: Delivery, topic: &Arc<str>, now: Time) -> Message {
    Message {
        token: delivery.delivery_tag,
        position: Box::default(),
        received: now,
        attempts: attempts(&delivery),
        topic: Arc::clone(topic),
        key: None,
        trace: trace(headers(&delivery.properties)),
        payload: payload(delivery),
    }
}

/// The headers that are texts.
fn headers(properties: &BasicProperties) -> impl Iterator<Item = (&str, &str)> {
    let headers = properties.headers().as_ref().map(FieldTable::inner);
    headers.into_iter().flatten().filter_map(|(name, value)| {
        let AMQPValue::LongString(value) = value else {
            return None;
        };
        Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?))
    })
}

/// A `CloudEvent`'s attributes are headers with a prefix.
fn payload(delivery: Delivery) -> Bytes {
    let attributes = headers(&delivery.properties).filter_map(|(name, value)| {
        let name = name
            .strip_prefix("cloudEvents:")
            .or_else(|| name.strip_prefix("cloudEvents_"))?;
        Some((name, value))
    });
    let mut attributes = attributes.peekable();
    if attributes.peek().is_none() {
        return delivery.data.into();
    }
    let kind = delivery.properties.content_type().as_ref();
    binary::structured(attributes, kind.map(ShortString::as_str), delivery.data.into())
}

/// Quorum queues count deliveries; others only say whether there was one.
fn attempts(delivery: &Delivery) -> u32 {
    let headers = delivery.properties.headers().as_ref();
    let counted = match headers.and_then(|headers| headers.inner().get("x-delivery-count")) {
        Some(AMQPValue::LongLongInt(count)) => u32::try_from(*count).ok(),
        Some(AMQPValue::LongInt(count)) => u32::try_from(*count).ok(),
        Some(AMQPValue::LongUInt(count)) => Some(*count),
        _ => None,
    };
    counted.unwrap_or_default().max(u32::from(delivery.redelivered))
}
