//! What is right, and how much of it can be asked of a component that has died.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use streaming_engine::durable::Durable;
use streaming_engine::event::Event;
use streaming_engine::query::{self, Emit, JoinKind};

use super::case::{Case, pad};
use super::lateness::Lateness;
use super::oracle::{self, Row};
use crate::Stats;
use crate::broker::Broker;
use crate::judge::text;

/// What came of a component with windows, in all of its lives.
pub(crate) struct Windows<'a> {
    pub(crate) case: &'a Case,
    pub(crate) expected: Vec<Row>,
    /// By output and row: the ids it was accepted under.
    pub(crate) accepted: BTreeMap<(usize, String), BTreeSet<String>>,
    pub(crate) refused: BTreeSet<(usize, String)>,
    pub(crate) dead: BTreeSet<String>,
    /// Windows that had no room for all of their results, and said so: under which ids.
    pub(crate) cut: BTreeMap<(i64, i64), BTreeSet<String>>,
    /// Rows that were ever sent, by window; and the most bytes that were sent of a window at once.
    pub(crate) made: BTreeMap<(i64, i64), (BTreeSet<String>, usize)>,
    pub(crate) ids: BTreeMap<String, String>,
    pub(crate) lateness: Lateness,
    /// Messages that were sent on as late.
    pub(crate) late: BTreeSet<usize>,
    /// By output, and window and group: the last update, and its number.
    pub(crate) updates: BTreeMap<(usize, String), (u64, String)>,
    /// Whether the component has died.
    pub(crate) died: bool,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(case: &'a Case) -> Windows<'a> {
        let lateness = Lateness::new(case);
        Windows {
            expected: oracle::rows(case, &lateness.behind),
            lateness,
            accepted: BTreeMap::new(),
            refused: BTreeSet::new(),
            dead: BTreeSet::new(),
            cut: BTreeMap::new(),
            made: BTreeMap::new(),
            ids: BTreeMap::new(),
            late: BTreeSet::new(),
            updates: BTreeMap::new(),
            died: false,
            case,
        }
    }

    /// What is late has changed, and by that what has to come out.
    pub(crate) fn expect(&mut self) {
        self.expected = oracle::rows(self.case, &self.lateness.behind);
    }

    /// A message is acked.
    pub(crate) fn judge_ack(&self, message: usize) -> Result<(), String> {
        // What is kept is acked before anything is made of it.
        if self.case.kept {
            return Ok(());
        }
        for row in self.expected.iter().filter(|row| row.of.contains(&message)) {
            let content = row.content.to_string();
            if !self.bounds_hold() || self.doubts(&content) {
                continue;
            }
            if let Some(output) = (0..self.case.outputs).find(|output| !self.is_settled(*output, &content)) {
                return Err(format!(
                    "{message} is acked before {content} is accepted by {output}"
                ));
            }
        }
        let late = !self.died && self.lateness.is_late(self.case, message);
        if late && self.case.keeps_late && !self.late.contains(&message) {
            return Err(format!("{message} is late and acked before it is sent on"));
        }
        Ok(())
    }
    /// What an id stands for: every byte in event time; without it, messages that come again have another order.
    pub(crate) fn named(&self, event: &Event) -> Result<String, String> {
        if event
            .dead_letter
            .as_ref()
            .is_some_and(|letter| letter.reason == "Late")
            || cut_window(event).is_some()
            || self.case.event_time && !self.case.is_timed()
        {
            Ok(text(event))
        } else {
            canonical(event).map(|rows| rows.join(","))
        }
    }

    pub(crate) fn is_settled(&self, output: usize, row: &str) -> bool {
        let at = (output, row.to_owned());
        self.accepted.contains_key(&at)
            || self.refused.contains(&at) && self.dead.contains(row)
            || self.was_cut(row)
    }

    /// Whether a row had no room in its window, which said so.
    fn was_cut(&self, row: &str) -> bool {
        let window = bounds(row);
        let made = || self.made.get(&window).is_some_and(|(rows, _)| rows.contains(row));
        self.cut.contains_key(&window) && !made()
    }

    /// Everything has come to rest.
    pub(crate) fn judge(&self, component: &Durable) -> Result<(), String> {
        let counters = component.counters();
        // What `previous` reads of four groups stays: the last two windows of each, or where they are kept as many as may be
        // computed again as far as was known then.
        let windows = if self.case.kept { counters.windows + 1 } else { 2 };
        let most = if self.case.looks_back {
            4 * (120 + 50 * windows)
        } else {
            0
        };
        if !component.is_idle() || counters.held_bytes > most {
            return Err(format!("something is still held: {counters:?}"));
        }
        if !self.bounds_hold() {
            return Ok(());
        }
        // Sessions of two keys may have the same bounds, and rows of neither.
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        for row in &self.expected {
            *expected.entry(row.content.to_string()).or_default() += 1;
        }
        for row in expected.keys().filter(|row| !self.doubts(row)) {
            if let Some(output) = (0..self.case.outputs).find(|output| !self.is_settled(*output, row)) {
                return Err(format!("{row} never came to {output}"));
            }
        }
        for ((_, row), ids) in &self.accepted {
            if self.doubts(row) || self.case.emit == Emit::Updates && self.is_part(row)? {
                continue;
            }
            let times = expected.get(row).copied().unwrap_or_default();
            if times == 0 && self.is_exact() {
                return Err(format!("{row} should not have come"));
            }
            if ids.len() > times && self.is_exact() && self.names_last() {
                return Err(format!("{row} came as {ids:?}"));
            }
        }
        self.judge_cut()?;
        self.judge_late(counters.inputs.iter().map(|input| input.late).sum())?;
        self.judge_updates()
    }

    /// What is known in the end.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            rows: self.expected.len() as u64,
            cut: self.cut.len() as u64,
            ..Stats::default()
        }
    }

    /// Who says that a window has no room for its results has filled what there is, and says it once.
    fn judge_cut(&self) -> Result<(), String> {
        let session = matches!(self.case.windows, query::Windows::Session { .. });
        for (window, ids) in &self.cut {
            let Some(budget) = self.case.budget.filter(|_| self.case.emit != Emit::Each) else {
                return Err(format!("{window:?} is cut short, and there is room"));
            };
            let (rows, bytes) = self.made.get(window).cloned().unwrap_or_default();
            let room = if self.case.emit == Emit::Batch {
                budget / 2
            } else {
                0
            };
            if rows.is_empty() || (bytes as u64) <= room {
                return Err(format!("{window:?} is cut short at {bytes} bytes of {room}"));
            }
            if ids.len() > 1 && !session && self.is_exact() && self.names_last() {
                return Err(format!("{window:?} is cut short as {ids:?}"));
            }
        }
        Ok(())
    }

    /// Each late message has gone where they go, and is counted.
    fn judge_late(&self, counted: u64) -> Result<(), String> {
        if self.died {
            return Ok(());
        }
        let late: BTreeSet<usize> = (0..self.case.messages.len())
            .filter(|message| self.lateness.is_late(self.case, *message))
            .collect();
        if counted != late.len() as u64 {
            return Err(format!(
                "{counted} messages are counted as late, and {late:?} are"
            ));
        }
        if self.case.keeps_late && self.late != late {
            return Err(format!("{late:?} are late, and {:?} were sent on", self.late));
        }
        Ok(())
    }

    /// The last update of a group is what it has come to.
    fn judge_updates(&self) -> Result<(), String> {
        if self.case.emit != Emit::Updates || self.died {
            return Ok(());
        }
        for row in &self.expected {
            let row = row.content.to_string();
            for output in 0..self.case.outputs {
                let last = self.updates.get(&(output, group(&row)?));
                let refused = self.was_cut(&row) || self.refused.iter().any(|(to, _)| *to == output);
                if !refused && last.is_none_or(|(_, last)| *last != row) {
                    return Err(format!("the last update of {row} for {output} is {last:?}"));
                }
            }
        }
        Ok(())
    }

    /// Whether a row may be early: it has some of what its group has in the end.
    fn is_part(&self, row: &str) -> Result<bool, String> {
        let of = group(row)?;
        let fields = |row: &str| serde_json::from_str::<Vec<Value>>(row).map_err(|error| error.to_string());
        let early = fields(row)?;
        for whole in &self.expected {
            let whole = whole.content.to_string();
            if group(&whole)? != of {
                continue;
            }
            let whole = fields(&whole)?;
            let (Some(Value::Array(some)), Some(Value::Array(all))) = (early.last(), whole.last()) else {
                return Err(format!("no group: {row}"));
            };
            let counted = early[3].as_u64() == u64::try_from(some.len()).ok();
            let distinct = some.windows(2).all(|pair| pair[0] != pair[1]);
            return Ok(counted && distinct && some.iter().all(|name| all.contains(name)));
        }
        Ok(false)
    }

    /// Whether what comes of a row's window depends on when the component died.
    pub(crate) fn doubts(&self, row: &str) -> bool {
        let (start, end) = bounds(row);
        self.lateness.doubts(self.case, start, end)
    }

    /// Whether windows are the same after a death. Those of sessions depend on their messages, of which MQTT gives again
    /// what it has no ack for yet.
    pub(crate) fn bounds_hold(&self) -> bool {
        let session = matches!(self.case.windows, query::Windows::Session { .. });
        !self.died || self.case.kept || !session || !self.case.brokers.contains(&Broker::Mqtt)
    }

    /// Whether what comes again after a death is the same, so that no other row ever comes. It is not where a message may
    /// come again without those of its window that were acked: hopping windows share messages, MQTT acks in order. Then a
    /// row that says 'no match', or that counts, can be wrong; one that joins can't.
    pub(crate) fn is_exact(&self) -> bool {
        let whole = self.is_whole();
        let monotonic = self.case.kind == JoinKind::Inner && !self.case.grouped;
        !self.died || whole || monotonic
    }

    fn is_whole(&self) -> bool {
        let shared = matches!(self.case.windows, query::Windows::Hopping { .. })
            || self.case.brokers.contains(&Broker::Mqtt);
        self.case.kept || !shared
    }

    /// Whether a row that comes again has the id that it had.
    pub(crate) fn names_last(&self) -> bool {
        let whole = self.is_whole();
        !self.died
            || self.case.event_time
                && (self.case.kept || whole || self.case.emit == Emit::Each)
                && self.is_in_order()
    }

    /// Whether rows have the order that they would have in another life: not in a batch where messages come behind others.
    fn is_in_order(&self) -> bool {
        self.case.emit != Emit::Batch || self.case.grouped || !self.case.is_timed()
    }
}

