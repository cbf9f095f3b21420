//! A pipeline and its messages, drawn from a seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streaming_engine::query::{Emit, EventTime, JoinKind, Query, QueryInput, Windows};

use crate::broker::Broker;
use crate::message::{MS, Message, Odd, crashes, pick, repeat};

/// Names of inputs in expressions.
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// A part of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conjunct {
    /// `x.k == y.k`
    Equal(usize, usize),
    /// `x.v <= y.v`
    AtMost(usize, usize),
    /// `x.v > 0`
    Positive(usize),
    /// `x == null`
    Missing(usize),
}

impl Conjunct {
    fn source(self) -> String {
        match self {
            Conjunct::Equal(x, y) => format!("{}.k == {}.k", NAMES[x], NAMES[y]),
            Conjunct::AtMost(x, y) => format!("{}.v <= {}.v", NAMES[x], NAMES[y]),
            Conjunct::Positive(x) => format!("{}.v > 0", NAMES[x]),
            Conjunct::Missing(x) => format!("{} == null", NAMES[x]),
        }
    }
}

/// What is simulated.
#[derive(Clone, Debug)]
// Each is a question of its own.
#[allow(clippy::struct_excessive_bools)]
pub struct Case {
    /// By input.
    pub brokers: Vec<Broker>,
    /// How time is divided.
    pub windows: Windows,
    /// Which rows a join gives.
    pub kind: JoinKind,
    /// What joins.
    pub on: Vec<Conjunct>,
    /// Whether `where` says what joins, and there is no `on`.
    pub in_where: bool,
    /// Which rows go on.
    pub filter: Vec<Conjunct>,
    /// Whether rows are grouped by the first input's key.
    pub grouped: bool,
    /// How results leave.
    pub emit: Emit,
    /// Whether messages say when they happened.
    pub event_time: bool,
    /// How many microseconds they may be late, in event time.
    pub bound: i64,
    /// Whether some messages are later than that.
    pub tardy: bool,
    /// Whether late messages are sent on.
    pub keeps_late: bool,
    /// By input: after how many microseconds of silence it holds nothing back.
    pub idle: Vec<Option<i64>>,
    /// Whether groups tell what they were in the window before.
    pub looks_back: bool,
    /// Bytes that it may hold, if they are few.
    pub budget: Option<u64>,
    /// Whether results say more than they have to, so that few of them are many bytes.
    pub padded: bool,
    /// Whether the component keeps its messages, and acks them when that is durable.
    pub kept: bool,
    /// Recipients.
    pub outputs: usize,
    /// Of all inputs; of each, in the order in which the broker has them.
    pub messages: Vec<Message>,
    /// Steps after which the component dies.
    pub crashes: Vec<u64>,
}

/// What results say more than they have to.
pub fn pad() -> String {
    "x".repeat(400)
}

impl Case {
    /// Of a seed.
    pub fn draw(seed: u64) -> Case {
        let mut random = SmallRng::seed_from_u64(seed);
        let random = &mut random;
        let inputs = *pick(random, &[1, 2, 2, 2, 3]);
        let event_time = random.random_bool(0.7);
        let length = random.random_range(5..60) * MS;
        let windows = match random.random_range(0..4) {
            0..2 => Windows::Tumbling { length },
            2 => Windows::Hopping {
                length,
                slide: random.random_range(length / MS / 3..=length / MS).max(1) * MS,
            },
            _ => Windows::Session {
                gap: random.random_range(2..15) * MS,
                max: length.max(20 * MS),
            },
        };
        let session = matches!(windows, Windows::Session { .. });
        let kinds = [
            JoinKind::Inner,
            JoinKind::Left,
            JoinKind::Right,
            JoinKind::Full,
            JoinKind::Anti,
        ];
        let kind = if inputs == 1 {
            JoinKind::Inner
        } else {
            *pick(random, &kinds)
        };
        let grouped = random.random_bool(if inputs == 1 { 0.8 } else { 0.3 }) && kind != JoinKind::Anti;
        let mut on: Vec<Conjunct> = (1..inputs)
            .map(|input| Conjunct::Equal(random.random_range(0..input), input))
            .collect();
        // What keeps single messages out of a session depends on more than the definition of a join.
        if inputs > 1 && !session {
            if random.random_bool(0.3) {
                on.push(Conjunct::AtMost(0, 1));
            }
            if random.random_bool(0.2) {
                on.push(Conjunct::Positive(random.random_range(0..inputs)));
            }
        }
        let filter = match random.random_range(0..4) {
            0 if !session => vec![Conjunct::Positive(if kind == JoinKind::Anti {
                0
            } else {
                random.random_range(0..inputs)
            })],
            1 if inputs > 1 && kind != JoinKind::Anti => {
                vec![Conjunct::Missing(random.random_range(0..inputs))]
            }
            _ => vec![],
        };
        let bound = if event_time {
            random.random_range(0..30) * MS
        } else {
            0
        };
        let mut case = Case {
            brokers: (0..inputs).map(|_| *pick(random, &Broker::ANY)).collect(),
            windows,
            kind,
            in_where: kind == JoinKind::Inner && random.random_bool(0.5),
            on,
            filter,
            grouped,
            emit: *pick(random, &[Emit::Each, Emit::Batch]),
            event_time,
            bound,
            tardy: event_time && !session && random.random_bool(0.3),
            keeps_late: random.random_bool(0.7),
            idle: vec![None; inputs],
            looks_back: false,
            budget: None,
            padded: false,
            kept: random.random_bool(0.3),
            outputs: random.random_range(1..3),
            messages: Vec::new(),
            crashes: Vec::new(),
        };
        if event_time && !session && random.random_bool(0.3) {
            for idle in &mut case.idle {
                *idle = random.random_bool(0.7).then(|| random.random_range(1..20) * MS);
            }
        }
        case.publish(random);
        case.crashes = crashes(case.messages.len(), random);
        case.widen(random, session);
        case
    }

