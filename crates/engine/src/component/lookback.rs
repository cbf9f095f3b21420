//! What groups came to in their last windows, as long as `previous` may ask: it is kept when its window is done with,
//! together with that.

use rustc_hash::FxHashMap;

use super::Component;
use crate::ack::GroupId;
use crate::aggregate::{Kept, Previous};

/// What groups came to, and what of it is to be kept.
#[derive(Debug, Default)]
pub(super) struct Lookback {
    pub(super) previous: Previous,
    /// By what waits for a window's results: what the window has changed.
    waiting: FxHashMap<GroupId, Vec<Kept>>,
    /// What windows that are done with have changed.
    done: Vec<Kept>,
    /// Whether anybody keeps it.
    kept: bool,
}

impl Lookback {
    /// A window has closed; its results wait to be accepted.
    pub(super) fn closed(&mut self, group: GroupId) {
        let changed = self.previous.closed();
        if self.kept && !changed.is_empty() {
            self.waiting.insert(group, changed);
        }
    }

    /// They are.
    pub(super) fn settled(&mut self, group: GroupId) {
        self.done.extend(self.waiting.remove(&group).unwrap_or_default());
    }
}

impl Component {
    /// Takes back what was kept of a group in an earlier life, and keeps such things from now on. False if it is
    /// nothing that was kept.
    #[must_use]
    pub(crate) fn recall(&mut self, key: &[u8], past: &[u8]) -> bool {
        let before = self.lookback.previous.bytes();
        let known = self.lookback.previous.recall(key, past);
        self.past_grew(before);
        known
    }

    /// Somebody takes [`Component::past`].
    pub(crate) fn keep_past(&mut self) {
        self.lookback.kept = true;
    }

    /// What has to be kept of groups, since the last call: keys and what to [`Component::recall`].
    pub(crate) fn past(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.lookback.done)
    }

    pub(super) fn past_grew(&mut self, before: usize) {
        let grown = self.lookback.previous.bytes().saturating_sub(before);
        self.budget.add(None, grown as u64);
    }
}
