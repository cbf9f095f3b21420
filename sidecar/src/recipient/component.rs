//! A route of another component: results are posted there as bare JSON, with what a `CloudEvent` says about itself in
//! headers, so that the other sidecar can tell a repeat.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Uri};
use streaming_engine::delivery::{Answer, classify_component};
use streaming_engine::event::Event;

use super::http::trace_headers;
use super::{Client, NoWay, url};

/// Where components are that are not found by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(BTreeMap<String, String>);

impl Addresses {
    /// `host:port` by component.
    pub(crate) fn new(addresses: BTreeMap<String, String>) -> Addresses {
        Addresses(addresses)
    }

    /// `host:port` of a component: its Service, which is found by name and namespace.
    pub(crate) fn of(&self, component: &str, namespace: &str, port: u16) -> String {
        match self.0.get(component) {
            Some(address) => address.clone(),
            None => format!("{component}.{namespace}:{port}"),
        }
    }
}

/// One route of one component.
pub(crate) struct Route {
    url: Uri,
    client: Client,
}

impl Route {
    pub(super) fn new(authority: &str, route: &str, client: &Client) -> Result<Route, NoWay> {
        Ok(Route {
            url: url(authority, route)?,
            client: client.clone(),
        })
    }

    pub(super) async fn deliver(&self, event: &Event) -> Answer {
        let body = Body::from(event.data().into_owned());
        match self.client.post(&self.url, headers(event), body).await {
            Ok(response) => classify_component(response.status),
            Err(why) => Answer::Retry(format!("{}: {why}", self.url)),
        }
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.url)
    }
}

/// `CloudEvents`' binary mode over HTTP.
fn headers(event: &Event) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
    for (name, value) in [
        ("ce-id", event.id.as_str()),
        ("ce-source", &event.source),
        ("ce-type", &event.kind),
    ] {
        headers.insert(name, header(value));
    }
    if let Ok(time) = jiff::Timestamp::from_microsecond(event.time.0) {
        headers.insert("ce-time", header(&time.to_string()));
    }
    if let Some(trace) = &event.trace {
        trace_headers(trace, &mut headers);
    }
    headers
}

/// A header's value: what a header can't hold is percent-encoded
/// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values>).
fn header(text: &str) -> HeaderValue {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            value.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_fits_a_header() {
        assert_eq!(header("0f-~!"), "0f-~!");
        assert_eq!(header("a \"b\"%\n"), "a%20%22b%22%25%0A");
        assert_eq!(header("ü"), "%C3%BC");
    }

    #[test]
    fn components_are_found_by_name_unless_it_is_said_where_they_are() {
        let addresses = Addresses::new(BTreeMap::from([("b".to_owned(), "127.0.0.1:1".to_owned())]));
        assert_eq!(addresses.of("a", "ns", 8080), "a.ns:8080");
        assert_eq!(addresses.of("b", "ns", 8080), "127.0.0.1:1");
    }
}
