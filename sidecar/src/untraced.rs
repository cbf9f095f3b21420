//! In place of `traces` in a build without the feature `otlp`: nothing is told of a message's way, and its trace goes on as it is.

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;
use streaming_plan::{ComponentRef, Plan};

use crate::broker::Message;
use crate::metrics::Metrics;
use crate::publish::Request;
use crate::recipient::Recipient;

/// Whether somebody expects spans.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
}

#[derive(Clone, Default)]
pub(crate) struct Traces;
pub(crate) struct Exporting;
#[derive(Default)]
pub(crate) struct Received(());
#[derive(Default)]
pub(crate) struct Underway;

impl Settings {
    /// Those of the process.
    pub fn from_env() -> Settings {
        Settings {
            endpoint: std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default(),
        }
    }
}

pub(crate) fn start(settings: &Settings, _: &ComponentRef, _: &Arc<Metrics>) -> (Traces, Exporting) {
    if !settings.endpoint.is_empty() {
        tracing::warn!(
            "no spans are sent to OTEL_EXPORTER_OTLP_ENDPOINT: this build has no OTLP; build streaming-sidecar with `--features otlp`"
        );
    }
    (Traces, Exporting)
}

impl Exporting {
    #[allow(clippy::unused_async)] // as with the feature
    pub(crate) async fn finish(self, _: Duration) {}
}

// What is done with spans, which are not there.
#[allow(clippy::unused_self)]
impl Traces {
    pub(crate) fn session(&self, _: &Plan) -> Received {
        Received(())
    }

    pub(crate) fn publishing(&self, _: &mut Request) -> Underway {
        Underway
    }

    pub(crate) fn inbound(&self, _: &mut HeaderMap) -> Underway {
        Underway
    }
}

#[allow(clippy::unused_self)]
impl Received {
    pub(crate) fn taken(&mut self, _: usize, _: &Message) {}

    pub(crate) fn acked(&mut self, _: usize, _: u64) {}

    pub(crate) fn sending(&self, _: &Event, _: bool, _: impl FnOnce(usize) -> Vec<(usize, u64)>) -> Underway {
        Underway
    }
}

#[allow(clippy::unused_self)]
impl Underway {
    pub(crate) fn event(&self, event: &Arc<Event>) -> Arc<Event> {
        Arc::clone(event)
    }

    pub(crate) fn delivered(self, _: &Recipient, _: &Event, _: u32, _: &Answer) {}

    pub(crate) fn published(self, _: &str, _: &str, _: Option<&str>) {}

    pub(crate) fn passed_on(self, _: &str, _: &str, _: Option<&str>) {}
}
