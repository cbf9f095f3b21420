//! How a source reads. What may be held unacked is for the window to decide, but AMQP's prefetch counts exactly that, in
//! 16 bits, and without a prefetch the broker pushes the whole queue into memory. So a consumer is taken for a credit of
//! messages: when most of it is used up, and somebody still calls `receive`, it is cancelled and a new one goes on where
//! it stopped. What it delivered stays unacked on the channel, and the queue's order is kept.
//!
//! Where what is unacked is bounded, the prefetch does that, and is less while messages are large: it counts messages,
//! but the memory that it fills is bytes.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::join3;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};

use super::super::pace::Pace;
use super::source::Feed;

/// Messages in one credit, at most.
const MOST: usize = 8000;

type Consuming = Pin<Box<dyn Future<Output = lapin::Result<Consumer>> + Send>>;

/// The credit of a source's consumer.
pub(super) struct Credit {
    pace: Pace,
    /// What the newest consumer was granted.
    granted: u16,
    /// What the one that is read may still bring, if nothing is acked.
    left: usize,
    replacement: Option<Replacement>,
    /// Where something bounds what may be unacked, the prefetch does; it then only follows the sizes of messages.
    bounded: bool,
}

enum Replacement {
    Coming(Consuming),
    Here(Consumer),
}

impl Credit {
    /// A credit for a source of which so many messages may be unacked; `None` for a window.
    pub(super) fn new(prefetch: Option<u16>) -> Credit {
        let pace = Pace::new(prefetch.map_or(MOST, usize::from));
        Credit {
            bounded: prefetch.is_some(),
            granted: count(pace),
            left: pace.count(),
            pace,
            replacement: None,
        }
    }

    pub(super) fn granted(&self) -> u16 {
        self.granted
    }

    /// A message came from the consumer that is read.
    pub(super) fn used(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(1);
        self.pace.saw(bytes);
    }

    /// A batch is complete.
    pub(super) fn step(&mut self) {
        self.pace.step();
    }

    /// Whether another consumer would do better.
    fn is_due(&self) -> bool {
        let wanted = count(self.pace);
        if self.bounded {
            wanted / 2 >= self.granted || wanted <= self.granted / 2
        } else {
            self.left <= usize::from(self.granted) / 4
        }
    }

    /// Begins to replace the consumer that is read, if its credit is nearly used up or no longer fits the messages.
    pub(super) fn replace_if_due(&mut self, feed: &Feed, consumer: Option<&Consumer>) {
        let Some(old) = consumer else {
            return;
        };
        if self.replacement.is_some() || !self.is_due() {
            return;
        }
        self.granted = count(self.pace);
        let consuming = consume(
            feed.channel.clone(),
            feed.queue.clone(),
            self.granted,
            Some(old.tag()),
        );
        self.replacement = Some(Replacement::Coming(Box::pin(consuming)));
    }

    /// Whether the consumer that is read is being replaced.
    pub(super) fn is_replacing(&self) -> bool {
        self.replacement.is_some()
    }

    /// Goes on with the replacement.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> lapin::Result<()> {
        if let Some(Replacement::Coming(consuming)) = &mut self.replacement
            && let Poll::Ready(new) = consuming.as_mut().poll(context)
        {
            self.replacement = Some(Replacement::Here(new?));
        }
        Ok(())
    }

    /// The new consumer, if it is there; to be read when the old one has given all that it had.
    pub(super) fn take_new(&mut self) -> Option<Consumer> {
        match self.replacement.take() {
            Some(Replacement::Here(new)) => {
                self.left = usize::from(self.granted);
                Some(new)
            }
            other => {
                self.replacement = other;
                None
            }
        }
    }
}

fn count(pace: Pace) -> u16 {
    u16::try_from(pace.count().max(1)).unwrap_or(u16::MAX)
}

/// Begins to consume, in place of an older consumer of the channel if there is one.
pub(super) async fn consume(
    channel: Channel,
    queue: ShortString,
    prefetch: u16,
    old: Option<ShortString>,
) -> lapin::Result<Consumer> {
    let end = async {
        match old {
            Some(tag) => channel.basic_cancel(tag, BasicCancelOptions::default()).await,
            None => Ok(()),
        }
    };
    let limit = channel.basic_qos(prefetch, BasicQosOptions::default());
    let options = BasicConsumeOptions::default();
    let start = channel.basic_consume(queue, ShortString::default(), options, FieldTable::default());
    // All three are sent at once, in this order.
    let (ended, limited, consumer) = join3(end, limit, start).await;
    ended?;
    limited?;
    consumer
}
