//! Bounds what a component holds, by pausing inputs.
//!
//! Near the limit the input that holds the most is paused: it is the furthest ahead, and what the others may
//! still bring is what its messages wait for. At the limit all are. When half is free again all go on. Nothing
//! that arrives is ever turned away. In event time the furthest ahead is who has the latest events, and who has the
//! earliest goes on where nothing else can: only its messages let windows close.

use super::Component;
use super::clock::Clock;
use super::effects::Effect;
use crate::time::Time;

/// Bytes held, and which inputs are paused because of them.
pub(super) struct Budget {
    limit: u64,
    /// By input: what its messages take in windows, queues and dead letters.
    inputs: Vec<u64>,
    /// What belongs to no single input: results, and the tokens of messages that they are made of.
    shared: u64,
    /// All of it: asked for after every message.
    held: u64,
    paused: Vec<bool>,
}

impl Budget {
    pub(super) fn new(limit: u64, inputs: usize) -> Budget {
        Budget {
            limit,
            inputs: vec![0; inputs],
            shared: 0,
            held: 0,
            paused: vec![false; inputs],
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn add(&mut self, input: Option<usize>, bytes: u64) {
        let account = self.account(input);
        *account = account.saturating_add(bytes);
        self.held = self.held.saturating_add(bytes);
    }

    pub(super) fn sub(&mut self, input: Option<usize>, bytes: u64) {
        let account = self.account(input);
        let bytes = bytes.min(*account);
        *account -= bytes;
        self.held = self.held.saturating_sub(bytes);
    }

    fn account(&mut self, input: Option<usize>) -> &mut u64 {
        match input.and_then(|input| self.inputs.get_mut(input)) {
            Some(held) => held,
            None => &mut self.shared,
        }
    }

    fn is_near(&self) -> bool {
        self.held() >= self.limit / 4 * 3
    }

    /// Whether anything may have to be said.
    pub(super) fn is_tight(&self) -> bool {
        self.is_near() || self.paused.contains(&true)
    }

    /// Says which inputs to pause and resume. Only those that `pausable` names are paused; of them `ahead` says how
    /// far each is. `spare` is one that must go on all the same, if there is one.
    pub(super) fn check(
        &mut self,
        pausable: impl Fn(usize) -> bool,
        ahead: impl Fn(usize) -> Time,
        spare: Option<usize>,
        mut tell: impl FnMut(Effect),
    ) {
        let held = self.held();
        let near = self.is_near();
        if held <= self.limit / 2 {
            for (input, paused) in self.paused.iter_mut().enumerate() {
                if std::mem::take(paused) {
                    tell(Effect::Resume { input });
                }
            }
            return;
        }
        if held >= self.limit {
            for input in 0..self.inputs.len() {
                if pausable(input) && Some(input) != spare && !self.paused[input] {
                    self.paused[input] = true;
                    tell(Effect::Pause { input });
                }
            }
        } else if near && !self.paused.contains(&true) {
            let furthest = (0..self.inputs.len())
                .rev()
                .max_by_key(|input| (ahead(*input), self.inputs[*input]));
            if let Some(input) = furthest.filter(|input| pausable(*input) && Some(*input) != spare) {
                self.paused[input] = true;
                tell(Effect::Pause { input });
            }
        }
        if let Some(input) = spare
            && std::mem::take(&mut self.paused[input])
        {
            tell(Effect::Resume { input });
        }
    }
}

impl Component {
    /// Pauses and resumes inputs by what is held.
    pub(super) fn mind_budget(&mut self) {
        self.counters.held_bytes = self.budget.held();
        if !self.budget.is_tight() {
            self.stuck = false;
            return;
        }
        let spare = self.spare();
        let Component {
            budget,
            effects,
            inputs,
            clock,
            now,
            ..
        } = self;
        let ahead = |clock: &Option<Clock>, input: usize| match clock {
            Some(clock) => clock.furthest(input),
            None => Time(0),
        };
        let mut told = Vec::new();
        // What an input redelivers after a crash fitted before; to pause it could mean to wait for ever.
        budget.check(
            |input| inputs[input].recovered,
            |input| ahead(clock, input),
            spare,
            |effect| told.push(effect),
        );
        for effect in told {
            if let (Some(clock), Effect::Pause { input } | Effect::Resume { input }) = (&mut *clock, &effect)
            {
                clock.pause(*input, matches!(effect, Effect::Pause { .. }), *now);
            }
            effects.push(effect);
        }
        if spare.is_some() && self.budget.held() >= self.budget.limit() && !self.stuck {
            self.stuck = true;
            self.report_stuck();
        }
    }
}
