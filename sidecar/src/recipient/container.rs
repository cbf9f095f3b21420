//! The component's own container, which takes the messages of its Streams as it would from Dapr.

use axum::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Uri};
use streaming_engine::delivery::{Answer, classify};
use streaming_engine::event::Event;

use super::http::trace_headers;
use super::{Client, NoWay, url};

/// The container's route for one Stream.
pub(crate) struct Subscriber {
    url: Uri,
    client: Client,
}

impl Subscriber {
    pub(super) fn new(port: u16, route: &str, client: &Client) -> Result<Subscriber, NoWay> {
        Ok(Subscriber {
            url: url(&format!("127.0.0.1:{port}"), route)?,
            client: client.clone(),
        })
    }

    pub(super) async fn deliver(&self, event: &Event) -> Answer {
        let mut headers = HeaderMap::with_capacity(3);
        let kind = HeaderValue::from_static("application/cloudevents+json");
        headers.insert(CONTENT_TYPE, kind);
        if let Some(trace) = &event.trace {
            trace_headers(trace, &mut headers);
        }
        let body = Body::from(event.to_cloudevent());
        match self.client.post(&self.url, headers, body).await {
            Ok(response) => classify(response.status, &response.body),
            Err(why) => Answer::Retry(format!("{}: {why}", self.url)),
        }
    }
}

impl std::fmt::Display for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.url)
    }
}
