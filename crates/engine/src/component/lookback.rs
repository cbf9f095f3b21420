//! What groups came to in their last windows, as long as `previous` may ask: those that were asked for lately in memory,
//! and all in the store, by the time that the messages go that it was made of.

use super::{Component, Role};
use crate::spill::{Home, Store};
use crate::state::StateError;
use crate::time::Time;
use crate::window::Windowing;

/// Of what groups may take in memory, what those of earlier windows may.
const SHARE: u64 = 4;

impl Component {
    /// What groups came to is in a store from now on, with keys of its own: what an earlier life left there, too.
    pub(crate) fn look_back_at(&mut self, store: Store, prefix: Vec<u8>) {
        let Some(spill) = &self.spill else { return };
        let home = Home {
            store,
            prefix,
            share: spill.share() / SHARE,
            used: true,
        };
        let settled = self.never_again(self.settled);
        self.previous.settle(home, settled);
    }

    /// Windows that end by then are not computed again, where it is done as far as that.
    fn never_again(&self, settled: Time) -> Time {
        // Of sessions that end together some may be open still.
        let together =
            matches!(&*self.role, Role::Join(spec) if matches!(spec.windows(), Windowing::Session(_)));
        Time(settled.0.saturating_sub(i64::from(together)))
    }

    /// Messages of windows that are done with are about to go: what groups have come to in them is in the store after
    /// this. `durable` is what [`Component::settled`] was when such messages last went.
    pub(crate) fn keep_past(&mut self, durable: Option<Time>) -> Result<(), StateError> {
        if let Some(durable) = durable {
            self.previous.settled(self.never_again(durable));
        }
        self.previous.write()
    }

    /// Notes what they take in memory now.
    pub(super) fn past_changed(&mut self, before: u64) {
        let after = self.previous.bytes();
        self.budget.add(None, after.saturating_sub(before));
        self.budget.sub(None, before.saturating_sub(after));
    }
}
