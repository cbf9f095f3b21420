//! What the component's own container publishes.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use serde_json::{Value, json};
use streaming_plan::Plan;

use crate::common::{PATIENCE, Running, http, plan, take};
use crate::delivery::brokers;

pub(crate) fn generator() -> Plan {
    let role = json!({"kind": "relay", "concurrency": 1});
    let more = json!({"container": {"port": 1}, "outputs": [], "publishes": ["a"]});
    plan(&role, &json!([]), &more)
}

#[tokio::test]
async fn dapr_s_http_api_publishes_cloudevents() {
    let (brokers, a, _) = brokers();
    let running = Running::start(generator(), &brokers, None).await;
    let url = |rest: &str| format!("http://{}/v1.0/publish/{rest}", running.publish);
    let json = [("content-type", "application/json")];
    let event = [("content-type", "application/cloudevents+json; charset=utf-8")];
    for (method, rest, headers, body) in [
        ("POST", "a/t", &json[..], "{\"n\": 12345678901234567890}"),
        ("PUT", "a/t", &[], "plain"),
        ("POST", "a/t", &json, "{not json"),
        ("POST", "a/t?metadata.rawPayload=true", &json, "{\"raw\":1}"),
        (
            "POST",
            "a/t",
            &event,
            "{\"specversion\":\"1.0\",\"id\":\"mine\",\"source\":\"me\",\"type\":\"t\",\"x\":1,\"data\":[1]}",
        ),
        (
            "POST",
            "a/t?metadata.cloudevent.id=given&metadata.cloudevent.type=kind",
            &json,
            "[]",
        ),
    ] {
        let (status, body) = http(method, &url(rest), headers, body).await;
        assert_eq!((status, body.as_str()), (204, ""), "{rest}");
    }
    let got = take(&*a, "t", "reader", 6).await;
    assert_eq!(got[0]["data"].to_string(), "{\"n\":12345678901234567890}");
    let envelope = |name: &str| got[0][name].as_str().unwrap();
    assert_eq!(envelope("specversion"), "1.0");
    assert_eq!(
        (envelope("type"), envelope("source")),
        ("com.dapr.event.sent", "c")
    );
    assert_eq!((envelope("pubsubname"), envelope("topic")), ("a", "t"));
    assert_eq!(envelope("datacontenttype"), "application/json");
    assert_eq!((envelope("id").len(), &envelope("id")[14..15]), (36, "4"));
    assert_ne!(got[0]["id"], got[1]["id"]);
    assert_eq!(
        (&got[1]["data"], &got[1]["datacontenttype"]),
        (&json!("plain"), &json!("text/plain"))
    );
    assert_eq!(got[2]["data"], "{not json");
    assert_eq!(got[3], json!({"raw": 1}));
    assert_eq!(
        (&got[4]["id"], &got[4]["x"], &got[4]["data"], &got[4]["topic"]),
        (&json!("mine"), &json!(1), &json!([1]), &json!("t"))
    );
    assert_eq!(
        (&got[5]["id"], &got[5]["type"]),
        (&json!("given"), &json!("kind"))
    );
    running.stop().await;
}

#[tokio::test]
async fn dapr_s_http_api_refuses_in_dapr_s_words() {
    let running = Running::start(generator(), &brokers().0, None).await;
    let base = format!("http://{}/v1.0", running.publish);
    for (rest, body, status, code, says) in [
        (
            "/publish/b/t",
            "1",
            403,
            "ERR_PUBSUB_FORBIDDEN",
            "`publishes` allows a",
        ),
        (
            "/publish/none/t",
            "1",
            403,
            "ERR_PUBSUB_FORBIDDEN",
            "ClusterStream none",
        ),
        (
            "/publish/a/t?metadata.rawPayload=perhaps",
            "1",
            400,
            "ERR_PUBSUB_REQUEST_METADATA",
            "perhaps",
        ),
        ("/state/a", "1", 404, "ERR_API_UNIMPLEMENTED", "publish API only"),
    ] {
        let (got, text) = http("POST", &format!("{base}{rest}"), &[], body).await;
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((got, &error["errorCode"]), (status, &json!(code)), "{rest}");
        assert!(error["message"].as_str().unwrap().contains(says), "{text}");
    }
    let event = [("content-type", "application/cloudevents+json")];
    let (status, text) = http("POST", &format!("{base}/publish/a/t"), &event, "[]").await;
    assert!(
        status == 400 && text.contains("ERR_PUBSUB_CLOUD_EVENTS_SER"),
        "{text}"
    );
    let large = "x".repeat(5 << 20);
    assert_eq!(
        http("POST", &format!("{base}/publish/a/t"), &[], &large).await.0,
        413
    );
    assert_eq!(http("GET", &format!("{base}/healthz"), &[], "").await.0, 204);
    running.stop().await;
}

#[derive(Clone, PartialEq, Message)]
struct PublishEventRequest {
    #[prost(string, tag = "1")]
    pubsub_name: String,
    #[prost(string, tag = "2")]
    topic: String,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
    #[prost(string, tag = "4")]
    data_content_type: String,
    #[prost(map = "string, string", tag = "5")]
    metadata: HashMap<String, String>,
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A call as gRPC's specification has it on HTTP/2. Gives `grpc-status` and `grpc-message`.
async fn call(address: SocketAddr, method: &str, request: &PublishEventRequest) -> (String, String) {
    let exchange = async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let head = axum::http::Request::post(format!("http://{address}/dapr.proto.runtime.v1.Dapr/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("traceparent", TRACE)
            .body(())
            .unwrap();
        let mut client = client.ready().await.unwrap();
        let (response, mut body) = client.send_request(head, false).unwrap();
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(request.encoded_len()).unwrap());
        request.encode(&mut frame).unwrap();
        body.send_data(frame.freeze(), true).unwrap();
        let response = response.await.unwrap();
        let mut headers = response.headers().clone();
        let mut body = response.into_body();
        while body.data().await.is_some() {}
        headers.extend(body.trailers().await.unwrap().unwrap_or_default());
        connection.abort();
        let header = |name| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned()
        };
        (header("grpc-status"), header("grpc-message"))
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("no answer")
}

#[tokio::test]
async fn dapr_s_grpc_api_publishes_too() {
    let (brokers, a, _) = brokers();
    let running = Running::start(generator(), &brokers, None).await;
    let mut request = PublishEventRequest {
        pubsub_name: "a".to_owned(),
        topic: "t".to_owned(),
        data: "{\"n\":1}".into(),
        data_content_type: "application/json".to_owned(),
        metadata: HashMap::from([("cloudevent.source".to_owned(), "me".to_owned())]),
    };
    assert_eq!(call(running.publish_grpc, "PublishEvent", &request).await.0, "0");
    let got = take(&*a, "t", "reader", 1).await;
    assert_eq!(
        (&got[0]["data"], &got[0]["source"]),
        (&json!({"n": 1}), &json!("me"))
    );
    assert_eq!(got[0]["traceparent"], TRACE);
    assert_eq!(call(running.publish_grpc, "GetState", &request).await.0, "12");
    request.pubsub_name = "b".to_owned();
    let (status, message) = call(running.publish_grpc, "PublishEvent", &request).await;
    assert!(
        status == "7" && message.contains("allows%20a") | message.contains("allows a"),
        "{status} {message}"
    );
    request.pubsub_name = String::new();
    assert_eq!(call(running.publish_grpc, "PublishEvent", &request).await.0, "3");
    running.stop().await;
}