    /// What only some can have.
    fn widen(&mut self, random: &mut SmallRng, session: bool) {
        // What `previous` reads survives only where it is kept, and a window that is not what it was is not what it was
        // for those after it.
        // Two sessions of a join may have the same bounds and the same group: which of them was before is not said.
        let apart = !session || self.brokers.len() == 1;
        if self.grouped && apart && (self.crashes.is_empty() || self.kept && !self.is_timed()) {
            self.looks_back = random.random_bool(0.5);
        }
        if self.grouped && self.brokers.len() == 1 && !session && !self.looks_back && random.random_bool(0.4)
        {
            self.emit = Emit::Updates;
        }
        // What leaves memory: groups, and the messages of joins.
        let leaves = self.event_time && self.kept;
        if leaves && self.idle.iter().all(Option::is_none) && random.random_bool(0.6) {
            self.budget = Some(random.random_range(1..16) * 1024);
            self.padded = random.random_bool(0.5);
        }
        if self.event_time && random.random_bool(0.3) {
            let bound = (!self.tardy).then_some(self.bound);
            let updates = self.emit == Emit::Updates;
            repeat(
                &mut self.messages,
                bound,
                |message| !updates || message.named,
                random,
            );
        }
    }

    /// Whether a message is an event that came before.
    pub fn is_repeated(&self, message: usize) -> bool {
        let this = &self.messages[message];
        let is = |before: &Message| before.n == this.n;
        this.named && self.messages[..message].iter().any(is)
    }

    /// Whether a message may be late.
    pub fn is_timed(&self) -> bool {
        self.tardy || self.idle.iter().any(Option::is_some)
    }

    fn publish(&mut self, random: &mut SmallRng) {
        let count = random.random_range(0..60u32);
        let pace = random.random_range(1..6);
        let envelope = random.random_bool(0.4);
        // One input may have nothing to say.
        let speaking = if self.is_timed() && random.random_bool(0.3) {
            1
        } else {
            self.brokers.len()
        };
        let mut clock = 0;
        let mut coming = Vec::new();
        for number in 0..count {
            clock += random.random_range(0..pace) * MS;
            let input = random.random_range(0..speaking);
            let k = random.random_bool(0.9).then(|| random.random_range(0..3u8));
            let v = random.random_bool(0.9).then(|| random.random_range(-3..6i64));
            let delay = if self.bound > 0 {
                random.random_range(0..=self.bound)
            } else {
                0
            };
            let tardy = self.tardy && random.random_bool(0.2);
            let delay = delay + if tardy { random.random_range(0..80) * MS } else { 0 };
            let message = Message {
                input,
                at: clock,
                n: u64::from(number),
                k,
                v,
                named: envelope,
                odd: Odd::No,
                payload: String::new(),
            }
            .published();
            coming.push((clock + delay, message));
        }
        // Stable: each comes at most the bound after one that happened later.
        coming.sort_by_key(|(comes, _)| *comes);
        self.messages = coming.into_iter().map(|(_, message)| message).collect();
    }

    /// As the engine gets it.
    pub fn query(&self) -> Query {
        let input = |number: usize| QueryInput {
            variable: NAMES[number].to_owned(),
            time: self.event_time.then(|| EventTime {
                timestamp: format!("{}.t", NAMES[number]),
                out_of_orderness: self.bound,
                idle_timeout: self.idle[number],
            }),
            table: None,
        };
        let inputs = self.brokers.len();
        let all = |conjuncts: &[Conjunct]| {
            let sources: Vec<String> = conjuncts.iter().map(|conjunct| conjunct.source()).collect();
            (!sources.is_empty()).then(|| sources.join(" && "))
        };
        // Missing sides are null, and so is what is read of them.
        let numbers: Vec<String> = NAMES[..inputs].iter().map(|name| format!("{name}.n")).collect();
        let select = if self.looks_back {
            "a.k, count(), previous(count()), sum(a.v), collect(a.n)".to_owned()
        } else if self.grouped {
            "a.k, count(), sum(a.v), collect(a.n)".to_owned()
        } else if self.kind == JoinKind::Anti {
            "a.n".to_owned()
        } else {
            numbers.join(", ")
        };
        Query {
            inputs: (0..inputs).map(input).collect(),
            windows: self.windows,
            join: self.kind,
            on: all(if self.in_where { &[] } else { &self.on }),
            filter: all(&if self.in_where {
                [&self.on[..], &self.filter].concat()
            } else {
                self.filter.clone()
            }),
            group_by: if self.grouped {
                vec!["a.k".to_owned()]
            } else {
                vec![]
            },
            having: None,
            select: Some(if self.padded {
                format!("[window.start, window.end, '{}', {select}]", pad())
            } else {
                format!("[window.start, window.end, {select}]")
            }),
            emit: self.emit,
            trigger: None,
        }
    }
}
