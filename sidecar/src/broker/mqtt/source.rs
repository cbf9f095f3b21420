//! Reading. What an earlier connection of this session was given and hadn't acked comes first, marked as a duplicate; all
//! of it is here when a message without that mark comes, or when nothing comes for a while after the answer to the
//! subscription.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rumqttc::{Publish, QoS};
use streaming_engine::time::Time;
use tokio::sync::mpsc;

use super::super::{BrokerError, Message, Received, Source, binary, clock, trace};
use super::acks::Ledger;
use super::gate::Gate;
use super::seat::Seat;
use super::session::{Came, Identity, Link, Opened, subscribed};
use super::settings::Settings;

/// Messages given at once.
const BATCH: usize = 1000;
/// Bytes given at once, about.
const BATCH_BYTES: usize = 1 << 20;
/// How long nothing may come, after the answer to the subscription, before recovery is over.
const QUIET: Duration = Duration::from_millis(250);

pub(super) struct Reader {
    settings: Arc<Settings>,
    /// Closed when nobody holds it.
    _link: Arc<Link>,
    came: mpsc::UnboundedReceiver<Came>,
    ledger: Arc<Mutex<Ledger>>,
    gate: Arc<Gate>,
    seat: Seat,
    /// That of the last message.
    topic: Arc<str>,
    /// Something may come again.
    recovering: bool,
    /// The broker has answered the subscription.
    subscribed: bool,
    /// Taken from the connection and not given yet.
    next: VecDeque<Received>,
    /// Why the connection ended, to be said after what it had brought.
    lost: Option<BrokerError>,
}

impl Reader {
    pub(super) fn start(
        settings: &Arc<Settings>,
        opened: Opened,
        identity: &Identity,
        ledger: Arc<Mutex<Ledger>>,
        gate: Arc<Gate>,
        seat: Seat,
    ) -> Reader {
        let mut next = VecDeque::new();
        if !opened.resumed {
            next.push_back(Received::Recovered);
        }
        Reader {
            settings: Arc::clone(settings),
            _link: opened.link,
            came: opened.came,
            ledger,
            gate,
            seat,
            topic: Arc::clone(&identity.topic),
            recovering: opened.resumed,
            subscribed: false,
            next,
            lost: None,
        }
    }

    /// Takes in one thing that came, and all that is there with it.
    fn sort(&mut self, first: Came) {
        let now = clock::now();
        let mut messages = Vec::new();
        let mut bytes = 0;
        let mut came = Some(first);
        while let Some(news) = came {
            match news {
                Came::Message(publish) => {
                    bytes += publish.payload.len();
                    self.gate.received(publish.payload.len());
                    if self.recovering && !publish.dup && publish.qos != QoS::AtMostOnce {
                        self.recovered(&mut messages);
                    }
                    messages.push(self.message(publish, now));
                }
                Came::Subscribed(codes) => {
                    self.subscribed = true;
                    self.lost = subscribed(&self.settings, &codes).err();
                }
                Came::Lost(error) => {
                    // Not every broker says why it ends a connection.
                    if ["SessionTakenOver", "ConnectionLost"].contains(&error.reason) {
                        self.seat.lost();
                    }
                    self.lost = Some(error);
                }
            }
            if self.lost.is_some() || messages.len() >= BATCH || bytes >= BATCH_BYTES {
                break;
            }
            came = self.came.try_recv().ok();
        }
        if !messages.is_empty() {
            self.next.push_back(Received::Messages(messages));
        }
    }

    fn message(&mut self, publish: Publish, now: Time) -> Message {
        if self.topic.as_bytes() != &publish.topic[..] {
            self.topic = String::from_utf8_lossy(&publish.topic).into();
        }
        let (payload, trace) = match publish.properties {
            Some(properties) if !properties.user_properties.is_empty() => {
                let headers = properties.user_properties.iter();
                let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
                let trace = trace(headers.clone());
                let kind = properties.content_type.as_deref();
                (binary::structured(headers, kind, publish.payload), trace)
            }
            _ => (publish.payload, None),
        };
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        Message {
            token: ledger.give(publish.pkid),
            position: Box::default(),
            received: now,
            attempts: u32::from(publish.dup),
            topic: Arc::clone(&self.topic),
            key: None,
            trace,
            payload,
        }
    }

    fn recovered(&mut self, before: &mut Vec<Message>) {
        self.recovering = false;
        if !before.is_empty() {
            self.next.push_back(Received::Messages(std::mem::take(before)));
        }
        self.next.push_back(Received::Recovered);
    }
}

#[async_trait]
impl Source for Reader {
    async fn receive(&mut self) -> Result<Received, BrokerError> {
        loop {
            if let Some(received) = self.next.pop_front() {
                return Ok(received);
            }
            if let Some(error) = &self.lost {
                return Err(error.clone());
            }
            let came = if self.recovering && self.subscribed {
                tokio::time::timeout(QUIET, self.came.recv()).await
            } else {
                Ok(self.came.recv().await)
            };
            match came {
                Ok(Some(news)) => self.sort(news),
                Ok(None) => return Err(self.settings.gone()),
                Err(_) => self.recovered(&mut Vec::new()),
            }
        }
    }
}
