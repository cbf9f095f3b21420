//! Joins a window whose messages are in the store, step by step, and each step pass by pass: some parts, or two blocks,
//! at a time; and then what was found, in the order in which one join of all would have found it.

use std::collections::BTreeMap;

use super::super::bound::MISSING;
use super::super::open::Side;
use super::super::plan::Plan;
use super::super::progress::Progress;
use super::super::spec::JoinSpec;
use super::blocks::Blocks;
use super::loaded::Loaded;
use super::sink::{Sink, is_told_last};
use super::{Spilled, entry};
use crate::spill::{Entry, Merged, Next, Run, Spill};
use crate::state::StateError;
use crate::window::Window;

/// Rows that results are made of at once.
const ROWS: usize = 1024;

/// What is at hand.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::join) enum Pass {
    /// Nothing yet: there is more to read.
    Later,
    /// Messages to join, or rows to make results of.
    Rows,
    /// Nothing any more.
    Through,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// What is joined next is not known.
    Choosing,
    /// The parts up to this one are.
    Loading(u16),
    /// A part is cut into blocks.
    Splitting(u16, Blocks),
    /// Blocks are joined.
    Pairing(Blocks),
    /// Results are made of what was found.
    Emitting,
    Through,
}

/// A window whose messages are in the store, while it closes.
#[derive(Debug)]
pub(in crate::join) struct Passes {
    /// Rows and messages by part; then rows.
    from: Merged,
    /// What was read, and belongs to another part.
    ahead: Option<Entry>,
    /// The step that is joined with the rows of those before it.
    pub(in crate::join) step: usize,
    /// By step, from the second on: its messages.
    runs: Vec<Vec<Run>>,
    /// By step, from the second on, and by part that is not through: bytes that it takes in memory.
    sizes: Vec<BTreeMap<u16, u64>>,
    stage: Stage,
    /// Of the parts that are read: rows, and messages.
    read: [Vec<Entry>; 2],
    /// What the pass joins.
    pub(in crate::join) loaded: Loaded,
    at_hand: bool,
    /// Where rows go that are found.
    pub(in crate::join) sink: Option<Sink>,
    found: Vec<Run>,
    /// Where it is known last which of the first input's messages have no match: all of them.
    firsts: Vec<Run>,
    /// One that has had none so far.
    alone: Option<Entry>,
}

pub(super) fn torn() -> StateError {
    StateError("the state's file has no message where one was written; restart the component".to_owned())
}

impl Passes {
    /// `sides` are those that the messages came from.
    pub(in crate::join) fn new(spilled: Spilled, sides: &[Side]) -> Passes {
        let mut runs = spilled.runs;
        let first = runs.first_mut().map(std::mem::take).unwrap_or_default();
        Passes {
            from: Merged::new(first, Vec::new()),
            ahead: None,
            step: 1,
            runs,
            sizes: spilled.sizes,
            stage: Stage::Choosing,
            read: Default::default(),
            loaded: Loaded::new(sides),
            at_hand: false,
            sink: None,
            found: Vec::new(),
            firsts: spilled.firsts,
            alone: None,
        }
    }

    /// Gets the next pass ready, as far as `work` goes.
    pub(in crate::join) fn prepare(
        &mut self,
        spec: &JoinSpec,
        window: Window,
        progress: &mut Progress,
        (spill, work): (&mut Spill, &mut u64),
    ) -> Result<Pass, StateError> {
        let plan = &spec.plan;
        while !self.at_hand {
            if *work == 0 {
                return Ok(Pass::Later);
            }
            match std::mem::replace(&mut self.stage, Stage::Choosing) {
                Stage::Choosing => self.choose(spec, progress, spill)?,
                Stage::Loading(until) => {
                    let all = self.load(plan, until, spill, work)?;
                    self.stage = Stage::Loading(until);
                    if all {
                        self.begin(spec, window, progress);
                    }
                }
                Stage::Splitting(bucket, mut blocks) => {
                    self.stage = if self.split((bucket, &mut blocks), spill, work)? {
                        Stage::Pairing(blocks)
                    } else {
                        Stage::Splitting(bucket, blocks)
                    };
                }
                Stage::Pairing(mut blocks) if blocks.are_left() && progress.cut_short.is_none() => {
                    blocks.load(&mut self.loaded, (plan, self.step), spill, work)?;
                    self.begin(spec, window, progress);
                    blocks.resume(self.step, progress, &self.loaded);
                    self.stage = Stage::Pairing(blocks);
                }
                Stage::Pairing(blocks) => {
                    self.clear();
                    spill.remove(blocks.into_runs())?;
                }
                Stage::Emitting => self.emit(spec, progress, (spill, work))?,
                Stage::Through => {
                    self.stage = Stage::Through;
                    let left = std::mem::take(&mut self.from).into_runs();
                    let later = self.runs.drain(..).flatten();
                    let found = self.found.drain(..).chain(self.firsts.drain(..));
                    spill.remove(left.into_iter().chain(later).chain(found))?;
                    return Ok(Pass::Through);
                }
            }
        }
        Ok(Pass::Rows)
    }

