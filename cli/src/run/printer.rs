//! What a run prints: what processors log or one JSON object a delivery on standard output, the rest on standard
//! error.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use streaming_engine::component::OverBudget;
use streaming_engine::counters::WindowReport;
use streaming_engine::event::Data;
use streaming_engine::time::Time;

use super::explain::Explainer;
use crate::clock::rfc3339;
use crate::exit;
use crate::local::{Delivery, Observer, Step, Verdict};
use crate::report::printable;
use crate::workload::Stand;

/// Steps between two looks at the clock.
const STEPS: u64 = 1 << 14;

/// Prints deliveries as they happen.
pub(super) struct Printer {
    json: bool,
    processors: BTreeMap<(String, String), Stand>,
    out: BufWriter<Stdout>,
    failure: Option<io::Error>,
    terminal: bool,
    status_shown: bool,
    /// Reasons of dead letters that were told.
    told: BTreeSet<(String, String)>,
    unclosed: BTreeSet<String>,
    explainer: Option<Explainer>,
    steps: u64,
    patience: Patience,
}

/// Something that reached a recipient, as it is printed.
pub(super) struct Shown<'a> {
    /// When.
    pub(super) at: Time,
    /// The namespace of both ends.
    pub(super) namespace: &'a str,
    /// As in [`Delivery`].
    pub(super) from: &'a str,
    /// As in [`Delivery`].
    pub(super) to: &'a str,
    /// As in [`Delivery`].
    pub(super) component: Option<&'a str>,
    /// JSON, or any bytes.
    pub(super) data: Cow<'a, [u8]>,
    /// Whether it is any bytes.
    pub(super) binary: bool,
    /// Reason and message of a dead letter.
    pub(super) letter: Option<(&'a str, &'a str)>,
}

/// When to stop moving messages in between, so that a circle of components can be got out of.
struct Patience {
    stop: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Printer {
    pub(super) fn new(
        json: bool,
        processors: BTreeMap<(String, String), Stand>,
        until: Option<Instant>,
    ) -> Self {
        Self {
            json,
            processors,
            out: BufWriter::with_capacity(64 << 10, io::stdout()),
            failure: None,
            terminal: io::stderr().is_terminal(),
            status_shown: false,
            told: BTreeSet::new(),
            unclosed: BTreeSet::new(),
            explainer: None,
            steps: 0,
            patience: Patience {
                stop: Arc::default(),
                until,
            },
        }
    }

    /// From now on every window is told about.
    pub(super) fn explain(&mut self, explainer: Explainer) {
        self.explainer = Some(explainer);
    }

    /// What the first signal sets.
    pub(super) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.patience.stop)
    }

    /// From now on only the clock ends it.
    pub(super) fn drain_until(&mut self, until: Instant) {
        self.patience = Patience {
            stop: Arc::default(),
            until: Some(until),
        };
    }

    /// Whether standard error is a terminal.
    pub(super) fn on_terminal(&self) -> bool {
        self.terminal
    }

    /// A line on standard error.
    pub(super) fn say(&mut self, text: &str) {
        self.clear_status();
        say!("{}", printable(text));
    }

    /// The status line: replaces itself on a terminal, is one more line elsewhere.
    pub(super) fn status(&mut self, text: &str) {
        if self.terminal {
            // A line that wraps could not be replaced.
            let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0);
            let text: String = text
                .chars()
                .take(usize::from(columns).saturating_sub(1))
                .collect();
            say_text!("\r\x1b[K{text}");
            self.status_shown = true;
        } else {
            say!("{text}");
        }
    }

    /// Takes the status line away before something else is printed.
    pub(super) fn clear_status(&mut self) {
        if std::mem::take(&mut self.status_shown) {
            say_text!("\r\x1b[K");
        }
    }

    /// Whether a window gave fewer rows than it should have.
    pub(super) fn lost_rows(&self) -> bool {
        !self.unclosed.is_empty()
    }

    /// Hands everything to whoever reads standard output.
    pub(super) fn flush(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.flush().err();
        }
    }

    /// Whether nobody reads standard output any more.
    pub(super) fn is_broken(&self) -> bool {
        self.failure.is_some()
    }

    /// How a run ends whose output can't be written: quietly if its reader had enough.
    pub(super) fn broken(self) -> anyhow::Result<ExitCode> {
        match self.failure {
            Some(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(anyhow::Error::new(e).context("standard output"))
            }
            _ => Ok(exit::OK),
        }
    }

    /// Prints what reached a recipient.
    pub(super) fn show(&mut self, shown: &Shown<'_>) {
        if let Some((reason, message)) = shown.letter
            && self.told.insert((shown.to.to_owned(), reason.to_owned()))
        {
            self.say(&format!(
                "dead letter: {} to {}: {reason}: {message} (more of this kind are only counted)",
                shown.from, shown.to
            ));
        }
        if self.json {
            return self.line(&json_line(shown));
        }
        let Some(component) = shown.component else {
            return;
        };
        let stand = self
            .processors
            .get(&(shown.namespace.to_owned(), component.to_owned()));
        if stand == Some(&Stand::Logger) {
            let data = String::from_utf8_lossy(&shown.data);
            let text = format!(
                "{} {component} Data received: {}",
                rfc3339(shown.at),
                printable(&data)
            );
            self.line(text.as_bytes());
        }
    }

    fn line(&mut self, text: &[u8]) {
        if self.failure.is_none() {
            self.clear_status();
            self.failure = self
                .out
                .write_all(text)
                .and_then(|()| self.out.write_all(b"\n"))
                .err();
        }
    }
}

