//! Acks: a message is done when everything that was made of it has been accepted, and not before.
//!
//! Messages are held in groups: the messages of one window's rows share their fate, since their rows leave
//! together; any other message is a group of its own. A group is released when nothing depends on it any more.

use rustc_hash::FxHashMap;

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
    Many(Vec<Vec<u64>>),
}

impl Messages {
    /// The message at a place: by input, then in the order of arrival.
    pub(crate) fn get(&self, at: Place) -> Option<(Handle, Place)> {
        match self {
            Messages::One(handle) => {
                (at == Place::default()).then_some((*handle, Place { input: 1, number: 0 }))
            }
            Messages::Many(inputs) => {
                let mut place = at;
                loop {
                    let tokens = inputs.get(place.input)?;
                    if let Some(token) = tokens.get(place.number) {
                        let next = Place {
                            number: place.number + 1,
                            ..place
                        };
                        return Some((
                            Handle {
                                input: place.input,
                                token: *token,
                            },
                            next,
                        ));
                    }
                    place = Place {
                        input: place.input + 1,
                        number: 0,
                    };
                }
            }
        }
    }

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
                .map(|(input, tokens)| (input, tokens.len() as u64)),
        )
    }

    /// Bytes held for them.
    pub(crate) fn bytes(&self) -> u64 {
        let tokens = match self {
            Messages::One(_) => 0,
            Messages::Many(inputs) => inputs.iter().map(|tokens| 24 + 8 * tokens.capacity()).sum(),
        };
        tokens as u64 + 64
    }
}

/// A place in a list of messages; the default is its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    input: usize,
    number: usize,
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

    /// Whether no message is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}
