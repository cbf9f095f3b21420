//! Messages that came back from the store, to be joined with each other.

use super::super::bound::{MISSING, Single};
use super::super::index::{Index, Key};
use super::super::open::Side;
use super::super::plan::Plan;
use super::super::spec::JoinSpec;
use super::super::store::Store;
use super::entry;
use crate::counters::WindowInput;
use crate::window::Window;

/// By input, some of its messages.
#[derive(Debug)]
pub(in crate::join) struct Loaded {
    pub(in crate::join) sides: Vec<Side>,
    /// Which of all messages of the window's input they are.
    numbers: Vec<Vec<u32>>,
    /// Rows of the steps before, or of all: by input, the places of their messages.
    rows: Vec<u32>,
}

impl Loaded {
    /// None, of a window's inputs.
    pub(super) fn new(sides: &[Side]) -> Loaded {
        let side = |side: &Side| Side {
            store: Store::new(),
            index: side.index.as_ref().map(Index::emptied),
            counts: WindowInput::default(),
        };
        Loaded {
            sides: sides.iter().map(side).collect(),
            numbers: vec![Vec::new(); sides.len()],
            rows: Vec::new(),
        }
    }

    /// Forgets the messages of some inputs; and the rows, if `rows` says so.
    pub(super) fn clear(&mut self, inputs: impl Iterator<Item = usize>, rows: bool) {
        for input in inputs {
            if let (Some(side), Some(numbers)) = (self.sides.get_mut(input), self.numbers.get_mut(input)) {
                side.store = Store::new();
                side.index = side.index.as_ref().map(Index::emptied);
                *numbers = Vec::new();
            }
        }
        if rows {
            self.rows.clear();
        }
    }

    /// Bytes that the messages take.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = self.sides.iter().map(|side| side.store.row_bytes() as u64);
        bytes.sum()
    }

    /// How many rows there are.
    pub(in crate::join) fn len(&self) -> usize {
        self.rows.len() / self.sides.len().max(1)
    }

    /// A row: by input, the places of its messages.
    pub(in crate::join) fn row(&self, row: u32) -> &[u32] {
        let width = self.sides.len();
        let start = row as usize * width;
        self.rows.get(start..start + width).unwrap_or_default()
    }

    /// Takes all rows.
    pub(super) fn take_rows(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.rows)
    }

    /// Which of all messages of its input the one at a place is.
    pub(in crate::join) fn number(&self, input: usize, place: u32) -> u32 {
        let numbers = self.numbers.get(input);
        let number = numbers.and_then(|numbers| numbers.get(place as usize));
        number.copied().unwrap_or(MISSING)
    }

    /// Takes a message off the front of what was written. Gives its place here.
    pub(super) fn add(&mut self, input: usize, number: u32, from: &mut &[u8]) -> Option<u32> {
        let (id, slots, text) = entry::read(from)?;
        let side = self.sides.get_mut(input)?;
        let row = side.store.len();
        // Its ack is not of these: consecutive tokens take nothing.
        side.store.push(id, row as u64, (slots, text), None);
        self.numbers.get_mut(input)?.push(number);
        u32::try_from(row).ok()
    }

    /// Adds a row of messages, whose numbers are those of these inputs.
    pub(super) fn add_row(
        &mut self,
        inputs: impl Iterator<Item = usize>,
        numbers: &[u8],
        mut from: &[u8],
    ) -> Option<()> {
        let start = self.rows.len();
        self.rows.resize(start + self.sides.len(), MISSING);
        for (input, number) in inputs.zip(numbers.chunks_exact(4)) {
            let number = u32::from_be_bytes(number.try_into().ok()?);
            if number != MISSING {
                let place = self.add(input, number, &mut from)?;
                *self.rows.get_mut(start + input)? = place;
            }
        }
        Some(())
    }

    /// Takes what was written for a step: one of its own messages, or a row of those before.
    pub(super) fn take(
        &mut self,
        (plan, step): (&Plan, usize),
        own: bool,
        (key, value): (&[u8], &[u8]),
    ) -> Option<()> {
        let numbers = entry::numbers(key);
        if !own {
            return self.add_row(plan.inputs_before(step), numbers, value);
        }
        let number = u32::from_be_bytes(numbers.try_into().ok()?);
        self.add(plan.steps.get(step)?.input, number, &mut &*value)?;
        Some(())
    }

    /// Makes the index of an input, if it has one.
    pub(super) fn index(&mut self, spec: &JoinSpec, window: Window, input: usize) {
        let single = Single {
            inputs: spec.inputs(),
            window,
        };
        let Some(side) = self.sides.get_mut(input) else {
            return;
        };
        let (Some(index), Some(step)) = (&mut side.index, spec.plan.step(input)) else {
            return;
        };
        *index = index.emptied();
        for row in 0..side.store.len() {
            let keyed = single.with(&side.store.row(row), |cx| match Key::eval(&step.build, cx) {
                Ok(key) if key.matches_itself() => {
                    index.add(&key, &side.store, &step.build, single);
                    true
                }
                _ => false,
            });
            if !keyed {
                index.add_without_key();
            }
        }
    }
}
