//! What a join does with its condition, for people.

use std::fmt;

use super::plan::{Check, Plan};

/// A condition taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// By input: the variable, and what its messages have to fulfil on arrival.
    pub arrival: Vec<(String, Vec<String>)>,
    /// How a window's messages are combined, in this order.
    pub steps: Vec<StepExplanation>,
}

/// How one input is combined with those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepExplanation {
    /// The input's variable.
    pub variable: String,
    /// Equalities that are looked up. Without any every message is tried, except in the first step.
    pub keys: Vec<String>,
    /// What is checked for each combination.
    pub checks: Vec<String>,
}

impl Explanation {
    /// Whether some input is combined with the others by trying every message.
    pub fn has_nested_loop(&self) -> bool {
        self.steps.iter().skip(1).any(|step| step.keys.is_empty())
    }
}

impl Plan {
    pub(super) fn explain(&self, variables: &[Box<str>]) -> Explanation {
        let sources = |checks: &[Check]| checks.iter().map(|check| check.source.to_string()).collect();
        let arrival = variables.iter().zip(&self.arrival);
        Explanation {
            arrival: arrival
                .map(|(name, checks)| (name.to_string(), sources(checks)))
                .collect(),
            steps: self
                .steps
                .iter()
                .map(|step| StepExplanation {
                    variable: variables[step.input].to_string(),
                    keys: step.keys.iter().map(ToString::to_string).collect(),
                    checks: sources(&step.checks),
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
        for (at, step) in self.steps.iter().enumerate() {
            match (at, step.keys.is_empty()) {
                (0, _) => write!(f, "for each {}", step.variable)?,
                (_, true) => write!(f, "try every {}", step.variable)?,
                (_, false) => write!(f, "look up {} by {}", step.variable, step.keys.join(" && "))?,
            }
            if !step.checks.is_empty() {
                write!(f, ", then check {}", step.checks.join(" && "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
