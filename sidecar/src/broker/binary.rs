//! `CloudEvents` in binary mode, as protocols with headers have them: the attributes are headers and the payload is the
//! data. They go on in structured mode, which the engine reads
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/mqtt-protocol-binding.md>, and `amqp-`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Every event has these.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// A message's payload as the engine is to have it: an event in structured mode if its attributes make it one in binary
/// mode, or else as it came. So does what claims to be JSON and isn't, which will be a dead letter. The content type says
/// which mode it is: an event in structured mode may have its attributes as headers too.
pub(super) fn structured<'h>(
    attributes: impl Iterator<Item = (&'h str, &'h str)>,
    content_type: Option<&str>,
    payload: Bytes,
) -> Bytes {
    let kind = content_type.unwrap_or("application/json");
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if essence.starts_with("application/cloudevents") {
        return payload;
    }
    let mut event = Map::new();
    for (name, value) in attributes {
        // What else a publisher puts into headers has other names, or is an extension.
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            event.insert(name.to_owned(), value.into());
        }
    }
    let has = |name: &&str| {
        event
            .get(*name)
            .and_then(Value::as_str)
            .is_some_and(|value| !value.is_empty())
    };
    if !REQUIRED.iter().all(has) || event.contains_key("data") {
        return payload;
    }
    event.insert("datacontenttype".to_owned(), kind.into());
    let data = if payload.is_empty() {
        None
    } else if essence.ends_with("/json") || essence.ends_with("+json") {
        match serde_json::from_slice::<&RawValue>(&payload) {
            Ok(data) => Some(("data", data.get().to_owned())),
            Err(_) => return payload,
        }
    } else {
        match std::str::from_utf8(&payload) {
            Ok(text) if essence.starts_with("text/") => Some(("data", Value::from(text).to_string())),
            _ => Some(("data_base64", Value::from(STANDARD.encode(&payload)).to_string())),
        }
    };
    let mut text = Value::Object(event).to_string();
    if let Some((name, data)) = data {
        text.truncate(text.len() - 1);
        text.extend([",\"", name, "\":", &data, "}"]);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVENT: [(&str, &str); 5] = [
        ("specversion", "1.0"),
        ("id", "7"),
        ("source", "/meter"),
        ("type", "reading"),
        ("X-Trace", "not an attribute"),
    ];

    fn event(content_type: Option<&str>, payload: &'static [u8]) -> Value {
        let text = structured(EVENT.into_iter(), content_type, payload.into());
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn the_data_is_what_its_type_says() {
        let expected = json!({
            "specversion": "1.0", "id": "7", "source": "/meter", "type": "reading",
            "datacontenttype": "application/json", "data": {"watts": 1.50},
        });
        assert_eq!(event(None, br#"{"watts": 1.50}"#), expected);
        let text = event(Some("text/plain; charset=utf-8"), "Grüße".as_bytes());
        assert_eq!(text["data"], "Grüße");
        let bytes = event(Some("application/octet-stream"), b"\xff\0");
        assert_eq!(bytes["data_base64"], "/wA=");
        assert!(event(None, b"").get("data").is_none());
    }

    #[test]
    fn what_is_no_event_or_no_json_stays_as_it_came() {
        let as_it_came = |attributes: &[(&'static str, &'static str)], payload: &'static [u8]| {
            structured(attributes.iter().copied(), None, payload.into()) == payload
        };
        assert!(as_it_came(&EVENT, b"{not json"));
        assert!(as_it_came(&EVENT[1..], b"{}"));
        assert!(as_it_came(&[], b"{}"));
    }

    #[test]
    fn an_event_in_structured_mode_is_not_wrapped_again() {
        let event = br#"{"specversion":"1.0","id":"7","source":"/meter","type":"reading","data":1}"#;
        for kind in [
            "application/cloudevents+json",
            "Application/CloudEvents+JSON; charset=utf-8",
        ] {
            assert_eq!(
                structured(EVENT.into_iter(), Some(kind), event[..].into()),
                event[..]
            );
        }
    }
}
