//! Which entry a token stands for: tokens are numbered in the order of delivery, so a ring is all it takes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The id of a stream's entry: milliseconds and a sequence number
/// (<https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    pub(super) millis: u64,
    pub(super) sequence: u64,
}

impl Id {
    /// Before every entry: Redis gives none this id.
    pub(super) const ZERO: Id = Id {
        millis: 0,
        sequence: 0,
    };

    pub(super) fn parse(text: &[u8]) -> Option<Id> {
        let (millis, sequence) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Id {
            millis: millis.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

/// Entries that were given out and not acked, by token.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// The token of the ring's front.
    first: u64,
    /// Acked ones inside are [`Id::ZERO`].
    ids: VecDeque<Id>,
    /// Those that are not.
    count: usize,
}

impl Tokens {
    /// The token of an entry that is given out now.
    pub(super) fn give(&mut self, id: Id) -> u64 {
        self.ids.push_back(id);
        self.count += 1;
        self.first + (self.ids.len() as u64 - 1)
    }

    /// The entry of a token; `None` if it was acked already, or never given.
    pub(super) fn entry(&self, token: u64) -> Option<Id> {
        let at = usize::try_from(token.checked_sub(self.first)?).ok()?;
        self.ids.get(at).copied().filter(|id| *id != Id::ZERO)
    }

    /// Forgets a token.
    pub(super) fn forget(&mut self, token: u64) {
        let at = token
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(id) = at.and_then(|at| self.ids.get_mut(at))
            && *id != Id::ZERO
        {
            *id = Id::ZERO;
            self.count -= 1;
        }
        while self.ids.front() == Some(&Id::ZERO) {
            self.ids.pop_front();
            self.first += 1;
        }
    }

    /// What is held.
    pub(super) fn held(&self) -> impl Iterator<Item = Id> {
        self.ids.iter().copied().filter(|id| *id != Id::ZERO)
    }
}

/// The tokens of one subscription, as its halves share them.
#[derive(Debug, Default)]
pub(super) struct Held {
    tokens: Mutex<Tokens>,
    acked: Notify,
}

impl Held {
    pub(super) fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets tokens.
    pub(super) fn forget(&self, tokens: &[u64]) {
        let mut held = self.lock();
        for token in tokens {
            held.forget(*token);
        }
        drop(held);
        self.acked.notify_one();
    }

    /// Waits until fewer than `most` are held; gives how many fewer.
    pub(super) async fn room(&self, most: usize) -> usize {
        loop {
            let room = most.saturating_sub(self.lock().count);
            if room > 0 {
                return room;
            }
            self.acked.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millis: u64) -> Id {
        Id { millis, sequence: 7 }
    }

    #[test]
    fn a_token_stands_for_its_entry_until_it_is_forgotten() {
        let mut tokens = Tokens::default();
        let given: Vec<u64> = (1..=3).map(|n| tokens.give(id(n))).collect();
        tokens.forget(given[1]);
        assert_eq!(tokens.entry(given[1]), None);
        assert_eq!(tokens.entry(given[2]), Some(id(3)));
        tokens.forget(given[0]);
        assert_eq!(tokens.ids.len(), 1);
        tokens.forget(given[0]);
        tokens.forget(99);
        assert_eq!(tokens.held().collect::<Vec<_>>(), [id(3)]);
        assert_eq!(tokens.give(id(4)), given[2] + 1);
    }

    #[test]
    fn an_id_is_written_as_it_was_read() {
        let id = Id::parse(b"1526919030474-55").unwrap();
        assert_eq!(id.to_string(), "1526919030474-55");
        for bad in [&b"1526919030474"[..], b"a-b", b"", b"\xff-1", b"1-"] {
            assert_eq!(Id::parse(bad), None);
        }
    }
}
