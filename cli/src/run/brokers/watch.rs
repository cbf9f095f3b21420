//! Sees what components publish, on its way to the broker.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use streaming_engine::time::Time;
use streaming_plan::ComponentRef;
use streaming_sidecar::broker::{Acker, Broker, BrokerError, Consumer, Outgoing, Sink, Source, Subscription};
use tokio::sync::mpsc;

use super::super::printer::{Printer, Shown};
use crate::clock::Clock;

/// Something that reached a recipient.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) at: Time,
    pub(super) namespace: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) component: Option<String>,
    pub(super) data: Vec<u8>,
    pub(super) binary: bool,
    /// Reason and message.
    pub(super) letter: Option<(String, String)>,
}

impl Told {
    pub(super) fn show(self, printer: &mut Printer) {
        let letter = self.letter.as_ref();
        printer.show(&Shown {
            at: self.at,
            namespace: &self.namespace,
            from: &self.from,
            to: &self.to,
            component: self.component.as_deref(),
            data: Cow::Owned(self.data),
            binary: self.binary,
            letter: letter.map(|(reason, message)| (reason.as_str(), message.as_str())),
        });
    }
}

/// A broker as one component has it.
pub(super) struct Watched {
    inner: Arc<dyn Broker>,
    place: Place,
}

#[derive(Clone)]
struct Place {
    namespace: String,
    component: String,
    cluster_stream: String,
    clock: Clock,
    tell: mpsc::Sender<Told>,
}

impl Watched {
    /// A broker that tells what a component publishes to it.
    pub(super) fn broker(
        inner: Arc<dyn Broker>,
        component: &ComponentRef,
        cluster_stream: &str,
        tell: mpsc::Sender<Told>,
    ) -> Arc<dyn Broker> {
        let place = Place {
            namespace: component.namespace.clone(),
            component: component.name.clone(),
            cluster_stream: cluster_stream.to_owned(),
            clock: Clock::start(),
            tell,
        };
        Arc::new(Watched { inner, place })
    }
}

#[async_trait]
impl Broker for Watched {
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
        self.inner.subscribe(subscription).await
    }

    async fn sink(&self, consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError> {
        Ok(Arc::new(WatchedSink {
            inner: self.inner.sink(consumers).await?,
            place: self.place.clone(),
        }))
    }

    async fn remove(&self, consumer: &Consumer, members: u32) -> Result<(), BrokerError> {
        self.inner.remove(consumer, members).await
    }
}

struct WatchedSink {
    inner: Arc<dyn Sink>,
    place: Place,
}

#[async_trait]
impl Sink for WatchedSink {
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let seen = batch.clone();
        let results = self.inner.publish(batch).await;
        for (message, result) in seen.into_iter().zip(&results) {
            if result.is_ok() {
                // Who prints may have had enough.
                let _ = self.place.tell.send(self.place.told(&message)).await;
            }
        }
        results
    }
}

/// The parts of an event that are shown.
#[derive(Default, Deserialize)]
struct Published<'e> {
    #[serde(borrow)]
    data: Option<&'e RawValue>,
    data_base64: Option<String>,
    deadletterreason: Option<String>,
    deadlettermessage: Option<String>,
}

impl Place {
    fn told(&self, message: &Outgoing) -> Told {
        let event: Published<'_> = serde_json::from_slice(&message.payload).unwrap_or_default();
        let bytes = event.data_base64.and_then(|text| STANDARD.decode(text).ok());
        Told {
            at: self.clock.now(),
            namespace: self.namespace.clone(),
            from: self.component.clone(),
            to: format!("{}/{}", self.cluster_stream, message.topic),
            component: None,
            binary: bytes.is_some(),
            data: bytes.unwrap_or_else(|| event.data.map_or(b"null".to_vec(), |data| data.get().into())),
            letter: event
                .deadletterreason
                .map(|why| (why, event.deadlettermessage.unwrap_or_default())),
        }
    }
}
