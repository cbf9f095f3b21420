//! A topic: results and dead letters are published there as `CloudEvents`.

use std::sync::Arc;

use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;
use streaming_plan as plan;

use crate::broker::{BrokerError, Outgoing};
use crate::publisher::Publisher;

/// One topic.
pub(crate) struct Topic {
    cluster_stream: String,
    name: Arc<str>,
    publisher: Publisher,
}

impl Topic {
    pub(super) fn new(to: &plan::Topic, publisher: &Publisher) -> Topic {
        Topic {
            cluster_stream: to.cluster_stream.clone(),
            name: to.topic.as_str().into(),
            publisher: publisher.clone(),
        }
    }

    pub(super) async fn deliver(&self, events: &[Arc<Event>]) -> Vec<Answer> {
        let message = |event: &Arc<Event>| Outgoing {
            topic: Arc::clone(&self.name),
            id: event.id.as_str().into(),
            content_type: "application/cloudevents+json",
            trace: event.trace.clone().map(Arc::from),
            payload: event.to_cloudevent().into(),
        };
        let results = self
            .publisher
            .publish_all(events.iter().map(message).collect())
            .await;
        let answer = |result| match result {
            Ok(()) => Answer::Accepted,
            Err(error) => Answer::Retry(BrokerError::to_string(&error)),
        };
        results.into_iter().map(answer).collect()
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.cluster_stream, self.name)
    }
}
