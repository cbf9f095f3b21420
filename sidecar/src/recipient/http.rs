//! HTTP to containers and to other components' sidecars: one pool of connections, and a time limit on everything.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use streaming_engine::event::Trace;
use tokio::time::timeout;

/// Time for a connection to be made; what is there accepts it at once.
const CONNECT: Duration = Duration::from_secs(5);
/// Bodies of answers are read up to here. Longer ones count as empty: what an answer can say is short.
const MAX_ANSWER: usize = 64 * 1024;
/// How long an unused connection is kept: less than the common minute after which servers close theirs.
const IDLE: Duration = Duration::from_secs(50);

/// An HTTP client. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    inner: legacy::Client<HttpConnector, Body>,
    patience: Duration,
}

/// A recipient's answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Client {
    /// Every request is answered within `patience`, or has failed.
    pub(crate) fn new(patience: Duration) -> Client {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Client { inner, patience }
    }

    /// Posts, and gives the answer, or why there is none.
    pub(crate) async fn post(&self, uri: &Uri, headers: HeaderMap, body: Body) -> Result<Response, String> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        let exchange = async {
            let response = self.inner.request(request).await.map_err(|e| causes(&e))?;
            let status = response.status().as_u16();
            // Read to its end, or the connection can't be used again, and the answer may not be the whole one.
            let body = match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => Bytes::new(),
                Err(error) => return Err(format!("the answer broke off: {}", causes(&*error))),
            };
            Ok(Response { status, body })
        };
        match timeout(self.patience, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", self.patience.as_secs_f32())),
        }
    }
}

/// W3C's Trace Context, for who takes part in the trace (<https://www.w3.org/TR/trace-context/>).
pub(super) fn trace_headers(trace: &Trace, headers: &mut HeaderMap) {
    for (name, text) in [("traceparent", &trace.parent), ("tracestate", &trace.state)] {
        if let Ok(value) = HeaderValue::from_str(text)
            && !text.is_empty()
        {
            headers.insert(name, value);
        }
    }
}

/// An error with what caused it: the last cause says what to do.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
