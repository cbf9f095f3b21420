//! The dead-letter topics of a pipeline, and what is on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use streaming_plan::{ClusterStream, Protocol, Topic};
use streaming_sidecar::broker::{
    Acker, Broker, Consumer, Message, Received, Sink, Source, Subscription, open, reached_at,
};
use tokio::time::timeout;

use super::letter::Letter;
use crate::assemble::Assembly;

/// The group for which dead letters are kept that no component reads.
const KEEPER: &str = "dead-letter";
/// A topic that says nothing for so long has said all.
const QUIET: Duration = Duration::from_millis(500);
/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Brokers by namespace and `ClusterStream`.
pub(super) struct Brokers(BTreeMap<(String, String), (Arc<dyn Broker>, ClusterStream)>);

impl Brokers {
    /// Those of the manifests, reached as they say or as `CLUSTERSTREAM=URL` says. Connects to nothing yet.
    pub(super) fn new(args: &[String], assembly: &Assembly) -> Result<Brokers> {
        let mut urls = BTreeMap::new();
        for arg in args {
            // The URL may have a password: it is never repeated.
            let (name, url) = arg
                .split_once('=')
                .context("--broker: must be CLUSTERSTREAM=URL")?;
            if !assembly.connections.keys().any(|(_, known)| known == name) {
                bail!("--broker {name}: there is no such ClusterStream");
            }
            urls.insert(name, url);
        }
        let mut brokers = BTreeMap::new();
        for (key, stream) in &assembly.connections {
            let stream = match urls.get(key.1.as_str()) {
                Some(url) => {
                    reached_at(stream, url).map_err(|error| anyhow!("--broker {}: {error}", key.1))?
                }
                None => stream.clone(),
            };
            brokers.insert(key.clone(), (open(&key.1, &stream)?, stream));
        }
        Ok(Brokers(brokers))
    }

    fn get(&self, namespace: &str, name: &str) -> Result<&(Arc<dyn Broker>, ClusterStream)> {
        let found = self.0.get(&(namespace.to_owned(), name.to_owned()));
        found.with_context(|| format!("there is no ClusterStream `{name}` whose topics could be reached"))
    }

    /// Whether messages of a `ClusterStream` can be acked only in the order in which they came.
    pub(super) fn acks_in_order(&self, namespace: &str, name: &str) -> Result<bool> {
        Ok(self.get(namespace, name)?.1.protocol == Protocol::Mqtt)
    }

    /// A publisher to a `ClusterStream`.
    pub(super) async fn sink(&self, namespace: &str, name: &str) -> Result<Arc<dyn Sink>> {
        let (broker, stream) = self.get(namespace, name)?;
        let consumer = |consumer: &streaming_plan::Consumer| Consumer {
            topic: consumer.topic.clone(),
            group: consumer.group.clone(),
        };
        let consumers: Vec<_> = stream.consumers.iter().map(consumer).collect();
        Ok(timeout(PATIENCE, broker.sink(&consumers)).await??)
    }
}

/// A dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) topic: Topic,
}

/// The dead-letter topics of a pipeline; only `wanted`, as `CLUSTERSTREAM/TOPIC`, if that is given.
pub(super) fn places(assembly: &Assembly, wanted: Option<&str>) -> Result<BTreeSet<Place>> {
    let inputs = |plan: &streaming_plan::Plan| {
        let namespace = plan.component.namespace.clone();
        let letters: Vec<_> = plan
            .inputs
            .iter()
            .filter_map(|input| input.dead_letter.clone())
            .collect();
        letters.into_iter().map(move |topic| Place {
            namespace: namespace.clone(),
            topic,
        })
    };
    let all: BTreeSet<Place> = assembly.plans.iter().flat_map(inputs).collect();
    let name = |place: &Place| format!("{}/{}", place.topic.cluster_stream, place.topic.topic);
    let Some(wanted) = wanted else { return Ok(all) };
    let found: BTreeSet<_> = all
        .iter()
        .filter(|place| name(place) == wanted)
        .cloned()
        .collect();
    if found.is_empty() {
        let names: Vec<String> = all.iter().map(name).collect();
        bail!(
            "--topic {wanted}: no component sends dead letters there; there is {}",
            names.join(", ")
        );
    }
    Ok(found)
}

/// Whoever reads a topic's dead letters in the pipeline itself.
pub(super) fn reader<'a>(assembly: &'a Assembly, place: &Place) -> Option<&'a str> {
    let reads = |plan: &&streaming_plan::Plan| {
        let same = plan.component.namespace == place.namespace;
        same && plan.inputs.iter().any(|input| input.source == place.topic)
    };
    assembly
        .plans
        .iter()
        .find(reads)
        .map(|plan| plan.component.name.as_str())
}

/// What is on a topic, held for as long as this lives: what is not acked is there again afterwards.
pub(super) struct Held {
    /// Some are no dead letters.
    pub(super) messages: Vec<(Message, Option<Letter>)>,
    /// Whether there may be more than was asked for.
    pub(super) more: bool,
    pub(super) acker: Box<dyn Acker>,
    _source: Box<dyn Source>,
}

impl Held {
    /// Reads a topic, up to `most` messages.
    pub(super) async fn read(brokers: &Brokers, place: &Place, most: u32) -> Result<Held> {
        let (broker, _) = brokers.get(&place.namespace, &place.topic.cluster_stream)?;
        let subscription = Subscription {
            topic: place.topic.topic.clone(),
            group: KEEPER.to_owned(),
            consumer: "streamctl".to_owned(),
            shared: None,
            properties: BTreeMap::new(),
            in_flight: Some(most),
        };
        let (mut source, acker) = timeout(PATIENCE, broker.subscribe(subscription)).await??;
        let mut messages: Vec<Message> = Vec::new();
        let (mut recovered, mut patience) = (false, PATIENCE);
        while messages.len() < most as usize {
            match timeout(patience, source.receive()).await {
                Ok(received) => match received? {
                    Received::Messages(more) => messages.extend(more),
                    Received::Recovered => (recovered, patience) = (true, QUIET),
                },
                Err(_) if recovered || !messages.is_empty() => break,
                Err(_) => bail!("{}: the broker does not answer", place.topic.cluster_stream),
            }
        }
        let more = messages.len() >= most as usize;
        let read = |message: Message| {
            let letter = Letter::parse(&message.payload);
            (message, letter)
        };
        Ok(Held {
            messages: messages.into_iter().map(read).collect(),
            more,
            acker,
            _source: source,
        })
    }

    /// The dead letters among the messages.
    pub(super) fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.messages.iter().filter_map(|(_, letter)| letter.as_ref())
    }
}
