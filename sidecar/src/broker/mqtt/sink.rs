//! Publishing, confirmed by the broker. A broker keeps a message for the sessions that it has: where it says that there is
//! none, those of the components that are known to read the topic are begun for them, and the message is published again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rumqttc::matches;
use tokio::sync::Mutex;

use super::super::{BrokerError, Consumer, Outgoing, Sink};
use super::outbox::{self, Batch};
use super::packet::Verdict;
use super::session::{self, Identity, Link};
use super::settings::{Reading, Settings};

/// How long a broker may take to take in and confirm a batch.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Publisher {
    settings: Arc<Settings>,
    reading: Reading,
    /// Who reads what.
    readers: Vec<Consumer>,
    link: Mutex<Option<Arc<Link>>>,
    patience: Duration,
}

/// What became of a message.
enum Outcome {
    Taken,
    /// Nobody reads its topic.
    Unread,
    Failed(BrokerError),
}

impl Publisher {
    pub(super) async fn start(
        settings: &Arc<Settings>,
        reading: Reading,
        consumers: &[Consumer],
    ) -> Result<Publisher, BrokerError> {
        let link = session::open_publisher(settings).await?;
        Ok(Publisher {
            settings: Arc::clone(settings),
            reading,
            readers: consumers.to_vec(),
            link: Mutex::new(Some(link)),
            patience: PATIENCE,
        })
    }

    /// Sends messages in order; those of others may follow before they are confirmed.
    async fn send(&self, batch: &Batch) -> Vec<Outcome> {
        let all = |error: BrokerError| batch.iter().map(|_| Outcome::Failed(error.clone())).collect();
        let mut slot = self.link.lock().await;
        let link = match slot.take().filter(|link| !link.shared.is_over()) {
            Some(link) => Ok(link),
            None => session::open_publisher(&self.settings).await,
        };
        let link = match link {
            Ok(link) => link,
            Err(error) => return all(error),
        };
        *slot = Some(Arc::clone(&link));
        let outcomes = link.shared.ask(|exchange| exchange.publish(Arc::clone(batch)));
        drop(slot);
        match tokio::time::timeout(self.patience, outcomes).await {
            Ok(Ok(outcomes)) => {
                let outcomes = outcomes.into_iter().zip(&**batch);
                return outcomes
                    .map(|(outcome, message)| self.outcome(outcome, message))
                    .collect();
            }
            Ok(Err(_)) => return all(self.settings.gone()),
            Err(_) => {}
        }
        // Unless somebody else has put another in its place.
        let mut slot = self.link.lock().await;
        slot.take_if(|held| Arc::ptr_eq(held, &link));
        drop(slot);
        let what = "the MQTT broker doesn't confirm what is published";
        all(self.settings.fault("NotConfirmed", true, what))
    }

    fn outcome(&self, outcome: outbox::Outcome, message: &Outgoing) -> Outcome {
        let fault =
            |reason, transient, what: String| Outcome::Failed(self.settings.fault(reason, transient, what));
        match outcome {
            outbox::Outcome::Answered(Verdict::Taken) => Outcome::Taken,
            outbox::Outcome::Answered(Verdict::Unread) => Outcome::Unread,
            outbox::Outcome::Answered(Verdict::Refused(why)) => {
                let what = format!("the MQTT broker refuses the message: {why}");
                fault("NotConfirmed", true, what)
            }
            outbox::Outcome::Unknown => Outcome::Failed(self.settings.gone()),
            outbox::Outcome::NoTopic => {
                let what = format!("nothing can be published to `{}`", message.topic);
                let why = if rumqttc::has_wildcards(&message.topic) {
                    ": it is a filter"
                } else {
                    ""
                };
                fault("InvalidTopic", false, what + why)
            }
            outbox::Outcome::TooLarge(bytes) => {
                let what = format!("a message of {bytes} bytes is larger than the MQTT broker takes");
                fault("MessageTooLarge", false, what)
            }
            outbox::Outcome::NothingRetained => {
                let what = "the MQTT broker retains nothing: set `retain` to \"false\"";
                fault("RetainNotSupported", false, what.to_owned())
            }
            outbox::Outcome::QosUnsupported(most) => {
                let what = format!("the MQTT broker takes QoS {most} at most: set `qos` to \"{most}\"");
                fault("QosNotSupported", false, what)
            }
        }
    }

