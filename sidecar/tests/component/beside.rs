//! What stands beside a message on its broker, on brokers that have headers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use streaming_engine::event::Trace;
use streaming_plan::{ClusterStream, Protocol};
use streaming_sidecar::Brokers;
use streaming_sidecar::broker::{Broker, Message, Outgoing, Received, Subscription, open};
use test_brokers::{Mosquitto, RabbitMq};
use tokio::time::timeout;

use crate::common::{PATIENCE, Recipient, Running, input, plan, publisher};
use crate::delivery::all;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "vendor=1";

fn connect(name: &str, protocol: Protocol, properties: &[(&str, &str)]) -> Arc<dyn Broker> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let cluster_stream = ClusterStream {
        protocol,
        properties: properties.iter().map(own).collect(),
        files: BTreeMap::new(),
        consumers: Vec::new(),
    };
    open(name, &cluster_stream).unwrap()
}

/// Publishes a message that says nothing of a trace itself.
async fn publish_raw(broker: &dyn Broker, topic: &str) {
    let message = Outgoing {
        topic: topic.into(),
        id: "".into(),
        content_type: "application/json",
        trace: Trace::new(PARENT, STATE).map(Arc::new),
        payload: "{\"n\":1}".into(),
    };
    let sink = publisher(broker, topic).await;
    let mut published = timeout(PATIENCE, sink.publish(vec![message])).await.unwrap();
    published.remove(0).unwrap();
}

/// The next message of a topic.
async fn next(broker: &dyn Broker, topic: &str) -> Message {
    let subscription = Subscription {
        topic: topic.to_owned(),
        group: "reader".to_owned(),
        consumer: "reader".to_owned(),
        shared: None,
        properties: BTreeMap::new(),
        in_flight: None,
    };
    let (mut source, _acker) = broker.subscribe(subscription).await.unwrap();
    loop {
        let received = timeout(PATIENCE, source.receive()).await.expect("nothing comes");
        if let Received::Messages(messages) = received.unwrap() {
            return messages.into_iter().next().unwrap();
        }
    }
}

#[tokio::test]
async fn the_trace_that_a_message_s_headers_name_goes_on() {
    let (rabbitmq, mosquitto) = (RabbitMq::start().unwrap(), Mosquitto::start().unwrap());
    let a = connect("a", Protocol::RabbitMq, &[("host", &rabbitmq.url())]);
    let b = connect(
        "b",
        Protocol::Mqtt,
        &[("url", &mosquitto.url()), ("retain", "true")],
    );
    let both = [("a".to_owned(), Arc::clone(&a)), ("b".to_owned(), Arc::clone(&b))];
    let brokers: Brokers = both.into_iter().collect();

    let recipient = Recipient::start().await;
    let outputs = json!({"outputs": [
        {"kind": "stream", "clusterStream": "b", "topic": "out"},
        {"kind": "component", "component": "recipient", "route": "rows", "port": 8080},
    ]});
    let map = plan(&all(), &json!([input("m", "a", "t")]), &outputs);
    let running = Running::start(map, &brokers, Some(recipient.address)).await;
    publish_raw(&*a, "t").await;
    let got = recipient.until(|got| !got.is_empty()).await;
    assert_eq!(got[0].headers["traceparent"], PARENT);
    assert_eq!(got[0].headers["tracestate"], STATE);
    let published = next(&*b, "out").await;
    assert_eq!(published.trace.as_deref(), Trace::new(PARENT, STATE).as_ref());
    let event: Value = serde_json::from_slice(&published.payload).unwrap();
    assert_eq!(
        (&event["traceparent"], &event["tracestate"]),
        (&json!(PARENT), &json!(STATE))
    );
    running.stop().await;

    let container = Recipient::start().await;
    let more = json!({"container": {"port": container.address.port()}, "outputs": []});
    let role = json!({"kind": "relay", "concurrency": 1});
    let relay = plan(&role, &json!([input("m", "b", "raw")]), &more);
    let running = Running::start(relay, &brokers, None).await;
    publish_raw(&*b, "raw").await;
    let got = container.until(|got| !got.is_empty()).await;
    assert_eq!(got[0].headers["traceparent"], PARENT);
    assert_eq!(got[0].body["traceparent"], PARENT);
    assert_eq!(got[0].body["data"], json!({"n": 1}));
    running.stop().await;
}
