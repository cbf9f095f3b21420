//! Connections that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::json;
use streaming_sidecar::Brokers;
use streaming_sidecar::broker::embedded::Embedded;
use streaming_sidecar::broker::{Acker, Broker, BrokerError, Consumer, Received, Sink, Source, Subscription};

use crate::common::{Recipient, Reply, Running, http_until, input, plan, publish};
use crate::delivery::all;

/// A broker that refuses its first subscriptions, and whose sources die after their first messages.
struct Weak {
    inner: Embedded,
    refusals: AtomicUsize,
    deaths: Arc<AtomicUsize>,
}

fn failed(what: &str) -> BrokerError {
    BrokerError {
        broker: "a".into(),
        reason: "Weak",
        what: what.to_owned(),
        transient: true,
    }
}

fn once_less(counter: &AtomicUsize) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl Broker for Weak {
    async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<(Box<dyn Source>, Box<dyn Acker>), BrokerError> {
        if once_less(&self.refusals) {
            return Err(failed("is not up yet"));
        }
        let (inner, acker) = self.inner.subscribe(subscription).await?;
        let deaths = Arc::clone(&self.deaths);
        Ok((
            Box::new(Dying {
                inner,
                deaths,
                given: false,
            }),
            acker,
        ))
    }

    async fn sink(&self, consumers: &[Consumer]) -> Result<Arc<dyn Sink>, BrokerError> {
        self.inner.sink(consumers).await
    }

    async fn remove(&self, consumer: &Consumer, members: u32) -> Result<(), BrokerError> {
        self.inner.remove(consumer, members).await
    }
}

struct Dying {
    inner: Box<dyn Source>,
    deaths: Arc<AtomicUsize>,
    given: bool,
}

#[async_trait]
impl Source for Dying {
    async fn receive(&mut self) -> Result<Received, BrokerError> {
        if self.given && once_less(&self.deaths) {
            return Err(failed("has died"));
        }
        let received = self.inner.receive().await?;
        self.given |= matches!(received, Received::Messages(_));
        Ok(received)
    }
}

#[tokio::test]
async fn a_lost_connection_loses_no_message() {
    let weak = Arc::new(Weak {
        inner: Embedded::new("a"),
        refusals: AtomicUsize::new(2),
        deaths: Arc::new(AtomicUsize::new(2)),
    });
    let brokers: Brokers = [("a".to_owned(), Arc::clone(&weak) as Arc<dyn Broker>)]
        .into_iter()
        .collect();
    // Slow enough for a connection to be lost while it is busy.
    let recipient = Recipient::that(0, |number, _| Reply::Say(if number < 3 { 500 } else { 200 }, "")).await;
    let plan = plan(&all(), &json!([input("m", "a", "t")]), &json!({}));
    let running = Running::start(plan, &brokers, Some(recipient.address)).await;
    let ready = format!("http://{}/readyz", running.admin);
    http_until(&ready, |status, why| {
        status == 503 && why.contains("reading a/t: a: is not up yet")
    })
    .await;
    http_until(&ready, |status, _| status == 200).await;
    publish(&weak.inner, "t", (0..3).map(|n| json!({"n": n}))).await;
    let got = recipient
        .until(|got| (0..3).all(|n| got.iter().filter(|g| g.body["n"] == n).count() >= 1))
        .await;
    let ids = |n: u64| {
        got.iter()
            .filter(move |g| g.body["n"] == n)
            .map(|g| g.id().to_owned())
    };
    for n in 0..3 {
        let first = ids(n).next().unwrap();
        assert!(ids(n).all(|id| id == first), "repeats have one id");
    }
    let metrics = format!("http://{}/metrics", running.admin);
    http_until(&metrics, |_, text| text.contains("streaming_sessions_total 3")).await;
    running.stop().await;
}
