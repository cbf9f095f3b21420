//! What a collector is told of messages' ways, in a build with the feature `otlp`: `cargo test -p streaming-sidecar --features otlp
//! --test otlp`.

#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests may, as tests do

mod common;
#[path = "common/process.rs"]
mod process;

// What needs no collector is tested here too: nothing else is built with the feature where all tests run.
#[allow(dead_code, unreachable_pub)]
#[path = "../src/traces/context.rs"]
mod context;
#[allow(dead_code, unreachable_pub)]
#[path = "../src/traces/settings.rs"]
mod settings;
#[allow(dead_code, unreachable_pub)]
#[path = "../src/traces/span.rs"]
mod span;

use std::sync::Arc;

use common::{
    Got, PATIENCE, Recipient, Reply, Running, http, http_until, input, join, metric, plan, publish,
    publisher, take,
};
use process::Setting;
use serde_json::{Value, json};
use streaming_engine::event::Trace;
use streaming_plan::Plan;
use streaming_sidecar::Brokers;
use streaming_sidecar::broker::embedded::Embedded;
use streaming_sidecar::broker::{Broker, Outgoing, open};
use streaming_sidecar::traces::Settings;
use test_brokers::Mosquitto;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn brokers() -> (Brokers, Arc<dyn Broker>, Arc<dyn Broker>) {
    let (a, b): (Arc<dyn Broker>, Arc<dyn Broker>) =
        (Arc::new(Embedded::new("a")), Arc::new(Embedded::new("b")));
    let both = [("a".to_owned(), Arc::clone(&a)), ("b".to_owned(), Arc::clone(&b))];
    (both.into_iter().collect(), a, b)
}

/// A message that is part of a trace.
fn event(n: u32, flags: &str) -> Value {
    json!({"specversion": "1.0", "id": n.to_string(), "source": "s", "type": "t", "data": {"n": n},
        "traceparent": format!("00-{TRACE}-{PARENT}-{flags}"), "tracestate": "vendor=1"})
}

/// A component whose spans go to a collector.
async fn traced(
    plan: Plan,
    brokers: &Brokers,
    recipient: Option<&Recipient>,
    collector: &Recipient,
) -> Running {
    let settings = Settings {
        endpoint: format!("http://{}", collector.address),
        headers: "api-key=a%20secret".to_owned(),
        ..Settings::default()
    };
    Running::start_traced(plan, brokers, recipient.map(|to| to.address), settings).await
}

/// A component that lets messages of `t` on `a` through for which a condition holds.
fn map(condition: &str, more: &Value) -> Plan {
    let role = json!({"kind": "map", "where": condition, "select": null});
    plan(&role, &json!([input("m", "a", "t")]), more)
}

fn to_a_topic() -> Value {
    json!({"outputs": [{"kind": "stream", "clusterStream": "b", "topic": "out"}]})
}

/// All spans in requests.
fn spans(got: &[Got]) -> Vec<Value> {
    let of = |got: &Got| {
        got.body["resourceSpans"][0]["scopeSpans"][0]["spans"]
            .as_array()
            .unwrap()
            .clone()
    };
    got.iter().flat_map(of).collect()
}

fn named<'s>(spans: &'s [Value], name: &str) -> Vec<&'s Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

fn attribute(span: &Value, key: &str) -> String {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("no {key} in {span}"))["value"];
    let text = value.get("stringValue").or(value.get("intValue")).unwrap();
    text.as_str().unwrap().to_owned()
}

/// The `traceparent` that names a span.
fn names(span: &Value) -> String {
    format!(
        "00-{}-{}-01",
        span["traceId"].as_str().unwrap(),
        span["spanId"].as_str().unwrap()
    )
}

