//! How it goes: health checks and metrics.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use streaming_plan::window::LAST_WINDOW;

use crate::last_window::LastWindow;
use crate::metrics::Metrics;
use crate::status::Status;

/// `/healthz` (the process lives), `/readyz` (its connections are there; if not, which), `/metrics` and `/lastwindow`.
pub(crate) fn router(status: &Arc<Status>, metrics: &Arc<Metrics>, last_window: &Arc<LastWindow>) -> Router {
    let (status, metrics, last_window) = (Arc::clone(status), Arc::clone(metrics), Arc::clone(last_window));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move || ready(&status)))
        .route("/metrics", get(async move || exposition(&metrics)))
        .route(
            LAST_WINDOW,
            get(async move || last_window.get().map(Json).ok_or(StatusCode::NO_CONTENT)),
        )
}

fn ready(status: &Status) -> (StatusCode, String) {
    let missing = status.report();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n")
    }
}

fn exposition(metrics: &Metrics) -> impl IntoResponse + use<> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text())
}
