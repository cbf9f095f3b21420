//! What the last window that closed did with its messages: what `/lastwindow` says, for the resource's status. Who runs the
//! component in a process of its own may be told of every one.

use std::sync::{Mutex, PoisonError};

use streaming_engine::component::{Config, Role};
use streaming_engine::counters::{Counters, WindowReport};
use streaming_engine::time::Time;
use streaming_plan::window::{ClosedWindow, WindowCondition, WindowInput};
use tokio::sync::mpsc::UnboundedSender;

/// The last report, in the words of the manifest.
#[derive(Debug, Default)]
pub(crate) struct LastWindow {
    inputs: Vec<String>,
    conditions: Vec<String>,
    last: Mutex<Last>,
    /// Who is told, and by whom.
    told: Option<(String, UnboundedSender<(String, WindowReport)>)>,
}

#[derive(Debug, Default)]
struct Last {
    window: Option<ClosedWindow>,
    /// By input, when it closed: all late messages so far.
    late: Vec<u64>,
}

impl LastWindow {
    /// Of a component whose inputs have these variables.
    pub(crate) fn new(
        config: &Config,
        variables: impl Iterator<Item = String>,
        told: Option<(String, UnboundedSender<(String, WindowReport)>)>,
    ) -> LastWindow {
        let conditions = match &config.role {
            Role::Join(spec) => spec.conditions().map(|(_, text)| one_line(text)).collect(),
            _ => Vec::new(),
        };
        LastWindow {
            inputs: variables.collect(),
            conditions,
            last: Mutex::default(),
            told,
        }
    }

    /// A window has closed.
    pub(crate) fn closed(&self, report: &WindowReport, counters: &Counters) {
        if let Some((component, told)) = &self.told {
            // Who listened may have gone.
            let _ = told.send((component.clone(), report.clone()));
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let late: Vec<u64> = counters.inputs.iter().map(|input| input.late).collect();
        let inputs = self.inputs.iter().zip(&report.inputs).enumerate();
        let inputs = inputs.map(|(at, (name, input))| {
            let of = |late: &[u64]| late.get(at).copied().unwrap_or_default();
            WindowInput {
                name: name.clone(),
                received: input.received,
                filtered: input.filtered,
                matched: input.matched,
                // A new session counts from 0.
                late: of(&late).checked_sub(of(&last.late)).unwrap_or(of(&late)),
            }
        });
        let conditions = self.conditions.iter().zip(&report.conditions);
        let window = ClosedWindow {
            start: rfc3339(report.window.start),
            end: rfc3339(report.window.end),
            rows: report.rows,
            errors: report.errors,
            inputs: inputs.collect(),
            conditions: conditions
                .map(|(text, tally)| WindowCondition {
                    condition: text.clone(),
                    turned_away: tally.turned_away,
                    failed: tally.failed,
                })
                .collect(),
            cut_short: report.cut_short.map(|why| why.reason().to_owned()),
        };
        *last = Last {
            window: Some(window),
            late,
        };
    }

    /// The last window, if there was one.
    pub(crate) fn get(&self) -> Option<ClosedWindow> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.window.clone()
    }
}

fn rfc3339(Time(micros): Time) -> String {
    // A window may end after the last year that has four digits.
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| format!("{micros} us"), |time| time.to_string())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
