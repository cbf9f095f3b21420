//! The figures, as a table that is kept in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::bridge;
use crate::run::{Outcome, Scenario};

/// The lines of the documentation between which the table stands.
const BEGIN: &str = "<!-- cargo xtask bench: begin -->";
const END: &str = "<!-- cargo xtask bench: end -->";

/// All that was measured.
pub(crate) struct Figures {
    /// Of each scenario, by how many events.
    pub(crate) runs: Vec<Vec<(Scenario, Outcome)>>,
    pub(crate) bridges: Vec<bridge::Outcome>,
    /// Messages a second that `RabbitMQ` alone takes: transient ones, and persistent ones.
    pub(crate) taken_alone: Vec<f64>,
    pub(crate) cold_start_ms: f64,
    pub(crate) idle_mb: f64,
    pub(crate) binary_mb: f64,
    /// Load of the machine before, as the kernel averages it over a minute.
    pub(crate) load: String,
}

impl Figures {
    /// The runs that count: of each scenario's the last, which is the one that could be sent in time.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &(Scenario, Outcome)> {
        self.runs.iter().filter_map(|runs| runs.last())
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| 1,000 tenants on | exact | p50, ms | p99, ms | CPU-s per million | peak, MB |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for row in self.runs.iter().flatten() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", join(row));
        }
        text.push_str(
            "\n| bridge | messages a second | of the bare loop's | CPU-s per million | the bare loop's | repeats |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for row in &self.bridges {
            let _ = writeln!(text, "{}", bridge(row));
        }
        let _ = writeln!(
            text,
            "\nFrom the start of the process to the first delivery: {:.0} ms. Resident while nothing comes: {:.1} MB. \
             Size of the binary: {:.1} MB.\nWith nobody reading, RabbitMQ took and confirmed 10,000 messages at {} a second \
             (transient, persistent).\nLoad of the machine before the run: {}.",
            self.cold_start_ms,
            self.idle_mb,
            self.binary_mb,
            self.taken_alone
                .iter()
                .map(|rate| format!("{rate:.0}"))
                .collect::<Vec<_>>()
                .join(" and "),
            self.load
        );
        text
    }

    /// Puts the table where it stands in a file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let new = replace(&text, &self.table());
        let new = new.with_context(|| format!("{} lacks the line `{BEGIN}` or `{END}`", path.display()))?;
        std::fs::write(path, new).with_context(|| format!("writing {}", path.display()))
    }
}

/// A join's row of the table.
pub(crate) fn join((scenario, outcome): &(Scenario, Outcome)) -> String {
    let verdict = &outcome.verdict;
    let exact = if verdict.is_exact() {
        format!("yes, {} rows", verdict.rows)
    } else {
        let (missing, extra, bad) = (verdict.missing, verdict.extra, verdict.bad);
        format!("no: {missing} missing, {extra} extra, {bad} bad")
    };
    let late = if outcome.late == 0 {
        ""
    } else {
        " (the load was late)"
    };
    format!(
        "| {}, {} events on {} in {} s{late} | {exact} | {:.0} | {:.0} | {:.1} | {:.1} |",
        scenario.brokers.0,
        scenario.events,
        scenario.brokers.1,
        scenario.window_ms / 1_000,
        verdict.percentile(50),
        verdict.percentile(99),
        outcome.cpu_per_million,
        outcome.peak_mb,
    )
}

/// A bridge's row of the table.
pub(crate) fn bridge(outcome: &bridge::Outcome) -> String {
    let bridge::Outcome {
        pair,
        bridge,
        bare,
        extra,
    } = outcome;
    format!(
        "| {pair} | {:.0} | {:.0} % | {:.1} | {:.1} | {extra} |",
        bridge.rate,
        bridge.rate * 100.0 / bare.rate,
        bridge.cpu_per_million,
        bare.cpu_per_million,
    )
}

fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_last_one() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let new = replace(&text, "new\n").unwrap();
        assert_eq!(new, format!("above\n{BEGIN}\nnew\n{END}\nbelow\n"));
        assert_eq!(replace(&new, "new\n").unwrap(), new);
        assert_eq!(replace("above\n", "new\n"), None);
    }
}
