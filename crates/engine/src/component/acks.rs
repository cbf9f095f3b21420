//! When a message is acked: once nothing depends on it any more, in none of its windows.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::{Component, Effect};
use crate::ack::{GroupId, Handle, Messages};
use crate::time::Time;

/// Bytes that it takes to know in how many windows a message is.
const SHARE: u64 = 2 * size_of::<(Handle, u32)>() as u64;

/// Windows that have closed and have results that are not accepted, by their ends.
#[derive(Debug)]
pub(super) struct Unsettled {
    /// Whether windows are done with in their order: where they overlap, and where each looks back at the one before.
    pub(super) in_order: bool,
    ends: FxHashMap<GroupId, Time>,
    order: BTreeSet<(Time, GroupId)>,
}

impl Unsettled {
    pub(super) fn new(in_order: bool) -> Unsettled {
        Unsettled {
            in_order,
            ends: FxHashMap::default(),
            order: BTreeSet::new(),
        }
    }

    pub(super) fn insert(&mut self, group: GroupId, end: Time) {
        self.ends.insert(group, end);
        self.order.insert((end, group));
    }

    fn remove(&mut self, group: GroupId) -> Option<Time> {
        let end = self.ends.remove(&group)?;
        self.order.remove(&(end, group));
        Some(end)
    }

    /// The end of the earliest.
    pub(super) fn first(&self) -> Option<Time> {
        self.order.first().map(|(end, _)| *end)
    }
}

impl Component {
    /// Holds messages until what depends on them is accepted.
    pub(super) fn hold(&mut self, messages: Messages) -> GroupId {
        self.budget.add(None, messages.bytes());
        self.ledger.open(messages)
    }

    /// Holds more messages until what depends on a group that had none is accepted.
    pub(super) fn hold_more(&mut self, group: GroupId, messages: Messages) {
        self.budget.add(None, messages.bytes());
        if let Some(before) = self.ledger.replace(group, messages) {
            self.budget.sub(None, before.bytes());
        }
    }

    /// One thing less depends on a group.
    pub(super) fn release(&mut self, group: GroupId) {
        let Some(messages) = self.ledger.settle(group) else {
            return;
        };
        match self.unsettled.remove(group) {
            Some(end) if self.unsettled.in_order => {
                // In the order of windows: what is known of those that are done is a point in time.
                self.settling.insert((end, group), messages);
                let until = self.unsettled.first();
                while let Some(first) = self.settling.first_entry()
                    && until.is_none_or(|until| first.key().0 < until)
                {
                    let messages = first.remove();
                    self.done(messages);
                }
            }
            _ => self.done(messages),
        }
    }

    /// Nothing depends on messages of a group any more.
    fn done(&mut self, messages: Messages) {
        self.budget.sub(None, messages.bytes());
        let messages = if self.shares.is_empty() {
            messages
        } else {
            self.unshare(messages)
        };
        for (input, count) in messages.count() {
            self.counters.inputs[input].acked += count;
        }
        self.effects.ack(messages);
    }

    /// A message is in several windows, and acked with the last of them.
    pub(super) fn share(&mut self, input: usize, token: u64, windows: u32) {
        self.budget.add(None, SHARE);
        self.shares.insert(Handle { input, token }, windows);
    }

    /// Those of a group's messages that no other window needs.
    fn unshare(&mut self, messages: Messages) -> Messages {
        let shares = &mut self.shares;
        let budget = &mut self.budget;
        messages.retain(|handle| match shares.get_mut(&handle) {
            Some(windows) if *windows > 1 => {
                *windows -= 1;
                false
            }
            Some(_) => {
                shares.remove(&handle);
                budget.sub(None, SHARE);
                true
            }
            None => true,
        })
    }

    /// Acks a message that nothing depends on.
    pub(super) fn ack(&mut self, input: usize, token: u64) {
        self.counters.inputs[input].acked += 1;
        self.effects.push(Effect::Ack { input, token });
    }
}
