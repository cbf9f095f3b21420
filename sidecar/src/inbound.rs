//! What other components' sidecars send: results for the container beside this one.
//!
//! A result that the container has had is dropped, and its sender told that it was accepted: the sender saw no answer
//! the first time. What is told apart is the route, `ce-source` and `ce-id`; without them everything is passed on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::Uri;

use crate::metrics::Metrics;
use crate::recipient::Client;
use crate::repeats::Repeats;
use crate::traces::Traces;

/// The way to the container.
pub(crate) struct Inbound {
    component: String,
    /// The container's port, if there is one.
    port: Option<u16>,
    client: Client,
    metrics: Arc<Metrics>,
    traces: Traces,
    known: Mutex<Known>,
}

/// Results that are not new.
#[derive(Default)]
struct Known {
    accepted: Repeats,
    /// Those that the container has right now.
    in_flight: HashSet<String>,
}

impl Inbound {
    pub(crate) fn new(
        component: &str,
        port: Option<u16>,
        client: &Client,
        metrics: &Arc<Metrics>,
        traces: &Traces,
    ) -> Arc<Inbound> {
        Arc::new(Inbound {
            component: component.to_owned(),
            port,
            client: client.clone(),
            metrics: Arc::clone(metrics),
            traces: traces.clone(),
            known: Mutex::default(),
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a POST to any route.
pub(crate) fn router(inbound: Arc<Inbound>) -> Router {
    Router::new().fallback(accept).with_state(inbound)
}

async fn accept(State(inbound): State<Arc<Inbound>>, request: Request) -> Response {
    if request.method() != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "results are posted");
    }
    let Some(port) = inbound.port else {
        let why = format!("{} has no container that could take this", inbound.component);
        return refuse(StatusCode::NOT_FOUND, &why);
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Ok(url) = format!("http://127.0.0.1:{port}{path}").parse::<Uri>() else {
        return refuse(StatusCode::NOT_FOUND, "that is no route");
    };
    let id = identity(url.path(), request.headers());
    if let Some(id) = &id {
        let mut known = inbound.known();
        if known.accepted.contains(id) {
            drop(known);
            inbound.metrics.repeat_dropped();
            return StatusCode::OK.into_response();
        }
        if !known.in_flight.insert(id.clone()) {
            let why = "the container has this, and has not answered yet";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, why);
        }
    }
    // By itself: what the container has accepted is remembered even if the sender hangs up.
    let forwarding = tokio::spawn(forward(Arc::clone(&inbound), url, id, request));
    let gone = |_| refuse(StatusCode::SERVICE_UNAVAILABLE, "the sidecar is shutting down");
    forwarding.await.unwrap_or_else(gone)
}

async fn forward(inbound: Arc<Inbound>, url: Uri, id: Option<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut headers = passed_on(&parts.headers);
    let span = inbound.traces.inbound(&mut headers);
    let answer = inbound.client.post(&url, headers, Body::new(body)).await;
    let accepted = answer
        .as_ref()
        .is_ok_and(|answer| (200..300).contains(&answer.status));
    let failure = (!accepted).then_some("the container did not take it");
    span.passed_on(url.path(), &inbound.component, failure);
    if let Some(id) = id {
        let mut known = inbound.known();
        known.in_flight.remove(&id);
        if accepted {
            known.accepted.first_time(&id);
        }
    }
    match answer {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, answer.body).into_response()
        }
        Err(why) => {
            tracing::warn!(route = url.path(), why, "the container did not take a result");
            refuse(
                StatusCode::BAD_GATEWAY,
                &format!("the container did not take it: {why}"),
            )
        }
    }
}

/// Route, `ce-source` and `ce-id`, if there are both. A result may be for two routes of one container.
fn identity(route: &str, headers: &HeaderMap) -> Option<String> {
    let get = |name| headers.get(name)?.to_str().ok();
    Some(format!("{route}\0{}\0{}", get("ce-source")?, get("ce-id")?))
}

/// The headers that are about the message, not about the connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let about = |name: &header::HeaderName| {
        *name == header::CONTENT_TYPE
            || *name == header::CONTENT_LENGTH
            || name.as_str().starts_with("ce-")
            || matches!(name.as_str(), "traceparent" | "tracestate")
    };
    let kept = headers.iter().filter(|(name, _)| about(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}
