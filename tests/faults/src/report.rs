//! What came of the runs: a table that is kept in the documentation, and whether anything is wrong.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::broker::Kind;
use crate::faults::{Fault, Form};
use crate::feed::Sent;
use crate::oracle::Verdict;

/// The lines of the documentation between which the table stands.
const BEGIN: &str = "<!-- cargo xtask faults: begin -->";
const END: &str = "<!-- cargo xtask faults: end -->";

/// What came of one run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The broker.
    pub kind: Kind,
    /// What the oracle says.
    pub verdict: Verdict,
    /// Whether it was promised that nothing comes twice.
    pub no_repeats: bool,
    /// Repeats that the recipient's sidecar dropped.
    pub dropped: f64,
    /// The most memory that a sidecar under test had resident, in bytes.
    pub peak: u64,
    /// What it may hold, in bytes.
    pub budget: u64,
    /// What was sent.
    pub sent: Sent,
    /// What was done, in numbers.
    pub done: String,
    /// What else is not as it has to be.
    pub wrong: Vec<String>,
}

impl Outcome {
    /// With what was done.
    #[must_use]
    pub fn done(mut self, what: String) -> Outcome {
        self.done = what;
        self
    }

    /// What is not as it has to be.
    pub fn faults(&self) -> Vec<String> {
        let Verdict {
            sent,
            lost,
            repeats,
            alien,
        } = &self.verdict;
        let mut faults = self.wrong.clone();
        if *sent == 0 {
            faults.push("nothing was sent".to_owned());
        }
        if !lost.is_empty() {
            let runs: Vec<String> = lost
                .chunk_by(|n, next| *next == n + 1)
                .filter_map(|run| Some(format!("{}..={}", run.first()?, run.last()?)))
                .take(10)
                .collect();
            faults.push(format!(
                "{} of {sent} lost, first {}",
                lost.len(),
                runs.join(", ")
            ));
        }
        if self.no_repeats && *repeats > 0 {
            faults.push(format!("{repeats} repeats, though none are promised"));
        }
        if *alien > 0 {
            faults.push(format!("{alien} rows that are none"));
        }
        if self.peak > self.allowed() {
            faults.push(format!(
                "{} MB resident of {} MB",
                mb(self.peak),
                mb(self.allowed())
            ));
        }
        faults
    }

    /// The budget, and 10 %.
    fn allowed(&self) -> u64 {
        self.budget + self.budget / 10
    }

    /// The rest of its row of the table.
    fn cells(&self) -> String {
        let verdict = &self.verdict;
        let (lost, peak, budget) = (verdict.lost.len(), mb(self.peak), mb(self.budget));
        format!(
            "{} | {} | {lost} | {} | {} | {peak} of {budget} |",
            self.done, verdict.sent, verdict.repeats, self.dropped,
        )
    }
}

/// A row's first two cells, which name it.
pub fn key(fault: &Fault, kind: Kind) -> String {
    format!("| {} | {} |", fault.label(kind), kind.name())
}

/// A row: what came of a fault, or that it did not come to its end. `drawn` is the seed, and the build.
pub fn row(key: &str, outcome: &Result<Outcome>, drawn: &str) -> String {
    match outcome {
        Ok(outcome) => format!("{key} {} {drawn} |", outcome.cells()),
        Err(_) => format!("{key} did not come to its end | - | - | - | - | - | {drawn} |"),
    }
}

/// The table's head.
pub const HEAD: &str = "| fault | broker | done | sent | lost | repeats | dropped | peak, MB | seed, build |\n\
                        | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";

/// Bytes as MB.
fn mb(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// What this machine is.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model
        .and_then(|line| line.split_once(':'))
        .map_or("a processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model}")
}

/// Puts rows into the table in a file, each where it belongs; other rows stay as they are.
///
/// # Errors
/// There is no such file, or no place for the table in it.
pub fn write(path: &Path, rows: &[String], machine: &str) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let new = replaced(&text, rows, machine);
    let new = new.with_context(|| format!("{} lacks the line `{BEGIN}` or `{END}`", path.display()))?;
    std::fs::write(path, new).with_context(|| format!("writing {}", path.display()))
}

fn replaced(text: &str, rows: &[String], machine: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (old, after) = rest.split_once(END)?;
    let order = Fault::all(Form::Long);
    let order = order
        .iter()
        .flatten()
        .flat_map(|fault| Kind::ALL.map(|kind| key(fault, kind)));
    let (mut table, mut missing) = (HEAD.to_owned(), Vec::new());
    for key in order {
        let is_it = |row: &&str| row.starts_with(&key);
        let new = rows.iter().map(String::as_str).find(is_it);
        match new.or_else(|| old.lines().find(is_it)) {
            Some(row) => table = table + row + "\n",
            None => missing.push(key.trim_matches(['|', ' ']).replace(" | ", ", ")),
        }
    }
    let missing = match missing.as_slice() {
        [] => String::new(),
        missing => format!(" Not run yet: {}.", missing.join("; ")),
    };
    Some(format!(
        "{before}{BEGIN}\n{table}\nOn {machine}.{missing}\n{END}{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_or_too_much_is_a_fault() {
        let verdict = Verdict {
            sent: 3,
            lost: vec![1],
            repeats: 1,
            alien: 1,
        };
        let sent = Sent {
            pairs: 3,
            poison: 0,
            duplicates: 0,
        };
        let outcome = Outcome {
            kind: Kind::Redis,
            verdict,
            no_repeats: true,
            dropped: 0.0,
            peak: 111 << 20,
            budget: 100 << 20,
            sent,
            done: String::new(),
            wrong: Vec::new(),
        };
        assert_eq!(outcome.faults().len(), 4);
        let fine = Outcome {
            verdict: Verdict {
                sent: 3,
                repeats: 1,
                ..Verdict::default()
            },
            no_repeats: false,
            peak: 110 << 20,
            ..outcome
        };
        assert_eq!(fine.faults(), [""; 0]);
    }

    #[test]
    fn a_row_takes_the_place_of_the_last_one_and_others_stay() {
        let keys = Kind::ALL.map(|kind| key(&Fault::Kill, kind));
        let text = format!(
            "above\n{BEGIN}\n{HEAD}{} old |\n{} old |\n{END}\nbelow\n",
            keys[0], keys[1]
        );
        let new = replaced(&text, &[format!("{} new |", keys[1])], "a machine").unwrap();
        let table = format!(
            "above\n{BEGIN}\n{HEAD}{} old |\n{} new |\n\nOn a machine. Not run yet: ",
            keys[0], keys[1]
        );
        assert!(new.starts_with(&table), "{new}");
        assert!(new.ends_with(&format!(".\n{END}\nbelow\n")), "{new}");
        assert_eq!(replaced("above\n", &[], ""), None);
    }
}
