//! A component without windows to close, and its messages, drawn from a seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streaming_engine::component::Role;
use streaming_engine::delivery::InFlight;
use streaming_engine::join::JoinSpec;
use streaming_engine::map::MapSpec;
use streaming_engine::query::{Emit, EventTime, JoinKind, Query, QueryInput, Windows};

use crate::case::{Broker, pick};

/// Names of inputs in expressions.
pub const NAMES: [&str; 3] = ["a", "t", "u"];

const MS: i64 = 1000;

/// What the component does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Filters and maps.
    Map {
        /// Whether only those with a value above zero go on.
        positive: bool,
        /// Whether something is made of the data.
        selects: bool,
    },
    /// Hands on, so many at a time.
    Relay(u32),
    /// Looks messages of the first input up in the latest of the others.
    LookUp {
        /// Whether those go on that match nothing.
        left: bool,
        /// Whether only rows of tables with a value above zero match.
        positive: bool,
    },
    /// Collects until a trigger is true.
    Trigger {
        /// How long a window is; without one only the trigger sends.
        length: Option<i64>,
        /// Whether each key is collected by itself.
        grouped: bool,
        /// Whether only those with a value above zero are collected.
        positive: bool,
        /// What sends: so many messages, or a sum above so much.
        fires: Fires,
        /// Whether what is a single message is not sent.
        having: bool,
        /// How results leave.
        emit: Emit,
    },
}

/// A trigger.
#[derive(Clone, Copy, Debug)]
pub enum Fires {
    /// `count() >= n`
    Count(usize),
    /// `sum(a.v) > n`
    Sum(i64),
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its input.
    pub input: usize,
    /// When it happened, in microseconds; without event time, when the broker received it. No two have the same.
    pub at: i64,
    /// Its name.
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
        let kind = draw_kind(random);
        let inputs = match kind {
            Kind::Map { .. } | Kind::Trigger { .. } => 1,
            Kind::Relay(_) => random.random_range(1..3),
            Kind::LookUp { .. } => random.random_range(2..4),
        };
        let windowed = matches!(kind, Kind::Trigger { length: Some(_), .. });
        let timed = matches!(kind, Kind::Trigger { .. } | Kind::LookUp { .. }) && random.random_bool(0.6);
        let kept = random.random_bool(0.3);
        // What is collected with messages that come behind others depends on when the component died.
        let collects = kept && matches!(kind, Kind::Trigger { .. });
        let loose = timed && !windowed && !collects;
        let relayed = matches!(kind, Kind::Map { .. } | Kind::Relay(_));
        let mut case = Case {
            brokers: (0..inputs)
                .map(|_| *pick(random, &[Broker::Redis, Broker::Rabbit(16), Broker::Mqtt]))
                .collect(),
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
            messages: Vec::new(),
            crashes: Vec::new(),
            kind,
        };
        case.publish(random);
        if case.bound.is_some() && !case.is_loose() {
            case.repeat(random);
        }
        if random.random_bool(0.6) {
            let steps = case.messages.len() as u64 * 6;
            case.crashes = (0..random.random_range(1..5))
                .map(|_| random.random_range(0..steps.max(1)))
                .collect();
            case.crashes.sort_unstable();
        }
        case
    }

    /// Whether messages may come behind others that are through.
    pub fn is_loose(&self) -> bool {
        self.tardy || self.idle.is_some()
    }

    /// Whether an input is looked up in.
    pub fn is_table(&self, input: usize) -> bool {
        input > 0 && matches!(self.kind, Kind::LookUp { .. })
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
            let k = (odd == Odd::Tombstone || random.random_bool(0.9)).then(|| random.random_range(0..3u8));
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
                payload: payload(n, k, v, clock, (named, odd)),
            };
            coming.push((clock + delay, message));
        }
        coming.sort_by_key(|(comes, _)| *comes);
        self.messages = coming.into_iter().map(|(_, message)| message).collect();
    }

    /// Messages that come twice, no later than they may.
    fn repeat(&mut self, random: &mut SmallRng) {
        let bound = self.bound.unwrap_or_default();
        let mut at = 0;
        while at < self.messages.len() {
            let message = self.messages[at].clone();
            at += 1;
            if message.odd != Odd::No || self.is_table(message.input) || !random.random_bool(0.15) {
                continue;
            }
            let behind = |before: &Message| before.at - bound > message.at;
            let most = random.random_range(0..15);
            let after = self.messages[at..].iter().take(most);
            let after = after.take_while(|before| !behind(before)).count();
            self.messages.insert(at + after, message);
        }
    }

    /// As the engine gets it.
    ///
    /// # Errors
    /// It doesn't compile.
    pub fn role(&self) -> Result<Role, String> {
        let positive = |positive: bool| positive.then_some("a.v > 0");
        let query = match &self.kind {
            Kind::Relay(concurrency) => {
                return Ok(Role::Relay {
                    concurrency: *concurrency,
                });
            }
            Kind::Map {
                positive: filter,
                selects,
            } => {
                let select = selects.then_some("{'n': a.n, 'd': a.v * 2}");
                let spec = MapSpec::new("a", positive(*filter), select).map_err(|error| error.to_string())?;
                return Ok(Role::Map(Box::new(spec)));
            }
            Kind::LookUp { left, positive } => {
                let tables = &NAMES[1..self.brokers.len()];
                let on = |name: &&str| {
                    let more = if *positive {
                        format!(" && {name}.v > 0")
                    } else {
                        String::new()
                    };
                    format!("a.k == {name}.k{more}")
                };
                let names: Vec<String> = tables.iter().map(|name| format!(", {name}.n")).collect();
                Query {
                    join: if *left { JoinKind::Left } else { JoinKind::Inner },
                    on: Some(tables.iter().map(on).collect::<Vec<_>>().join(" && ")),
                    select: Some(format!("[a.n{}]", names.concat())),
                    ..Query::default()
                }
            }
            Kind::Trigger {
                length,
                grouped,
                positive: filter,
                fires,
                having,
                emit,
            } => Query {
                windows: length.map_or(Windows::Unbounded, |length| Windows::Tumbling { length }),
                filter: positive(*filter).map(str::to_owned),
                group_by: grouped.then(|| "a.k".to_owned()).into_iter().collect(),
                having: having.then(|| "count() > 1".to_owned()),
                select: Some(format!(
                    "[{}, count(), sum(a.v), collect(a.n)]",
                    if *grouped { "a.k" } else { "null" }
                )),
                emit: *emit,
                trigger: Some(match fires {
                    Fires::Count(count) => format!("count() >= {count}"),
                    Fires::Sum(sum) => format!("sum(a.v) > {sum}"),
                }),
                ..Query::default()
            },
        };
        let input = |number: usize| {
            let is_table = self.is_table(number);
            QueryInput {
                variable: NAMES[number].to_owned(),
                time: self.bound.filter(|_| !is_table).map(|bound| EventTime {
                    timestamp: format!("{}.t", NAMES[number]),
                    out_of_orderness: bound,
                    idle_timeout: self.idle,
                }),
                table: is_table.then(|| format!("{}.k", NAMES[number])),
            }
        };
        let query = Query {
            inputs: (0..self.brokers.len()).map(input).collect(),
            ..query
        };
        let spec = JoinSpec::compile(&query).map_err(|errors| format!("does not compile: {errors:?}"))?;
        Ok(Role::Join(Box::new(spec)))
    }
}

