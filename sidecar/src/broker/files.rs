//! Properties whose values are in files, as a kubelet mounts Secrets: read whenever something connects, so that a password
//! that is changed needs no restart. The broker behind sees ordinary properties.
//!
//! What connects again by itself would do so with the old values: a source that can't reach its broker is given up once
//! the files say something else, which ends its session, and a sink that fails is opened anew.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use streaming_plan::ClusterStream;
use tokio::sync::{RwLock, watch};
use tokio::time::sleep;

use super::{Acker, Broker, BrokerError, Consumer, Outgoing, Received, Sink, Source, Subscription};

/// How often files are looked at while their broker can't be used.
const LOOK: Duration = Duration::from_secs(1);

/// A broker some of whose properties are in files.
pub(super) struct FromFiles(Arc<Opener>);

impl FromFiles {
    /// Reads nothing yet.
    pub(super) fn new(name: &str, cluster_stream: &ClusterStream) -> FromFiles {
        FromFiles(Arc::new(Opener {
            name: name.into(),
            cluster_stream: cluster_stream.clone(),
            opened: Mutex::new(None),
        }))
    }
}

struct Opener {
    name: Arc<str>,
    cluster_stream: ClusterStream,
    opened: Mutex<Option<Opened>>,
}

/// A broker with the properties that it was opened with.
#[derive(Clone)]
struct Opened {
    properties: BTreeMap<String, String>,
    broker: Arc<dyn Broker>,
}

impl Opener {
    /// All properties, as the files say now.
    fn properties(&self) -> Result<BTreeMap<String, String>, BrokerError> {
        let mut properties = self.cluster_stream.properties.clone();
        for (name, file) in &self.cluster_stream.files {
            match std::fs::read_to_string(&file.path) {
                Ok(value) => {
                    // Editors end a file with a line break, and no value does.
                    properties.insert(name.clone(), value.trim_end_matches(['\n', '\r']).to_owned());
                }
                Err(error) if file.optional && error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let path = &file.path;
                    let what = format!(
                        "can't read the property `{name}` from {path}: {error}; is its key in the Secret or ConfigMap?"
                    );
                    return Err(BrokerError::new(&self.name, "UnreadableProperty", what, true));
                }
            }
        }
        Ok(properties)
    }

    /// The broker as the files say now; the same one as long as they say the same.
    fn open(&self) -> Result<Opened, BrokerError> {
        let properties = self.properties()?;
        let mut slot = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = slot.as_ref().filter(|opened| opened.properties == properties) {
            return Ok(opened.clone());
        }
        let cluster_stream = ClusterStream {
            properties: properties.clone(),
            files: BTreeMap::new(),
            ..self.cluster_stream.clone()
        };
        let broker = super::open(&self.name, &cluster_stream)?;
        Ok(slot.insert(Opened { properties, broker }).clone())
    }

    /// Whether the files say something else than they did. Files that can't be read now say nothing.
    fn has_changed(&self, from: &BTreeMap<String, String>) -> bool {
        self.properties().is_ok_and(|properties| properties != *from)
    }
}

#[async_trait]
impl Broker for FromFiles {
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
        let Opened { properties, broker } = self.0.open()?;
        let (source, acker) = broker.subscribe(subscription).await?;
        let source = Watched {
            opener: Arc::clone(&self.0),
            properties,
            source,
        };
        Ok((Box::new(source), acker))
    }

    async fn sink(&self, consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError> {
        let Opened { properties, broker } = self.0.open()?;
        let sink = broker.sink(consumers).await?;
        Ok(Arc::new(Renewed {
            opener: Arc::clone(&self.0),
            consumers: consumers.to_vec(),
            sink: RwLock::new((properties, sink)),
        }))
    }

    async fn remove(&self, consumer: &Consumer, members: u32) -> Result<(), BrokerError> {
        self.0.open()?.broker.remove(consumer, members).await
    }
}

/// A source that is given up when it can't read any more with what it was opened with.
struct Watched {
    opener: Arc<Opener>,
    properties: BTreeMap<String, String>,
    source: Box<dyn Source>,
}

#[async_trait]
impl Source for Watched {
    async fn receive(&mut self) -> Result<Received, BrokerError> {
        let Some(fault) = self.source.fault() else {
            return self.source.receive().await;
        };
        tokio::select! {
            biased;
            received = self.source.receive() => received,
            () = outdated(&self.opener, &self.properties, fault) => {
                let what = "its properties have changed; connecting with the new ones";
                Err(BrokerError::new(&self.opener.name, "PropertiesChanged", what, true))
            }
        }
    }

    fn fault(&self) -> Option<watch::Receiver<Option<BrokerError>>> {
        self.source.fault()
    }
}

/// Completes when there is a fault, and the files say something else.
async fn outdated(
    opener: &Opener,
    properties: &BTreeMap<String, String>,
    mut fault: watch::Receiver<Option<BrokerError>>,
) {
    loop {
        if fault.wait_for(Option::is_some).await.is_err() {
            // The source is at its end, and says so itself.
            std::future::pending::<()>().await;
        }
        if opener.has_changed(properties) {
            return;
        }
        sleep(LOOK).await;
    }
}

/// A sink that is opened anew when it fails with what it was opened with.
struct Renewed {
    opener: Arc<Opener>,
    consumers: Vec<Consumer>,
    sink: RwLock<(BTreeMap<String, String>, Arc<dyn Sink>)>,
}

#[async_trait]
impl Sink for Renewed {
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let (properties, sink) = self.sink.read().await.clone();
        let results = sink.publish(batch).await;
        if results.iter().any(Result::is_err) && self.opener.has_changed(&properties) {
            self.renew(&properties).await;
        }
        results
    }
}

impl Renewed {
    /// Opens it with what the files say now, unless somebody has done so. Who publishes tries again anyway.
    async fn renew(&self, before: &BTreeMap<String, String>) {
        let mut slot = self.sink.write().await;
        if slot.0 != *before {
            return;
        }
        let renewed = async {
            let Opened { properties, broker } = self.opener.open()?;
            Ok::<_, BrokerError>((properties, broker.sink(&self.consumers).await?))
        };
        match renewed.await {
            Ok(renewed) => *slot = renewed,
            Err(error) => {
                tracing::warn!(%error, reason = error.reason, "can't publish with the changed properties");
            }
        }
    }
}
