//! Whether a component is ready follows its brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use streaming_plan::{ClusterStream, Protocol};
use streaming_sidecar::Brokers;
use streaming_sidecar::broker::{Broker, open};
use test_brokers::Redis;

use crate::common::{Recipient, Running, http, http_until, input, plan, publish};
use crate::delivery::{all, brokers};
use crate::publish::generator;

/// The usual brokers, but for `a`, which is on a Redis.
fn with(redis: &Redis) -> (Brokers, Arc<dyn Broker>) {
    let (mut brokers, _, _) = brokers();
    let host = format!("127.0.0.1:{}", redis.port());
    let cluster_stream = ClusterStream {
        protocol: Protocol::Redis,
        properties: BTreeMap::from([("redisHost".to_owned(), host)]),
        files: BTreeMap::new(),
        consumers: Vec::new(),
    };
    let a = open("a", &cluster_stream).unwrap();
    brokers.insert("a".to_owned(), Arc::clone(&a));
    (brokers, a)
}

#[tokio::test]
async fn a_broker_that_is_read_and_goes_away_is_missed_until_it_is_back() {
    let mut redis = Redis::start().unwrap();
    let (brokers, a) = with(&redis);
    let recipient = Recipient::start().await;
    let plan = plan(&all(), &json!([input("m", "a", "t")]), &json!({}));
    let running = Running::start(plan, &brokers, Some(recipient.address)).await;
    let ready = format!("http://{}/readyz", running.admin);
    http_until(&ready, |status, _| status == 200).await;
    redis.kill();
    http_until(&ready, |status, text| {
        status == 503 && text.contains("reading a/t: ")
    })
    .await;
    redis.resume().unwrap();
    http_until(&ready, |status, _| status == 200).await;
    publish(&*a, "t", [json!({"n": 1})]).await;
    recipient.until(|got| got.len() == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_broker_that_cannot_be_published_to_is_missed_until_it_is_back() {
    let mut redis = Redis::start().unwrap();
    let (brokers, _) = with(&redis);
    let running = Running::start(generator(), &brokers, None).await;
    let ready = format!("http://{}/readyz", running.admin);
    http_until(&ready, |status, _| status == 200).await;
    redis.kill();
    let url = format!("http://{}/v1.0/publish/a/t", running.publish);
    let (status, _) = http("POST", &url, &[], "lost").await;
    assert_eq!(status, 500);
    http_until(&ready, |status, text| {
        status == 503 && text.contains("publishing to a: ")
    })
    .await;
    redis.resume().unwrap();
    // Without anything being published.
    http_until(&ready, |status, _| status == 200).await;
    let (status, _) = http("POST", &url, &[], "kept").await;
    assert_eq!(status, 204);
    running.stop().await;
}
