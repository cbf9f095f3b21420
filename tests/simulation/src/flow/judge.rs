//! What is right: what a life sends, what it acks, and what is left in the end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use streaming_engine::component::SendId;
use streaming_engine::delivery::Backoff;
use streaming_engine::durable::Durable;
use streaming_engine::time::Time;

use super::case::Case;
use super::kind::Kind;
use super::oracle::{Made, Oracle};
use crate::broker::{Broker, Brokers};

/// What a component is to do in its life, and what came of it in all lives.
pub(crate) struct Flow<'a> {
    pub(crate) case: &'a Case,
    pub(crate) backoff: Backoff,
    /// What this life has to do.
    pub(crate) oracle: Oracle<'a>,
    /// What has been delivered in any life, in that order.
    pub(crate) delivered: Vec<usize>,
    /// By output: what was sent in this life, each once.
    pub(crate) sent: Vec<Vec<Value>>,
    /// In this life.
    pub(crate) tries: BTreeMap<SendId, Tries>,
    /// By output and content: the ids it was accepted under.
    pub(crate) accepted: BTreeMap<(usize, String), BTreeSet<String>>,
    pub(crate) refused: BTreeSet<(usize, String)>,
    /// What was refused, and is a dead letter.
    pub(crate) buried: BTreeSet<String>,
    /// Messages that are dead letters.
    pub(crate) dead: BTreeSet<usize>,
    pub(crate) ids: BTreeMap<String, String>,
    /// By message, of what is kept: what earlier lives were to make of it, and whether that could be nothing.
    pub(crate) chances: BTreeMap<usize, BTreeSet<String>>,
    pub(crate) spared: BTreeSet<usize>,
    /// Whether the component has died.
    pub(crate) died: bool,
    /// Whether it was told, in any life, that no more messages come.
    pub(crate) flushed: bool,
}

