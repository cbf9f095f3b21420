//! Whether the rows that came out are the rows that had to, each once; and how long after its window's end each came.

use std::collections::HashMap;

use serde_json::Value;

use crate::clock::MS;
use crate::wire::http::Received;
use crate::workload::Row;

/// What a run's rows are to be compared with.
#[derive(Default)]
pub(crate) struct Expected {
    /// By row: the end of its window, in nanoseconds since the epoch.
    rows: HashMap<Row, u64>,
}

/// How the rows compare.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) rows: usize,
    /// Rows that did not come.
    pub(crate) missing: usize,
    /// Rows that came and should not have, those that came again included.
    pub(crate) extra: usize,
    /// Messages that hold no rows.
    pub(crate) bad: usize,
    /// Milliseconds from the end of a row's window to its arrival, sorted.
    latencies: Vec<f64>,
}

impl Expected {
    pub(crate) fn add(&mut self, rows: impl IntoIterator<Item = Row>, end: u64) {
        self.rows.extend(rows.into_iter().map(|row| (row, end)));
    }

    pub(crate) fn compare(mut self, messages: &[Received]) -> Verdict {
        let mut verdict = Verdict {
            rows: self.rows.len(),
            ..Verdict::default()
        };
        for message in messages {
            let mut rows = Vec::new();
            let parsed = serde_json::from_slice(&message.body).ok();
            if parsed.and_then(|value| collect(&value, &mut rows)).is_none() {
                verdict.bad += 1;
            }
            for row in rows {
                let Some(end) = self.rows.remove(&row) else {
                    verdict.extra += 1;
                    continue;
                };
                verdict.latencies.push(ms(message.at) - ms(end));
            }
        }
        verdict.missing = self.rows.len();
        verdict.latencies.sort_by(f64::total_cmp);
        verdict
    }
}

impl Verdict {
    pub(crate) fn is_exact(&self) -> bool {
        self.missing + self.extra + self.bad == 0
    }

    /// The latency that so many percent of the rows stayed within.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// The rows of a message: one row, an array of them, or either as the data of a `CloudEvent`.
fn collect(value: &Value, rows: &mut Vec<Row>) -> Option<()> {
    if let Value::Array(items) = value {
        return items.iter().try_for_each(|item| collect(item, rows));
    }
    if value.get("specversion").is_some() {
        return collect(value.get("data")?, rows);
    }
    let tenant = value.get("tenant_id")?.as_str()?;
    let tenant = tenant.rsplit(':').next()?.parse().ok()?;
    rows.push((
        value.get("customer_id")?.as_u64()?,
        tenant,
        value.get("tenant_kwh_usage")?.as_u64()?,
    ));
    Some(())
}

// A double counts nanoseconds since the epoch to a quarter of a microsecond.
#[allow(clippy::cast_precision_loss)]
fn ms(nanos: u64) -> f64 {
    nanos as f64 / MS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u64 = 1_700_000_000_000 * MS;

    fn message(after: u64, body: &str) -> Received {
        Received {
            at: END + after * MS,
            body: body.as_bytes().to_vec(),
        }
    }

    fn row(event: u64) -> String {
        format!(r#"{{"customer_id":101,"tenant_id":"dc:eqix:us:dal2:1","tenant_kwh_usage":{event}}}"#)
    }

    #[test]
    fn each_row_has_to_come_once() {
        let mut expected = Expected::default();
        expected.add([(101, 1, 7), (101, 1, 8), (101, 1, 9)], END);
        let event = format!(r#"{{"specversion":"1.0","data":[{},{}]}}"#, row(7), row(8));
        let verdict = expected.compare(&[
            message(10, &event),
            message(30, &row(7)),
            message(30, &row(10)),
            message(30, r#"{"customer_id":101}"#),
            message(30, "no JSON"),
        ]);
        assert_eq!(
            (verdict.rows, verdict.missing, verdict.extra, verdict.bad),
            (3, 1, 2, 2)
        );
        assert!(!verdict.is_exact());
        assert!((verdict.percentile(50) - 10.0).abs() < 0.1, "{verdict:?}");
    }

    #[test]
    fn latencies_are_counted_from_the_end_of_the_window() {
        let mut expected = Expected::default();
        expected.add((0..100).map(|event| (101, 1, event)), END);
        let messages: Vec<Received> = (0..100).map(|event| message(event, &row(event))).collect();
        let verdict = expected.compare(&messages);
        assert!(verdict.is_exact());
        let [p50, p99] = [50, 99].map(|percent| verdict.percentile(percent));
        assert!(
            (p50 - 50.0).abs() < 0.1 && (p99 - 99.0).abs() < 0.1,
            "{p50} {p99}"
        );
    }
}