/// A row's window.
pub(crate) fn bounds(row: &str) -> (i64, i64) {
    let fields: Vec<Value> = serde_json::from_str(row).unwrap_or_default();
    let bound = |at: usize| fields.get(at).and_then(Value::as_i64).unwrap_or_default();
    (bound(0), bound(1))
}

/// The window that a dead letter is about, if it stands for results that had no room.
pub(crate) fn cut_window(event: &Event) -> Option<(i64, i64)> {
    let letter = event.dead_letter.as_ref()?;
    let data: Value = serde_json::from_slice(&event.data()).ok()?;
    let bound = |which: &str| {
        let time: jiff::Timestamp = data["window"][which].as_str()?.parse().ok()?;
        Some(time.as_microsecond())
    };
    let window = bound("start").zip(bound("end"));
    window.filter(|_| letter.reason == "ResultOverBudget")
}

/// What the results of a group have in common: its window and its key.
pub(crate) fn group(row: &str) -> Result<String, String> {
    let fields: Vec<Value> = serde_json::from_str(row).map_err(|error| error.to_string())?;
    Ok(Value::Array(fields.into_iter().take(3).collect()).to_string())
}

/// An event's rows, as the oracle writes them.
pub(crate) fn canonical(event: &Event) -> Result<Vec<String>, String> {
    let value: Value =
        serde_json::from_slice(&event.data()).map_err(|error| format!("{error}: {}", text(event)))?;
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
    fields.retain(|field| *field != pad());
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