    /// A pass was joined, or its results are made.
    pub(in crate::join) fn end(&mut self, progress: &mut Progress, spill: &Spill) -> Result<(), StateError> {
        self.at_hand = false;
        if let Some(sink) = &mut self.sink {
            sink.end_pass(spill)?;
        }
        match &mut self.stage {
            Stage::Pairing(blocks) => blocks.joined(self.step, progress),
            Stage::Loading(_) => {
                self.stage = Stage::Choosing;
                self.clear();
            }
            _ => self.clear(),
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.loaded.clear(0..self.loaded.sides.len(), true);
    }

    /// As many parts as fit into memory together; one by itself that doesn't; after the last, the next step; and after
    /// the last of these, what was found. The messages of a single input make a row each, and need not be found.
    fn choose(&mut self, spec: &JoinSpec, progress: &Progress, spill: &mut Spill) -> Result<(), StateError> {
        let steps = spec.plan.steps.len();
        let (joins, cut) = (steps > 1, progress.cut_short.is_some());
        let sizes = self.sizes.get_mut(self.step - 1).filter(|_| joins && !cut);
        if let Some((sizes, (bucket, size))) = sizes.and_then(|sizes| {
            let first = sizes.pop_first()?;
            Some((sizes, first))
        }) {
            let part = spill.part();
            self.stage = if size > part {
                Stage::Splitting(bucket, Blocks::default())
            } else {
                let (mut until, mut sum) = (bucket, size);
                while let Some(next) = sizes.first_entry()
                    && sum + next.get() <= part
                {
                    until = *next.key();
                    sum += next.remove();
                }
                Stage::Loading(until)
            };
            return Ok(());
        }
        if let Some(sink) = self.sink.take() {
            let (found, parts) = sink.finish(spill)?;
            self.found.extend(found);
            if let Some(sizes) = self.sizes.get_mut(self.step) {
                for (part, size) in parts {
                    *sizes.entry(part).or_default() += size;
                }
            }
        }
        let last = self.step + 1 >= steps;
        if cut && (!last || is_told_last(&spec.plan)) || progress.is_void(spec) {
            self.stage = Stage::Through;
        } else if !last {
            self.step += 1;
            let messages = self.runs.get_mut(self.step - 1).map(std::mem::take);
            self.found.append(&mut messages.unwrap_or_default());
            self.turn();
        } else {
            if joins {
                self.found.append(&mut self.firsts);
                self.turn();
            }
            self.stage = Stage::Emitting;
        }
        Ok(())
    }

    /// Reads what was found from now on.
    fn turn(&mut self) {
        let read = std::mem::take(&mut self.from).into_runs();
        self.from = Merged::new(std::mem::take(&mut self.found), read);
        self.ahead = None;
    }

    /// What comes next; `Later` if that is not known yet.
    fn next(&mut self, spill: &mut Spill, work: &mut u64) -> Result<Next, StateError> {
        match self.ahead.take() {
            Some(entry) => Ok(Next::Entry(entry)),
            None => self.from.next(spill, work),
        }
    }

    /// Reads the parts up to one, and brings what is in them in its order. Whether that were all.
    fn load(
        &mut self,
        plan: &Plan,
        until: u16,
        spill: &mut Spill,
        work: &mut u64,
    ) -> Result<bool, StateError> {
        loop {
            let entry = match self.next(spill, work)? {
                Next::Entry(entry) => entry,
                Next::Later => return Ok(false),
                Next::End => break,
            };
            let (bucket, own, _) = entry::place(&entry.0).ok_or_else(torn)?;
            if bucket > until {
                self.ahead = Some(entry);
                break;
            }
            self.read[usize::from(own)].push(entry);
        }
        for (read, own) in self.read.iter_mut().zip([false, true]) {
            let mut read = std::mem::take(read);
            read.sort_unstable_by(|a, b| entry::numbers(&a.0).cmp(entry::numbers(&b.0)));
            for (key, value) in read {
                let taken = self.loaded.take((plan, self.step), own, (&key, &value));
                taken.ok_or_else(torn)?;
            }
        }
        Ok(true)
    }

    /// Cuts a part into blocks. Whether that was all of it.
    fn split(
        &mut self,
        (part, blocks): (u16, &mut Blocks),
        spill: &mut Spill,
        work: &mut u64,
    ) -> Result<bool, StateError> {
        let fits = spill.part();
        loop {
            let entry = match self.next(spill, work)? {
                Next::Entry(entry) => entry,
                Next::Later => return Ok(false),
                Next::End => break,
            };
            let (bucket, own, _) = entry::place(&entry.0).ok_or_else(torn)?;
            if bucket > part {
                self.ahead = Some(entry);
                break;
            }
            blocks.push((own, &entry.0, &entry.1), fits, spill)?;
        }
        blocks.end_block(spill)?;
        Ok(true)
    }

    /// All that the pass joins is at hand.
    fn begin(&mut self, spec: &JoinSpec, window: Window, progress: &mut Progress) {
        let plan = &spec.plan;
        if let Some(step) = plan.steps.get(self.step) {
            self.loaded.index(spec, window, step.input);
        }
        progress.renew(plan, &self.loaded.sides);
        progress.join_rows(self.step);
        self.sink.get_or_insert_with(|| Sink::new(plan, self.step));
        self.at_hand = true;
    }

    /// The next row that was found: its numbers, and its messages.
    fn next_row(
        &mut self,
        plan: &Plan,
        progress: &mut Progress,
        (spill, work): (&mut Spill, &mut u64),
    ) -> Result<Next, StateError> {
        loop {
            let next = self.next(spill, work)?;
            let entry = match next {
                Next::Entry(entry) if is_told_last(plan) => entry,
                Next::End => return Ok(self.alone.take().map_or(Next::End, Next::Entry)),
                next => return Ok(next),
            };
            if entry.0.len() == 4 {
                if let Some(alone) = self.alone.replace(entry) {
                    return Ok(Next::Entry(alone));
                }
            } else if self.alone.take().is_some() {
                // The match that would have been found first.
                for (step, number) in plan.steps.iter().zip(entry.0.chunks_exact(4)) {
                    let number = number.try_into().map_or(MISSING, u32::from_be_bytes);
                    if let Some(marks) = progress.together.get_mut(step.input) {
                        marks.mark(number);
                    }
                }
            }
        }
    }

    /// Reads the next rows that were found.
    fn emit(
        &mut self,
        spec: &JoinSpec,
        progress: &mut Progress,
        (spill, work): (&mut Spill, &mut u64),
    ) -> Result<(), StateError> {
        let inputs = self.loaded.sides.len();
        // No more of them have room.
        let full = progress.cut_short == Some(crate::counters::CutShort::Budget);
        self.stage = Stage::Emitting;
        while !full && self.loaded.len() < ROWS && self.loaded.bytes() < spill.part() {
            let (key, value) = match self.next_row(&spec.plan, progress, (spill, &mut *work))? {
                Next::Entry(entry) => entry,
                Next::Later => return Ok(()),
                Next::End => break,
            };
            // Numbers are the last of its key.
            let numbers = &key[key.len().saturating_sub(4 * inputs)..];
            self.loaded.add_row(0..inputs, numbers, &value).ok_or_else(torn)?;
        }
        if self.loaded.len() == 0 || full {
            self.stage = Stage::Through;
            return Ok(());
        }
        progress.renew(&spec.plan, &self.loaded.sides);
        progress.repeat(self.loaded.take_rows());
        self.at_hand = true;
        Ok(())
    }
}
