//! How a source reads. What may be held unacked is for the window to decide, but AMQP's prefetch counts exactly that, in
//! 16 bits, and without a prefetch the broker pushes the whole queue into memory. So a consumer is taken for a credit of
//! messages: when most of it is used up, and somebody still calls `receive`, it is cancelled and a new one goes on where
//! it stopped. What it delivered stays unacked on the channel, and the queue's order is kept.
//!
//! Where what is unacked is bounded, the prefetch does that, and is less while messages are large: it counts messages,
//! but the memory that it fills is bytes.

use amq_protocol::protocol::{AMQPClass, basic};
use amq_protocol::types::{FieldTable, ShortString};

use super::super::pace::Pace;

/// Messages in one credit, at most.
const MOST: usize = 8000;

/// The credit of a source's consumer. Pure.
#[derive(Debug)]
pub(super) struct Credit {
    pace: Pace,
    /// What the newest consumer was granted.
    granted: u16,
    /// What the one that is read may still bring, if nothing is acked.
    left: usize,
    /// The consumer that is read; `None` while it is being replaced.
    consumer: Option<String>,
    /// Where something bounds what may be unacked, the prefetch does; it then only follows the sizes of messages.
    bounded: bool,
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
            consumer: None,
        }
    }

    /// How many messages the newest consumer may bring.
    pub(super) fn granted(&self) -> u16 {
        self.granted
    }

    /// A consumer of this name begins to bring its messages: the one before has brought all that it had.
    pub(super) fn begins(&mut self, consumer: String) {
        self.left = usize::from(self.granted);
        self.consumer = Some(consumer);
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

    /// The consumer that is to be replaced, if its credit is nearly used up or no longer fits the messages. A new one is
    /// [`granted`](Credit::granted) what it may bring.
    pub(super) fn replace_if_due(&mut self) -> Option<String> {
        if !self.is_due() {
            return None;
        }
        let old = self.consumer.take()?;
        self.granted = count(self.pace);
        Some(old)
    }
}

fn count(pace: Pace) -> u16 {
    u16::try_from(pace.count().max(1)).unwrap_or(u16::MAX)
}

/// Ends a consumer. What it was sent before the broker hears of it still comes.
pub(super) fn cancel(consumer: String) -> Option<AMQPClass> {
    Some(AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
        // Its name is the broker's, which fits.
        consumer_tag: ShortString::try_new(consumer).ok()?,
        nowait: false,
    })))
}

/// Bounds what the consumers that come next may bring.
pub(super) fn limit(prefetch_count: u16) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos {
        prefetch_count,
        global: false,
    }))
}

/// Begins a consumer, which the broker names.
pub(super) fn consume(queue: ShortString) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
        queue,
        consumer_tag: ShortString::default(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bring(credit: &mut Credit, messages: usize, bytes: usize) {
        for _ in 0..messages {
            credit.used(bytes);
        }
        credit.step();
    }

    #[test]
    fn a_window_s_consumer_is_replaced_when_its_credit_is_nearly_used_up() {
        let mut credit = Credit::new(None);
        assert_eq!(credit.replace_if_due(), None);
        credit.begins("a".to_owned());
        assert_eq!((credit.granted(), credit.replace_if_due()), (4, None));
        bring(&mut credit, 2, 10);
        assert_eq!(credit.replace_if_due(), None);
        bring(&mut credit, 1, 10);
        assert_eq!(credit.replace_if_due().as_deref(), Some("a"));
        // The new one is granted more, and counted from where it begins.
        let granted = credit.granted();
        assert_eq!(granted, 16);
        bring(&mut credit, 1, 10);
        assert_eq!(credit.replace_if_due(), None);
        credit.begins("b".to_owned());
        assert_eq!(credit.replace_if_due(), None);
        bring(&mut credit, 12, 10);
        assert_eq!(credit.replace_if_due().as_deref(), Some("b"));
    }

    #[test]
    fn where_acks_free_the_prefetch_only_the_sizes_of_messages_replace_a_consumer() {
        let mut credit = Credit::new(Some(100));
        let mut granted = Vec::new();
        for _ in 0..50 {
            if credit.replace_if_due().is_some() {
                granted.push(credit.granted());
            }
            credit.begins("a".to_owned());
            bring(&mut credit, 10, 10);
        }
        assert_eq!(granted, [8, 16, 32, 64]);
        bring(&mut credit, 1, 1 << 20);
        assert!(credit.replace_if_due().is_some());
        assert_eq!(credit.granted(), 1);
    }
}
