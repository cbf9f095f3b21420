//! What a join does with its condition, for people.

use std::fmt;

use super::plan::{Check, Plan};
use crate::query::JoinKind;

/// A condition taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What becomes of messages without a match.
    pub kind: JoinKind,
    /// By input: the variable, and what its messages have to fulfil on arrival.
    pub arrival: Vec<(String, Vec<String>)>,
    /// How a window's messages are combined, in this order.
    pub steps: Vec<StepExplanation>,
    /// The variables of inputs that only the latest message of each key is known of.
    pub tables: Vec<String>,
    /// What groups rows, if they are grouped; nothing for a single group of all.
    pub group_by: Option<Vec<String>>,
}

/// How one input is combined with those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepExplanation {
    /// The input's variable.
    pub variable: String,
    /// What has to be true of the inputs before, or nothing is looked for.
    pub guards: Vec<String>,
    /// Equalities that are looked up. Without any every message is tried, except in the first step.
    pub keys: Vec<String>,
    /// Comparisons that messages are sorted for: only those are tried that are on the right side of each.
    pub ranges: Vec<String>,
    /// What else is checked for each combination.
    pub checks: Vec<String>,
    /// What filters the rows that come out of the step.
    pub filters: Vec<String>,
}

impl Explanation {
    /// Whether some input is combined with the others by trying every message.
    pub fn has_nested_loop(&self) -> bool {
        let tries_all = |step: &StepExplanation| step.keys.is_empty() && step.ranges.is_empty();
        self.steps.iter().skip(1).any(tries_all)
    }
}

impl Plan {
    pub(super) fn explain(&self, variables: &[Box<str>]) -> Explanation {
        let text = |condition: usize| match self.conditions.get(condition) {
            Some(condition) => condition.source.to_string(),
            None => String::new(),
        };
        let sources =
            |checks: &[Check]| -> Vec<String> { checks.iter().map(|check| text(check.condition)).collect() };
        let arrival = variables.iter().zip(&self.arrival);
        Explanation {
            kind: self.kind,
            tables: Vec::new(),
            group_by: None,
            arrival: arrival
                .map(|(name, checks)| (name.to_string(), sources(checks)))
                .collect(),
            steps: self
                .steps
                .iter()
                .map(|step| StepExplanation {
                    variable: variables[step.input].to_string(),
                    guards: sources(&step.guards),
                    keys: step.keys.iter().map(|key| text(*key)).collect(),
                    ranges: step.ranges().map(text).collect(),
                    // Those that are ends of the range come first.
                    checks: sources(&step.checks).split_off(step.ranges().count()),
                    filters: sources(&step.filters),
                })
                .collect(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (variable, filters) in self.arrival.iter().filter(|(_, filters)| !filters.is_empty()) {
            writeln!(f, "on arrival {variable}: {}", filters.join(" && "))?;
        }
        let mut before = String::new();
        for (at, step) in self.steps.iter().enumerate() {
            let variable = &step.variable;
            if !step.guards.is_empty() {
                write!(f, "if {}, ", step.guards.join(" && "))?;
            }
            match (at, step.keys.is_empty(), step.ranges.is_empty()) {
                (0, ..) => write!(f, "for each {variable}")?,
                (_, true, true) => write!(f, "try every {variable}")?,
                (_, true, false) => write!(f, "look up {variable}")?,
                (_, false, _) => write!(f, "look up {variable} by {}", step.keys.join(" && "))?,
            }
            if !step.ranges.is_empty() {
                write!(f, " within {}", step.ranges.join(" && "))?;
            }
            if !step.checks.is_empty() {
                write!(f, ", then check {}", step.checks.join(" && "))?;
            }
            if at > 0 {
                match self.kind {
                    JoinKind::Left => write!(f, "; keep {before} without a match")?,
                    JoinKind::Right => write!(f, "; keep {variable} without a match")?,
                    JoinKind::Full => write!(f, "; keep {before} and {variable} without a match")?,
                    JoinKind::Inner | JoinKind::Anti => {}
                }
            }
            if !step.filters.is_empty() {
                write!(f, "; keep rows with {}", step.filters.join(" && "))?;
            }
            writeln!(f)?;
            before = match at {
                0 => variable.clone(),
                _ => format!("{before}, {variable}"),
            };
        }
        if let Some(first) = self.steps.first().filter(|_| self.kind == JoinKind::Anti) {
            writeln!(f, "keep {} without a match, and nothing else", first.variable)?;
        }
        if !self.tables.is_empty() {
            writeln!(
                f,
                "of {} only the latest message of each key",
                self.tables.join(", ")
            )?;
        }
        match self.group_by.as_deref() {
            None => Ok(()),
            Some([]) => writeln!(f, "gather all in one group"),
            Some(keys) => writeln!(f, "group by {}", keys.join(", ")),
        }
    }
}
