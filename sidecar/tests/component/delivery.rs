//! From topics to recipients.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use streaming_sidecar::Brokers;
use streaming_sidecar::broker::Broker;
use streaming_sidecar::broker::embedded::Embedded;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::{
    PATIENCE, Recipient, Reply, Running, http, http_until, input, join, plan, publish, take,
};

/// Two brokers, `a` and `b`.
pub(crate) fn brokers() -> (Brokers, Arc<dyn Broker>, Arc<dyn Broker>) {
    let (a, b): (Arc<dyn Broker>, Arc<dyn Broker>) =
        (Arc::new(Embedded::new("a")), Arc::new(Embedded::new("b")));
    let both = [("a".to_owned(), Arc::clone(&a)), ("b".to_owned(), Arc::clone(&b))];
    (both.into_iter().collect(), a, b)
}

/// What a Channel does that lets everything through.
pub(crate) fn all() -> Value {
    json!({"kind": "map", "where": null, "select": null})
}

/// Waits for the next window of so many seconds, so that what follows is in one.
async fn at_the_start_of_a_window(seconds: u64) {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let length = Duration::from_secs(seconds).as_nanos();
    let left = length - since.as_nanos() % length;
    tokio::time::sleep(Duration::from_nanos(u64::try_from(left).unwrap())).await;
}

