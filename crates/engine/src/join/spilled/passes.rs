//! Joins a window whose messages are in the store, pass by pass: some parts, or two blocks, at a time, and then what
//! was found, in the order in which one join of all would have found it.

use std::collections::BTreeMap;

use super::super::bound::MISSING;
use super::super::open::Side;
use super::super::progress::Progress;
use super::super::spec::JoinSpec;
use super::blocks::Blocks;
use super::loaded::Loaded;
use super::{Spilled, entry};
use crate::spill::{Entry, Merged, Next, Run, Spill, Writer};
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
    /// Messages by part; then rows.
    from: Merged,
    /// What was read, and belongs to another part.
    ahead: Option<Entry>,
    /// By part that is not through: bytes that its messages take in memory.
    sizes: BTreeMap<u16, u64>,
    stage: Stage,
    /// By input: messages of the parts that are read, with their numbers.
    read: Vec<Vec<(u32, Box<[u8]>)>>,
    /// The messages of the pass.
    pub(in crate::join) loaded: Loaded,
    /// Rows that results are made of: by input, places of messages.
    rows: Vec<u32>,
    at_hand: bool,
    /// Where rows go that the pass finds.
    pub(in crate::join) sink: Option<Sink>,
    found: Vec<Run>,
    /// By input: how many messages are in rows with others.
    pub(in crate::join) together: Vec<u64>,
}

