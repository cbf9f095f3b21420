//! What the operator counts, for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: String,
    verb: &'static str,
    changed: String,
}

/// The metrics of one operator; clones count together.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    reconciles: Histogram,
    failures: Family<Reason, Counter>,
    writes: Family<Write, Counter>,
    watches: Family<Kind, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("streaming_operator");
        // From half a millisecond to half a minute.
        let reconciles = Histogram::new(exponential_buckets(0.0005, 4.0, 9));
        let (failures, writes, watches) = (Family::default(), Family::default(), Family::default());
        registry.register(
            "reconcile_duration_seconds",
            "Time that one look at a namespace took",
            reconciles.clone(),
        );
        registry.register(
            "reconcile_failures",
            "Looks at a namespace that must be repeated, by the last reason",
            failures.clone(),
        );
        registry.register(
            "writes",
            "Writes to the API server, by kind, verb and whether they changed anything",
            writes.clone(),
        );
        registry.register(
            "watch_failures",
            "Watches that were interrupted and taken up again, by kind",
            watches.clone(),
        );
        Metrics {
            registry: Arc::new(registry),
            reconciles,
            failures,
            writes,
            watches,
        }
    }

    pub(crate) fn reconciled(&self, took: Duration, failed: Option<&'static str>) {
        self.reconciles.observe(took.as_secs_f64());
        if let Some(reason) = failed {
            self.failures.get_or_create(&Reason { reason }).inc();
        }
    }

    pub(crate) fn written(&self, kind: &str, verb: &'static str, changed: bool) {
        let write = Write {
            kind: kind.to_owned(),
            verb,
            changed: changed.to_string(),
        };
        self.writes.get_or_create(&write).inc();
    }

    pub(crate) fn watch_failed(&self, kind: &'static str) {
        self.watches.get_or_create(&Kind { kind }).inc();
    }

    /// In Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