#[tokio::test]
async fn messages_of_two_brokers_meet_in_a_window() {
    let (brokers, a, b) = brokers();
    let recipient = Recipient::start().await;
    let role = join(
        ["t", "p"],
        2000,
        "Batch",
        [
            Some("t.id == p.id && p.use >= 1.0"),
            Some("{\"id\": t.id, \"use\": p.use}"),
        ],
    );
    let plan = plan(
        &role,
        &json!([input("t", "a", "tenants"), input("p", "b", "power")]),
        &json!({}),
    );
    let running = Running::start(plan, &brokers, Some(recipient.address)).await;
    http_until(&format!("http://{}/readyz", running.admin), |status, _| {
        status == 200
    })
    .await;
    at_the_start_of_a_window(2).await;
    publish(&*a, "tenants", [json!({"id": 1}), json!({"id": 2})]).await;
    publish(
        &*b,
        "power",
        [
            json!({"id": 2, "use": 2.5}),
            json!({"id": 1, "use": 0.5}),
            json!({"id": 9, "use": 7}),
        ],
    )
    .await;
    let got = recipient.until(|got| !got.is_empty()).await;
    assert_eq!(got[0].path, "/rows");
    assert_eq!(got[0].body, json!([{"id": 2, "use": 2.5}]));
    let header = |name: &str| got[0].headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("ce-source"), "/ns/joiner/c");
    assert_eq!(
        (header("ce-specversion"), got[0].id().len()),
        ("1.0".to_owned(), 32)
    );
    let metrics = format!("http://{}/metrics", running.admin);
    let done = |_, text: &str| text.contains("streaming_acked_total{stream=\"tenants\"} 2");
    let text = http_until(&metrics, done).await;
    for line in [
        "streaming_received_total{stream=\"power\"} 3",
        "streaming_filtered_total{stream=\"power\"} 1",
        "streaming_matched_total 1",
        "streaming_delivered_total 1",
        "streaming_window_delivery_seconds_count 1",
        "streaming_connected{cluster_stream=\"b\",direction=\"read\",topic=\"power\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    running.stop().await;
    // Acked, all of them: nothing is left for who comes next.
    assert_eq!(take(&*a, "tenants", "c", 0).await, [Value::Null; 0]);
    assert_eq!(take(&*b, "power", "c", 0).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_topic_that_is_joined_with_itself_is_read_once() {
    let (brokers, a, _) = brokers();
    let recipient = Recipient::start().await;
    let role = join(["x", "y"], 2000, "Batch", [Some("x.n < y.n"), Some("[x.n, y.n]")]);
    let inputs = json!([input("x", "a", "numbers"), input("y", "a", "numbers")]);
    let running = Running::start(
        plan(&role, &inputs, &json!({})),
        &brokers,
        Some(recipient.address),
    )
    .await;
    http_until(&format!("http://{}/readyz", running.admin), |status, _| {
        status == 200
    })
    .await;
    let last = format!("http://{}/lastwindow", running.admin);
    assert_eq!(http("GET", &last, &[], "").await, (204, String::new()));
    at_the_start_of_a_window(2).await;
    publish(&*a, "numbers", (1..=3).map(|n| json!({"n": n}))).await;
    let got = recipient.until(|got| !got.is_empty()).await;
    assert_eq!(got[0].body, json!([[1, 2], [1, 3], [2, 3]]));
    let (status, window) = http("GET", &last, &[], "").await;
    let window: Value = serde_json::from_str(&window).unwrap();
    assert_eq!(
        (status, &window["rows"], &window["errors"]),
        (200, &json!(3), &json!(0))
    );
    assert_eq!(
        window["inputs"][1],
        json!({"name": "y", "received": 3, "filtered": 0, "matched": 2, "late": 0})
    );
    assert_eq!(window["conditions"][0]["condition"], json!("x.n < y.n"));
    assert!(window["end"].as_str().unwrap().ends_with('Z'), "{window}");
    let metrics = format!("http://{}/metrics", running.admin);
    http_until(&metrics, |_, text| {
        text.contains("streaming_acked_total{stream=\"numbers\"} 6")
    })
    .await;
    running.stop().await;
    assert_eq!(take(&*a, "numbers", "c", 0).await, [Value::Null; 0]);
}

#[tokio::test]
async fn whatever_a_recipient_does_nothing_is_lost_or_out_of_order() {
    let (brokers, a, _) = brokers();
    let recipient = Recipient::that(2, |number, _| match number {
        0 | 4 => Reply::Stall,
        1 | 3 | 6 => Reply::Say(500, "no"),
        2 => Reply::Say(301, ""),
        _ => Reply::Say(201, "thanks"),
    })
    .await;
    let plan = plan(&all(), &json!([input("m", "a", "t")]), &json!({}));
    let running = Running::start(plan, &brokers, Some(recipient.address)).await;
    publish(&*a, "t", (0..4).map(|n| json!({"n": n}))).await;
    let last = json!({"n": 3});
    let got = recipient.until(|got| got.iter().any(|g| g.body == last)).await;
    let mut numbers: Vec<_> = got
        .iter()
        .map(|g| (g.body["n"].as_u64().unwrap(), g.id().to_owned()))
        .collect();
    numbers.dedup();
    let order: Vec<u64> = numbers.iter().map(|(n, _)| *n).collect();
    assert_eq!(order, [0, 1, 2, 3], "a repeat has the id of the first attempt");
    running.stop().await;
}

#[tokio::test]
async fn a_recipient_without_the_route_blocks_nothing() {
    let (brokers, a, _) = brokers();
    let recipient = Recipient::that(0, |number, _| Reply::Say(if number == 0 { 404 } else { 200 }, "")).await;
    let plan = plan(&all(), &json!([input("m", "a", "t")]), &json!({}));
    let running = Running::start(plan, &brokers, Some(recipient.address)).await;
    publish(&*a, "t", [json!({"n": 0}), json!({"n": 1})]).await;
    recipient.until(|got| got.len() == 2).await;
    let letters = take(&*a, "dead", "reader", 1).await;
    assert_eq!(letters[0]["data"], json!({"n": 0}));
    assert_eq!(letters[0]["deadletterreason"], "NotDelivered");
    running.stop().await;
}

#[tokio::test]
async fn results_go_to_a_topic_as_cloudevents() {
    let (brokers, a, b) = brokers();
    let role = json!({"kind": "map", "where": "m.n > 1", "select": "{\"double\": m.n * 2}"});
    let outputs = json!({"outputs": [{"kind": "stream", "clusterStream": "b", "topic": "out"}]});
    let running = Running::start(
        plan(&role, &json!([input("m", "a", "t")]), &outputs),
        &brokers,
        None,
    )
    .await;
    publish(&*a, "t", (0..4).map(|n| json!({"n": n}))).await;
    let events = take(&*b, "out", "reader", 2).await;
    let data: Vec<&Value> = events.iter().map(|event| &event["data"]).collect();
    assert_eq!(data, [&json!({"double": 4}), &json!({"double": 6})]);
    assert_eq!(events[0]["specversion"], "1.0");
    running.stop().await;
}

#[tokio::test]
async fn a_trace_goes_on_from_a_message_to_what_is_made_of_it() {
    let (brokers, a, b) = brokers();
    let recipient = Recipient::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let event = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"n": 1},
        "traceparent": trace, "tracestate": "vendor=1,other=2"});
    let running = Running::start(
        plan(&all(), &json!([input("m", "a", "t")]), &json!({})),
        &brokers,
        Some(recipient.address),
    )
    .await;
    publish(&*a, "t", [event]).await;
    let got = recipient.until(|got| !got.is_empty()).await;
    assert_eq!(got[0].headers["traceparent"], trace);
    assert_eq!(got[0].headers["tracestate"], "vendor=1,other=2");
    running.stop().await;

    let event = json!({"specversion": "1.0", "id": "2", "source": "s", "type": "t", "data": {"n": 2},
        "traceparent": trace});
    let outputs = json!({"outputs": [{"kind": "stream", "clusterStream": "b", "topic": "out"}]});
    let plan = plan(&all(), &json!([input("m", "a", "t")]), &outputs);
    let running = Running::start(plan, &brokers, None).await;
    publish(&*a, "t", [event, json!({"n": 3})]).await;
    let events = take(&*b, "out", "reader", 2).await;
    assert_eq!(events[0]["traceparent"], trace);
    assert_eq!(
        (events[0].get("tracestate"), events[1].get("traceparent")),
        (None, None)
    );
    running.stop().await;
}

