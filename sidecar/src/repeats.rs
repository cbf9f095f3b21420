//! Which event ids a recipient has accepted: how a result that is sent again after a lost answer is told from a new one.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

/// Ids remembered; older ones are forgotten first. More than any window holds back, at 16 bytes each.
const HORIZON: usize = 1 << 18;

/// The ids seen last, as 128-bit hashes with keys of this process.
#[derive(Debug, Default)]
pub struct Repeats {
    keys: (RandomState, RandomState),
    seen: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Repeats {
    /// Whether an id was shown before, as far as the horizon reaches.
    pub fn contains(&self, id: &str) -> bool {
        self.seen.contains(&self.hash(id))
    }

    /// True the first time that an id is shown, as far as the horizon reaches.
    pub fn first_time(&mut self, id: &str) -> bool {
        let hash = self.hash(id);
        if !self.seen.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > HORIZON
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }

    fn hash(&self, id: &str) -> u128 {
        u128::from(self.keys.0.hash_one(id)) << 64 | u128::from(self.keys.1.hash_one(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_until_it_is_past_the_horizon() {
        let mut repeats = Repeats::default();
        assert!(repeats.first_time("a"));
        assert!(!repeats.first_time("a") && repeats.contains("a"));
        for n in 0..HORIZON {
            assert!(repeats.first_time(&n.to_string()));
        }
        assert!(repeats.first_time("a"));
        assert_eq!(repeats.seen.len(), HORIZON);
    }
}
