//! The numbers behind `/metrics`. Their names and meanings are documented in `docs/metrics.md`, and stable.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use streaming_engine::counters::Counters;
use streaming_engine::time::Time;

use crate::status::Connection;

/// Bounds of the histogram, in seconds: around the tens of milliseconds that a delivery takes, and up to the minutes
/// that a recipient may be away.
const SECONDS: [f64; 13] = [
    0.002, 0.005, 0.01, 0.02, 0.03, 0.06, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 300.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stream {
    stream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Link {
    cluster_stream: String,
    direction: &'static str,
    topic: String,
}

/// All metrics of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    inputs: Vec<Input>,
    matched: Counter,
    windows: Counter,
    delivered: Counter,
    retried: Counter,
    repeats_dropped: Counter,
    published: Counter,
    sessions: Counter,
    dead_lettered: Family<Reason, Counter>,
    expression_errors: Family<Reason, Counter>,
    held_bytes: Gauge,
    in_flight: Gauge,
    watermark: Gauge<f64, AtomicU64>,
    connected: Family<Link, Gauge>,
    window_delivery: Histogram,
    #[cfg(feature = "otlp")]
    spans_dropped: Counter,
}

/// One input's.
#[derive(Debug)]
struct Input {
    received: Counter,
    filtered: Counter,
    late: Counter,
    repeated: Counter,
    acked: Counter,
    lag: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// For a component whose inputs read these Streams.
    pub(crate) fn new(streams: &[&str]) -> Metrics {
        let mut registry = Registry::with_prefix("streaming");
        let mut counter = |name: &str, help: &str| {
            let counter: Counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let matched = counter("matched", "Rows that joins made, or messages let through");
        let windows = counter("windows", "Windows that closed after at least one message");
        let delivered = counter(
            "delivered",
            "Deliveries that recipients accepted, dead letters included",
        );
        let retried = counter("retried", "Deliveries that had to be repeated");
        let repeats_dropped = counter(
            "repeats_dropped",
            "Deliveries from other components that the container had accepted before",
        );
        let published = counter("published", "Messages of the own container that brokers took");
        #[cfg(feature = "otlp")]
        let spans_dropped = counter("spans_dropped", "Spans that did not reach the collector");
        let sessions = counter("sessions", "Times that the inputs were subscribed to");
        let mut by_stream = |name: &str, help: &str| {
            let family = Family::<Stream, Counter>::default();
            registry.register(name, help, family.clone());
            family
        };
        let received = by_stream("received", "Messages that arrived, repeats included");
        let filtered = by_stream("filtered", "Messages that a filter kept out");
        let repeated = by_stream("repeated", "CloudEvents that their producers published again");
        let late = by_stream("late", "Messages that came when all of their windows had closed");
        let acked = by_stream("acked", "Messages that were acked");
        let lag = Family::<Stream, Gauge<f64, AtomicU64>>::default();
        let help = "Age of the last message when it was taken in, by its broker's clock";
        registry.register("lag_seconds", help, lag.clone());
        let inputs = streams.iter().map(|stream| {
            let label = Stream {
                stream: (*stream).to_owned(),
            };
            Input {
                received: received.get_or_create_owned(&label),
                filtered: filtered.get_or_create_owned(&label),
                late: late.get_or_create_owned(&label),
                repeated: repeated.get_or_create_owned(&label),
                acked: acked.get_or_create_owned(&label),
                lag: lag.get_or_create_owned(&label),
            }
        });
        let inputs: Vec<Input> = inputs.collect();
        let mut by_reason = |name: &str, help: &str| {
            let family = Family::<Reason, Counter>::default();
            registry.register(name, help, family.clone());
            family
        };
        let dead_lettered = by_reason("dead_lettered", "Dead letters");
        let expression_errors = by_reason("expression_errors", "Evaluations of expressions that failed");
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let held_bytes = gauge("held_bytes", "Bytes held in windows and results");
        let in_flight = gauge("in_flight", "Deliveries that are under way");
        let (connected, watermark) = (
            Family::<Link, Gauge>::default(),
            Gauge::<f64, AtomicU64>::default(),
        );
        let window_delivery = Histogram::new(SECONDS);
        registry.register(
            "watermark_seconds",
            "Event time: what happened before is late where its windows have closed",
            watermark.clone(),
        );
        registry.register("connected", "1 where a connection is there", connected.clone());
        registry.register(
            "window_delivery_seconds",
            "From a window's end to the acceptance of its results",
            window_delivery.clone(),
        );
        Metrics {
            registry,
            inputs,
            matched,
            windows,
            delivered,
            retried,
            repeats_dropped,
            published,
            sessions,
            dead_lettered,
            expression_errors,
            held_bytes,
            in_flight,
            watermark,
            connected,
            window_delivery,
            #[cfg(feature = "otlp")]
            spans_dropped,
        }
    }

    /// What has happened in a session since `before`.
    pub(crate) fn observe(&self, before: &Counters, now: &Counters) {
        for (at, (input, now)) in self.inputs.iter().zip(&now.inputs).enumerate() {
            let before = before.inputs.get(at).copied().unwrap_or_default();
            input.received.inc_by(now.received - before.received);
            input.filtered.inc_by(now.filtered - before.filtered);
            input.late.inc_by(now.late - before.late);
            input.repeated.inc_by(now.repeated - before.repeated);
            input.acked.inc_by(now.acked - before.acked);
        }
        self.matched.inc_by(now.rows - before.rows);
        self.windows.inc_by(now.windows - before.windows);
        self.delivered.inc_by(now.delivered - before.delivered);
        self.retried.inc_by(now.retried - before.retried);
        for (family, now, before) in [
            (&self.dead_lettered, &now.dead_lettered, &before.dead_lettered),
            (
                &self.expression_errors,
                &now.expression_errors,
                &before.expression_errors,
            ),
        ] {
            for (&reason, count) in now {
                let before = before.get(reason).copied().unwrap_or_default();
                if *count > before {
                    family.get_or_create(&Reason { reason }).inc_by(count - before);
                }
            }
        }
        self.held_bytes
            .set(i64::try_from(now.held_bytes).unwrap_or(i64::MAX));
        if let Some(Time(watermark)) = now.watermark {
            // Milliseconds of any year survive in a double.
            #[allow(clippy::cast_precision_loss)]
            self.watermark.set(watermark as f64 / 1e6);
        }
    }

    pub(crate) fn session(&self) {
        self.sessions.inc();
    }

    pub(crate) fn repeat_dropped(&self) {
        self.repeats_dropped.inc();
    }

    pub(crate) fn published(&self) {
        self.published.inc();
    }

    /// So many spans will not be told.
    #[cfg(feature = "otlp")]
    pub(crate) fn spans_dropped(&self, count: usize) {
        self.spans_dropped.inc_by(count as u64);
    }

    /// So many deliveries are under way.
    pub(crate) fn in_flight(&self, count: usize) {
        self.in_flight.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A message of an input, received by its broker then, is taken in now.
    pub(crate) fn lag(&self, input: usize, received: Time, now: Time) {
        if let Some(input) = self.inputs.get(input) {
            // A gauge's precision is coarser by far.
            #[allow(clippy::cast_precision_loss)]
            input
                .lag
                .set(now.0.saturating_sub(received.0).max(0) as f64 / 1e6);
        }
    }

    /// A window's result was accepted.
    pub(crate) fn window_delivered(&self, end: Time, accepted: Time) {
        let micros = accepted.0.saturating_sub(end.0).max(0);
        // A histogram's precision is coarser by far.
        #[allow(clippy::cast_precision_loss)]
        self.window_delivery.observe(micros as f64 / 1e6);
    }

    pub(crate) fn connected(&self, connection: &Connection, is: bool) {
        let label = match connection {
            Connection::Read {
                cluster_stream,
                topic,
            } => Link {
                cluster_stream: cluster_stream.clone(),
                direction: "read",
                topic: topic.clone(),
            },
            Connection::Publish { cluster_stream } => Link {
                cluster_stream: cluster_stream.clone(),
                direction: "publish",
                topic: String::new(),
            },
            Connection::State => Link {
                cluster_stream: String::new(),
                direction: "state",
                topic: String::new(),
            },
        };
        self.connected.get_or_create(&label).set(i64::from(is));
    }

    /// In the `OpenMetrics` text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_starts_anew_adds_to_what_was() {
        let metrics = Metrics::new(&["orders"]);
        let mut counters = Counters::default();
        counters
            .inputs
            .resize(1, streaming_engine::counters::InputCounters::default());
        let zero = counters.clone();
        counters.inputs[0].received = 2;
        counters.dead_lettered.insert("NotJson", 1);
        metrics.observe(&Counters::default(), &zero);
        metrics.observe(&zero, &counters);
        metrics.observe(&counters, &counters);
        metrics.observe(&zero, &counters);
        metrics.window_delivered(Time(0), Time(40_000));
        let text = metrics.text();
        for line in [
            "streaming_received_total{stream=\"orders\"} 4",
            "streaming_dead_lettered_total{reason=\"NotJson\"} 2",
            "streaming_window_delivery_seconds_bucket{le=\"0.06\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    /// What is scraped is what is documented, and the other way round.
    #[test]
    fn metrics_and_their_documentation_agree() {
        let metrics = Metrics::new(&["orders"]);
        let mut counters = Counters::default();
        counters.dead_lettered.insert("NotJson", 1);
        counters.expression_errors.insert("NoSuchField", 1);
        metrics.observe(&Counters::default(), &counters);
        metrics.connected(&Connection::State, true);
        let text = metrics.text();
        let name = |line: &str| {
            let mut words = line.strip_prefix("# TYPE ")?.split(' ');
            let (name, kind) = (words.next()?, words.next()?);
            Some(format!("{name}{}", if kind == "counter" { "_total" } else { "" }))
        };
        let mut scraped: Vec<String> = text.lines().filter_map(name).collect();
        let docs = include_str!("../../docs/metrics.md");
        let built = |line: &&str| cfg!(feature = "otlp") || !line.contains("with the feature `otlp`");
        let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
        let mut documented: Vec<String> = docs.lines().filter(built).filter_map(row).collect();
        scraped.sort();
        documented.sort();
        assert_eq!(scraped, documented);
        for line in docs.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let labels = cells[2].replace([' ', '`'], "");
            // `(read, publish, state)` are a label's values.
            let labels = labels
                .split(['(', ','])
                .filter(|label| line.contains(&format!("`{label}`")));
            for label in labels.filter(|label| !["read", "publish", "state"].contains(label)) {
                assert!(text.contains(&format!("{label}=\"")), "{label} of {line}");
            }
        }
    }
}
