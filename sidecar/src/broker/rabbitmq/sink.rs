//! Publishing, with confirms. Before the first message to a topic its exchange is declared, and the queues of those who
//! are known to read it; a message that nevertheless reached none of them is not taken as published.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, confirm};
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::super::{BrokerError, Consumer, Outgoing, Sink, clock, headers};
use super::amqp::{Channel, Fault, Outcome, Publication};
use super::fault::explain;
use super::session;
use super::settings::{NAME, Settings};

pub(super) struct Publisher {
    settings: Arc<Settings>,
    /// Who reads which topic, or pattern of topics.
    readers: HashMap<String, Vec<String>>,
    session: Mutex<Option<Session>>,
}

struct Session {
    channel: Arc<Channel>,
    declared: HashSet<Arc<str>>,
}

/// Where the messages of a topic go.
#[derive(Clone, Copy)]
struct Route<'m> {
    exchange: &'m str,
    key: &'m str,
    /// Somebody is known to read it.
    is_read: bool,
}

/// What becomes of a message whose queues are gone.
const UNROUTABLE: &str = "Unroutable";

impl Publisher {
    pub(super) async fn start(
        settings: &Arc<Settings>,
        consumers: &[Consumer],
    ) -> Result<Publisher, BrokerError> {
        let mut readers: HashMap<String, Vec<String>> = HashMap::new();
        for consumer in consumers {
            readers
                .entry(consumer.topic.clone())
                .or_default()
                .push(consumer.group.clone());
        }
        let publisher = Publisher {
            settings: Arc::clone(settings),
            readers,
            session: Mutex::new(None),
        };
        let mut session = publisher.connect().await?;
        for topic in publisher.readers.keys() {
            publisher.declare(&mut session, &topic.as_str().into()).await?;
        }
        *publisher.session.lock().await = Some(session);
        Ok(publisher)
    }

    async fn connect(&self) -> Result<Session, BrokerError> {
        let connection = session::connect(&self.settings).await?;
        let channel = session::open(&self.settings, &connection).await?;
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
        let selected = channel.call(AMQPClass::Confirm(select)).await;
        selected.map_err(|fault| explain(&self.settings, &fault))?;
        Ok(Session {
            channel: Arc::new(channel),
            declared: HashSet::new(),
        })
    }

    /// Declares what a topic needs, if this session hasn't. On a channel for itself, which a refusal may close.
    async fn declare(&self, session: &mut Session, topic: &Arc<str>) -> Result<(), BrokerError> {
        if session.declared.contains(topic) {
            return Ok(());
        }
        let channel = session::open(&self.settings, session.channel.connection()).await?;
        let read = self.readers(topic);
        for (filter, groups) in read {
            session::declare(
                &self.settings,
                &channel,
                filter,
                groups.iter().map(String::as_str),
            )
            .await?;
        }
        if !self.is_read(topic) {
            session::declare(&self.settings, &channel, topic, []).await?;
        }
        session.declared.insert(Arc::clone(topic));
        Ok(())
    }

    /// Who is known to read a topic, by what they read.
    fn readers(&self, topic: &str) -> impl Iterator<Item = (&String, &Vec<String>)> {
        let reads = move |filter: &str| self.settings.is_read_by(topic, filter);
        self.readers.iter().filter(move |(filter, _)| reads(filter))
    }

    fn is_read(&self, topic: &str) -> bool {
        self.readers(topic).next().is_some()
    }

