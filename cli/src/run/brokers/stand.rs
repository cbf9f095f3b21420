//! What stands for a component's own container: accepts everything, and tells of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use streaming_engine::event::{Data, Event};
use streaming_engine::time::Time;
use streaming_plan::Plan;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::watch::Told;
use crate::clock::Clock;

struct Stand {
    namespace: String,
    component: String,
    /// The topic of the Stream that has this route.
    streams: BTreeMap<String, String>,
    clock: Clock,
    /// What is told ends when the components have.
    tell: mpsc::WeakSender<Told>,
}

/// Starts it, and gives its port. It ends with the process.
pub(super) async fn start(plan: &Plan, tell: &mpsc::Sender<Told>) -> std::io::Result<u16> {
    let stream = |input: &streaming_plan::Input| {
        let route = input.route.clone().unwrap_or_else(|| plan.component.name.clone());
        (
            route,
            format!("{}/{}", input.source.cluster_stream, input.source.topic),
        )
    };
    let stand = Stand {
        namespace: plan.component.namespace.clone(),
        component: plan.component.name.clone(),
        streams: plan.inputs.iter().map(stream).collect(),
        clock: Clock::start(),
        tell: tell.downgrade(),
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let router = Router::new().fallback(accept).with_state(Arc::new(stand));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

async fn accept(State(stand): State<Arc<Stand>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Some(tell) = stand.tell.upgrade() else {
        return StatusCode::SERVICE_UNAVAILABLE;
    };
    match tell.send(stand.told(uri.path(), &headers, body)).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl Stand {
    fn told(&self, path: &str, headers: &HeaderMap, body: Bytes) -> Told {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let route = path.trim_start_matches('/');
        let whole = text(header::CONTENT_TYPE.as_str()).starts_with("application/cloudevents+json");
        // `/namespace/kind/name` of who made it; what a Processor takes off a Stream says nothing of that kind.
        let sender = text("ce-source")
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        Told {
            at: self.clock.now(),
            namespace: self.namespace.clone(),
            from: if whole {
                self.streams.get(route).cloned().unwrap_or_default()
            } else {
                sender
            },
            to: format!("{}/{route}", self.component),
            component: Some(self.component.clone()),
            data: if whole { data_of(body.into()) } else { body.into() },
            binary: false,
            letter: None,
        }
    }
}

/// The data of a `CloudEvent`.
fn data_of(event: Vec<u8>) -> Vec<u8> {
    let event = Event {
        id: String::new(),
        source: Arc::default(),
        kind: Cow::Borrowed(""),
        time: Time::default(),
        origin: None,
        data: Data::CloudEvent(event),
        dead_letter: None,
        subject: None,
        watermark: None,
        sequence: None,
        trace: None,
    };
    event.data().into_owned()
}
