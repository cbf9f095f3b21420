//! `--explain-windows`: what became of the messages of each window, so that one that is empty says why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use streaming_engine::counters::{Tally, WindowReport};
use streaming_engine::join::JoinSpec;
use streaming_plan::{Plan, Role};

use crate::clock::rfc3339;
use crate::report::printable;

/// Knows what the numbers of a report are about.
#[derive(Default)]
pub(super) struct Explainer(BTreeMap<String, Names>);

#[derive(Default)]
struct Names {
    inputs: Vec<String>,
    conditions: Vec<String>,
}

impl Explainer {
    /// Of all components with windows.
    pub(super) fn new(plans: &[Plan]) -> Explainer {
        let named = plans.iter().filter_map(|plan| {
            let Role::Window(query) = &plan.role else {
                return None;
            };
            let spec = JoinSpec::compile(query).ok()?;
            let names = Names {
                inputs: query.inputs.iter().map(|input| input.variable.clone()).collect(),
                conditions: spec.conditions().map(|(_, text)| one_line(text)).collect(),
            };
            Some((plan.component.name.clone(), names))
        });
        Explainer(named.collect())
    }

    /// Some lines about a window of a component.
    pub(super) fn window(&self, component: &str, report: &WindowReport) -> String {
        let nameless = Names::default();
        let names = self.0.get(component).unwrap_or(&nameless);
        let (start, end) = (rfc3339(report.window.start), rfc3339(report.window.end));
        let mut out = format!("{component} {start} to {end}: {}", counted(report.rows, "row"));
        if let Some(why) = (report.rows == 0).then(|| why_empty(names, report)).flatten() {
            let _ = write!(out, ": {why}");
        }
        let longest = names.inputs.iter().map(String::len).max().unwrap_or_default();
        for (name, input) in names.inputs.iter().zip(&report.inputs) {
            let _ = write!(
                out,
                "\n  {name:longest$}  received {:>7}  filtered {:>7}  matched {:>7}",
                input.received, input.filtered, input.matched
            );
        }
        for (text, tally) in names.conditions.iter().zip(&report.conditions) {
            let Tally { turned_away, failed } = tally;
            let _ = match failed {
                0 => write!(out, "\n  not true {turned_away:>7}: {text}"),
                _ => write!(
                    out,
                    "\n  not true {turned_away:>7}, {failed} of them failed: {text}"
                ),
            };
        }
        out
    }
}

/// The first thing that leaves nothing over.
fn why_empty(names: &Names, report: &WindowReport) -> Option<String> {
    let inputs = || names.inputs.iter().zip(&report.inputs);
    if let Some((silent, _)) = inputs().find(|(_, input)| input.received == 0) {
        return Some(format!("nothing came from `{silent}`"));
    }
    if let Some((name, _)) = inputs().find(|(_, input)| input.filtered == input.received) {
        return Some(format!(
            "no message of `{name}` fulfils the conditions on it alone"
        ));
    }
    let worst = names.conditions.iter().zip(&report.conditions);
    let (text, _) = worst.max_by_key(|(_, tally)| tally.turned_away)?;
    Some(format!("nothing matched, mostly for `{text}`"))
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    printable(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use streaming_engine::counters::WindowInput;
    use streaming_engine::time::Time;
    use streaming_engine::window::Window;

    use super::*;

    fn explained(inputs: [[u64; 3]; 2], turned_away: [u64; 2], rows: u64) -> String {
        let names = Names {
            inputs: vec!["t".into(), "power".into()],
            conditions: vec!["power.use >= 1.0".into(), "t.id == power.id".into()],
        };
        let explainer = Explainer(BTreeMap::from([("join".to_owned(), names)]));
        let inputs = inputs.map(|[received, filtered, matched]| WindowInput {
            received,
            filtered,
            matched,
        });
        let report = WindowReport {
            window: Window {
                start: Time(0),
                end: Time(20_000_000),
            },
            inputs: inputs.to_vec(),
            conditions: turned_away
                .map(|turned_away| Tally {
                    turned_away,
                    failed: turned_away / 10,
                })
                .to_vec(),
            candidates: 0,
            errors: 0,
            rows,
            cut_short: None,
        };
        explainer.window("join", &report)
    }

    #[test]
    fn a_window_is_told_by_input_and_by_condition() {
        assert_eq!(
            explained([[20, 0, 12], [21, 10, 11]], [10, 3], 40),
            "join 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:20.000Z: 40 rows
  t      received      20  filtered       0  matched      12
  power  received      21  filtered      10  matched      11
  not true      10, 1 of them failed: power.use >= 1.0
  not true       3: t.id == power.id"
        );
    }

    #[test]
    fn an_empty_window_says_why() {
        for (inputs, turned_away, why) in [
            ([[5, 0, 0], [0, 0, 0]], [0, 0], "nothing came from `power`"),
            (
                [[5, 0, 0], [7, 7, 0]],
                [7, 0],
                "no message of `power` fulfils the conditions on it alone",
            ),
            (
                [[5, 0, 0], [7, 2, 0]],
                [2, 5],
                "nothing matched, mostly for `t.id == power.id`",
            ),
        ] {
            let text = explained(inputs, turned_away, 0);
            let first = text.lines().next().unwrap();
            assert!(first.ends_with(&format!("0 rows: {why}")), "{first}");
        }
    }
}
