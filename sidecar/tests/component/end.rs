//! The end of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::common::{Recipient, Reply, Running, input, join, plan, publish, take};
use crate::delivery::{all, brokers};

#[tokio::test]
async fn what_is_in_flight_is_acked_and_the_rest_comes_again() {
    let (brokers, a, _) = brokers();
    // Answers only once it is known that the end has begun.
    let (asked, ending) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (tell, over) = (Arc::clone(&asked), Arc::clone(&ending));
    let recipient = Recipient::that(0, move |_, _| {
        tell.notify_one();
        if over.load(Ordering::SeqCst) {
            Reply::Say(200, "")
        } else {
            Reply::Say(503, "")
        }
    })
    .await;
    let plan = plan(&all(), &json!([input("m", "a", "t")]), &json!({}));
    let running = Running::start(plan, &brokers, Some(recipient.address)).await;
    publish(&*a, "t", (0..3).map(|n| json!({"n": n}))).await;
    asked.notified().await;
    ending.store(true, Ordering::SeqCst);
    recipient.until(|got| got.iter().any(|g| g.body["n"] == 2)).await;
    running.stop().await;
    let left = take(&*a, "t", "c", 0).await;
    assert_eq!(left, [Value::Null; 0]);
}

#[tokio::test]
async fn an_open_window_is_left_to_the_next_process() {
    let (brokers, a, b) = brokers();
    let recipient = Recipient::start().await;
    // It ends in the year 2069.
    let role = join(["x", "y"], 36_500 * 86_400_000, "Batch", [None, None]);
    let plan = plan(
        &role,
        &json!([input("x", "a", "t"), input("y", "b", "u")]),
        &json!({}),
    );
    let running = Running::start(plan, &brokers, Some(recipient.address)).await;
    publish(&*a, "t", [json!({"n": 1})]).await;
    publish(&*b, "u", [json!({"n": 2})]).await;
    let metrics = format!("http://{}/metrics", running.admin);
    crate::common::http_until(&metrics, |_, text| {
        text.contains("received_total{stream=\"t\"} 1") && text.contains("received_total{stream=\"u\"} 1")
    })
    .await;
    // Nothing is in flight, so there is nothing to wait for.
    running.stop().await;
    assert!(recipient.got().is_empty(), "the window is not over");
    assert_eq!(take(&*a, "t", "c", 1).await, [json!({"n": 1})]);
    assert_eq!(take(&*b, "u", "c", 1).await, [json!({"n": 2})]);
}

#[tokio::test]
async fn a_recipient_that_stalls_does_not_hold_up_the_end() {
    let (brokers, a, _) = brokers();
    let recipient = Recipient::that(0, |_, _| Reply::Stall).await;
    let plan = plan(&all(), &json!([input("m", "a", "t")]), &json!({}));
    let drain = Duration::from_millis(100);
    let running = Running::start_with(plan, &brokers, Some(recipient.address), drain).await;
    publish(&*a, "t", [json!({"n": 1})]).await;
    recipient.until(|got| !got.is_empty()).await;
    running.stop().await;
    assert_eq!(take(&*a, "t", "c", 1).await, [json!({"n": 1})], "it comes again");
}
