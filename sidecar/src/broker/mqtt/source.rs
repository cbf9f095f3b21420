//! Reading. What an earlier connection of this session was given and hadn't acked comes first, marked as a duplicate; all
//! of it is here when a message without that mark comes, or when nothing comes for a while after the answer to the
//! subscription.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rumqttc::QoS;
use streaming_engine::time::Time;
use tokio::sync::mpsc;

use super::super::{BrokerError, Message, Received, Source, binary, clock, trace};
use super::driver::Came;
use super::exchange::News;
use super::fault::explain;
use super::publish::Published;
use super::seat::Seat;
use super::session::{Link, Opened, subscribed};
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
    link: Arc<Link>,
    came: mpsc::UnboundedReceiver<Came>,
    seat: Seat,
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
    pub(super) fn start(settings: &Arc<Settings>, opened: Opened, seat: Seat) -> Reader {
        let mut next = VecDeque::new();
        if !opened.resumed {
            next.push_back(Received::Recovered);
        }
        Reader {
            settings: Arc::clone(settings),
            link: opened.link,
            came: opened.came,
            seat,
            recovering: opened.resumed,
            subscribed: false,
            next,
            lost: None,
        }
    }

    /// Takes in what came, and what is there with it.
    fn sort(&mut self, first: Came) {
        let now = clock::now();
        let mut messages = Vec::new();
        let mut bytes = 0;
        let mut came = Some(first);
        while let Some(one) = came {
            match one {
                Came::News(news) => bytes += self.take(news, &mut messages, now),
                Came::Lost(fault) => {
                    let error = explain(&self.settings, &fault);
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

    /// Gives the bytes of what came.
    fn take(&mut self, news: News, messages: &mut Vec<Message>, now: Time) -> usize {
        let sizes = news.messages.iter().map(|(_, message)| message.payload.len());
        let bytes = sizes.clone().sum();
        self.link.shared.received(sizes);
        messages.reserve(news.messages.len());
        for (token, message) in news.messages {
            if self.recovering && !message.again && message.qos != QoS::AtMostOnce {
                self.recovered(messages);
            }
            messages.push(received(token, message, now));
        }
        if let Some(codes) = news.subscribed {
            self.subscribed = true;
            self.lost = subscribed(&self.settings, &codes).err();
        }
        bytes
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

fn received(token: u64, message: Published, now: Time) -> Message {
    let (payload, trace) = match message.headers {
        Some(headers) => {
            let user = headers.user.iter();
            let user = user.map(|(name, value)| (name.as_str(), value.as_str()));
            let trace = trace(user.clone());
            let kind = headers.content_type.as_deref();
            (binary::structured(user, kind, message.payload), trace)
        }
        None => (message.payload, None),
    };
    Message {
        token,
        position: Box::default(),
        received: now,
        attempts: u32::from(message.again),
        topic: message.topic,
        key: None,
        trace,
        payload,
    }
}
