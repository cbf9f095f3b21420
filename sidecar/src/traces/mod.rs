//! Beside a message's way: what is done with it is told to an OpenTelemetry collector, as spans. Only with the feature `otlp`;
//! without it `untraced.rs` is here instead, which does nothing.
//!
//! A message has a span from when it is taken in until it is acked ([`Received`]); below it, each attempt to deliver what was
//! made of it has one, and each message that the container publishes ([`Underway`]). What leaves names that span as its parent.

mod context;
mod export;
mod received;
mod settings;
mod span;

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde_json::json;
use streaming_engine::delivery::Answer;
use streaming_engine::event::{Event, Trace};
use streaming_engine::time::Time;
use streaming_plan::ComponentRef;

use crate::clock;
use crate::metrics::Metrics;
use crate::publish::Request;
use crate::recipient::Recipient;
use context::{Context, Sampler};
pub(crate) use export::Exporting;
use export::Outlet;
pub(crate) use received::Received;
pub use settings::Settings;
use span::{Attribute, Kind, Span};

/// The process's way to tell spans, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Arc<Telling>>);

struct Telling {
    sampler: Sampler,
    outlet: Arc<Outlet>,
}

/// Something that is being done, and has a span.
#[derive(Default)]
pub(crate) struct Underway(Option<Box<Begun>>);

struct Begun {
    telling: Arc<Telling>,
    context: Context,
    parent: Option<Context>,
    links: Vec<Context>,
    start: Time,
}

/// Begins to tell spans where the settings say so. What is wrong with them is logged: messages matter more.
pub(crate) fn start(
    settings: &Settings,
    component: &ComponentRef,
    metrics: &Arc<Metrics>,
) -> (Traces, Exporting) {
    if settings.endpoint.is_empty() {
        return <(Traces, Exporting)>::default();
    }
    let checked = match settings.check() {
        Ok(checked) => checked,
        Err(wrong) => {
            tracing::warn!("no spans are sent: {wrong}");
            return <(Traces, Exporting)>::default();
        }
    };
    tracing::info!(to = %checked.url, "spans are sent");
    let service = match settings.service_name.as_str() {
        "" => &component.name,
        name => name,
    };
    let sampler = checked.sampler;
    let (outlet, exporting) = export::start(checked, service, component, metrics);
    (Traces(Some(Arc::new(Telling { sampler, outlet }))), exporting)
}

impl Traces {
    fn begin(&self, parent: Option<&str>) -> Underway {
        let Some(telling) = &self.0 else {
            return Underway(None);
        };
        let parent = parent.and_then(Context::parse);
        Underway::below(telling, telling.sampler.begin(parent), parent)
    }

    /// The container publishes a message. In its envelope is then this span.
    pub(crate) fn publishing(&self, request: &mut Request) -> Underway {
        const PARENT: &str = "cloudevent.traceparent";
        let span = self.begin(request.metadata.get(PARENT).map(String::as_str));
        if let Underway(Some(begun)) = &span {
            request
                .metadata
                .insert(PARENT.to_owned(), begun.context.to_string());
        }
        span
    }

    /// Another component's sidecar has sent a result for the container. These headers go on to it.
    pub(crate) fn inbound(&self, headers: &mut HeaderMap) -> Underway {
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let span = self.begin(parent);
        if let Underway(Some(begun)) = &span
            && let Ok(value) = HeaderValue::from_str(&begun.context.to_string())
        {
            headers.insert("traceparent", value);
        }
        span
    }
}

impl Underway {
    fn below(telling: &Arc<Telling>, context: Context, parent: Option<Context>) -> Underway {
        Underway(Some(Box::new(Begun {
            telling: Arc::clone(telling),
            context,
            parent,
            links: Vec::new(),
            start: clock::system(),
        })))
    }

    /// An event that names this as what it comes from.
    pub(crate) fn event(&self, event: &Arc<Event>) -> Arc<Event> {
        let Underway(Some(begun)) = self else {
            return Arc::clone(event);
        };
        let state = event.trace.as_ref().map(|trace| trace.state.clone());
        let trace = Trace {
            parent: begun.context.to_string(),
            state: state.unwrap_or_default(),
        };
        Arc::new(Event {
            trace: Some(Box::new(trace)),
            ..Event::clone(event)
        })
    }

    /// An attempt to deliver was answered.
    pub(crate) fn delivered(self, to: &Recipient, event: &Event, attempt: u32, answer: &Answer) {
        let (outcome, failure) = match answer {
            Answer::Accepted => ("accepted", None),
            Answer::Retry(why) => ("retry", Some(why.clone())),
            Answer::Drop(why) => ("refused", Some(why.clone())),
        };
        self.tell(failure, || {
            let to = to.to_string();
            let mut attributes = vec![
                ("messaging.message.id", json!(event.id)),
                ("streaming.attempt", json!(attempt)),
                ("streaming.outcome", json!(outcome)),
            ];
            if let Some(letter) = &event.dead_letter {
                attributes.push(("streaming.dead_letter.reason", json!(letter.reason)));
            }
            if let Some((_, authority_and_path)) = to.split_once("://") {
                let path = authority_and_path.find('/').map(|at| &authority_and_path[at..]);
                let name = format!("POST {}", path.unwrap_or("/"));
                attributes.push(("http.request.method", json!("POST")));
                attributes.push(("url.full", json!(to)));
                return (name, Kind::Client, attributes);
            }
            let (cluster_stream, topic) = to.split_once('/').unwrap_or(("", to.as_str()));
            attributes.extend(sent(cluster_stream, topic));
            (format!("send {topic}"), Kind::Producer, attributes)
        });
    }

    /// A message of the container was published, or not.
    pub(crate) fn published(self, cluster_stream: &str, topic: &str, failure: Option<&str>) {
        self.tell(failure.map(str::to_owned), || {
            let attributes = sent(cluster_stream, topic).to_vec();
            (format!("send {topic}"), Kind::Producer, attributes)
        });
    }

    /// The container has answered what another component sent, on this route.
    pub(crate) fn passed_on(self, route: &str, component: &str, failure: Option<&str>) {
        self.tell(failure.map(str::to_owned), || {
            let attributes = vec![
                ("messaging.system", json!("http")),
                ("messaging.operation.type", json!("process")),
                ("messaging.destination.name", json!(route)),
                ("messaging.consumer.group.name", json!(component)),
            ];
            (format!("process {route}"), Kind::Consumer, attributes)
        });
    }

    fn tell(self, failure: Option<String>, about: impl FnOnce() -> (String, Kind, Vec<Attribute>)) {
        let Underway(Some(begun)) = self else {
            return;
        };
        if !begun.context.sampled {
            return;
        }
        let telling = Arc::clone(&begun.telling);
        telling.outlet.put(|| {
            let (name, kind, attributes) = about();
            Span {
                context: begun.context,
                parent: begun.parent.map(|parent| parent.span),
                links: begun.links,
                name,
                kind,
                start: begun.start,
                end: clock::system(),
                attributes,
                failure,
            }
        });
    }
}

/// About something that is published.
fn sent(cluster_stream: &str, topic: &str) -> [Attribute; 3] {
    [
        ("messaging.operation.type", json!("send")),
        ("messaging.destination.name", json!(topic)),
        ("streaming.cluster_stream", json!(cluster_stream)),
    ]
}
