//! What is published.

use rand::Rng;
use rand::rngs::SmallRng;

/// Microseconds in a millisecond, which is what messages count in.
pub(crate) const MS: i64 = 1000;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its input.
    pub input: usize,
    /// When it happened, in microseconds; without event time, when the broker received it.
    pub at: i64,
    /// What it is called, whatever its place.
    pub n: u64,
    /// Its key.
    pub k: Option<u8>,
    /// Its value.
    pub v: Option<i64>,
    /// Whether its producer has given it an id.
    pub named: bool,
    /// What is wrong with it.
    pub odd: Odd,
    /// What is published.
    pub payload: String,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// Nothing.
    No,
    /// It is no JSON.
    Broken,
    /// It deletes its key.
    Tombstone,
}

impl Message {
    /// With what is published of it.
    pub(crate) fn published(self) -> Message {
        let k = self.k.map_or("null".to_owned(), |k| format!("\"k{k}\""));
        let v = self.v.map_or("null".to_owned(), |v| v.to_string());
        let n = self.n;
        let data = format!(r#"{{"n":{n},"k":{k},"v":{v},"t":{}}}"#, self.at / MS);
        let payload = match self.odd {
            Odd::Broken => data[..data.len() - 1].to_owned(),
            Odd::Tombstone => "null".to_owned(),
            Odd::No if self.named => {
                format!(r#"{{"specversion":"1.0","id":"{n}","source":"/s","type":"t","data":{data}}}"#)
            }
            Odd::No => data,
        };
        Message { payload, ..self }
    }

    /// The key that its broker knows: where the message itself can't say it.
    pub(crate) fn key(&self) -> Option<String> {
        let k = self.k.filter(|_| self.odd == Odd::Tombstone);
        k.map(|k| format!("k{k}"))
    }
}

/// Lets messages come twice, in event time: of an event with an id the producer has seen no confirmation; one without
/// is two that say the same. `bound` is how many microseconds later than it happened each may come, if that is so.
pub(crate) fn repeat(
    messages: &mut Vec<Message>,
    bound: Option<i64>,
    may: impl Fn(&Message) -> bool,
    random: &mut SmallRng,
) {
    let mut at = 0;
    while at < messages.len() {
        let message = messages[at].clone();
        at += 1;
        if !may(&message) || !random.random_bool(0.15) {
            continue;
        }
        let most = random.random_range(0..15);
        let behind = |before: &Message| bound.is_some_and(|bound| before.at - bound > message.at);
        let after = messages[at..].iter().take(most);
        let after = after.take_while(|before| !behind(before)).count();
        if !messages[..at].iter().any(behind) {
            messages.insert(at + after, message);
        }
    }
}

/// After which steps the component dies, where so many messages come.
pub(crate) fn crashes(messages: usize, random: &mut SmallRng) -> Vec<u64> {
    let mut crashes = Vec::new();
    if random.random_bool(0.6) {
        let steps = (messages as u64 * 6).max(1);
        let count = random.random_range(1..5);
        crashes = (0..count).map(|_| random.random_range(0..steps)).collect();
        crashes.sort_unstable();
    }
    crashes
}

pub(crate) fn pick<'a, T>(random: &mut SmallRng, of: &'a [T]) -> &'a T {
    &of[random.random_range(0..of.len())]
}
