//! Publishing, with confirms. Before the first message to a topic its exchange is declared, and the queues of those who
//! are known to read it; a message that nevertheless reached none of them is not taken as published.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Mutex;

use super::super::{BrokerError, Consumer, Outgoing, Sink, clock, headers};
use super::fault::explain;
use super::ordered;
use super::session;
use super::settings::Settings;

pub(super) struct Publisher {
    settings: Arc<Settings>,
    /// Who reads which topic, or pattern of topics.
    readers: HashMap<String, Vec<String>>,
    session: Mutex<Option<Session>>,
}

struct Session {
    connection: Connection,
    channel: Channel,
    declared: HashSet<Arc<str>>,
}

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
        let fault = |error| explain(&self.settings, &error);
        let channel = connection.create_channel().await.map_err(fault)?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(fault)?;
        Ok(Session {
            connection,
            channel,
            declared: HashSet::new(),
        })
    }

    /// Declares what a topic needs, if this session hasn't. On a channel for itself, which a refusal may close.
    async fn declare(&self, session: &mut Session, topic: &Arc<str>) -> Result<(), BrokerError> {
        if session.declared.contains(topic) {
            return Ok(());
        }
        let channel = session.connection.create_channel().await;
        let channel = channel.map_err(|error| explain(&self.settings, &error))?;
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

    /// Sends a message; the outcome is known when the future is done.
    async fn send(&self, channel: Channel, message: Outgoing) -> Result<(), BrokerError> {
        let (exchange, key) = self.settings.route(&message.topic)?;
        let seconds = clock::now().as_millis() / 1000;
        let mut properties = BasicProperties::default()
            .with_content_type(message.content_type.into())
            .with_delivery_mode(if self.settings.persistent { 2 } else { 1 })
            .with_timestamp(u64::try_from(seconds).unwrap_or_default());
        if let Ok(id) = ShortString::try_new(message.id.to_string()) {
            properties = properties.with_message_id(id);
        }
        if let Some(trace) = &message.trace {
            let mut table = FieldTable::default();
            for (name, value) in headers(Some(trace)) {
                table.insert(name.into(), AMQPValue::LongString(value.into()));
            }
            properties = properties.with_headers(table);
        }
        let options = BasicPublishOptions {
            mandatory: self.is_read(&message.topic),
            ..BasicPublishOptions::default()
        };
        let sent = channel
            .basic_publish(exchange, key, options, &message.payload, properties)
            .await;
        let confirmed = match sent {
            Ok(confirm) => confirm.await,
            Err(error) => Err(error),
        };
        match confirmed.map_err(|error| explain(&self.settings, &error))? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => {
                let what = "the queues of this topic are gone; they are declared again before the next try";
                Err(self.settings.fault("Unroutable", true, what))
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                let what = "RabbitMQ could not take responsibility for the message";
                Err(self.settings.fault("NotConfirmed", true, what))
            }
        }
    }
}

#[async_trait]
impl Sink for Publisher {
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let mut slot = self.session.lock().await;
        let usable = slot.take().filter(|session| session.channel.status().connected());
        let session = match usable {
            Some(session) => Ok(session),
            None => self.connect().await,
        };
        let mut session = match session {
            Ok(session) => session,
            Err(error) => return batch.iter().map(|_| Err(error.clone())).collect(),
        };
        if session.connection.status().blocked() {
            // The client would keep frames in memory until it is over.
            let what = "RabbitMQ takes no messages: it is short of memory or disk space";
            let error = self.settings.fault("BrokerBlocked", true, what);
            *slot = Some(session);
            return batch.iter().map(|_| Err(error.clone())).collect();
        }
        let mut refused: HashMap<Arc<str>, BrokerError> = HashMap::new();
        for message in &batch {
            if !refused.contains_key(&message.topic)
                && let Err(error) = self.declare(&mut session, &message.topic).await
            {
                refused.insert(Arc::clone(&message.topic), error);
            }
        }
        let channel = session.channel.clone();
        *slot = Some(session);
        let sending = batch.into_iter().map(|message| {
            let refusal = refused.get(&message.topic).cloned();
            let channel = channel.clone();
            async move {
                let topic = Arc::clone(&message.topic);
                let sent = match refusal {
                    Some(error) => Err(error),
                    None => self.send(channel, message).await,
                };
                sent.map_err(|error| (topic, error))
            }
        });
        let begun = ordered::begin(sending).await;
        // Others may send while this batch waits for its confirms.
        drop(slot);
        let outcomes = begun.finish().await;
        let gone = |outcome: &Result<(), (Arc<str>, BrokerError)>| match outcome {
            Err((topic, error)) if error.reason == "Unroutable" => Some(Arc::clone(topic)),
            _ => None,
        };
        let gone: Vec<Arc<str>> = outcomes.iter().filter_map(gone).collect();
        if !gone.is_empty()
            && let Some(session) = &mut *self.session.lock().await
        {
            session.declared.retain(|topic| !gone.contains(topic));
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.map_err(|(_, error)| error))
            .collect()
    }
}
