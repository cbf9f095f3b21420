//! A span, and what it looks like to a collector: OTLP in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use serde_json::{Value, json};
use streaming_engine::time::Time;
use streaming_plan::ComponentRef;

use super::context::Context;

/// What is done in a span, by OpenTelemetry's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A request to somebody else.
    Client = 3,
    /// A message is published.
    Producer = 4,
    /// A message is taken in.
    Consumer = 5,
}

/// OpenTelemetry's number for what failed.
const FAILED: u8 = 2;

/// Something that was done.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) context: Context,
    pub(super) parent: Option<u64>,
    pub(super) links: Vec<Context>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) start: Time,
    pub(super) end: Time,
    pub(super) attributes: Vec<Attribute>,
    /// Why it failed, if it did.
    pub(super) failure: Option<String>,
}

/// A name and a value.
pub(super) type Attribute = (&'static str, Value);

/// A request to a collector's `/v1/traces`.
pub(super) fn request(service: &str, component: &ComponentRef, spans: &[Span]) -> String {
    let resource = [
        ("service.name", json!(service)),
        ("service.namespace", json!(component.namespace)),
        ("streaming.component.kind", json!(component.kind)),
        ("streaming.component.name", json!(component.name)),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(&resource)},
        "scopeSpans": [{
            "scope": {"name": "streaming-sidecar", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(Span::json).collect::<Vec<_>>(),
        }],
    }]})
    .to_string()
}

impl Span {
    fn json(&self) -> Value {
        let mut span = json!({
            "traceId": trace_id(self.context),
            "spanId": span_id(self.context.span),
            "name": self.name,
            "kind": self.kind as u8,
            "startTimeUnixNano": nanos(self.start),
            "endTimeUnixNano": nanos(self.end.max(self.start)),
            "attributes": attributes(&self.attributes),
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = json!(span_id(parent));
        }
        if !self.links.is_empty() {
            let link = |to: &Context| json!({"traceId": trace_id(*to), "spanId": span_id(to.span)});
            span["links"] = self.links.iter().map(link).collect();
        }
        if let Some(failure) = &self.failure {
            span["status"] = json!({"code": FAILED, "message": failure});
        }
        span
    }
}

/// In hexadecimal digits, unlike other bytes in Protobuf's JSON.
fn trace_id(context: Context) -> String {
    format!("{:032x}", context.trace)
}

fn span_id(id: u64) -> String {
    format!("{id:016x}")
}

/// 64 bits are a string in Protobuf's JSON.
fn nanos(time: Time) -> String {
    i128::from(time.0.max(0)).saturating_mul(1000).to_string()
}

fn attributes(attributes: &[Attribute]) -> Vec<Value> {
    let attribute = |(key, value): &Attribute| {
        let value = match value {
            Value::String(text) => json!({"stringValue": text}),
            other => json!({"intValue": other.to_string()}),
        };
        json!({"key": key, "value": value})
    };
    attributes.iter().map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_the_specification_has_them() {
        let component = ComponentRef {
            kind: "Channel".to_owned(),
            namespace: "ns".to_owned(),
            name: "c".to_owned(),
            uid: "uid".to_owned(),
        };
        let context = |span| Context {
            trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            span,
            sampled: true,
        };
        let span = Span {
            context: context(0xb),
            parent: Some(0xa),
            links: vec![context(0xc)],
            name: "send out".to_owned(),
            kind: Kind::Producer,
            start: Time(1_700_000_000_000_001),
            end: Time(0),
            attributes: vec![("a", json!("\"x\"")), ("n", json!(3))],
            failure: Some("no".to_owned()),
        };
        let request: Value = serde_json::from_str(&request("s", &component, &[span])).unwrap();
        let whole = &request["resourceSpans"][0];
        assert_eq!(
            whole["resource"]["attributes"][0],
            json!({"key": "service.name", "value": {"stringValue": "s"}})
        );
        assert_eq!(
            whole["scopeSpans"][0]["spans"][0],
            json!({
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": "000000000000000b",
                "parentSpanId": "000000000000000a",
                "links": [{"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "000000000000000c"}],
                "name": "send out",
                "kind": 4,
                "startTimeUnixNano": "1700000000000001000",
                "endTimeUnixNano": "1700000000000001000",
                "attributes": [
                    {"key": "a", "value": {"stringValue": "\"x\""}},
                    {"key": "n", "value": {"intValue": "3"}},
                ],
                "status": {"code": 2, "message": "no"},
            })
        );
    }
}
