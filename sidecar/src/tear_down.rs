//! After a component's last message: `--tear-down` takes away what the brokers keep for it, and ends. Only what is the
//! component's own goes, its queues, consumer groups and sessions; topics, and what others have of them, stay.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use streaming_plan::{Plan, Topic};
use tokio::time::{Instant, sleep, timeout_at};

use crate::broker::Consumer;
use crate::retry::Retry;
use crate::run::Brokers;

/// What is still on a broker.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// The topic that it was for.
    pub topic: Topic,
    /// Why.
    pub why: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Topic {
            cluster_stream,
            topic,
        } = &self.topic;
        write!(f, "{cluster_stream}/{topic}: {}", self.why)
    }
}

/// Takes away all that the brokers keep for a component, each thing as soon as that is possible. Gives what is left when
/// `patience` is over, or can't be taken away at all.
pub async fn tear_down(plan: &Plan, brokers: &Brokers, patience: Duration) -> Vec<Left> {
    let end = Instant::now() + patience;
    let topics: BTreeSet<&Topic> = plan.inputs.iter().map(|input| &input.source).collect();
    let outcomes = topics
        .into_iter()
        .map(|topic| remove(plan, brokers, topic, end))
        .collect::<Vec<_>>();
    join_all(outcomes).await.into_iter().flatten().collect()
}

async fn remove(plan: &Plan, brokers: &Brokers, topic: &Topic, end: Instant) -> Option<Left> {
    let group = &plan.component.name;
    let left = |why: String| {
        let topic = topic.clone();
        Some(Left { topic, why })
    };
    let Some(broker) = brokers.get(&topic.cluster_stream) else {
        return left("the plan has no such ClusterStream".to_owned());
    };
    let consumer = Consumer {
        topic: topic.topic.clone(),
        group: group.clone(),
    };
    let members = plan.shared.unwrap_or_default();
    let mut retry = Retry::new(group);
    let mut last = "it did not answer in time".to_owned();
    loop {
        match timeout_at(end, broker.remove(&consumer, members)).await {
            Ok(Ok(())) => {
                tracing::info!(
                    cluster_stream = topic.cluster_stream,
                    topic = topic.topic,
                    group,
                    "taken away"
                );
                return None;
            }
            Ok(Err(error)) if error.transient => last = error.to_string(),
            Ok(Err(error)) => return left(error.to_string()),
            Err(_) => return left(last),
        }
        let wait = retry.next();
        if Instant::now() + wait >= end {
            return left(last);
        }
        sleep(wait).await;
    }
}
