//! The engine's answers: the events through one component, and the rows that it sends.

use anyhow::{Result, bail};
use serde_json::Value;
use streaming_engine::component::{Component, Config, Effect, Incoming, InputConfig, Role};
use streaming_engine::delivery::Answer;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::Query;
use streaming_engine::time::Time;

use crate::event::Input;
use crate::manifest;

/// The rows of a query over events.
pub fn rows(query: &Query, input: &Input) -> Result<Vec<Value>> {
    let query = &manifest::compiled(query, input.bound)?;
    let spec = match JoinSpec::compile(query) {
        Ok(spec) => spec,
        Err(errors) => bail!(
            "{}",
            errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        ),
    };
    let inputs = query.inputs.iter().map(|_| InputConfig {
        cluster_stream: "events".to_owned(),
        max_deliveries: 0,
    });
    let role = Role::Join(Box::new(spec));
    let mut component = Component::new(Config::new("parity", "/parity", role, inputs.collect(), 1));
    for number in 0..query.inputs.len() {
        component.recovered(number, Time(0));
    }
    let mut rows = Vec::new();
    for (token, event) in (1u32..).zip(&input.events) {
        let Some(number) = query.inputs.iter().position(|each| each.variable == event.table) else {
            continue;
        };
        let payload = serde_json::to_vec(event)?;
        let now = Time(i64::from(token));
        let incoming = Incoming {
            input: number,
            token: u64::from(token),
            position: &token.to_string(),
            received: now,
            attempts: 0,
            topic: &event.table,
            key: None,
            payload: &payload,
        };
        component.message(incoming, now);
        while component.poll_timeout().is_some_and(|due| due <= now) {
            component.timeout(now);
            drain(&mut component, now, &mut rows)?;
        }
        drain(&mut component, now, &mut rows)?;
    }
    let end = Time(i64::from(u32::MAX));
    component.flush(end);
    drain(&mut component, end, &mut rows)?;
    // What a group had before stays for its next window.
    let remembers = query
        .select
        .as_ref()
        .is_some_and(|select| select.contains("previous"));
    if !component.is_idle() || component.counters().held_bytes != 0 && !remembers {
        bail!("the engine still holds {:?}", component.counters());
    }
    Ok(rows)
}

fn drain(component: &mut Component, now: Time, rows: &mut Vec<Value>) -> Result<()> {
    while let Some(effect) = component.poll_effect() {
        if let Effect::Send { id, event, .. } = effect {
            if let Some(letter) = &event.dead_letter {
                bail!("a dead letter: {} {}", letter.reason, letter.message);
            }
            rows.push(serde_json::from_slice(&event.data())?);
            component.answered(id, Answer::Accepted, now);
        }
    }
    Ok(())
}
