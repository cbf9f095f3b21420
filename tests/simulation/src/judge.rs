//! What is right, and how much of it can be asked of a component that has died.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streaming_engine::event::Event;
use streaming_engine::query::{Emit, JoinKind, Windows};

use crate::case::Broker;
use crate::world::World;

impl World<'_> {
    /// What an id stands for: every byte in event time; without it, messages that come again have another order.
    pub(crate) fn named(&self, event: &Event) -> Result<String, String> {
        if self.case.event_time {
            Ok(text(&event.data()))
        } else {
            canonical(event).map(|rows| rows.join(","))
        }
    }

    pub(crate) fn is_settled(&self, output: usize, row: &str) -> bool {
        let at = (output, row.to_owned());
        self.accepted.contains_key(&at) || self.refused.contains(&at) && self.dead.contains(row)
    }
    /// Everything has come to rest.
    pub(crate) fn judge(&self) -> Result<(), String> {
        if !self.component.is_idle() || self.component.counters().held_bytes != 0 {
            return Err(format!(
                "something is still held: {:?}",
                self.component.counters()
            ));
        }
        if !self.bounds_hold() {
            return Ok(());
        }
        // Sessions of two keys may have the same bounds, and rows of neither.
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        for row in &self.expected {
            *expected.entry(row.content.to_string()).or_default() += 1;
        }
        for row in expected.keys() {
            if let Some(output) = (0..self.case.outputs).find(|output| !self.is_settled(*output, row)) {
                return Err(format!("{row} never came to {output}"));
            }
        }
        for ((_, row), ids) in &self.accepted {
            let times = expected.get(row).copied().unwrap_or_default();
            if times == 0 && self.is_exact() {
                return Err(format!("{row} should not have come"));
            }
            if ids.len() > times && self.is_exact() && self.names_last() {
                return Err(format!("{row} came as {ids:?}"));
            }
        }
        Ok(())
    }

    /// Whether windows are the same after a death. Those of sessions depend on their messages, of which MQTT gives again
    /// what it has no ack for yet.
    pub(crate) fn bounds_hold(&self) -> bool {
        let session = matches!(self.case.windows, Windows::Session { .. });
        self.stats.crashes == 0 || self.case.kept || !session || !self.case.brokers.contains(&Broker::Mqtt)
    }

    /// Whether what comes again after a death is the same, so that no other row ever comes. It is not where a message may
    /// come again without those of its window that were acked: hopping windows share messages, MQTT acks in order. Then a
    /// row that says 'no match', or that counts, can be wrong; one that joins can't.
    pub(crate) fn is_exact(&self) -> bool {
        let whole = !matches!(self.case.windows, Windows::Hopping { .. })
            && !self.case.brokers.contains(&Broker::Mqtt);
        let monotonic = self.case.kind == JoinKind::Inner && !self.case.grouped;
        self.stats.crashes == 0 || whole || monotonic
    }

    /// Whether a row that comes again has the id that it had.
    pub(crate) fn names_last(&self) -> bool {
        let whole = !matches!(self.case.windows, Windows::Hopping { .. })
            && !self.case.brokers.contains(&Broker::Mqtt);
        self.stats.crashes == 0
            || self.case.event_time && (self.case.kept || whole || self.case.emit == Emit::Each)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An event's rows, as the oracle writes them.
pub(crate) fn canonical(event: &Event) -> Result<Vec<String>, String> {
    let value: Value =
        serde_json::from_slice(&event.data()).map_err(|error| format!("{error}: {}", text(&event.data())))?;
    let Value::Array(rows) = value else {
        return Err(format!("no rows: {value}"));
    };
    let rows = if rows.first().is_some_and(Value::is_array) {
        rows
    } else {
        vec![Value::Array(rows)]
    };
    rows.into_iter().map(row).collect()
}

fn row(row: Value) -> Result<String, String> {
    let Value::Array(mut fields) = row else {
        return Err(format!("no row: {row}"));
    };
    for field in fields.iter_mut().take(2) {
        let time = field
            .as_str()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok());
        *field = json!(time.ok_or_else(|| format!("no time: {field}"))?.as_microsecond());
    }
    if let Some(Value::Array(numbers)) = fields.last_mut() {
        numbers.sort_by_key(Value::as_u64);
    }
    Ok(Value::Array(fields).to_string())
}