/// Writes rows down: in the order of their messages' numbers, each with what is kept of its messages.
#[derive(Debug)]
pub(in crate::join) struct Sink {
    writer: Writer,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Sink {
    /// Adds a row of messages that are at hand: by input, their places.
    pub(in crate::join) fn push(
        &mut self,
        spill: &Spill,
        (sides, numbers): (&[Side], &[Vec<u32>]),
        rows: &[u32],
    ) -> Result<(), StateError> {
        self.key.clear();
        self.value.clear();
        for ((side, numbers), row) in sides.iter().zip(numbers).zip(rows) {
            let number = numbers.get(*row as usize).unwrap_or(&MISSING);
            self.key.extend_from_slice(&number.to_be_bytes());
            if *row != MISSING {
                entry::write(&side.store, *row as usize, &mut self.value);
            }
        }
        self.writer.push(spill, &self.key, &self.value)
    }
}

pub(super) fn torn() -> StateError {
    StateError("the state's file has no message where one was written; restart the component".to_owned())
}

impl Passes {
    /// `sides` are those that the messages came from.
    pub(in crate::join) fn new(spilled: Spilled, sides: &[Side]) -> Passes {
        Passes {
            from: Merged::new(spilled.runs, Vec::new()),
            ahead: None,
            sizes: spilled.sizes,
            stage: Stage::Choosing,
            read: sides.iter().map(|_| Vec::new()).collect(),
            loaded: Loaded::new(sides),
            rows: Vec::new(),
            at_hand: false,
            sink: None,
            found: Vec::new(),
            together: vec![0; sides.len()],
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
        while !self.at_hand {
            if *work == 0 {
                return Ok(Pass::Later);
            }
            match std::mem::replace(&mut self.stage, Stage::Choosing) {
                Stage::Choosing => self.choose(spec, progress, spill.part()),
                Stage::Loading(until) => {
                    let all = self.load(until, spill, work)?;
                    self.stage = Stage::Loading(until);
                    if all {
                        self.begin(spec, window, progress, spill);
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
                    blocks.load(&mut self.loaded, spill, work)?;
                    self.begin(spec, window, progress, spill);
                    blocks.resume(progress, &self.loaded);
                    self.stage = Stage::Pairing(blocks);
                }
                Stage::Pairing(blocks) => {
                    self.clear();
                    spill.remove(blocks.into_runs())?;
                }
                Stage::Emitting => self.emit(spec, progress, (spill, work))?,
                Stage::Through => {
                    self.stage = Stage::Through;
                    let none = Merged::new(Vec::new(), Vec::new());
                    let left = std::mem::replace(&mut self.from, none).into_runs();
                    spill.remove(left.into_iter().chain(self.found.drain(..)))?;
                    return Ok(Pass::Through);
                }
            }
        }
        Ok(Pass::Rows)
    }

    /// A pass was joined, or its results are made.
    pub(in crate::join) fn end(&mut self, progress: &mut Progress, spill: &Spill) -> Result<(), StateError> {
        self.at_hand = false;
        if let Some(sink) = self.sink.take() {
            let run = sink.writer.finish(spill)?;
            self.found.extend(Some(run).filter(|run| !run.is_empty()));
        }
        match &mut self.stage {
            Stage::Loading(_) => {
                self.stage = Stage::Choosing;
                for (sum, marks) in self.together.iter_mut().zip(&progress.together) {
                    *sum += marks.count();
                }
                self.clear();
            }
            Stage::Pairing(blocks) => blocks.joined(progress, &mut self.together),
            _ => self.clear(),
        }
        Ok(())
    }

    fn clear(&mut self) {
        (0..self.together.len()).for_each(|input| self.loaded.clear(input));
        self.rows.clear();
    }

    /// As many parts as fit into memory together; one by itself that doesn't; or, after the last, what was found. The
    /// messages of a single input make a row each, and need not be found.
    fn choose(&mut self, spec: &JoinSpec, progress: &Progress, part: u64) {
        let joins = spec.inputs() > 1;
        self.stage = match self.sizes.pop_first() {
            Some((bucket, size)) if joins && progress.cut_short.is_none() => {
                if size > part {
                    Stage::Splitting(bucket, Blocks::default())
                } else {
                    let (mut until, mut sum) = (bucket, size);
                    while let Some(next) = self.sizes.first_entry()
                        && sum + next.get() <= part
                    {
                        until = *next.key();
                        sum += next.remove();
                    }
                    Stage::Loading(until)
                }
            }
            _ if progress.is_void(spec) => Stage::Through,
            _ => {
                if joins {
                    let none = Merged::new(Vec::new(), Vec::new());
                    let read = std::mem::replace(&mut self.from, none).into_runs();
                    self.from = Merged::new(std::mem::take(&mut self.found), read);
                    self.ahead = None;
                }
                Stage::Emitting
            }
        };
    }

    /// What comes next; `Later` if that is not known yet.
    fn next(&mut self, spill: &mut Spill, work: &mut u64) -> Result<Next, StateError> {
        match self.ahead.take() {
            Some(entry) => Ok(Next::Entry(entry)),
            None => self.from.next(spill, work),
        }
    }

    /// Reads the messages of the parts up to one, and brings them in the order in which they came. Whether that were
    /// all.
    fn load(&mut self, until: u16, spill: &mut Spill, work: &mut u64) -> Result<bool, StateError> {
        loop {
            let entry = match self.next(spill, work)? {
                Next::Entry(entry) => entry,
                Next::Later => return Ok(false),
                Next::End => break,
            };
            let (bucket, input, number) = entry::place(&entry.0).ok_or_else(torn)?;
            if bucket > until {
                self.ahead = Some(entry);
                break;
            }
            let read = self.read.get_mut(input).ok_or_else(torn)?;
            read.push((number, entry.1));
        }
        for (input, read) in self.read.iter_mut().enumerate() {
            let mut read = std::mem::take(read);
            read.sort_unstable_by_key(|(number, _)| *number);
            for (number, value) in read {
                self.loaded.add(input, number, &mut &*value).ok_or_else(torn)?;
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
            let (bucket, input, _) = entry::place(&entry.0).ok_or_else(torn)?;
            if bucket > part {
                self.ahead = Some(entry);
                break;
            }
            blocks.push((input, &entry.0, &entry.1), fits, spill)?;
        }
        blocks.end_block(spill)?;
        Ok(true)
    }

    /// All messages of the pass are at hand.
    fn begin(&mut self, spec: &JoinSpec, window: Window, progress: &mut Progress, spill: &mut Spill) {
        self.loaded.index(spec, window);
        progress.renew(&spec.plan, &self.loaded.sides);
        self.sink = Some(Sink {
            writer: spill.write(),
            key: Vec::new(),
            value: Vec::new(),
        });
        self.at_hand = true;
    }

    /// Reads the next rows that were found.
    fn emit(
        &mut self,
        spec: &JoinSpec,
        progress: &mut Progress,
        (spill, work): (&mut Spill, &mut u64),
    ) -> Result<(), StateError> {
        let inputs = self.together.len();
        // No more of them have room.
        let full = progress.cut_short == Some(crate::counters::CutShort::Budget);
        self.stage = Stage::Emitting;
        while !full && self.rows.len() < ROWS * inputs && self.loaded.bytes() < spill.part() {
            let (key, value) = match self.next(spill, work)? {
                Next::Entry(entry) => entry,
                Next::Later => return Ok(()),
                Next::End => break,
            };
            // A message's number is the last of its key.
            let at = key.len().checked_sub(4 * inputs).ok_or_else(torn)?;
            let mut value = &*value;
            for (input, number) in key[at..].chunks_exact(4).enumerate() {
                let number = number.try_into().map_or(MISSING, u32::from_be_bytes);
                let row = match number {
                    MISSING => MISSING,
                    number => self.loaded.add(input, number, &mut value).ok_or_else(torn)?,
                };
                self.rows.push(row);
            }
        }
        if self.rows.is_empty() || full {
            self.stage = Stage::Through;
            return Ok(());
        }
        progress.renew(&spec.plan, &self.loaded.sides);
        progress.repeat(std::mem::take(&mut self.rows));
        self.at_hand = true;
        Ok(())
    }
}
