//! `dead-letters`: what components could not use, looked at and sent again.
//!
//! `topics` finds and reads the topics, `letter` is one message on them. Reading takes nothing away: what is not acked
//! is there again when the connection ends.

mod letter;
mod topics;

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;
use streaming_sidecar::broker::Outgoing;

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
    if held.others > 0 {
        say!("{topic}: {} messages are no dead letters", held.others);
    }
    if held.more {
        say!("{topic}: there may be more; --limit was {}", letters.limit);
    }
    match command {
        DeadLetters::List { output, .. } => held.letters.iter().for_each(|(_, letter)| match output {
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
            let wanted = held.letters.iter().filter(|(_, letter)| letter.id == *id);
            wanted.for_each(|(_, letter)| show(letter, &topic));
        }
        DeadLetters::Replay { id, .. } => return replay(id, assembly, brokers, place, held).await,
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

/// Sends messages back to where they came from, one after the other: each goes from the dead letters when its topic
/// has it.
async fn replay(
    ids: &[String],
    assembly: &Assembly,
    brokers: &Brokers,
    place: &Place,
    mut held: Held,
) -> Result<bool> {
    let (mut sent, mut left) = (0, 0);
    for (token, letter) in &held.letters {
        if !ids.is_empty() && !ids.contains(&letter.id) {
            continue;
        }
        let (Some((name, topic)), Some(payload)) = (letter.origin(), letter.original()) else {
            say!(
                "{}: a result of {}; it came from no topic that it could go back to",
                letter.id,
                letter.component
            );
            left += 1;
            continue;
        };
        let key = (place.namespace.clone(), name.to_owned());
        if !assembly.connections.contains_key(&key) {
            say!(
                "{}: it came from `{name}`, and there is no such ClusterStream",
                letter.id
            );
            left += 1;
            continue;
        }
        let message = Outgoing {
            topic: topic.into(),
            id: letter.id.as_str().into(),
            content_type: "application/json",
            trace: None,
            payload: payload.into(),
        };
        let sink = brokers.sink(&place.namespace, name).await?;
        for result in sink.publish(vec![message]).await {
            result?;
        }
        held.acker.ack(&[*token]).await?;
        sent += 1;
        say!("{}: sent to {name}/{topic}", letter.id);
    }
    if sent > 0 || left > 0 {
        say!("sent {sent}, left {left}");
    }
    Ok(left == 0)
}
