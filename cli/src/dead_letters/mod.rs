//! `dead-letters`: what components could not use, looked at and sent again.
//!
//! `topics` finds and reads the topics, `letter` is one message on them. Reading takes nothing away: what is not acked
//! is there again when the connection ends.

mod letter;
mod topics;

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use streaming_sidecar::broker::{Message, Outgoing};

use crate::args::{DeadLetters, Letters, Output};
use crate::assemble::{Assembly, assemble};
use crate::exit;
use crate::load::load;
use crate::report;
use crate::style::Style;
use letter::Letter;
use topics::{Brokers, Held, Place, places, reader};

/// Runs the command.
pub(crate) fn dead_letters(command: &DeadLetters) -> Result<ExitCode> {
    let (DeadLetters::List { letters, .. }
    | DeadLetters::Show { letters, .. }
    | DeadLetters::Replay { letters, .. }) = command;
    let assembly = assemble(load(&letters.paths));
    if report::any_error(&assembly.findings) {
        let style = Style::of(&std::io::stderr());
        for finding in &assembly.findings {
            say_text!("{}", finding.render(style));
        }
        return Ok(exit::PROBLEMS);
    }
    let brokers = Brokers::new(&letters.broker, &assembly)?;
    let places = places(&assembly, letters.topic.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut all_well = true;
        for place in &places {
            if let Some(component) = reader(&assembly, place) {
                let Place { topic, .. } = place;
                say!(
                    "{}/{} is read by `{component}`, which takes its dead letters; left out",
                    topic.cluster_stream,
                    topic.topic
                );
                continue;
            }
            let held = Held::read(&brokers, place, letters.limit).await?;
            all_well &= handle(command, letters, &assembly, &brokers, place, held).await?;
        }
        Ok(if all_well { exit::OK } else { exit::PROBLEMS })
    })
}

/// Does with a topic's dead letters what was asked for. False if something could not be done.
async fn handle(
    command: &DeadLetters,
    letters: &Letters,
    assembly: &Assembly,
    brokers: &Brokers,
    place: &Place,
    held: Held,
) -> Result<bool> {
    let topic = format!("{}/{}", place.topic.cluster_stream, place.topic.topic);
    let others = held.messages.len() - held.letters().count();
    if others > 0 {
        say!("{topic}: {others} messages are no dead letters");
    }
    if held.more {
        say!("{topic}: there may be more; --limit was {}", letters.limit);
    }
    match command {
        DeadLetters::List { output, .. } => held.letters().for_each(|letter| match output {
            Output::Json => tell!("{}", described(letter, &topic)),
            Output::Text => tell!(
                "{}  {}  {topic}  {}  {}",
                letter.id,
                letter.time,
                letter.reason,
                letter.message
            ),
        }),
        DeadLetters::Show { id, .. } => {
            let wanted = held.letters().filter(|letter| letter.id == *id);
            wanted.for_each(|letter| show(letter, &topic));
        }
        DeadLetters::Replay { id, to, .. } => {
            let replay = Replay {
                ids: id,
                to: to.as_deref(),
                assembly,
                brokers,
                place,
            };
            return replay.run(held).await;
        }
    }
    Ok(true)
}

fn described(letter: &Letter, topic: &str) -> serde_json::Value {
    json!({
        "id": letter.id,
        "time": letter.time,
        "topic": topic,
        "reason": letter.reason,
        "message": letter.message,
        "source": letter.source,
        "position": letter.position,
        "count": letter.count,
        "component": letter.component,
    })
}

/// All that is known of a dead letter, and the message as it came.
fn show(letter: &Letter, topic: &str) {
    for (name, value) in [
        ("id", letter.id.as_str()),
        ("time", &letter.time),
        ("topic", topic),
        ("component", &letter.component),
        ("reason", &letter.reason),
        ("message", &letter.message),
        ("source", &letter.source),
        ("position", &letter.position),
        ("deliveries", &letter.count.to_string()),
    ] {
        tell!("{name:<11} {value}");
    }
    let original = letter.original().unwrap_or_default();
    tell!("\n{}", String::from_utf8_lossy(&original));
}

/// Sends messages back to where they came from, or to another topic.
struct Replay<'a> {
    /// Which; all, if none are named.
    ids: &'a [String],
    /// `CLUSTERSTREAM/TOPIC`.
    to: Option<&'a str>,
    assembly: &'a Assembly,
    brokers: &'a Brokers,
    place: &'a Place,
}

impl Replay<'_> {
    /// One after the other: each goes from the dead letters when its topic has it.
    async fn run(&self, mut held: Held) -> Result<bool> {
        let Place { namespace, topic } = self.place;
        let in_order = self.brokers.acks_in_order(namespace, &topic.cluster_stream)?;
        let (mut sent, mut left) = (0, 0);
        // What stays, though something behind it goes.
        let mut staying: Vec<(&Message, &str)> = Vec::new();
        for (message, letter) in &held.messages {
            let wanted = |letter: &&Letter| self.ids.is_empty() || self.ids.contains(&letter.id);
            let way = match letter.as_ref().filter(wanted) {
                Some(letter) => self.way(letter).inspect_err(|why| {
                    say!("{}: {why}", letter.id);
                    left += 1;
                }),
                None => Err(String::new()),
            };
            let id = letter.as_ref().map_or("", |letter| &letter.id);
            let Ok((cluster_stream, name, payload)) = way else {
                staying.push((message, id));
                continue;
            };
            for (earlier, id) in staying.drain(..).filter(|_| in_order) {
                let payload = earlier.payload.to_vec();
                self.publish(&topic.cluster_stream, &topic.topic, id, payload)
                    .await?;
                held.acker.ack(&[earlier.token]).await?;
            }
            self.publish(cluster_stream, name, id, payload).await?;
            held.acker.ack(&[message.token]).await?;
            sent += 1;
            say!("{id}: sent to {cluster_stream}/{name}");
        }
        if sent > 0 || left > 0 {
            say!("sent {sent}, left {left}");
        }
        Ok(left == 0)
    }

    /// Where a dead letter goes, and what of it; or why it can't.
    fn way<'l>(&'l self, letter: &'l Letter) -> Result<(&'l str, &'l str, Vec<u8>), String> {
        let to = match self.to {
            Some(to) => to.split_once('/'),
            None => letter.origin(),
        };
        let (Some((cluster_stream, topic)), Some(payload)) = (to, letter.original()) else {
            return Err(format!(
                "a result of {}; it came from no topic that it could go back to: name one with --to",
                letter.component
            ));
        };
        let key = (self.place.namespace.clone(), cluster_stream.to_owned());
        if !self.assembly.connections.contains_key(&key) {
            return Err(format!(
                "there is no ClusterStream `{cluster_stream}` to send it to"
            ));
        }
        Ok((cluster_stream, topic, payload))
    }

    async fn publish(&self, cluster_stream: &str, topic: &str, id: &str, payload: Vec<u8>) -> Result<()> {
        let message = Outgoing {
            topic: topic.into(),
            id: id.into(),
            content_type: "application/json",
            trace: None,
            payload: payload.into(),
        };
        let sink = self.brokers.sink(&self.place.namespace, cluster_stream).await?;
        for result in sink.publish(vec![message]).await {
            result?;
        }
        Ok(())
    }
}
