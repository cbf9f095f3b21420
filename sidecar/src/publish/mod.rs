//! What the component's own container publishes, as it would through Dapr: by HTTP or by gRPC, to the `ClusterStreams`
//! that its plan allows.

mod envelope;
pub(crate) mod grpc;
pub(crate) mod http;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use streaming_plan::Plan;

use crate::broker::Outgoing;
use crate::metrics::Metrics;
use crate::publisher::Publisher;
use crate::traces::Traces;

/// The largest message that is taken: what the engine takes from a topic.
pub(crate) const MAX_BYTES: usize = streaming_engine::json::MAX_MESSAGE_BYTES;

/// The way from the container to topics.
#[derive(Clone)]
pub(crate) struct Publishing {
    component: Arc<str>,
    publishers: Arc<BTreeMap<String, Publisher>>,
    metrics: Arc<Metrics>,
    traces: Traces,
}

/// Puts the trace that a request's headers name into the metadata of what it publishes, unless that names one.
fn in_trace<'h>(metadata: &mut HashMap<String, String>, header: impl Fn(&str) -> Option<&'h str>) {
    for name in ["traceparent", "tracestate"] {
        if let Some(value) = header(name) {
            let entry = metadata.entry(format!("cloudevent.{name}"));
            entry.or_insert_with(|| value.to_owned());
        }
    }
}

/// A message that the container wants published.
pub(crate) struct Request {
    /// The `ClusterStream`: what Dapr calls a pub/sub component.
    pub(crate) pubsub: String,
    pub(crate) topic: String,
    /// MIME type; empty if it was not said.
    pub(crate) content_type: String,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) data: Bytes,
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("pubsub name is empty; publish to /v1.0/publish/CLUSTERSTREAM/TOPIC")]
    NoPubsub,
    #[error("topic is empty in pubsub {0}; publish to /v1.0/publish/{0}/TOPIC")]
    NoTopic(String),
    #[error("{component} may not publish to ClusterStream {pubsub}; {allowed}")]
    Forbidden {
        component: Arc<str>,
        pubsub: String,
        allowed: String,
    },
    #[error("metadata rawPayload is `{0}`, which is neither true nor false")]
    RawPayload(String),
    #[error("the message says that it is a CloudEvent, but {0}")]
    NotACloudEvent(String),
    #[error("error when publish to topic {topic} in pubsub {pubsub}: {why}")]
    Broker {
        pubsub: String,
        topic: String,
        why: String,
    },
}

impl PublishError {
    /// Dapr's code for it (<https://docs.dapr.io/reference/errors/error-codes/>).
    pub(crate) fn code(&self) -> &'static str {
        match self {
            PublishError::NoPubsub => "ERR_PUBSUB_EMPTY",
            PublishError::NoTopic(_) => "ERR_TOPIC_NAME_EMPTY",
            PublishError::Forbidden { .. } => "ERR_PUBSUB_FORBIDDEN",
            PublishError::RawPayload(_) => "ERR_PUBSUB_REQUEST_METADATA",
            PublishError::NotACloudEvent(_) => "ERR_PUBSUB_CLOUD_EVENTS_SER",
            PublishError::Broker { .. } => "ERR_PUBSUB_PUBLISH_MESSAGE",
        }
    }
}

impl Publishing {
    /// Of a plan.
    pub(crate) fn new(
        plan: &Plan,
        publishers: &BTreeMap<String, Publisher>,
        metrics: &Arc<Metrics>,
        traces: &Traces,
    ) -> Publishing {
        let allowed = publishers
            .iter()
            .filter(|(name, _)| plan.publishes.contains(name));
        Publishing {
            component: plan.component.name.as_str().into(),
            publishers: Arc::new(allowed.map(|(name, to)| (name.clone(), to.clone())).collect()),
            metrics: Arc::clone(metrics),
            traces: traces.clone(),
        }
    }

    /// Publishes, and waits until the broker has it.
    pub(crate) async fn publish(&self, mut request: Request) -> Result<(), PublishError> {
        if request.pubsub.is_empty() {
            return Err(PublishError::NoPubsub);
        }
        if request.topic.is_empty() {
            return Err(PublishError::NoTopic(request.pubsub));
        }
        let Some(publisher) = self.publishers.get(&request.pubsub) else {
            return Err(self.forbidden(request.pubsub));
        };
        let span = self.traces.publishing(&mut request);
        let message: Outgoing = envelope::wrap(&request, &self.component)?;
        let result = publisher.publish(message).await;
        let failure = result.as_ref().err().map(ToString::to_string);
        span.published(&request.pubsub, &request.topic, failure.as_deref());
        match result {
            Ok(()) => {
                self.metrics.published();
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, topic = request.topic, "a message of the container was not published");
                Err(PublishError::Broker {
                    why: error.to_string(),
                    pubsub: request.pubsub,
                    topic: request.topic,
                })
            }
        }
    }

    fn forbidden(&self, pubsub: String) -> PublishError {
        let names: Vec<&str> = self.publishers.keys().map(String::as_str).collect();
        let allowed = if names.is_empty() {
            "its `publishes` names none: list the ClusterStream there".to_owned()
        } else {
            format!("its `publishes` allows {}", names.join(", "))
        };
        PublishError::Forbidden {
            component: Arc::clone(&self.component),
            pubsub,
            allowed,
        }
    }
}