fn nanos(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_message_is_followed_through_each_attempt_to_deliver_it() {
    let (brokers, a, _) = brokers();
    let collector = Recipient::start().await;
    let recipient = Recipient::that(0, |n, _| Reply::Say(if n == 0 { 500 } else { 200 }, "")).await;
    let running = traced(map("m.n > 0", &json!({})), &brokers, Some(&recipient), &collector).await;
    publish(&*a, "t", [event(1, "01")]).await;
    let got = recipient.until(|got| got.len() == 2).await;
    running.stop().await;

    let told = collector.got();
    assert_eq!(
        (told[0].path.as_str(), &told[0].headers["api-key"]),
        ("/v1/traces", &"a secret".parse().unwrap())
    );
    assert_eq!(told[0].headers["content-type"], "application/json");
    let resource = &told[0].body["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), "c");
    assert_eq!(attribute(resource, "service.namespace"), "ns");

    let spans = spans(&told);
    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert!(spans.iter().all(|span| span["traceId"] == TRACE));
    let received = named(&spans, "process t")[0];
    assert_eq!(
        (&received["kind"], &received["parentSpanId"]),
        (&json!(5), &json!(PARENT))
    );
    for (key, value) in [
        ("messaging.system", "redis"),
        ("messaging.destination.name", "t"),
        ("messaging.consumer.group.name", "c"),
        ("messaging.operation.type", "process"),
    ] {
        assert_eq!(attribute(received, key), value);
    }
    let sent = named(&spans, "POST /rows");
    assert!(
        sent.iter()
            .all(|span| span["kind"] == 3 && span["parentSpanId"] == received["spanId"])
    );
    let outcome = |span| {
        (
            attribute(span, "streaming.attempt"),
            attribute(span, "streaming.outcome"),
        )
    };
    assert_eq!(outcome(sent[0]), ("1".to_owned(), "retry".to_owned()));
    assert_eq!(outcome(sent[1]), ("2".to_owned(), "accepted".to_owned()));
    assert_eq!(
        (&sent[0]["status"]["code"], sent[1].get("status")),
        (&json!(2), None)
    );
    for (got, span) in got.iter().zip(&sent) {
        assert_eq!(got.headers["traceparent"], names(span).as_str());
        assert_eq!(got.headers["tracestate"], "vendor=1");
    }
    let (start, end) = (
        nanos(received, "startTimeUnixNano"),
        nanos(received, "endTimeUnixNano"),
    );
    assert!(start <= nanos(sent[0], "startTimeUnixNano") && nanos(sent[1], "endTimeUnixNano") <= end);
}

#[tokio::test]
async fn the_headers_of_a_message_name_its_parent_too() {
    let mosquitto = Mosquitto::start().unwrap();
    let broker = json!({"protocol": "mqtt", "properties": {"url": mosquitto.url()}});
    let plan = map("m.n > 0", &json!({"clusterStreams": {"a": broker}}));
    let a = open("a", &plan.cluster_streams["a"]).unwrap();
    let brokers: Brokers = [("a".to_owned(), Arc::clone(&a))].into_iter().collect();
    let (collector, recipient) = (Recipient::start().await, Recipient::start().await);
    let running = traced(plan, &brokers, Some(&recipient), &collector).await;
    let message = Outgoing {
        topic: "t".into(),
        id: "".into(),
        content_type: "application/json",
        trace: Trace::new(&format!("00-{TRACE}-{PARENT}-01"), "vendor=1").map(Arc::new),
        payload: "{\"n\":1}".into(),
    };
    let mut published = publisher(&*a, "t").await.publish(vec![message]).await;
    published.remove(0).unwrap();
    let got = recipient.until(|got| !got.is_empty()).await;
    running.stop().await;

    let spans = spans(&collector.got());
    let received = named(&spans, "process t")[0];
    assert_eq!(
        (&received["traceId"], &received["parentSpanId"]),
        (&json!(TRACE), &json!(PARENT))
    );
    let sent = named(&spans, "POST /rows")[0];
    assert_eq!(sent["parentSpanId"], received["spanId"]);
    assert_eq!(got[0].headers["traceparent"], names(sent).as_str());
    assert_eq!(got[0].headers["tracestate"], "vendor=1");
}

#[tokio::test]
async fn what_is_published_names_its_span_and_what_nobody_is_told_of_says_so() {
    let (brokers, a, b) = brokers();
    let collector = Recipient::start().await;
    let running = traced(map("m.n > 0", &to_a_topic()), &brokers, None, &collector).await;
    let all = [
        event(1, "01"),
        event(2, "00"),
        json!({"n": 3}),
        json!({"n": 0}),
        json!({"x": 0}),
    ];
    publish(&*a, "t", all).await;
    let events = take(&*b, "out", "reader", 3).await;
    running.stop().await;

    let spans = spans(&collector.got());
    let (received, sent) = (named(&spans, "process t"), named(&spans, "send out"));
    assert_eq!((received.len(), sent.len(), spans.len()), (4, 2, 6), "{spans:#?}");
    let parents: Vec<_> = sent.iter().map(|span| &span["parentSpanId"]).collect();
    let consumers =
        |trace: &Value| received.iter().find(|span| span["traceId"] == *trace).unwrap()["spanId"].clone();
    for (sent, event) in sent.iter().zip([&events[0], &events[2]]) {
        assert_eq!(sent["kind"], 4);
        assert_eq!(event["traceparent"], names(sent));
        assert_eq!(attribute(sent, "messaging.destination.name"), "out");
        assert_eq!(sent["parentSpanId"], consumers(&sent["traceId"]), "{parents:?}");
    }
    assert_eq!(
        (&sent[0]["traceId"], &events[0]["tracestate"]),
        (&json!(TRACE), &json!("vendor=1"))
    );
    assert_ne!(sent[1]["traceId"], TRACE);
    assert_eq!(events[1]["traceparent"], format!("00-{TRACE}-{PARENT}-00"));
    let roots = received.iter().filter(|span| span.get("parentSpanId").is_none());
    assert_eq!(roots.count(), 3, "those without a trace");
}

#[tokio::test]
async fn a_dead_letter_stays_in_its_messages_trace() {
    let (brokers, a, _) = brokers();
    let collector = Recipient::start().await;
    let recipient = Recipient::that(0, |_, _| Reply::Say(404, "")).await;
    let running = traced(map("m.n > 0", &json!({})), &brokers, Some(&recipient), &collector).await;
    publish(&*a, "t", [event(1, "01")]).await;
    let letters = take(&*a, "dead", "reader", 1).await;
    running.stop().await;
    let spans = spans(&collector.got());
    let (received, sent) = (named(&spans, "process t")[0], named(&spans, "send dead")[0]);
    assert_eq!(
        (&sent["traceId"], &sent["parentSpanId"]),
        (&json!(TRACE), &received["spanId"])
    );
    assert_eq!(letters[0]["traceparent"], names(sent));
    assert_eq!(attribute(sent, "streaming.dead_letter.reason"), "NotDelivered");
    assert_eq!(
        attribute(named(&spans, "POST /rows")[0], "streaming.outcome"),
        "refused"
    );
}

#[tokio::test]
async fn a_windows_result_has_links_to_its_messages() {
    let (brokers, a, b) = brokers();
    let (collector, recipient) = (Recipient::start().await, Recipient::start().await);
    let role = join(
        ["t", "p"],
        500,
        "Batch",
        [Some("t.n == p.n"), Some("{\"n\": t.n}")],
    );
    let inputs = json!([input("t", "a", "t"), input("p", "b", "p")]);
    let running = traced(
        plan(&role, &inputs, &json!({})),
        &brokers,
        Some(&recipient),
        &collector,
    )
    .await;
    // Until both are in one window.
    let mut got = Vec::new();
    for n in 1.. {
        publish(&*a, "t", [event(n, "01")]).await;
        publish(&*b, "p", [event(n, "01")]).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        got = recipient.got();
        if !got.is_empty() {
            break;
        }
    }
    running.stop().await;
    let spans = spans(&collector.got());
    let sent = named(&spans, "POST /rows")[0];
    assert_eq!(
        (sent.get("parentSpanId"), sent["traceId"] == TRACE),
        (None, false)
    );
    assert_eq!(got[0].headers["traceparent"], names(sent).as_str());
    let links = sent["links"].as_array().unwrap();
    let is_one = |topic: &str| {
        let received = named(&spans, &format!("process {topic}"));
        received
            .iter()
            .any(|span| links.iter().any(|link| link["spanId"] == span["spanId"]))
    };
    assert!(is_one("t") && is_one("p"), "{links:?}");
    assert!(links.iter().all(|link| link["traceId"] == TRACE));
}

#[tokio::test]
async fn what_a_container_publishes_and_gets_is_told() {
    let (brokers, a, _) = brokers();
    let (collector, container) = (Recipient::start().await, Recipient::start().await);
    let more = json!({"container": {"port": container.address.port()}, "outputs": [], "publishes": ["a"]});
    let role = json!({"kind": "relay", "concurrency": 1});
    let running = traced(plan(&role, &json!([]), &more), &brokers, None, &collector).await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", parent.as_str()),
    ];
    let url = format!("http://{}/v1.0/publish/a/out", running.publish);
    assert_eq!(http("POST", &url, &headers, "{}").await.0, 204);
    let result = format!("http://{}/rows", running.deliver);
    assert_eq!(http("POST", &result, &headers, "{}").await.0, 200);
    running.stop().await;

    let spans = spans(&collector.got());
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert!(
        spans
            .iter()
            .all(|span| span["traceId"] == TRACE && span["parentSpanId"] == PARENT)
    );
    let (sent, passed_on) = (named(&spans, "send out")[0], named(&spans, "process /rows")[0]);
    assert_eq!((&sent["kind"], &passed_on["kind"]), (&json!(4), &json!(5)));
    assert_eq!(take(&*a, "out", "reader", 1).await[0]["traceparent"], names(sent));
    assert_eq!(
        container.got()[0].headers["traceparent"],
        names(passed_on).as_str()
    );
}

#[tokio::test]
async fn a_collector_that_is_busy_gets_the_same_spans_again_and_one_that_refuses_them_does_not() {
    let (brokers, a, b) = brokers();
    let busy = Recipient::that(0, |n, _| Reply::Say(if n == 0 { 503 } else { 200 }, "")).await;
    let running = traced(map("m.n > 0", &to_a_topic()), &brokers, None, &busy).await;
    publish(&*a, "t", [event(1, "01")]).await;
    take(&*b, "out", "reader", 1).await;
    let got = busy.until(|got| got.len() >= 2).await;
    assert_eq!(got[0].body, got[1].body);
    let dropped = "streaming_spans_dropped_total ";
    assert_eq!(metric(running.admin, dropped).await, Some(0.0));
    running.stop().await;

    let refuses = Recipient::that(0, |_, _| Reply::Say(400, "no")).await;
    let running = traced(map("m.n > 0", &to_a_topic()), &brokers, None, &refuses).await;
    publish(&*a, "t", [event(2, "01")]).await;
    let url = format!("http://{}/metrics", running.admin);
    http_until(&url, |_, text| text.contains("streaming_spans_dropped_total 2")).await;
    running.stop().await;
    assert_eq!(refuses.count(), 1);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_nothing() {
    let (brokers, a, b) = brokers();
    let collector = Recipient::that(0, |_, _| Reply::Stall).await;
    let running = traced(map("m.n >= 0", &to_a_topic()), &brokers, None, &collector).await;
    // More than wait for a collector.
    publish(&*a, "t", (0..12_000).map(|n| json!({"n": n}))).await;
    let events = take(&*b, "out", "reader", 12_000).await;
    assert_eq!(events[11_999]["data"], json!({"n": 11_999}));
    let url = format!("http://{}/metrics", running.admin);
    http_until(&url, |_, text| {
        text.contains("streaming_acked_total{stream=\"t\"} 12000")
    })
    .await;
    assert!(
        metric(running.admin, "streaming_spans_dropped_total ")
            .await
            .unwrap()
            > 1000.0
    );
    running.crash().await;
}

/// A component without brokers, whose container can be reached.
fn alone(container: &Recipient) -> Plan {
    let more = json!({"container": {"port": container.address.port()}, "outputs": [], "clusterStreams": {}});
    plan(&json!({"kind": "relay", "concurrency": 1}), &json!([]), &more)
}

#[tokio::test]
async fn a_process_is_told_by_its_environment_and_tells_the_rest_at_its_end() {
    let (collector, container) = (Recipient::start().await, Recipient::start().await);
    let setting = Setting::new(&alone(&container), container.address);
    let endpoint = format!("http://{}", collector.address);
    let sidecar = setting.start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ]);
    sidecar.listens().await;
    let url = format!("http://{}/rows", setting.deliver());
    let parent = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(
        http("POST", &url, &[("traceparent", parent.as_str())], "{}")
            .await
            .0,
        200
    );
    assert_eq!(http("POST", &url, &[], "{}").await.0, 200);
    let status = tokio::task::spawn_blocking(move || sidecar.terminate())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(0), "{}", setting.log());
    let got = collector.got();
    assert_eq!(
        attribute(&got[0].body["resourceSpans"][0]["resource"], "service.name"),
        "shop"
    );
    let spans = spans(&got);
    assert_eq!((spans.len(), &spans[0]["traceId"]), (1, &json!(TRACE)));
    assert!(
        container.got()[1].headers["traceparent"]
            .to_str()
            .unwrap()
            .ends_with("-00")
    );
}

#[tokio::test]
async fn that_the_collector_is_away_is_said_once() {
    let container = Recipient::start().await;
    let setting = Setting::new(&alone(&container), container.address);
    let nobody = format!("http://127.0.0.1:{}", test_brokers::free_port().unwrap());
    let sidecar = setting.start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", nobody.as_str())]);
    sidecar.listens().await;
    let url = format!("http://{}/rows", setting.deliver());
    assert_eq!(http("POST", &url, &[], "{}").await.0, 200);
    let said = || setting.log().matches("the collector takes no spans").count();
    let until_said = async {
        while said() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_said).await.unwrap();
    assert_eq!(http("POST", &url, &[], "{}").await.0, 200);
    let status = tokio::task::spawn_blocking(move || sidecar.terminate())
        .await
        .unwrap();
    assert_eq!((status.code(), said()), (Some(0), 1), "{}", setting.log());
}
