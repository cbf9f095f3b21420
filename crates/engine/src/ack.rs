//! Acks: a message is done when everything that was made of it has been accepted, and not before.
//!
//! Messages are held in groups: the messages of one window's rows share their fate, since their rows leave
//! together; any other message is a group of its own. A group is released when nothing depends on it any more.

use rustc_hash::FxHashMap;

use crate::tokens::{IntoTokens, Tokens};

/// A message as its runner knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Handle {
    /// The input it came from.
    pub input: usize,
    /// The runner's token.
    pub token: u64,
}

/// Names a group while anything depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupId(u64);

/// The messages of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// A single one.
    One(Handle),
    /// Tokens by input.
    Many(Vec<Tokens>),
}

impl Messages {
    /// How many messages there are of each input.
    pub(crate) fn count(&self) -> impl Iterator<Item = (usize, u64)> {
        let one = match self {
            Messages::One(handle) => Some((handle.input, 1)),
            Messages::Many(_) => None,
        };
        let many = match self {
            Messages::One(_) => [].as_slice(),
            Messages::Many(inputs) => inputs,
        };
        one.into_iter().chain(
            many.iter()
                .enumerate()
                .map(|(input, tokens)| (input, tokens.count())),
        )
    }

    /// The first of each input, so many at most.
    fn first(&self, most: usize) -> Vec<Handle> {
        match self {
            Messages::One(handle) => vec![*handle],
            Messages::Many(inputs) => {
                let first = |(input, tokens): (usize, &Tokens)| {
                    let handle = |token| Handle { input, token };
                    tokens.iter().take(most).map(handle).collect::<Vec<_>>()
                };
                inputs.iter().enumerate().flat_map(first).collect()
            }
        }
    }

    /// Those that `keep` says yes to.
    pub(crate) fn retain(self, mut keep: impl FnMut(Handle) -> bool) -> Messages {
        match self {
            Messages::One(handle) if keep(handle) => Messages::One(handle),
            Messages::One(_) => Messages::Many(Vec::new()),
            Messages::Many(inputs) => {
                let inputs = inputs.into_iter().enumerate().map(|(input, tokens)| {
                    let kept = tokens
                        .into_iter()
                        .filter(|token| keep(Handle { input, token: *token }));
                    kept.collect()
                });
                Messages::Many(inputs.collect())
            }
        }
    }

    /// Bytes held for them.
    pub(crate) fn bytes(&self) -> u64 {
        let tokens = match self {
            Messages::One(_) => 0,
            Messages::Many(inputs) => inputs
                .iter()
                .map(|tokens| size_of::<Tokens>() + tokens.bytes())
                .sum::<usize>(),
        };
        tokens as u64 + 64
    }
}

/// Messages that are taken one by one, by input and then in the order of arrival; or as runs of tokens, the least first.
#[derive(Debug)]
pub(crate) struct Handles {
    inputs: Vec<Tail>,
}

/// What is left of an input's messages.
#[derive(Debug)]
struct Tail {
    input: usize,
    /// A run that was looked at.
    next: Option<(u64, u64)>,
    rest: IntoTokens,
}

impl Handles {
    /// An input and some of its tokens that follow each other: the first, and how many. Of two inputs whose messages came
    /// by turns, so do their runs.
    pub(crate) fn next_run(&mut self) -> Option<(usize, u64, u64)> {
        for tail in &mut self.inputs {
            if tail.next.is_none() {
                tail.next = tail.rest.next_run();
            }
        }
        let left = self.inputs.iter_mut().filter(|tail| tail.next.is_some());
        let least = left.min_by_key(|tail| tail.next)?;
        let (first, len) = least.next.take()?;
        Some((least.input, first, len))
    }
}

impl Iterator for Handles {
    type Item = Handle;

    fn next(&mut self) -> Option<Handle> {
        self.inputs.iter_mut().find_map(|tail| {
            let (token, more) = match tail.next.take() {
                Some((first, len)) => (first, (len > 1).then(|| (first.wrapping_add(1), len - 1))),
                None => (tail.rest.next()?, None),
            };
            tail.next = more;
            Some(Handle {
                input: tail.input,
                token,
            })
        })
    }
}

impl IntoIterator for Messages {
    type Item = Handle;
    type IntoIter = Handles;

    fn into_iter(self) -> Handles {
        let tail = |(input, tokens): (usize, Tokens)| Tail {
            input,
            next: None,
            rest: tokens.into_iter(),
        };
        let inputs = match self {
            Messages::One(handle) => vec![tail((handle.input, std::iter::once(handle.token).collect()))],
            Messages::Many(inputs) => inputs.into_iter().enumerate().map(tail).collect(),
        };
        Handles { inputs }
    }
}

#[derive(Debug)]
struct Group {
    /// Outputs and dead letters that have not been accepted yet.
    pending: u64,
    messages: Messages,
}

