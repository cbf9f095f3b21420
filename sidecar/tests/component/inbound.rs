//! Results that other components' sidecars send.

use serde_json::json;

use crate::common::{Recipient, Reply, Running, http, metric, plan};
use crate::delivery::brokers;

async fn processor(port: u16) -> Running {
    let role = json!({"kind": "relay", "concurrency": 1});
    let container = if port == 0 {
        json!(null)
    } else {
        json!({"port": port})
    };
    let plan = plan(&role, &json!([]), &json!({"container": container, "outputs": []}));
    Running::start(plan, &brokers().0, None).await
}

fn result(id: &str) -> [(&str, &str); 3] {
    [
        ("ce-source", "/ns/joiner/j"),
        ("ce-id", id),
        ("content-type", "application/json"),
    ]
}

#[tokio::test]
async fn a_repeat_is_accepted_but_not_passed_on() {
    let container = Recipient::that(0, |number, _| Reply::Say(if number == 0 { 500 } else { 202 }, "")).await;
    let running = processor(container.address.port()).await;
    let url = format!("http://{}/rows?x=1", running.deliver);
    let mut statuses = Vec::new();
    for id in ["1", "1", "1", "2", "1"] {
        statuses.push(http("POST", &url, &result(id), "[1]").await.0);
    }
    // What the container refused is no repeat when it comes again.
    assert_eq!(statuses, [500, 202, 200, 202, 200]);
    let got = container.got();
    assert_eq!(got.len(), 3);
    assert_eq!((got[0].path.as_str(), &got[0].body), ("/rows", &json!([1])));
    assert_eq!(got[0].headers["ce-id"], "1");
    assert_eq!(
        metric(running.admin, "streaming_repeats_dropped_total").await,
        Some(2.0)
    );
    // Another route is another recipient.
    let other = format!("http://{}/other", running.deliver);
    assert_eq!(http("POST", &other, &result("1"), "[1]").await.0, 202);
    // Without an id everything is new.
    for _ in 0..2 {
        assert_eq!(http("POST", &url, &[], "[]").await.0, 202);
    }
    running.stop().await;
}

#[tokio::test]
async fn what_the_container_is_busy_with_is_not_given_twice() {
    let container = Recipient::that(0, |_, _| Reply::Stall).await;
    let running = processor(container.address.port()).await;
    let url = format!("http://{}/rows", running.deliver);
    let first = {
        let url = url.clone();
        tokio::spawn(async move { http("POST", &url, &result("1"), "[]").await })
    };
    container.until(|got| !got.is_empty()).await;
    let (status, why) = http("POST", &url, &result("1"), "[]").await;
    assert_eq!(
        (status, why.as_str()),
        (503, "the container has this, and has not answered yet\n")
    );
    let (status, why) = first.await.unwrap();
    assert!(
        status == 502 && why.contains("no answer within"),
        "{status} {why}"
    );
    assert_eq!(container.got().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_can_not_be_passed_on_is_refused_with_a_reason() {
    let running = processor(0).await;
    let url = format!("http://{}/rows", running.deliver);
    let (status, why) = http("POST", &url, &result("1"), "[]").await;
    assert_eq!(
        (status, why.as_str()),
        (404, "c has no container that could take this\n")
    );
    assert_eq!(http("GET", &url, &[], "").await.0, 405);
    running.stop().await;

    // A container that is not up yet.
    let port = Recipient::start().await.address.port();
    let running = processor(port).await;
    let (status, why) = http(
        "POST",
        &format!("http://{}/rows", running.deliver),
        &result("1"),
        "[]",
    )
    .await;
    assert!(status == 502 && why.contains("did not take it"), "{status} {why}");
    running.stop().await;
}