/// How often something was sent.
#[derive(Clone, Copy)]
pub(crate) struct Tries {
    /// In this life.
    pub(crate) count: u32,
    /// In all, as far as the component knows.
    pub(crate) known: u32,
    /// When it may come again.
    pub(crate) due: Time,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(case: &'a Case, backoff: Backoff) -> Flow<'a> {
        Flow {
            backoff,
            oracle: Oracle::new(case),
            delivered: Vec::new(),
            sent: vec![Vec::new(); case.outputs],
            tries: BTreeMap::new(),
            accepted: BTreeMap::new(),
            refused: BTreeSet::new(),
            buried: BTreeSet::new(),
            dead: BTreeSet::new(),
            ids: BTreeMap::new(),
            chances: BTreeMap::new(),
            spared: BTreeSet::new(),
            died: false,
            flushed: false,
            case,
        }
    }

    /// A message is acked.
    pub(crate) fn judge_ack(&self, message: usize) -> Result<(), String> {
        // What is kept is acked before anything is made of it.
        if self.case.kept {
            return Ok(());
        }
        let oracle = &self.oracle;
        if oracle.holds(message) {
            return Err(format!("{message} is acked, and is needed"));
        }
        if oracle.unusable.contains(&message) && !self.dead.contains(&message) {
            return Err(format!("{message} is acked, and is no dead letter yet"));
        }
        for made in oracle.made.iter().filter(|made| made.of.contains(&message)) {
            if let Some(output) = self
                .outputs(made)
                .find(|output| !self.is_settled(*output, &made.content))
            {
                let content = &made.content;
                return Err(format!(
                    "{message} is acked before {content} is accepted by {output}"
                ));
            }
        }
        Ok(())
    }

    fn outputs(&self, made: &Made) -> impl Iterator<Item = usize> + use<> {
        let to = made.to;
        (0..self.case.outputs).filter(move |output| to.is_none_or(|to| to == *output))
    }

    fn is_settled(&self, output: usize, content: &Value) -> bool {
        let at = (output, content.to_string());
        self.accepted.contains_key(&at) || self.refused.contains(&at) && self.buried.contains(&at.1)
    }

    /// A life is over: what it has sent is what it had to, in that order, and all of it if it comes to rest.
    pub(crate) fn judge_life(&mut self, at_rest: bool) -> Result<(), String> {
        // How far time had come by that is kept too, with what was done by then.
        if self.case.kept && self.flushed {
            self.oracle.flush();
        }
        for output in 0..self.case.outputs {
            let made = self.oracle.made.iter();
            let due: Vec<&Value> = made
                .filter(|made| made.to.is_none_or(|to| to == output))
                .map(|made| &made.content)
                .collect();
            let sent: Vec<&Value> = self.sent[output].iter().collect();
            if self.case.kept {
                // What was done with in an earlier life is not made again.
                let mut due = due.into_iter();
                if let Some(odd) = sent.iter().find(|row| !due.any(|due| due == **row)) {
                    return Err(format!(
                        "{odd} is sent to {output}, out of its order or of nothing"
                    ));
                }
            } else if !due.starts_with(&sent) || at_rest && due.len() > sent.len() {
                return Err(format!("{sent:?} is sent to {output}, and {due:?} had to be"));
            }
        }
        if self.case.kept {
            for made in &self.oracle.made {
                for message in &made.of {
                    self.chances
                        .entry(*message)
                        .or_default()
                        .insert(made.content.to_string());
                }
            }
            self.spared.extend(&self.oracle.gone);
        }
        Ok(())
    }

    /// Everything has come to rest.
    pub(crate) fn judge(&self, component: &Durable, brokers: &Brokers) -> Result<(), String> {
        let counters = component.counters();
        let tables = self.oracle.tables.iter().flat_map(BTreeMap::values);
        let latest: BTreeSet<usize> = tables.copied().collect();
        if !component.is_idle() || latest.is_empty() && counters.held_bytes > 0 {
            return Err(format!("something is still held: {counters:?}"));
        }
        let unacked: BTreeSet<usize> = brokers.unacked().collect();
        if unacked != if self.case.kept { BTreeSet::new() } else { latest } {
            return Err(format!("{unacked:?} are not acked in the end"));
        }
        for message in 0..self.case.messages.len() {
            if self.oracle.unusable.contains(&message) && !self.dead.contains(&message) {
                return Err(format!("{message} is no dead letter"));
            }
        }
        for (message, chances) in self
            .chances
            .iter()
            .filter(|(message, _)| !self.spared.contains(message))
        {
            for output in 0..self.case.outputs {
                let settled = |content: &String| {
                    let content = serde_json::from_str(content).unwrap_or_default();
                    self.is_settled(output, &content)
                };
                let of_another =
                    matches!(self.case.kind, Kind::Relay(_)) && self.case.messages[*message].input != output;
                if !of_another && !chances.iter().any(settled) {
                    return Err(format!("nothing of {chances:?} came to {output}"));
                }
            }
        }
        self.judge_lives()
    }

    /// All lives together have made what one had: no row else, and none under two names. A look-up depends on when it
    /// is made, and an MQTT broker may give again some messages of a collection without the others.
    fn judge_lives(&self) -> Result<(), String> {
        let collects = matches!(self.case.kind, Kind::Trigger { .. });
        let torn = collects && !self.case.kept && self.case.brokers.contains(&Broker::Mqtt);
        let moves = matches!(self.case.kind, Kind::LookUp { .. }) || self.case.is_loose();
        if moves || torn && self.died {
            return Ok(());
        }
        let mut whole = Oracle::new(self.case);
        whole.recovered(0);
        for message in &self.delivered {
            whole.pass(self.case.messages[*message].at);
            whole.arrive(*message, 0, 0);
        }
        whole.flush();
        let mut expected: BTreeMap<(usize, String), usize> = BTreeMap::new();
        for made in &whole.made {
            for output in self.outputs(made) {
                *expected.entry((output, made.content.to_string())).or_default() += 1;
            }
        }
        for (at, ids) in &self.accepted {
            let times = expected.get(at).copied().unwrap_or_default();
            if ids.len() > times {
                return Err(format!("{at:?} came as {ids:?}, and had to {times} times"));
            }
        }
        Ok(())
    }
}