impl Observer for Printer {
    fn delivery(&mut self, delivery: Delivery<'_>) {
        let letter = delivery.event.dead_letter.as_ref();
        self.show(&Shown {
            at: delivery.at,
            namespace: delivery.namespace,
            from: delivery.from,
            to: delivery.to,
            component: delivery.component,
            data: delivery.event.data(),
            binary: matches!(delivery.event.data, Data::Bytes(_)),
            letter: letter.map(|letter| (letter.reason, letter.message.as_str())),
        });
    }

    fn window(&mut self, component: &str, report: &WindowReport) {
        if let Some(text) = self.explainer.as_ref().map(|all| all.window(component, report)) {
            self.clear_status();
            say!("{text}");
        }
        if let Some(cut) = report.cut_short
            && self.unclosed.insert(format!("{component} {}", cut.reason()))
        {
            self.say(&format!(
                "{component}: a window was cut short ({}): rows of it are missing; an equality between inputs in `where`, \
                 a narrower condition or a shorter window makes it smaller (said once)",
                cut.reason()
            ));
        }
    }

    fn step(&mut self, _step: Step) -> Verdict {
        self.steps += 1;
        let over = self.steps.is_multiple_of(STEPS)
            && (self.failure.is_some()
                || self.patience.stop.load(Ordering::Relaxed)
                || self.patience.until.is_some_and(|until| Instant::now() >= until));
        if over { Verdict::Halt } else { Verdict::Go }
    }

    fn over_budget(&mut self, component: &str, report: &OverBudget) {
        if self.unclosed.insert(format!("{component} WindowOverBudget")) {
            self.say(&format!(
                "{component}: a window holds {} MiB, more than its budget of {} MiB; its inputs wait (said once)",
                report.held >> 20,
                report.budget >> 20
            ));
        }
    }
}

/// One delivery as JSON on one line.
fn json_line(shown: &Shown<'_>) -> Vec<u8> {
    let text = |s: &str| Value::from(s).to_string();
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"time\":");
    out.extend_from_slice(text(&rfc3339(shown.at)).as_bytes());
    out.extend_from_slice(b",\"from\":");
    out.extend_from_slice(text(shown.from).as_bytes());
    out.extend_from_slice(b",\"to\":");
    out.extend_from_slice(text(shown.to).as_bytes());
    if shown.binary {
        // Nothing of base64 needs an escape, and it may be megabytes.
        out.extend_from_slice(b",\"data\":null,\"data_base64\":\"");
        out.extend_from_slice(STANDARD.encode(&shown.data).as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(b",\"data\":");
        // In JSON control characters only stand between tokens, where a blank does as well.
        out.extend(shown.data.iter().map(|b| if *b < b' ' { b' ' } else { *b }));
    }
    if let Some((reason, message)) = shown.letter {
        let letter = serde_json::json!({"reason": reason, "message": message});
        out.extend_from_slice(b",\"deadLetter\":");
        out.extend_from_slice(letter.to_string().as_bytes());
    }
    out.push(b'}');
    out
}
