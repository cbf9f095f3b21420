//! The `CloudEvent` around what a container publishes, as Dapr makes it
//! (<https://docs.dapr.io/developing-applications/building-blocks/pubsub/pubsub-cloudevents/>).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use streaming_engine::event::Trace;

use super::{PublishError, Request};
use crate::broker::Outgoing;
use crate::clock;

/// The `type` that Dapr gives.
const KIND: &str = "com.dapr.event.sent";
/// What Dapr takes data for that says nothing.
const TEXT: &str = "text/plain";
const CLOUD_EVENT: &str = "application/cloudevents+json";

/// A `CloudEvent` 1.0 with Dapr's attributes.
#[derive(Serialize)]
struct Envelope<'r> {
    specversion: &'r str,
    id: &'r str,
    source: &'r str,
    r#type: &'r str,
    time: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'r str>,
    pubsubname: &'r str,
    topic: &'r str,
    traceid: &'r str,
    traceparent: &'r str,
    tracestate: &'r str,
    datacontenttype: &'r str,
    #[serde(flatten)]
    data: Data<'r>,
}

#[derive(Serialize)]
enum Data<'r> {
    #[serde(rename = "data")]
    Json(&'r RawValue),
    #[serde(rename = "data")]
    Text(&'r str),
    #[serde(rename = "data_base64")]
    Base64(String),
}

/// What is put on the topic.
pub(super) fn wrap(request: &Request, component: &str) -> Result<Outgoing, PublishError> {
    let content_type = match request.content_type.as_str() {
        "" => TEXT,
        given => given,
    };
    let trace = Trace::new(
        metadata(request, "cloudevent.traceparent").unwrap_or_default(),
        metadata(request, "cloudevent.tracestate").unwrap_or_default(),
    );
    let (id, trace, payload) = if is_raw(request)? {
        (fresh_id(), trace, request.data.clone())
    } else if essence(content_type) == CLOUD_EVENT {
        let (id, own, payload) = completed(request)?;
        (id, own.or(trace), payload)
    } else {
        let id = metadata(request, "cloudevent.id").map_or_else(fresh_id, str::to_owned);
        let payload = envelope(request, component, content_type, &id)?;
        (id, trace, payload)
    };
    Ok(Outgoing {
        topic: request.topic.as_str().into(),
        id: id.into(),
        content_type: if is_raw(request)? {
            "application/octet-stream"
        } else {
            CLOUD_EVENT
        },
        trace: trace.map(Arc::new),
        payload,
    })
}

fn is_raw(request: &Request) -> Result<bool, PublishError> {
    match metadata(request, "rawPayload")
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(other) => Err(PublishError::RawPayload(other.to_owned())),
    }
}

fn envelope(request: &Request, component: &str, content_type: &str, id: &str) -> Result<Bytes, PublishError> {
    let text;
    let data = match essence(content_type) {
        kind if is_json(&kind) => {
            if let Ok(json) = serde_json::from_slice::<&RawValue>(&request.data) {
                Data::Json(json)
            } else {
                // As Dapr does with what is not JSON after all.
                text = String::from_utf8_lossy(&request.data);
                Data::Text(&text)
            }
        }
        kind if kind == "application/octet-stream" => Data::Base64(STANDARD.encode(&request.data)),
        _ => match std::str::from_utf8(&request.data) {
            Ok(text) => Data::Text(text),
            Err(_) => Data::Base64(STANDARD.encode(&request.data)),
        },
    };
    let time = jiff::Timestamp::from_microsecond(clock::system().0)
        .unwrap_or_default()
        .to_string();
    let trace = metadata(request, "cloudevent.traceparent").unwrap_or_default();
    let envelope = Envelope {
        specversion: "1.0",
        id,
        source: metadata(request, "cloudevent.source").unwrap_or(component),
        r#type: metadata(request, "cloudevent.type").unwrap_or(KIND),
        time: metadata(request, "cloudevent.time").unwrap_or(&time),
        subject: metadata(request, "cloudevent.subject"),
        pubsubname: &request.pubsub,
        topic: &request.topic,
        traceid: metadata(request, "cloudevent.traceid").unwrap_or(trace),
        traceparent: trace,
        tracestate: metadata(request, "cloudevent.tracestate").unwrap_or_default(),
        datacontenttype: content_type,
        data,
    };
    let bytes = serde_json::to_vec(&envelope).map_err(|e| PublishError::NotACloudEvent(e.to_string()))?;
    Ok(bytes.into())
}

/// A `CloudEvent` of the container's own, with what it lacks; its id, and the trace that it says it is part of.
fn completed(request: &Request) -> Result<(String, Option<Trace>, Bytes), PublishError> {
    // Members stay as they were written, numbers included.
    let mut event: Map<String, Value> = Map::new();
    let parsed: Result<std::collections::BTreeMap<String, Box<RawValue>>, _> =
        serde_json::from_slice(&request.data);
    let members = parsed.map_err(|e| PublishError::NotACloudEvent(format!("is no JSON object: {e}")))?;
    let text = |name: &str| {
        let raw = members.get(name)?;
        serde_json::from_str::<String>(raw.get())
            .ok()
            .filter(|text| !text.is_empty())
    };
    let id = text("id").unwrap_or_else(fresh_id);
    let parent = text("traceparent").unwrap_or_default();
    let trace = Trace::new(&parent, &text("tracestate").unwrap_or_default());
    for (name, default) in [("specversion", "1.0"), ("source", "Dapr"), ("type", KIND)] {
        event.insert(
            name.to_owned(),
            text(name).unwrap_or_else(|| default.to_owned()).into(),
        );
    }
    event.insert("id".to_owned(), id.clone().into());
    event.insert("topic".to_owned(), request.topic.clone().into());
    event.insert("pubsubname".to_owned(), request.pubsub.clone().into());
    let mut whole = std::collections::BTreeMap::new();
    for (name, value) in &event {
        let raw = serde_json::value::to_raw_value(value)
            .map_err(|e| PublishError::NotACloudEvent(e.to_string()))?;
        whole.insert(name.as_str(), raw);
    }
    for (name, raw) in &members {
        whole.entry(name).or_insert_with(|| raw.clone());
    }
    let bytes = serde_json::to_vec(&whole).map_err(|e| PublishError::NotACloudEvent(e.to_string()))?;
    Ok((id, trace, bytes.into()))
}

fn metadata<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request
        .metadata
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

/// A MIME type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

/// An id that no other message has: a UUID out of random keys and a number.
fn fresh_id() -> String {
    static KEYS: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (high, low) = (KEYS.0.hash_one(number), KEYS.1.hash_one(number));
    // Version 4, variant 1 (RFC 9562, 5.4).
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
