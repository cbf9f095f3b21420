//! Identities: what makes a repeat recognisable, for a message that comes in and for what is made of it.
//!
//! Everything here is a hash of names that survive a crash, so that a result that is computed again has the id
//! that it had the first time and its recipient can drop it (`docs/decisions/0007-identities.md`).

use std::fmt;

use crate::time::Time;
use crate::window::Window;

/// An identity, 128 bits of a BLAKE3 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) [u8; 16]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl Id {
    /// As 32 lower-case hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = String::with_capacity(32);
        for byte in self.0 {
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        out
    }

    /// A message that its producer named: `source` and `id` of a CloudEvent.
    pub(crate) fn of_event(source: &str, id: &str) -> Id {
        let mut hash = Hash::new(b'e');
        hash.text(source);
        hash.text(id);
        hash.finish()
    }

    /// A message that its broker named: its position in a topic.
    ///
    /// Positions are short and many, so one of up to 15 bytes is not hashed but mixed into the topic's id as it
    /// is: no two positions of a topic give the same, and two topics' ids differ in no foreseeable way.
    pub(crate) fn of_position(topic: Id, position: &str) -> Id {
        let mut mixed = [0; 16];
        if let ([text @ .., length], len @ ..16) = (&mut mixed, position.len()) {
            text[..len].copy_from_slice(position.as_bytes());
            // The length tells positions apart that differ in zeros at their end.
            *length = u8::try_from(len).unwrap_or(u8::MAX);
            return Id((u128::from_ne_bytes(topic.0) ^ u128::from_ne_bytes(mixed)).to_ne_bytes());
        }
        let mut hash = Hash::new(b'p');
        hash.bytes(&topic.0);
        hash.text(position);
        hash.finish()
    }

    /// A topic.
    pub(crate) fn of_topic(cluster_stream: &str, topic: &str) -> Id {
        let mut hash = Hash::new(b't');
        hash.text(cluster_stream);
        hash.text(topic);
        hash.finish()
    }

    /// A message that nobody named, by what it says: the same wherever it stands among others.
    pub(crate) fn of_content(topic: Id, payload: &[u8]) -> Id {
        let mut hash = Hash::new(b'c');
        hash.bytes(&topic.0);
        hash.bytes(payload);
        hash.finish()
    }

    /// The id of a message that is the same as so many before it.
    pub(crate) fn repeated(self, times: u64) -> Id {
        if times == 0 {
            return self;
        }
        let mut hash = Hash::new(b'o');
        hash.bytes(&self.0);
        hash.bytes(&times.to_le_bytes());
        hash.finish()
    }

    /// Of ids, one that stands for all of them, whatever their order.
    pub(crate) fn and(self, other: Id) -> Id {
        let sum = u128::from_le_bytes(self.0).wrapping_add(u128::from_le_bytes(other.0));
        Id(sum.to_le_bytes())
    }

    /// What is in one window, where the same may be in another.
    pub(crate) fn in_window(self, window: Window) -> Id {
        let mut hash = Hash::new(b'w');
        hash.bytes(&self.0);
        hash.bytes(&window.start.0.to_le_bytes());
        hash.bytes(&window.end.0.to_le_bytes());
        hash.finish()
    }

    /// A message that nobody named. No two have the same id, and a repeat is not recognised.
    pub(crate) fn of_arrival(topic: Id, received: Time, sequence: u64, payload: &[u8]) -> Id {
        let mut hash = Hash::new(b'a');
        hash.bytes(&topic.0);
        hash.bytes(&received.0.to_le_bytes());
        hash.bytes(&sequence.to_le_bytes());
        hash.bytes(payload);
        hash.finish()
    }
}

/// Makes an id out of names.
pub(crate) struct Hash {
    /// What has not been hashed yet: BLAKE3 is fastest on many bytes at once.
    pending: Vec<u8>,
    hasher: Option<Box<blake3::Hasher>>,
}

/// Bytes that are hashed at once.
const AT_ONCE: usize = 16 * 1024;

impl Hash {
    /// `domain` keeps ids of different kinds of things apart.
    fn new(domain: u8) -> Hash {
        let mut pending = Vec::with_capacity(256);
        pending.push(domain);
        Hash {
            pending,
            hasher: None,
        }
    }

    /// For a component's results of one kind.
    pub(crate) fn of_component(domain: u8, uid: &str) -> Hash {
        let mut hash = Hash::new(domain);
        hash.text(uid);
        hash
    }

    /// The message ids of a row, in the order of the inputs' variables.
    pub(crate) fn row(&mut self, messages: impl Iterator<Item = Id>) {
        for id in messages {
            self.pending.extend_from_slice(&id.0);
        }
        if self.pending.len() >= AT_ONCE {
            self.hasher.get_or_insert_default().update(&self.pending);
            self.pending.clear();
        }
    }

    /// The length goes first, so that no two lists of texts hash the same bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.pending
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.pending.extend_from_slice(bytes);
    }

    /// A name.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn finish(mut self) -> Id {
        let hash = match &mut self.hasher {
            None => blake3::hash(&self.pending),
            Some(hasher) => hasher.update(&self.pending).finalize(),
        };
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        Id(id)
    }
}

/// A single message's result, by kind of result.
pub(crate) fn of_one(domain: u8, uid: &str, message: Id) -> Id {
    let mut hash = Hash::of_component(domain, uid);
    hash.row(std::iter::once(message));
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_run_together() {
        assert_ne!(Id::of_event("ab", "c"), Id::of_event("a", "bc"));
        assert_ne!(Id::of_topic("ab", "c"), Id::of_topic("a", "bc"));
        let topic = Id::of_topic("a", "b");
        let positions = [
            "9d720bbe201f32114b345eb39d3badc9",
            "\0",
            "1",
            "1\0",
            "\u{1}1",
            "12345678901234",
            "123456789012345",
            "1234567890123456",
        ];
        let ids: std::collections::HashSet<Id> =
            positions.iter().map(|p| Id::of_position(topic, p)).collect();
        assert_eq!(ids.len(), positions.len());
        assert_ne!(
            of_one(1, "a", Id::of_event("", "")),
            of_one(2, "a", Id::of_event("", ""))
        );
    }

    #[test]
    fn ids_are_stable() {
        // Recipients compare ids across versions: this must never change.
        let ids = [
            Id::of_event("/source", "id"),
            Id::of_topic("redis", "tenants"),
            Id::of_position(Id([1; 16]), "1-0"),
            Id::of_position(Id([1; 16]), "1234567890123456"),
            of_one(b'r', "uid", Id([7; 16])),
            Id::of_content(Id([1; 16]), b"{}"),
            Id([7; 16]).repeated(1),
            Id([7; 16]).in_window(Window::ALL),
        ];
        let expected = [
            "a56c899d80184e95104aae0e185441f7",
            "fd07fbd03269f21d5104dd62974ce10d",
            "302c3101010101010101010101010102",
            "aa90004d3d630645ae28bc82e440ef2a",
            "5a37c161be9624a531689802494e884b",
            "da81d7fb6e0e9b806c78bab5a8f99bca",
            "76c5f95db26a6e0096321de8fdd5076b",
            "9d720bbe201f32114b345eb39d3badc9",
        ];
        assert_eq!(ids.map(Id::hex).as_slice(), expected);
    }
}