#[tokio::test]
async fn a_container_is_obeyed_as_dapr_would() {
    let (brokers, a, _) = brokers();
    let container = Recipient::that(0, |number, got| match (number, got.body["data"]["n"].as_u64()) {
        (0, _) => Reply::Say(200, "{\"status\":\"RETRY\"}"),
        (_, Some(1)) => Reply::Say(200, "{\"status\":\"DROP\"}"),
        (_, Some(2)) => Reply::Say(404, ""),
        _ => Reply::Say(200, "anything"),
    })
    .await;
    let more = json!({"container": {"port": container.address.port()}, "outputs": []});
    let role = json!({"kind": "relay", "concurrency": 1});
    let running = Running::start(plan(&role, &json!([input("m", "a", "t")]), &more), &brokers, None).await;
    publish(&*a, "t", (0..4).map(|n| json!({"n": n}))).await;
    let got = container.until(|got| got.len() == 5).await;
    let numbers: Vec<_> = got
        .iter()
        .map(|g| g.body["data"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 0, 1, 2, 3]);
    assert!(got.iter().all(|g| g.path == "/m-route"));
    assert_eq!(got[0].headers["content-type"], "application/cloudevents+json");
    assert_eq!(
        (&got[0].body["pubsubname"], &got[0].body["topic"]),
        (&json!("a"), &json!("t"))
    );
    let letters = take(&*a, "dead", "reader", 2).await;
    assert_eq!([&letters[0]["data"]["n"], &letters[1]["data"]["n"]], [1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let (brokers, a, _) = brokers();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let container = tokio::spawn(async move {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"status\":",
            "HTTP/1.1 204 OK\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let more = json!({"container": {"port": port}, "outputs": []});
    let role = json!({"kind": "relay", "concurrency": 1});
    let running = Running::start(plan(&role, &json!([input("m", "a", "t")]), &more), &brokers, None).await;
    publish(&*a, "t", [json!({"n": 1})]).await;
    tokio::time::timeout(PATIENCE, container).await.unwrap().unwrap();
    let metrics = format!("http://{}/metrics", running.admin);
    let text = http_until(&metrics, |_, text| {
        text.contains("streaming_acked_total{stream=\"t\"} 1")
    })
    .await;
    assert!(text.contains("streaming_retried_total 1"), "{text}");
    running.stop().await;
}
