//! Which messages are late, by the words of docs/windows.md: each input's latest event less its bound, the lowest of all
//! inputs that are not silent.

use std::collections::BTreeSet;

use super::case::Case;
use super::oracle;

/// Before any event.
pub(crate) const START: i64 = i64::MIN;

/// What has been heard of the inputs, whatever became of the component meanwhile.
pub(crate) struct Lateness {
    inputs: Vec<Heard>,
    pub(crate) watermark: i64,
    /// By message: how far time had come when it was first delivered; of others, how far it has now.
    pub(crate) behind: Vec<i64>,
    delivered: Vec<bool>,
    /// What may count as late in one life and not in the other.
    doubtful: BTreeSet<usize>,
    died: bool,
}

struct Heard {
    latest: i64,
    /// When it spoke last.
    last: i64,
    idle: bool,
    patience: Option<i64>,
}

impl Lateness {
    pub(crate) fn new(case: &Case) -> Lateness {
        let heard = |patience: &Option<i64>| Heard {
            latest: START,
            last: 0,
            idle: false,
            patience: *patience,
        };
        Lateness {
            inputs: case.idle.iter().map(heard).collect(),
            watermark: START,
            behind: vec![START; case.messages.len()],
            delivered: vec![false; case.messages.len()],
            doubtful: BTreeSet::new(),
            died: false,
        }
    }

    /// A message is delivered. Whether that changes what is late.
    pub(crate) fn deliver(&mut self, case: &Case, message: usize, now: i64) -> bool {
        let before = self.watermark;
        self.elapse(case, now);
        let mut changed = self.spread(case, before);
        let of = &case.messages[message];
        if !self.delivered[message] {
            self.delivered[message] = true;
            if self.died && oracle::first_end(case, of.at) <= self.behind[message] {
                self.doubtful.insert(message);
            }
        }
        let input = &mut self.inputs[of.input];
        input.latest = input.latest.max(of.at - case.bound);
        input.last = input.last.max(now);
        input.idle = false;
        let before = self.watermark;
        self.advance();
        changed |= self.spread(case, before);
        changed
    }

    /// Time has passed. Whether that changes what is late.
    pub(crate) fn pass(&mut self, case: &Case, now: i64) -> bool {
        let before = self.watermark;
        self.elapse(case, now);
        self.spread(case, before)
    }

    /// The component has died: who comes again may be early now.
    pub(crate) fn die(&mut self, case: &Case) {
        self.died = true;
        for message in 0..case.messages.len() {
            let closed = oracle::first_end(case, case.messages[message].at) <= self.behind[message];
            if self.delivered[message] && closed {
                self.doubtful.insert(message);
            }
        }
    }

    /// Whether all windows of a message had closed when it came.
    pub(crate) fn is_late(&self, case: &Case, message: usize) -> bool {
        self.delivered[message] && oracle::last_end(case, case.messages[message].at) <= self.behind[message]
    }

    /// Whether what comes of a window depends on when the component died.
    pub(crate) fn doubts(&self, case: &Case, start: i64, end: i64) -> bool {
        let mut at = self.doubtful.iter().map(|message| case.messages[*message].at);
        at.any(|at| start <= at && at < end)
    }

    fn elapse(&mut self, case: &Case, now: i64) {
        loop {
            let awake = self.inputs.iter().filter(|input| !input.idle);
            let Some(next) = awake.filter_map(|input| Some(input.last + input.patience?)).min() else {
                return;
            };
            if next > now {
                return;
            }
            for input in &mut self.inputs {
                input.idle |= input
                    .patience
                    .is_some_and(|patience| input.last + patience <= next);
            }
            self.advance();
            if self.inputs.iter().all(|input| input.idle) {
                let held = (0..self.delivered.len()).filter(|message| self.delivered[*message]);
                let ends = held
                    .filter(|message| !self.is_late(case, *message))
                    .map(|message| oracle::last_end(case, case.messages[message].at));
                self.watermark = ends.fold(self.watermark, i64::max);
            }
        }
    }

    fn advance(&mut self) {
        let awake = self.inputs.iter().filter(|input| !input.idle);
        if let Some(lowest) = awake.map(|input| input.latest).min() {
            self.watermark = self.watermark.max(lowest);
        }
    }

    /// Those that have not come yet are behind what the watermark is now.
    fn spread(&mut self, case: &Case, before: i64) -> bool {
        if self.watermark == before {
            return false;
        }
        let mut changed = false;
        for (message, of) in case.messages.iter().enumerate() {
            if !self.delivered[message] && of.at < self.watermark {
                self.behind[message] = self.watermark;
                changed = true;
            }
        }
        changed
    }
}
