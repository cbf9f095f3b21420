//! What message-proc logged: a line a window, with the time at which its rows arrived.

use anyhow::{Context, Result};
use serde_json::Value;

/// The rows that arrived at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// Seconds of the day.
    pub(super) at: f64,
    pub(super) rows: Vec<Value>,
}

/// Reads the lines that are about messages.
pub(super) fn batches(log: &str) -> Result<Vec<Batch>> {
    log.lines()
        .filter_map(|line| line.split_once(" Data received: "))
        .map(|(time, data)| {
            let batch = || format!("not a batch of rows: {data}");
            Ok(Batch {
                at: seconds(time).with_context(|| format!("not a time: {time}"))?,
                rows: serde_json::from_str(data).with_context(batch)?,
            })
        })
        .collect()
}

/// From `2026-11-23T10:00:20.250Z`.
fn seconds(time: &str) -> Option<f64> {
    let mut parts = time.split_once('T')?.1.trim_end_matches('Z').split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some((hours * 60.0 + minutes) * 60.0 + seconds)
}

/// The whole numbers that are missing between the least and the greatest that were seen in a field.
pub(super) fn gaps(batches: &[Batch], field: &str) -> Gaps {
    let mut seen: Vec<u64> = batches
        .iter()
        .flat_map(|batch| &batch.rows)
        .filter_map(|row| row[field].as_u64())
        .collect();
    seen.sort_unstable();
    seen.dedup();
    let missing = seen.windows(2).flat_map(|pair| pair[0] + 1..pair[1]).collect();
    Gaps {
        first: seen.first().copied().unwrap_or(0),
        last: seen.last().copied().unwrap_or(0),
        missing,
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gaps {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) missing: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "listening on 0.0.0.0:8080\n\
        2026-11-23T10:00:20.250Z Data received: [{\"n\":4},{\"n\":2}]\n\
        2026-11-23T10:00:40.000Z Data received: [{\"n\":7},{\"n\":2}]\n";

    #[test]
    fn only_lines_about_messages_count() {
        let found = batches(LOG).unwrap();
        assert_eq!(found.len(), 2);
        assert!((found[1].at - found[0].at - 19.75).abs() < 1e-6);
        assert!(batches("x Data received: {").is_err());
    }

    #[test]
    fn what_is_missing_in_between_is_found() {
        let gaps = gaps(&batches(LOG).unwrap(), "n");
        assert_eq!((gaps.first, gaps.last, gaps.missing), (2, 7, vec![3, 5, 6]));
    }
}
