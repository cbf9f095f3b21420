//! Bounds what a component holds, by pausing inputs.
//!
//! Near the limit the input that holds the most is paused: it is the furthest ahead, and what the others may
//! still bring is what its messages wait for. At the limit all are. When half is free again all go on. Nothing
//! that arrives is ever turned away.

use super::effects::Effect;

/// Bytes held, and which inputs are paused because of them.
pub(super) struct Budget {
    limit: u64,
    /// By input: what its messages take in windows, queues and dead letters.
    inputs: Vec<u64>,
    /// What belongs to no single input: results, and the tokens of messages that they are made of.
    shared: u64,
    paused: Vec<bool>,
}

impl Budget {
    pub(super) fn new(limit: u64, inputs: usize) -> Budget {
        Budget {
            limit,
            inputs: vec![0; inputs],
            shared: 0,
            paused: vec![false; inputs],
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn held(&self) -> u64 {
        self.inputs
            .iter()
            .fold(self.shared, |sum, held| sum.saturating_add(*held))
    }

    pub(super) fn add(&mut self, input: Option<usize>, bytes: u64) {
        let held = self.account(input);
        *held = held.saturating_add(bytes);
    }

    pub(super) fn sub(&mut self, input: Option<usize>, bytes: u64) {
        let held = self.account(input);
        *held = held.saturating_sub(bytes);
    }

    fn account(&mut self, input: Option<usize>) -> &mut u64 {
        match input.and_then(|input| self.inputs.get_mut(input)) {
            Some(held) => held,
            None => &mut self.shared,
        }
    }

    /// Says which inputs to pause and resume. Only those that `pausable` names are paused.
    pub(super) fn check(&mut self, pausable: impl Fn(usize) -> bool, mut tell: impl FnMut(Effect)) {
        let held = self.held();
        if held < self.limit / 4 * 3 {
            if held <= self.limit / 2 && self.paused.contains(&true) {
                for (input, paused) in self.paused.iter_mut().enumerate() {
                    if std::mem::take(paused) {
                        tell(Effect::Resume { input });
                    }
                }
            }
            return;
        }
        if held < self.limit {
            let furthest = (0..self.inputs.len())
                .rev()
                .max_by_key(|input| self.inputs[*input]);
            if let Some(input) = furthest.filter(|input| pausable(*input) && !self.paused.contains(&true)) {
                self.paused[input] = true;
                tell(Effect::Pause { input });
            }
            return;
        }
        for input in 0..self.inputs.len() {
            if pausable(input) && !self.paused[input] {
                self.paused[input] = true;
                tell(Effect::Pause { input });
            }
        }
    }
}
