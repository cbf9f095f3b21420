//! What a component does, and how the engine is told.

use rand::Rng;
use rand::rngs::SmallRng;
use streaming_engine::component::Role;
use streaming_engine::join::JoinSpec;
use streaming_engine::map::MapSpec;
use streaming_engine::query::{Emit, EventTime, JoinKind, Query, QueryInput, Windows};

use super::case::Case;
use crate::message::{MS, pick};

/// Names of inputs in expressions.
pub const NAMES: [&str; 3] = ["a", "t", "u"];

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
    /// Looks messages of the first inputs up in the latest of the others.
    LookUp {
        /// How many inputs are no tables; two are joined first.
        streams: usize,
        /// When: at once, or when the window closes.
        windows: Windows,
        /// Whether those go on that match nothing.
        left: bool,
        /// Whether only rows of tables with a value above zero match.
        positive: bool,
        /// How results leave.
        emit: Emit,
    },
    /// Collects until a trigger is true.
    Trigger {
        /// What else sends; where they are unbounded only the trigger does.
        windows: Windows,
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

impl Kind {
    /// One of them.
    pub(crate) fn draw(random: &mut SmallRng) -> Kind {
        match random.random_range(0..8) {
            0 => Kind::Map {
                positive: random.random_bool(0.5),
                selects: random.random_bool(0.7),
            },
            1 => Kind::Relay(*pick(random, &[1, 1, 3])),
            2..5 => Kind::LookUp {
                streams: 1,
                windows: Windows::Unbounded,
                left: random.random_bool(0.5),
                positive: random.random_bool(0.3),
                emit: Emit::Batch,
            },
            _ => Kind::Trigger {
                windows: if random.random_bool(0.4) {
                    Windows::Tumbling {
                        length: random.random_range(5..60) * MS,
                    }
                } else {
                    Windows::Unbounded
                },
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

    /// Lets it have windows of other kinds, where so many inputs are read and no message comes behind others.
    pub(crate) fn widen(&mut self, inputs: usize, random: &mut SmallRng) {
        match self {
            Kind::Trigger { windows, .. } if *windows != Windows::Unbounded && random.random_bool(0.5) => {
                *windows = session(random);
            }
            Kind::LookUp {
                windows,
                streams,
                emit,
                ..
            } if random.random_bool(0.6) => {
                let length = random.random_range(5..60) * MS;
                *windows = match random.random_range(0..3) {
                    0 => Windows::Tumbling { length },
                    1 => Windows::Hopping {
                        length,
                        slide: random.random_range(length / MS / 3..=length / MS).max(1) * MS,
                    },
                    _ => session(random),
                };
                *emit = *pick(random, &[Emit::Each, Emit::Batch]);
                *streams = random.random_range(1..inputs);
            }
            _ => {}
        }
    }

    /// How time is divided.
    pub fn windows(&self) -> Windows {
        match self {
            Kind::LookUp { windows, .. } | Kind::Trigger { windows, .. } => *windows,
            Kind::Map { .. } | Kind::Relay(_) => Windows::Unbounded,
        }
    }
}

/// A trigger.
#[derive(Clone, Copy, Debug)]
pub enum Fires {
    /// `count() >= n`
    Count(usize),
    /// `sum(a.v) > n`
    Sum(i64),
}

impl Case {
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
            Kind::LookUp {
                streams,
                windows,
                left,
                positive,
                emit,
            } => {
                let others = NAMES[..self.brokers.len()].iter().enumerate().skip(1);
                let on = |(input, name): (usize, &&str)| {
                    let positive = *positive && input >= *streams;
                    let more = if positive {
                        format!(" && {name}.v > 0")
                    } else {
                        String::new()
                    };
                    format!("a.k == {name}.k{more}")
                };
                let names: Vec<String> = others.clone().map(|(_, name)| format!(", {name}.n")).collect();
                Query {
                    windows: *windows,
                    emit: *emit,
                    join: if *left { JoinKind::Left } else { JoinKind::Inner },
                    on: Some(others.map(on).collect::<Vec<_>>().join(" && ")),
                    select: Some(format!("[a.n{}]", names.concat())),
                    ..Query::default()
                }
            }
            Kind::Trigger {
                windows,
                grouped,
                positive: filter,
                fires,
                having,
                emit,
            } => Query {
                windows: *windows,
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

fn session(random: &mut SmallRng) -> Windows {
    Windows::Session {
        gap: random.random_range(2..15) * MS,
        max: random.random_range(20..60) * MS,
    }
}
