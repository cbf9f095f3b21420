//! A component whose messages go on one by one, or wait for a trigger or for what Tables have; drawn from a seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streaming_engine::delivery::InFlight;
use streaming_engine::query::Windows;

use super::kind::Kind;
use crate::broker::Broker;
use crate::message::{MS, Message, Odd, crashes, pick, repeat};

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Case {
    /// What the component does.
    pub kind: Kind,
    /// By input.
    pub brokers: Vec<Broker>,
    /// In event time, by how many microseconds messages may be late.
    pub bound: Option<i64>,
    /// Whether some are later than that.
    pub tardy: bool,
    /// After how many microseconds of silence nothing is waited for, in event time.
    pub idle: Option<i64>,
    /// Recipients.
    pub outputs: usize,
    /// What may be on its way to each.
    pub in_flight: InFlight,
    /// Deliveries after which a message is a dead letter; 0 for no limit.
    pub max_deliveries: u32,
    /// Whether the component keeps its messages, and acks them when that is durable.
    pub kept: bool,
    /// Bytes that it may hold, if they are few.
    pub budget: Option<u64>,
    /// How many keys messages have.
    pub keys: u8,
    /// In the order in which brokers have them.
    pub messages: Vec<Message>,
    /// Steps after which the component dies.
    pub crashes: Vec<u64>,
}

impl Case {
    /// Of a seed.
    pub fn draw(seed: u64) -> Case {
        let mut random = SmallRng::seed_from_u64(seed ^ 0xf10);
        let random = &mut random;
        let kind = Kind::draw(random);
        let inputs = match kind {
            Kind::Map { .. } | Kind::Trigger { .. } => 1,
            Kind::Relay(_) => random.random_range(1..3),
            Kind::LookUp { .. } => random.random_range(2..4),
        };
        let windowed = kind.windows() != Windows::Unbounded;
        let timed = matches!(kind, Kind::Trigger { .. } | Kind::LookUp { .. }) && random.random_bool(0.6);
        let kept = random.random_bool(0.3);
        // What is collected with messages that come behind others depends on when the component died.
        let collects = kept && matches!(kind, Kind::Trigger { .. });
        let loose = timed && !windowed && !collects;
        let relayed = matches!(kind, Kind::Map { .. } | Kind::Relay(_));
        let mut case = Case {
            brokers: (0..inputs).map(|_| *pick(random, &Broker::ANY)).collect(),
            bound: timed.then(|| random.random_range(0..30) * MS),
            tardy: loose && random.random_bool(0.3),
            idle: (loose && random.random_bool(0.3)).then(|| random.random_range(1..20) * MS),
            outputs: if matches!(kind, Kind::Relay(_)) {
                inputs
            } else {
                random.random_range(1..3)
            },
            in_flight: if random.random_bool(0.5) {
                InFlight::ONE
            } else {
                InFlight {
                    count: random.random_range(2..6),
                    bytes: 4 << 20,
                }
            },
            max_deliveries: if relayed && !kept && random.random_bool(0.5) {
                random.random_range(1..5)
            } else {
                0
            },
            kept,
            budget: None,
            keys: 3,
            messages: Vec::new(),
            crashes: Vec::new(),
            kind,
        };
        if !case.is_loose() {
            let random = &mut SmallRng::seed_from_u64(seed ^ 0x51de);
            case.kind.widen(case.brokers.len(), random);
        }
        case.confine(&mut SmallRng::seed_from_u64(seed ^ 0xb1d6));
        case.publish(random);
        if case.bound.is_some() && !case.is_loose() {
            let mut messages = std::mem::take(&mut case.messages);
            let may = |message: &Message| message.odd == Odd::No && !case.is_table(message.input);
            repeat(&mut messages, case.bound, may, random);
            case.messages = messages;
        }
        case.crashes = crashes(case.messages.len(), random);
        case
    }

    /// What leaves memory: the rows of tables.
    fn confine(&mut self, random: &mut SmallRng) {
        // An input that is paused is not silent, which nobody else knows.
        let leaves = self.kept && self.idle.is_none() && matches!(self.kind, Kind::LookUp { .. });
        if leaves && random.random_bool(0.6) {
            // What windows hold has to fit.
            let least = if self.kind.windows() == Windows::Unbounded {
                2
            } else {
                32
            };
            self.budget = Some(random.random_range(least..2 * least) << 10);
            self.keys = *pick(random, &[3, 12]);
        }
    }

    /// Whether messages may come behind others that are through.
    pub fn is_loose(&self) -> bool {
        self.tardy || self.idle.is_some()
    }

    /// Whether an input is looked up in.
    pub fn is_table(&self, input: usize) -> bool {
        matches!(self.kind, Kind::LookUp { streams, .. } if input >= streams)
    }

    /// How many inputs say how far time has come.
    pub fn streams(&self) -> usize {
        match self.kind {
            Kind::LookUp { streams, .. } => streams,
            _ => self.brokers.len(),
        }
    }

    /// Whether windows go by when messages are received.
    pub fn is_dated(&self) -> bool {
        self.kind.windows() != Windows::Unbounded && self.bound.is_none()
    }

    fn publish(&mut self, random: &mut SmallRng) {
        let envelope = random.random_bool(0.4);
        let mut clock = 0;
        let mut coming = Vec::new();
        for n in 0..random.random_range(0..60u64) {
            clock += random.random_range(1..6) * MS;
            let input = random.random_range(0..self.brokers.len());
            let tables = self.is_table(input);
            let odd = match random.random_range(0..20) {
                0 => Odd::Broken,
                1..4 if tables => Odd::Tombstone,
                _ => Odd::No,
            };
            let k =
                (odd == Odd::Tombstone || random.random_bool(0.9)).then(|| random.random_range(0..self.keys));
            let v = random.random_bool(0.9).then(|| random.random_range(-3..6i64));
            let named = envelope && odd == Odd::No;
            let delay = match self.bound {
                Some(bound) if bound > 0 && !tables => random.random_range(0..=bound),
                _ => 0,
            };
            let tardy = self.tardy && random.random_bool(0.2);
            let delay = delay + if tardy { random.random_range(0..80) * MS } else { 0 };
            let message = Message {
                input,
                at: clock,
                n,
                k,
                v,
                named,
                odd,
                payload: String::new(),
            }
            .published();
            coming.push((clock + delay, message));
        }
        coming.sort_by_key(|(comes, _)| *comes);
        self.messages = coming.into_iter().map(|(_, message)| message).collect();
    }
}
