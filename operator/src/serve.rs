//! The operator's own HTTP: whether it lives, whether it knows the cluster, and its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::metrics::Metrics;

/// Whether the caches are filled.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn reached(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The routes.
pub(crate) fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .route("/metrics", get(text).with_state(metrics))
}

async fn ready(State(Readiness(ready)): State<Readiness>) -> (StatusCode, &'static str) {
    if ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "waits for the first lists of its watches",
        )
    }
}

async fn text(State(metrics): State<Metrics>) -> impl IntoResponse {
    let type_ = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, type_)], metrics.text())
}