fn draw_kind(random: &mut SmallRng) -> Kind {
    match random.random_range(0..8) {
        0 => Kind::Map {
            positive: random.random_bool(0.5),
            selects: random.random_bool(0.7),
        },
        1 => Kind::Relay(*pick(random, &[1, 1, 3])),
        2..5 => Kind::LookUp {
            left: random.random_bool(0.5),
            positive: random.random_bool(0.3),
        },
        _ => Kind::Trigger {
            length: random.random_bool(0.4).then(|| random.random_range(5..60) * MS),
            grouped: random.random_bool(0.7),
            positive: random.random_bool(0.3),
            fires: if random.random_bool(0.6) {
                Fires::Count(random.random_range(1..5))
            } else {
                Fires::Sum(random.random_range(0..10))
            },
            having: random.random_bool(0.3),
            emit: *pick(random, &[Emit::Each, Emit::Batch]),
        },
    }
}

fn payload(n: u64, k: Option<u8>, v: Option<i64>, at: i64, (named, odd): (bool, Odd)) -> String {
    let k = k.map_or("null".to_owned(), |k| format!("\"k{k}\""));
    let v = v.map_or("null".to_owned(), |v| v.to_string());
    let data = format!(r#"{{"n":{n},"k":{k},"v":{v},"t":{}}}"#, at / MS);
    match odd {
        Odd::Broken => data[..data.len() - 1].to_owned(),
        Odd::Tombstone => "null".to_owned(),
        Odd::No if named => {
            format!(r#"{{"specversion":"1.0","id":"{n}","source":"/s","type":"t","data":{data}}}"#)
        }
        Odd::No => data,
    }
}
