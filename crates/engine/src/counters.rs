//! What has happened so far, in numbers: what metrics, status lines and tests read.

use std::collections::BTreeMap;

use crate::time::Time;
use crate::window::Window;

/// Totals of one component since it was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By input, in the order of the configuration.
    pub inputs: Vec<InputCounters>,
    /// Windows that closed after at least one message.
    pub windows: u64,
    /// Rows that joins made, or messages that a filter let through.
    pub rows: u64,
    /// Evaluations of expressions that failed, by reason.
    pub expression_errors: BTreeMap<&'static str, u64>,
    /// Dead letters, by reason.
    pub dead_lettered: BTreeMap<&'static str, u64>,
    /// Deliveries that recipients accepted, dead letters included.
    pub delivered: u64,
    /// Deliveries that have to be repeated.
    pub retried: u64,
    /// Bytes held now: windows, results and dead letters that wait, and what is needed to ack their messages.
    pub held_bytes: u64,
    /// How far event time has come: what happened before is late where its windows have closed. `None` in receipt
    /// time, and until every input has said something.
    pub watermark: Option<Time>,
}

/// Totals of one input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounters {
    /// Messages that arrived, repeats included.
    pub received: u64,
    /// Messages that a filter on this input alone kept out, failures of the filter included.
    pub filtered: u64,
    /// Messages that came when all of their windows had closed.
    pub late: u64,
    /// CloudEvents that were published again while the first one waited for its turn in event time.
    pub repeated: u64,
    /// Messages that were acked.
    pub acked: u64,
}

impl Counters {
    /// All failed evaluations.
    pub fn errors(&self) -> u64 {
        self.expression_errors.values().sum()
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> u64 {
        self.dead_lettered.values().sum()
    }
}

/// What one window did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowReport {
    /// Its bounds.
    pub window: Window,
    /// By input.
    pub inputs: Vec<WindowInput>,
    /// By conjunct of its conditions: [`JoinSpec::conditions`](crate::join::JoinSpec::conditions) has their texts.
    pub conditions: Vec<Tally>,
    /// Combinations of messages that were looked at.
    pub candidates: u64,
    /// Evaluations of expressions that failed.
    pub errors: u64,
    /// Rows that came out.
    pub rows: u64,
    /// Why it is not all of its rows, if so.
    pub cut_short: Option<CutShort>,
}

/// One input's part of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowInput {
    /// Messages that arrived for the window and could be decoded.
    pub received: u64,
    /// Of these, how many could not be in any row: a condition on this input alone was not true.
    pub filtered: u64,
    /// How many are in a row together with messages of other inputs; of an anti join, how many would be. The others
    /// had no match.
    pub matched: u64,
}

/// What one conjunct did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages on arrival, or combinations of messages, for which it was not true; of an equality that is looked
    /// up, lookups that found nothing.
    pub turned_away: u64,
    /// Evaluations that failed.
    pub failed: u64,
}

/// Why a window's join stopped before it was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutShort {
    /// It had looked at as many combinations as a window may cost.
    Candidates,
    /// Its rows took all of the memory budget.
    Budget,
}

impl CutShort {
    /// As conditions and metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            CutShort::Candidates => "JoinTooLarge",
            CutShort::Budget => "ResultOverBudget",
        }
    }
}
