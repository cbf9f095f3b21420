//! A recording through the pipeline, as fast as it goes.

use std::collections::BTreeMap;

use streaming_engine::counters::{self, WindowReport};
use streaming_engine::event::Data;
use streaming_engine::time::Time;

use super::case::Case;
use super::cut::Cuts;
use super::record::{Content, Record};
use crate::local::{Delivery, Observer, Pipeline, Step, TopicName, Verdict};

/// Moments without arrivals in which windows may still close: a chain of Joiners needs one for each.
const MAX_ROUNDS: usize = 2_000;
/// Steps of one turn; a window of a million rows, each an event of its own, takes a fifth of them.
const MAX_STEPS: u64 = 20_000_000;

/// What was delivered.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// By recipient (its file's name), in the order of delivery, each with who sent it.
    pub(crate) delivered: BTreeMap<String, Vec<(String, Record)>>,
    /// The time at which everything had come to rest.
    pub(crate) end: Time,
    /// Steps by turn: a turn is what one arrival or one moment without arrivals sets in motion. A crash makes a
    /// turn longer and leaves the others as they are, so turn and step name a point in any run of a recording.
    pub(crate) turns: Vec<u64>,
    /// Points at which a crash is most telling: a window has closed, or an answer is on its way back.
    pub(crate) telling: Vec<Point>,
}

/// A turn, from 0, and a step of it, from 1.
pub(crate) type Point = (usize, u64);

impl Recording {
    /// How many deliveries there were.
    pub(crate) fn deliveries(&self) -> usize {
        self.delivered.values().map(Vec::len).sum()
    }
}

/// A pipeline that goes on without end.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}: does not come to rest: its components feed each other in a circle, or something is never accepted"
)]
pub(crate) struct Restless(String);

/// A window that is too large to be joined.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}: a window was cut short ({2}), so that rows of it are missing")]
pub(crate) struct CutShort(String, String, &'static str);

/// Runs a test's input through its pipeline.
pub(crate) fn simulate(case: &Case, cuts: &mut Cuts) -> anyhow::Result<Recording> {
    let mut pipeline = Pipeline::new(&case.assembly.plans, Time(0))?;
    let mut arrivals: Vec<(Time, usize, &Record)> = Vec::with_capacity(case.messages());
    let mut topics = Vec::new();
    for (number, (topic, records)) in case.inputs.iter().enumerate() {
        topics.push(topic);
        arrivals.extend(records.iter().map(|record| (record.at, number, record)));
    }
    // Stable: of one moment, files by name and lines as they stand.
    arrivals.sort_by_key(|(at, number, _)| (*at, *number));
    let mut recorder = Recorder {
        recording: Recording::default(),
        cuts,
        cut_short: None,
    };
    for (at, number, record) in arrivals {
        recorder.recording.turns.push(0);
        pipeline.advance(at, &mut recorder);
        recorder.recording.turns.push(0);
        let topic = match &record.topic {
            Some(topic) => pipeline.topic(&TopicName {
                topic: topic.clone(),
                ..topics[number].clone()
            }),
            None => pipeline.topic(topics[number]),
        };
        pipeline.publish(topic, record.data.bytes());
        pipeline.advance(at, &mut recorder);
        recorder.recording.end = at;
    }
    for _ in 0..MAX_ROUNDS {
        let Some(due) = pipeline.next_timeout().filter(|_| !pipeline.is_halted()) else {
            break;
        };
        recorder.recording.turns.push(0);
        pipeline.advance(due, &mut recorder);
        recorder.recording.end = due;
    }
    if !pipeline.is_halted() {
        // In event time nothing that comes closes what came last.
        recorder.recording.turns.push(0);
        pipeline.drain(&mut recorder);
    }
    if pipeline.is_halted() || pipeline.next_timeout().is_some() {
        return Err(Restless(case.folder.display().to_string()).into());
    }
    if let Some((component, cut)) = recorder.cut_short {
        return Err(CutShort(case.folder.display().to_string(), component, cut.reason()).into());
    }
    Ok(recorder.recording)
}

struct Recorder<'a> {
    recording: Recording,
    cuts: &'a mut Cuts,
    cut_short: Option<(String, counters::CutShort)>,
}

impl Observer for Recorder<'_> {
    fn window(&mut self, component: &str, report: &WindowReport) {
        if let Some(cut) = report.cut_short {
            self.cut_short.get_or_insert((component.to_owned(), cut));
        }
    }

    fn delivery(&mut self, delivery: Delivery<'_>) {
        let data = match &delivery.event.data {
            Data::Bytes(bytes) => Content::Bytes(bytes.clone()),
            Data::Json(_) | Data::CloudEvent(_) => {
                // In JSON control characters only stand between tokens, where a blank does as well.
                let text = String::from_utf8_lossy(&delivery.event.data()).replace(|c: char| c < ' ', " ");
                Content::Json(text)
            }
        };
        let dead_letter = delivery.event.dead_letter.as_ref();
        let record = Record {
            at: delivery.at,
            data,
            topic: None,
            dead_letter: dead_letter.map(|letter| letter.reason.to_owned()),
            line: 0,
        };
        let from = match dead_letter {
            Some(letter) => format!("{} {}", delivery.from, letter.source),
            None => delivery.from.to_owned(),
        };
        self.recording
            .delivered
            .entry(file_name(delivery.to))
            .or_default()
            .push((from, record));
    }

    fn step(&mut self, step: Step) -> Verdict {
        let Recording { turns, telling, .. } = &mut self.recording;
        let Some(turn) = turns.len().checked_sub(1) else {
            return Verdict::Go;
        };
        turns[turn] += 1;
        let point = (turn, turns[turn]);
        if matches!(step, Step::Timeout | Step::Accepted) {
            telling.push(point);
        }
        if turns[turn] > MAX_STEPS {
            return Verdict::Halt;
        }
        self.cuts.after(point).map_or(Verdict::Go, Verdict::Crash)
    }
}

/// A recipient as a path: parts that mean something to a file system are written with percent signs.
fn file_name(recipient: &str) -> String {
    let part = |part: &str| match part {
        "" => "%".to_owned(),
        "." | ".." => part.replace('.', "%2E"),
        _ => part.replace('%', "%25").replace('\0', "%00"),
    };
    recipient.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn recipients_become_paths_that_stay_below_their_folder() {
        for (recipient, path) in [
            ("proc/route", "proc/route"),
            ("cs/a/b.dead-letter", "cs/a/b.dead-letter"),
            ("cs/../../x", "cs/%2E%2E/%2E%2E/x"),
            ("cs//x", "cs/%/x"),
            ("cs/50%", "cs/50%25"),
        ] {
            assert_eq!(file_name(recipient), path);
        }
    }
}
