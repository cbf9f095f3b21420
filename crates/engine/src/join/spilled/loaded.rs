//! Messages that came back from the store, to be joined with each other.

use super::super::bound::Single;
use super::super::index::{Index, Key};
use super::super::open::Side;
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
    pub(in crate::join) numbers: Vec<Vec<u32>>,
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
        }
    }

    /// Forgets the messages of an input.
    pub(super) fn clear(&mut self, input: usize) {
        if let (Some(side), Some(numbers)) = (self.sides.get_mut(input), self.numbers.get_mut(input)) {
            side.store = Store::new();
            side.index = side.index.as_ref().map(Index::emptied);
            *numbers = Vec::new();
        }
    }

    /// Bytes that the messages take.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = self.sides.iter().map(|side| side.store.row_bytes() as u64);
        bytes.sum()
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

    /// Makes the index of what has one.
    pub(super) fn index(&mut self, spec: &JoinSpec, window: Window) {
        let single = Single {
            inputs: spec.inputs(),
            window,
        };
        for (input, side) in self.sides.iter_mut().enumerate() {
            let (Some(index), Some(step)) = (&mut side.index, spec.plan.step(input)) else {
                continue;
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
}
