//! What a component is given: its configuration, and its messages.

use crate::delivery::{Backoff, InFlight};
use crate::join::JoinSpec;
use crate::json::MAX_MESSAGE_BYTES;
use crate::map::MapSpec;
use crate::time::Time;

/// What makes a component what it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Part of the id of everything that it makes; stable over restarts.
    pub uid: String,
    /// The CloudEvents `source` of everything that it makes.
    pub source: String,
    /// What it does with messages.
    pub role: Role,
    /// Where messages come from.
    pub inputs: Vec<InputConfig>,
    /// For each recipient, how much may be on its way to it. Each gets every result. Of no meaning for a relay.
    pub outputs: Vec<InFlight>,
    /// Whether late messages go to [`Target::Late`](super::Target::Late); if not, they are dropped.
    pub late: bool,
    /// What [`Component::settled`](super::Component::settled) gave last before a restart, if that was kept together
    /// with what was acked.
    pub settled: Option<Time>,
    /// Bytes that it may hold. Close to them inputs are paused.
    pub memory_budget: u64,
    /// Larger messages are dead-lettered.
    pub max_message_bytes: usize,
    /// How long to wait between deliveries of one result.
    pub backoff: Backoff,
    /// A random number. Joins hash keys with it, so that who knows the hash function can still not send keys that
    /// collide. It changes nothing in what comes out.
    pub seed: u64,
}

impl Config {
    /// Of a role, with the default limits: 64 MiB in all, 4 MiB a message, and one at a time on its way to a
    /// recipient. The seed has to be set where messages come from strangers.
    pub fn new(uid: &str, source: &str, role: Role, inputs: Vec<InputConfig>, outputs: usize) -> Config {
        Config {
            uid: uid.to_owned(),
            source: source.to_owned(),
            role,
            inputs,
            outputs: vec![InFlight::ONE; outputs],
            late: false,
            settled: None,
            memory_budget: 64 * 1024 * 1024,
            max_message_bytes: MAX_MESSAGE_BYTES,
            backoff: Backoff::default(),
            seed: 0,
        }
    }
}

/// What a component does with messages.
#[derive(Clone, Debug)]
pub enum Role {
    /// Joins its inputs over windows. Results go to every output.
    Join(Box<JoinSpec>),
    /// Filters and maps its only input. Results go to every output.
    Map(Box<MapSpec>),
    /// Hands each message on as it is: those of input `i` to [`Target::Output(i)`](super::Target::Output).
    Relay {
        /// Messages of one input in flight at a time; with more than one, their order is not kept.
        concurrency: u32,
    },
}

/// One input of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputConfig {
    /// The ClusterStream that it is on.
    pub cluster_stream: String,
    /// Deliveries of one message after which it is dead-lettered; 0 for no limit. For the results of a join,
    /// that of its first input counts.
    pub max_deliveries: u32,
}

/// A message from a broker.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The input that it came from. Messages of unknown inputs are ignored.
    pub input: usize,
    /// The runner's handle for the ack, unique among the input's messages that are not acked yet.
    pub token: u64,
    /// The broker's name for the message, stable over redelivery; empty if it has none.
    pub position: &'a str,
    /// When the broker received it, where the broker says; else when the runner did.
    pub received: Time,
    /// Deliveries of this message before this one, as far as the broker counts them.
    pub attempts: u32,
    /// The topic.
    pub topic: &'a str,
    /// The message's key, where the protocol has one.
    pub key: Option<&'a str>,
    /// The message.
    pub payload: &'a [u8],
}