/// What depends on what.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    next: u64,
    groups: FxHashMap<GroupId, Group>,
}

impl Ledger {
    /// Holds messages that nothing depends on yet. The caller says [`Ledger::depend`] for each thing that does,
    /// and [`Ledger::settle`] once for having said all.
    pub(crate) fn open(&mut self, messages: Messages) -> GroupId {
        let id = GroupId(self.next);
        self.next += 1;
        self.groups.insert(id, Group { pending: 1, messages });
        id
    }

    /// The group holds other messages from now on. Gives those before.
    pub(crate) fn replace(&mut self, id: GroupId, messages: Messages) -> Option<Messages> {
        let group = self.groups.get_mut(&id)?;
        Some(std::mem::replace(&mut group.messages, messages))
    }

    /// One more output or dead letter depends on the group.
    pub(crate) fn depend(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.pending += 1;
        }
    }

    /// One of them is done with. Gives the messages if it was the last.
    #[must_use]
    pub(crate) fn settle(&mut self, id: GroupId) -> Option<Messages> {
        let group = self.groups.get_mut(&id)?;
        group.pending -= 1;
        if group.pending > 0 {
            return None;
        }
        self.groups.remove(&id).map(|group| group.messages)
    }

    /// The messages that a group holds, so many of each input at most.
    pub(crate) fn first(&self, id: GroupId, most: usize) -> Vec<Handle> {
        let group = self.groups.get(&id);
        group.map_or_else(Vec::new, |group| group.messages.first(most))
    }

    /// Whether anything depends on a group still.
    pub(crate) fn holds(&self, id: GroupId) -> bool {
        self.groups.contains_key(&id)
    }

    /// Whether no message is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Open(Vec<Vec<u64>>),
        One(usize, u64),
        Depend(prop::sample::Index),
        Settle(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        let tokens = prop::collection::vec(any::<u64>(), 0..4);
        prop_oneof![
            prop::collection::vec(tokens, 0..4).prop_map(Step::Open),
            (0..4usize, any::<u64>()).prop_map(|(input, token)| Step::One(input, token)),
            any::<prop::sample::Index>().prop_map(Step::Depend),
            any::<prop::sample::Index>().prop_map(Step::Settle),
            any::<prop::sample::Index>().prop_map(Step::Settle),
        ]
    }

    fn all(messages: Messages) -> Vec<(usize, u64)> {
        messages
            .into_iter()
            .map(|handle| (handle.input, handle.token))
            .collect()
    }

    proptest! {
        /// The model: for each group, what it holds and how much depends on it.
        #[test]
        fn a_group_is_released_with_its_last_dependency(steps in prop::collection::vec(step(), 0..200)) {
            let mut ledger = Ledger::default();
            let mut model: BTreeMap<GroupId, (u32, Vec<(usize, u64)>)> = BTreeMap::new();
            let mut gone = BTreeSet::new();
            for step in steps {
                let open: Vec<GroupId> = model.keys().copied().collect();
                match step {
                    Step::Open(inputs) => {
                        let messages = inputs.iter().enumerate();
                        let flat: Vec<_> = messages.flat_map(|(i, tokens)| tokens.iter().map(move |t| (i, *t))).collect();
                        let inputs = inputs.into_iter().map(|tokens| tokens.into_iter().collect());
                        let id = ledger.open(Messages::Many(inputs.collect()));
                        prop_assert!(model.insert(id, (1, flat)).is_none() && !gone.contains(&id));
                    }
                    Step::One(input, token) => {
                        let id = ledger.open(Messages::One(Handle { input, token }));
                        prop_assert!(model.insert(id, (1, vec![(input, token)])).is_none());
                    }
                    Step::Depend(at) if !open.is_empty() => {
                        let id = open[at.index(open.len())];
                        ledger.depend(id);
                        model.get_mut(&id).unwrap().0 += 1;
                    }
                    Step::Settle(at) if !open.is_empty() => {
                        let id = open[at.index(open.len())];
                        let left = &mut model.get_mut(&id).unwrap().0;
                        *left -= 1;
                        let last = *left == 0;
                        let released = ledger.settle(id);
                        prop_assert_eq!(released.is_some(), last);
                        if let Some(messages) = released {
                            let (_, expected) = model.remove(&id).unwrap();
                            let counted: u64 = messages.count().map(|(_, count)| count).sum();
                            prop_assert_eq!(counted, expected.len() as u64);
                            prop_assert_eq!(all(messages), expected);
                            prop_assert!(ledger.settle(id).is_none(), "released once");
                            gone.insert(id);
                        }
                    }
                    Step::Depend(_) | Step::Settle(_) => {}
                }
                prop_assert_eq!(ledger.is_empty(), model.is_empty());
            }
        }
    }
}
