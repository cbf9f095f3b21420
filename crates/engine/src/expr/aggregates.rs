//! The aggregate functions by name: what each gathers from a group's messages, and what is read of it.

use super::types::Types;

/// A function of all messages of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    First,
    Last,
    Collect,
    StdDev,
    Variance,
    Percentile,
    CountDistinct,
}

/// What is gathered from the messages of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gather {
    /// How many messages there are.
    Rows,
    /// How many values there are.
    Count,
    /// Sum and number.
    Sum,
    /// Sum, sum of squares and number.
    Moments,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The first value.
    First,
    /// The last value.
    Last,
    /// All values.
    Collect,
    /// How often each value is there.
    Quantiles,
    /// Which values there are.
    Distinct,
}

/// What is read of what was gathered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    /// Itself.
    Value,
    /// How many there are.
    Size,
    /// The mean.
    Mean,
    /// The sample's standard deviation.
    StdDev,
    /// The sample's variance.
    Variance,
    /// The value that this part of the values is not greater than.
    Percentile(f64),
}

impl Aggregate {
    pub(super) const ALL: [Aggregate; 12] = [
        Aggregate::Count,
        Aggregate::Sum,
        Aggregate::Avg,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::First,
        Aggregate::Last,
        Aggregate::Collect,
        Aggregate::StdDev,
        Aggregate::Variance,
        Aggregate::Percentile,
        Aggregate::CountDistinct,
    ];

    pub(super) fn named(name: &str) -> Option<Aggregate> {
        Aggregate::ALL.into_iter().find(|one| one.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Aggregate::Count => "count",
            Aggregate::Sum => "sum",
            Aggregate::Avg => "avg",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
            Aggregate::First => "first",
            Aggregate::Last => "last",
            Aggregate::Collect => "collect",
            Aggregate::StdDev => "stddev",
            Aggregate::Variance => "variance",
            Aggregate::Percentile => "percentile",
            Aggregate::CountDistinct => "countDistinct",
        }
    }

    /// How it is written, for messages.
    pub(super) fn usage(self) -> &'static str {
        match self {
            Aggregate::Count => "count() or count(x)",
            Aggregate::Sum => "sum(x)",
            Aggregate::Avg => "avg(x)",
            Aggregate::Min => "min(x); the smallest of several values is math.least(a, b)",
            Aggregate::Max => "max(x); the greatest of several values is math.greatest(a, b)",
            Aggregate::First => "first(x)",
            Aggregate::Last => "last(x)",
            Aggregate::Collect => "collect(x)",
            Aggregate::StdDev => "stddev(x)",
            Aggregate::Variance => "variance(x)",
            Aggregate::Percentile => "percentile(x, 0.95)",
            Aggregate::CountDistinct => "countDistinct(x)",
        }
    }

    /// Whether it takes so many arguments.
    pub(super) fn takes(self, arguments: usize) -> bool {
        match self {
            Aggregate::Count => arguments <= 1,
            Aggregate::Percentile => arguments == 2,
            _ => arguments == 1,
        }
    }

    /// What its argument may be.
    pub(super) fn argument(self) -> Types {
        match self {
            Aggregate::Sum
            | Aggregate::Avg
            | Aggregate::StdDev
            | Aggregate::Variance
            | Aggregate::Percentile => Types::NUMBER,
            Aggregate::Min | Aggregate::Max => Types::NUMBER
                .or(Types::STRING)
                .or(Types::BOOL)
                .or(Types::TIMESTAMP)
                .or(Types::DURATION)
                .or(Types::BYTES),
            _ => Types::ANY,
        }
    }

    /// What it comes to, of an argument of these types.
    pub(super) fn result(self, argument: Types) -> Types {
        match self {
            Aggregate::Count | Aggregate::CountDistinct => Types::INT,
            Aggregate::Collect => Types::LIST,
            Aggregate::Min | Aggregate::Max => argument.and(self.argument()).or(Types::NULL),
            Aggregate::First | Aggregate::Last => argument.or(Types::NULL),
            _ => Types::DOUBLE.or(Types::NULL),
        }
    }

    pub(super) fn gather(self, has_argument: bool) -> Gather {
        match self {
            Aggregate::Count if has_argument => Gather::Count,
            Aggregate::Count => Gather::Rows,
            Aggregate::Sum | Aggregate::Avg => Gather::Sum,
            Aggregate::StdDev | Aggregate::Variance => Gather::Moments,
            Aggregate::Min => Gather::Min,
            Aggregate::Max => Gather::Max,
            Aggregate::First => Gather::First,
            Aggregate::Last => Gather::Last,
            Aggregate::Collect => Gather::Collect,
            Aggregate::Percentile => Gather::Quantiles,
            Aggregate::CountDistinct => Gather::Distinct,
        }
    }
}

/// Names that other languages have for them.
pub(super) const ELSEWHERE: [(&str, &str); 14] = [
    ("average", "avg(x)"),
    ("mean", "avg(x)"),
    ("median", "percentile(x, 0.5)"),
    ("quantile", "percentile(x, 0.95)"),
    ("stdev", "stddev(x)"),
    ("std", "stddev(x)"),
    ("var", "variance(x)"),
    ("distinct", "countDistinct(x)"),
    ("count_distinct", "countDistinct(x)"),
    ("array_agg", "collect(x)"),
    ("list", "collect(x)"),
    ("first_value", "first(x)"),
    ("last_value", "last(x)"),
    ("lag", "previous(x)"),
];
