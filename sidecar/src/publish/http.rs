//! Dapr's HTTP API, as far as publishing goes (<https://docs.dapr.io/reference/api/pubsub_api/>), and the health check
//! that its SDKs wait for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::time::timeout;

use super::{MAX_BYTES, PublishError, Publishing, Request, in_trace};
use crate::status::Status;

/// Time for a message to arrive, from a container in the same pod.
const BODY: Duration = Duration::from_secs(10);

/// `/v1.0/publish/CLUSTERSTREAM/TOPIC` and `/v1.0/healthz`.
pub(crate) fn router(publishing: Publishing, status: &Arc<Status>) -> Router {
    let status = Arc::clone(status);
    let outbound = async move || {
        if status.report().is_empty() {
            StatusCode::NO_CONTENT
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Router::new()
        .route("/v1.0/publish/{pubsub}/{*topic}", post(publish).put(publish))
        .route("/v1.0/healthz", get(async || StatusCode::NO_CONTENT))
        .route("/v1.0/healthz/outbound", get(outbound))
        .fallback(unknown)
        .with_state(publishing)
}

async fn publish(
    State(publishing): State<Publishing>,
    Path((pubsub, topic)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let data = match timeout(BODY, to_bytes(body, MAX_BYTES)).await {
        Ok(Ok(data)) => data,
        Ok(Err(_)) => {
            let why = format!("the message could not be read, or is larger than {MAX_BYTES} bytes");
            return error(StatusCode::PAYLOAD_TOO_LARGE, "ERR_PUBSUB_PUBLISH_MESSAGE", &why);
        }
        Err(_) => {
            let why = format!("the message did not arrive within {} s", BODY.as_secs());
            return error(StatusCode::REQUEST_TIMEOUT, "ERR_PUBSUB_PUBLISH_MESSAGE", &why);
        }
    };
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let metadata = query
        .into_iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("metadata.")?.to_owned(), value)));
    let mut metadata: HashMap<String, String> = metadata.collect();
    in_trace(&mut metadata, |name| headers.get(name)?.to_str().ok());
    let request = Request {
        pubsub,
        topic,
        content_type: content_type.unwrap_or_default().to_owned(),
        metadata,
        data,
    };
    match publishing.publish(request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failed) => error(status(&failed), failed.code(), &failed.to_string()),
    }
}

fn status(error: &PublishError) -> StatusCode {
    match error {
        PublishError::NoPubsub | PublishError::NoTopic(_) => StatusCode::NOT_FOUND,
        PublishError::Forbidden { .. } => StatusCode::FORBIDDEN,
        PublishError::RawPayload(_) | PublishError::NotACloudEvent(_) => StatusCode::BAD_REQUEST,
        PublishError::Broker { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn unknown() -> Response {
    let why = "this sidecar has Dapr's publish API only: POST /v1.0/publish/CLUSTERSTREAM/TOPIC";
    error(StatusCode::NOT_FOUND, "ERR_API_UNIMPLEMENTED", why)
}

/// Dapr's form of an error.
fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"errorCode": code, "message": message}))).into_response()
}
