//! Events: recorded ones, and random ones that come out of order, late, and with nulls.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// An event as both sides get it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Flink's table, our input.
    pub table: String,
    /// What tells it apart.
    pub id: String,
    /// Its key.
    pub k: Option<String>,
    /// Its value, such that sums are exact in any order.
    pub v: Option<f64>,
    /// Milliseconds since the epoch.
    pub ts: i64,
}

/// Events in the order of their arrival.
#[derive(Clone, Debug)]
pub struct Input {
    /// For people.
    pub name: String,
    /// How late events may be, in milliseconds.
    pub bound: i64,
    /// The events.
    pub events: Vec<Event>,
}

impl Input {
    /// Reads a recording: an event a line.
    pub fn recorded(name: &str, bound: i64, text: &str) -> Result<Input> {
        let parse = |line| serde_json::from_str(line).with_context(|| format!("{name}: {line}"));
        Ok(Input {
            name: name.to_owned(),
            bound,
            events: text.lines().map(parse).collect::<Result<_>>()?,
        })
    }

    /// Draws events over about a minute. Times are multiples of half a second, so that many are equal and some are exactly
    /// where a window ends.
    pub fn random(seed: u64) -> Input {
        let mut random = SmallRng::seed_from_u64(seed);
        let bound = [0, 2000, 5000][random.random_range(0..3)];
        let count = random.random_range(30..60);
        let mut clock = 0;
        let event = |number| {
            clock += random.random_range(0..4) * 500;
            // Most within the bound, some late, few very late.
            let behind = match random.random_range(0..10) {
                0..5 => 0,
                5..8 => random.random_range(0..=bound / 500) * 500,
                8 => random.random_range(0..20) * 500,
                _ => random.random_range(0..60) * 500,
            };
            let table = ["a", "b"][random.random_range(0..2)];
            Event {
                table: table.to_owned(),
                id: format!("{table}{number}"),
                k: random
                    .random_bool(0.9)
                    .then(|| ["x", "y", "z"][random.random_range(0..3)].to_owned()),
                v: random
                    .random_bool(0.9)
                    .then(|| f64::from(random.random_range(-20..20)) / 4.0),
                ts: (clock - behind).max(0),
            }
        };
        Input {
            name: format!("random (seed {seed}, {} s out of order)", bound / 1000),
            bound,
            events: (0..count).map(event).collect(),
        }
    }

    /// The same without events behind the watermark of their table, which a session takes in another way than Flink's.
    #[must_use]
    pub fn punctual(&self) -> Input {
        let mut input = self.clone();
        input.name = format!("{}, none behind the watermark", self.name);
        let mut latest: BTreeMap<String, i64> = BTreeMap::new();
        let bound = self.bound;
        input.events.retain(|event| {
            let latest = latest.entry(event.table.clone()).or_insert(i64::MIN);
            *latest = event.ts.max(*latest);
            event.ts >= *latest - bound
        });
        input
    }

    /// The same, each event in its time's place, and no two of one time.
    #[must_use]
    pub fn in_order(&self) -> Input {
        let mut input = self.clone();
        input.name = format!("{}, in order", self.name);
        input.events.sort_by_key(|event| event.ts);
        let mut last = None;
        input
            .events
            .retain(|event| last.replace(event.ts) != Some(event.ts));
        input
    }
}