    /// Where the messages of a topic go, once what it needs is declared.
    async fn route<'m>(
        &'m self,
        session: &mut Session,
        refused: &mut HashMap<Arc<str>, BrokerError>,
        topic: &'m Arc<str>,
    ) -> Result<Route<'m>, BrokerError> {
        if let Some(error) = refused.get(topic) {
            return Err(error.clone());
        }
        let (exchange, key) = self.settings.route(topic)?;
        if let Err(error) = self.declare(session, topic).await {
            refused.insert(Arc::clone(topic), error.clone());
            return Err(error);
        }
        Ok(Route {
            exchange,
            key,
            is_read: self.is_read(topic),
        })
    }

    /// What goes over the wire.
    fn publication<'m>(&self, message: &'m Outgoing, route: Route<'m>, timestamp: u64) -> Publication<'m> {
        Publication {
            exchange: route.exchange,
            key: route.key,
            mandatory: route.is_read,
            content_type: message.content_type,
            headers: headers(message.trace.as_deref()).collect(),
            persistent: self.settings.persistent,
            id: Some(&*message.id).filter(|id| id.len() <= NAME),
            timestamp,
            payload: &message.payload,
        }
    }

    /// What became of a message, for who published it.
    fn result(&self, outcome: Outcome, fault: Option<&Fault>) -> Result<(), BrokerError> {
        match outcome {
            Outcome::Taken => Ok(()),
            Outcome::Returned => {
                let what = "the queues of this topic are gone; they are declared again before the next try";
                Err(self.settings.fault(UNROUTABLE, true, what))
            }
            Outcome::Refused => {
                let what = "RabbitMQ could not take responsibility for the message";
                Err(self.settings.fault("NotConfirmed", true, what))
            }
            Outcome::Unknown => Err(explain(&self.settings, fault.unwrap_or(&Fault::Closed))),
        }
    }
}

#[async_trait]
impl Sink for Publisher {
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let mut slot = self.session.lock().await;
        let usable = slot.take().filter(|session| session.channel.fault().is_none());
        let session = match usable {
            Some(session) => Ok(session),
            None => self.connect().await,
        };
        let mut session = match session {
            Ok(session) => session,
            Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
        };
        if session.channel.connection().is_blocked() {
            // What is sent would be kept in memory until it is over.
            let what = "RabbitMQ takes no messages: it is short of memory or disk space";
            let error = self.settings.fault("BrokerBlocked", true, what);
            *slot = Some(session);
            return batch.iter().map(|_| Err(error.clone())).collect();
        }
        let mut results = vec![Ok(()); batch.len()];
        let (mut sending, mut places) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        let mut refused = HashMap::new();
        let mut last: Option<(&Arc<str>, Result<Route<'_>, BrokerError>)> = None;
        let seconds = u64::try_from(clock::now().as_millis() / 1000).unwrap_or_default();
        for (place, message) in batch.iter().enumerate() {
            let route = match last.take() {
                Some((topic, route)) if *topic == message.topic => route,
                _ => self.route(&mut session, &mut refused, &message.topic).await,
            };
            match &route {
                Ok(route) => {
                    sending.push(self.publication(message, *route, seconds));
                    places.push(place);
                }
                Err(error) => results[place] = Err(error.clone()),
            }
            last = Some((&message.topic, route));
        }
        let channel = Arc::clone(&session.channel);
        let sent = (!sending.is_empty()).then(|| channel.publish(sending.into_iter()));
        *slot = Some(session);
        // Others may send while this batch waits for its confirms.
        drop(slot);
        let outcomes = match sent {
            None => return results,
            Some(Ok(outcomes)) => outcomes.await.map_err(|_| Fault::Closed),
            Some(Err(fault)) => Err(fault),
        };
        let (outcomes, fault) = match outcomes {
            Ok(outcomes) => (outcomes, channel.fault()),
            Err(fault) => (vec![Outcome::Unknown; places.len()], Some(fault)),
        };
        for (place, outcome) in places.into_iter().zip(outcomes) {
            results[place] = self.result(outcome, fault.as_ref());
        }
        let is_gone =
            |result: &Result<(), BrokerError>| result.as_ref().is_err_and(|error| error.reason == UNROUTABLE);
        if results.iter().any(is_gone)
            && let Some(session) = &mut *self.session.lock().await
        {
            for (message, _) in batch.iter().zip(&results).filter(|(_, result)| is_gone(result)) {
                session.declared.remove(&message.topic);
            }
        }
        results
    }
}