    /// Begins the sessions of those who read a topic, none of whom has one. Says whether anybody is known to read it.
    async fn declare(&self, topic: &str) -> Result<bool, BrokerError> {
        let mut known = false;
        for reader in &self.readers {
            if matches(topic, &reader.topic) {
                let identity = Identity::alone(&reader.group, &reader.topic);
                session::declare(&self.settings, &identity, self.reading).await?;
                known = true;
            }
        }
        Ok(known && !self.reading.clean)
    }
}

#[async_trait]
impl Sink for Publisher {
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let batch = Arc::new(batch);
        let mut outcomes = self.send(&batch).await;
        let mut again = Vec::new();
        let mut declared: Vec<(Arc<str>, Result<bool, BrokerError>)> = Vec::new();
        for (at, message) in batch.iter().enumerate() {
            if !matches!(outcomes[at], Outcome::Unread) {
                continue;
            }
            let topic = &message.topic;
            let found = declared.iter().find(|(known, _)| known == topic);
            let found = if let Some((_, outcome)) = found {
                outcome.clone()
            } else {
                let outcome = self.declare(topic).await;
                declared.push((Arc::clone(topic), outcome.clone()));
                outcome
            };
            match found {
                Ok(true) => again.push(at),
                // A topic that nobody is meant to read here.
                Ok(false) => outcomes[at] = Outcome::Taken,
                Err(error) => outcomes[at] = Outcome::Failed(error),
            }
        }
        if !again.is_empty() {
            let messages = again.iter().map(|at| batch[*at].clone()).collect();
            for (at, outcome) in again.into_iter().zip(self.send(&Arc::new(messages)).await) {
                outcomes[at] = outcome;
            }
        }
        let result = |outcome| match outcome {
            Outcome::Taken => Ok(()),
            Outcome::Unread => {
                let what = "nobody has a session for this topic, though components read it";
                Err(self.settings.fault("Unroutable", true, what))
            }
            Outcome::Failed(error) => Err(error),
        };
        outcomes.into_iter().map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::QoS;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// More than may be unconfirmed, and more than may wait for the connection besides.
    const MANY: usize = 5000;

    /// Takes one client's connection, and answers whether it is there; confirms nothing.
    async fn never_confirm(listener: TcpListener) -> std::io::Result<()> {
        let (mut client, _) = listener.accept().await?;
        loop {
            let kind = client.read_u8().await? >> 4;
            let mut length = 0;
            for at in 0.. {
                let byte = client.read_u8().await?;
                length |= usize::from(byte & 0x7f) << (7 * at);
                if byte & 0x80 == 0 {
                    break;
                }
            }
            client.read_exact(&mut vec![0; length]).await?;
            match kind {
                1 => client.write_all(&[0x20, 3, 0, 0, 0]).await?,
                12 => client.write_all(&[0xd0, 0]).await?,
                _ => {}
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_taken_in_is_given_up_and_so_is_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let broker = tokio::spawn(never_confirm(listener));
        let settings = Settings::new("m", &[("url".to_owned(), url)].into()).unwrap();
        assert_eq!(settings.qos, QoS::AtLeastOnce);
        let reading = Reading {
            qos: QoS::AtLeastOnce,
            clean: false,
        };
        let mut publisher = Publisher::start(&Arc::new(settings), reading, &[]).await.unwrap();
        publisher.patience = Duration::from_millis(500);
        let message = Outgoing {
            topic: "t".into(),
            id: "1".into(),
            content_type: "application/json",
            trace: None,
            payload: "1".into(),
        };
        for outcome in publisher.publish(vec![message; MANY]).await {
            let error = outcome.unwrap_err();
            assert!(error.reason == "NotConfirmed" && error.transient, "{error}");
        }
        assert!(publisher.link.lock().await.is_none());
        // Its connection has ended too.
        broker.await.unwrap().unwrap_err();
    }
}
