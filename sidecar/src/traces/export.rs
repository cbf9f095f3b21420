//! The way to a collector. Spans wait in a queue of bounded length, and leave in batches, by a task of its own: whatever the
//! collector does, no message waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use streaming_plan::ComponentRef;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::settings::Checked;
use super::span::{self, Span};
use crate::metrics::Metrics;
use crate::recipient::Client;
use crate::session::told;

/// Spans that may wait: some megabytes.
const WAITING: usize = 8192;
/// Spans sent at once.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take to answer: OpenTelemetry's default.
const PATIENCE: Duration = Duration::from_secs(10);
/// Waits between attempts.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where spans are put.
pub(super) struct Outlet {
    queue: mpsc::Sender<Span>,
    metrics: Arc<Metrics>,
    told_of_drops: AtomicBool,
}

impl Outlet {
    /// Puts a span into the queue, if there is room. `span` is not made if there is none.
    pub(super) fn put(&self, span: impl FnOnce() -> Span) {
        match self.queue.try_reserve() {
            Ok(place) => place.send(span()),
            Err(_) => self.dropped(),
        }
    }

    /// A span will not be told.
    pub(super) fn dropped(&self) {
        self.metrics.spans_dropped(1);
        if !self.told_of_drops.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "there are more spans than can be sent, and some are dropped: see streaming_spans_dropped_total; \
                 tell fewer traces with OTEL_TRACES_SAMPLER=parentbased_traceidratio"
            );
        }
    }
}

/// What sends spans.
#[derive(Default)]
pub(crate) struct Exporting(Option<(watch::Sender<bool>, JoinHandle<()>)>);

impl Exporting {
    /// Sends what waits, and ends, within so much time.
    pub(crate) async fn finish(self, patience: Duration) {
        let Some((end, mut task)) = self.0 else {
            return;
        };
        end.send_replace(true);
        if timeout(patience, &mut task).await.is_err() {
            tracing::warn!("not all spans reached their collector in time");
            task.abort();
        }
    }
}

/// Begins to send.
pub(super) fn start(
    to: Checked,
    service: &str,
    component: &ComponentRef,
    metrics: &Arc<Metrics>,
) -> (Arc<Outlet>, Exporting) {
    let (queue, waiting) = mpsc::channel(WAITING);
    let (end, ending) = watch::channel(false);
    let exporter = Exporter {
        to,
        service: service.to_owned(),
        component: component.clone(),
        client: Client::new(PATIENCE),
        metrics: Arc::clone(metrics),
        away: false,
        ending,
    };
    let outlet = Outlet {
        queue,
        metrics: Arc::clone(metrics),
        told_of_drops: AtomicBool::new(false),
    };
    let exporting = (end, tokio::spawn(exporter.run(waiting)));
    (Arc::new(outlet), Exporting(Some(exporting)))
}

struct Exporter {
    to: Checked,
    service: String,
    component: ComponentRef,
    client: Client,
    metrics: Arc<Metrics>,
    /// Whether the collector took nothing the last time.
    away: bool,
    ending: watch::Receiver<bool>,
}

impl Exporter {
    async fn run(mut self, mut waiting: mpsc::Receiver<Span>) {
        let mut batch = Vec::new();
        let mut ending = self.ending.clone();
        loop {
            tokio::select! {
                first = waiting.recv_many(&mut batch, BATCH) => if first == 0 {
                    return;
                },
                // What waits already is still given out.
                () = told(&mut ending), if !waiting.is_closed() => waiting.close(),
            }
            let gather = async {
                while batch.len() < BATCH {
                    let left = BATCH - batch.len();
                    if waiting.recv_many(&mut batch, left).await == 0 {
                        return;
                    }
                }
            };
            tokio::select! {
                _ = timeout(GATHER, gather) => {}
                () = told(&mut ending), if !*self.ending.borrow() => {}
            }
            if !batch.is_empty() {
                self.send(&batch).await;
                batch.clear();
            }
        }
    }

    /// Sends a batch, for as long as it takes, or at the end once.
    async fn send(&mut self, batch: &[Span]) {
        let body = Bytes::from(span::request(&self.service, &self.component, batch));
        let mut wait = RETRY.0;
        loop {
            let last = *self.ending.borrow();
            let body = Body::from(body.clone());
            let answer = self
                .client
                .post(&self.to.url, self.to.headers.clone(), body)
                .await;
            let (why, for_now) = match answer {
                Ok(answer) if (200..300).contains(&answer.status) => return self.is_there(),
                Ok(answer) => {
                    let for_now = matches!(answer.status, 429 | 502 | 503 | 504);
                    (format!("{} answers {}", self.to.url, answer.status), for_now)
                }
                Err(why) => (format!("{}: {why}", self.to.url), true),
            };
            if !std::mem::replace(&mut self.away, true) {
                tracing::warn!(why, "the collector takes no spans; messages go on without");
            }
            if last || !for_now {
                self.metrics.spans_dropped(batch.len());
                return;
            }
            tokio::select! {
                () = sleep(wait) => wait = (wait * 2).min(RETRY.1),
                () = told(&mut self.ending) => {}
            }
        }
    }

    fn is_there(&mut self) {
        if std::mem::replace(&mut self.away, false) {
            tracing::info!("the collector takes spans again");
        }
    }
}
