//! How far a window's join has come: all that is kept of it between two slices of its work.

use rustc_hash::FxHashMap;

use super::bound::MISSING;
use super::index::Found;
use super::matched::Matched;
use super::open::Side;
use super::plan::Plan;
use super::ranges::{Ranges, Within};
use super::spec::JoinSpec;
use crate::counters::{CutShort, Tally};
use crate::query::Emit;

/// What a step tries next.
#[derive(Debug)]
pub(super) enum Next {
    /// Every message, from this one on.
    Scan(u32),
    /// Those with the key that was looked up.
    Found(Found),
    /// Those of a range of values.
    Within(Within),
    /// Those that no row before had a match in, from this one on.
    Unmatched(u32),
    /// Nothing: what is bound before can't have a match.
    Nothing,
    /// Rows of the steps before, from this one on.
    Rows(u32),
}

/// A step that is open.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) next: Next,
    /// Whether what is bound before has had a match, or has gone on without one.
    pub(super) settled: bool,
}

impl Frame {
    pub(super) fn new(next: Next) -> Frame {
        Frame { next, settled: false }
    }
}

/// Of a step that is too large for memory, and is joined block by block: what is at hand.
#[derive(Debug)]
pub(super) struct Block {
    /// Which rows of the block have had a match, in this block of messages or in one before.
    pub(super) met: Matched,
    /// Which have found messages with their key.
    pub(super) looked_up: Matched,
    /// Whether this is the last block of messages.
    pub(super) last: bool,
    /// Whether this is the last block of rows.
    pub(super) last_of_first: bool,
}

/// How far a join has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// The steps that are open, one inside the other.
    pub(super) frames: Vec<Frame>,
    /// Which step the outermost of them is: the first, and then each that keeps what has no match before it.
    pub(super) base: usize,
    /// By input: the number of the message that it is bound to.
    pub(super) rows: Vec<u32>,
    pub(super) candidates: u64,
    pub(super) cut_short: Option<CutShort>,
    /// By step, where it matters: the messages that had a match in those before.
    pub(super) matched: Vec<Matched>,
    /// Of an anti join: whether the first input's message has no match so far.
    pub(super) alone: bool,
    /// By input: the messages that are in a row together with others.
    pub(super) together: Vec<Matched>,
    /// What steps try that leave out what is not in a range: by step, and by the first message of those that a lookup
    /// has found.
    pub(super) ranges: FxHashMap<(usize, u32), Ranges>,
    /// By condition.
    pub(super) tallies: Vec<Tally>,
    /// Where the steps are not in the order of the inputs: the rows of the first input's message so far, to be
    /// brought in order before they are encoded. As the first step is always that of the first input, rows of
    /// different messages of it are in order.
    pub(super) found: Vec<u32>,
    /// Their order, and how many of them are encoded, once they are complete.
    pub(super) order: Option<(Vec<u32>, usize)>,
    /// Where the rows of the steps before are at hand: which of them is joined.
    pub(super) row: u32,
    /// What of them and of the step's messages is at hand, where not all is.
    pub(super) block: Option<Block>,
}

impl Progress {
    pub(super) fn new(plan: &Plan, sides: &[Side], tallies: Vec<Tally>) -> Progress {
        let marks = |input: usize| Matched::new(sides[input].store.len());
        let kept = plan.steps.iter().filter(|_| plan.keeps_right());
        Progress {
            frames: vec![Frame::new(Next::Scan(0))],
            base: 0,
            rows: vec![MISSING; sides.len()],
            candidates: 0,
            cut_short: None,
            matched: kept.map(|step| marks(step.input)).collect(),
            alone: false,
            together: (0..sides.len()).map(marks).collect(),
            ranges: FxHashMap::default(),
            tallies,
            found: Vec::new(),
            order: None,
            row: 0,
            block: None,
        }
    }

    /// Begins again with other messages of the same window.
    pub(super) fn renew(&mut self, plan: &Plan, sides: &[Side]) {
        let tallies = std::mem::take(&mut self.tallies);
        *self = Progress {
            candidates: self.candidates,
            cut_short: self.cut_short,
            together: std::mem::take(&mut self.together),
            ..Progress::new(plan, sides, tallies)
        };
    }

    /// Joins the rows that the steps before have found with the messages of this one.
    pub(super) fn join_rows(&mut self, step: usize) {
        self.frames = vec![Frame::new(Next::Rows(0))];
        self.base = step.saturating_sub(1);
    }

    /// Has found these rows before, in order, and looks for no others.
    pub(super) fn repeat(&mut self, rows: Vec<u32>) {
        let width = self.rows.len().max(1);
        // Some thousand at most.
        let count = u32::try_from(rows.len() / width).unwrap_or(u32::MAX);
        self.order = Some(((0..count).collect(), 0));
        self.found = rows;
        self.frames.clear();
        self.base = self.rows.len();
    }

    /// Whether what is bound before, and has no match here, may have one elsewhere, or has had one.
    pub(super) fn may_match(&self) -> bool {
        self.has_met() || !self.is_last()
    }

    /// Whether what is bound before has had a match elsewhere.
    pub(super) fn has_met(&self) -> bool {
        self.block
            .as_ref()
            .is_some_and(|block| block.met.is_marked(self.row))
    }

    /// Whether a lookup has found nothing anywhere. `found` says whether it has here.
    pub(super) fn is_in_vain(&mut self, found: bool) -> bool {
        let row = self.row;
        let Some(block) = &mut self.block else {
            return !found;
        };
        if found {
            block.looked_up.mark(row);
        }
        block.last && !block.looked_up.is_marked(row)
    }

    /// Whether what is evaluated once for what is bound before is evaluated for the last time.
    pub(super) fn is_last(&self) -> bool {
        self.block.as_ref().is_none_or(|block| block.last)
    }

    /// Whether nothing is sent of what was found, as not all was: groups of a part of their rows would be wrong; and which
    /// rows of a batch are found first depends on what of the window was in memory.
    pub(super) fn is_void(&self, spec: &JoinSpec) -> bool {
        match self.cut_short {
            Some(CutShort::Candidates) => spec.groups.is_some() || spec.emit == Emit::Batch,
            Some(CutShort::Budget) => spec.groups.is_some(),
            None => false,
        }
    }

    /// Looks for no more rows.
    pub(super) fn stop(&mut self, reason: CutShort) {
        self.cut_short = Some(reason);
        self.frames.clear();
        self.base = self.rows.len();
        self.alone = false;
    }
}
