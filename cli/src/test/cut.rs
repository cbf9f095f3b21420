//! `--cut`: where a run is cut, and who dies there.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::simulate::{Point, Recording};
use crate::local::Crash;

/// Crashes to come.
pub(crate) struct Cuts {
    points: BTreeSet<Point>,
    rng: SmallRng,
    made: u32,
}

/// A seed that was not used before, most likely.
pub(crate) fn fresh_seed() -> u64 {
    // Six digits are easily typed again.
    RandomState::new().hash_one(0) % 1_000_000
}

impl Cuts {
    /// No crash.
    pub(crate) fn none() -> Self {
        Self {
            points: BTreeSet::new(),
            rng: SmallRng::seed_from_u64(0),
            made: 0,
        }
    }

    /// Points of a run of which the whole is known: half of them anywhere, half where a window has closed and its
    /// rows are not accepted, or are accepted and the answer is lost.
    pub(crate) fn random(count: u32, seed: u64, whole: &Recording) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut points = BTreeSet::new();
        let steps: u64 = whole.turns.iter().sum();
        let wanted = u64::from(count).min(steps);
        while (points.len() as u64) < wanted {
            let telling = whole.telling.choose(&mut rng).copied().filter(|_| rng.random());
            points.extend(telling.or_else(|| nth(&whole.turns, rng.random_range(0..steps))));
        }
        Self { points, rng, made: 0 }
    }

    /// Who dies at this point.
    pub(crate) fn after(&mut self, point: Point) -> Option<Crash> {
        if !self.points.remove(&point) {
            return None;
        }
        self.made += 1;
        Some(if self.rng.random() {
            Crash::All
        } else {
            Crash::One(self.rng.random_range(0..1 << 20))
        })
    }

    /// How many crashes there were.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }
}

/// The point of a run's step number `n`, from 0.
fn nth(turns: &[u64], mut n: u64) -> Option<Point> {
    for (turn, steps) in turns.iter().enumerate() {
        if n < *steps {
            return Some((turn, n + 1));
        }
        n -= steps;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_a_point() {
        let points: Vec<_> = (0..5).map(|n| nth(&[2, 0, 2], n)).collect();
        assert_eq!(
            points,
            [Some((0, 1)), Some((0, 2)), Some((2, 1)), Some((2, 2)), None]
        );
    }

    #[test]
    fn a_seed_gives_the_same_points_and_no_more_than_there_are() {
        let whole = Recording {
            turns: vec![3, 2],
            telling: vec![(1, 1)],
            ..Recording::default()
        };
        let points = |count, seed| Cuts::random(count, seed, &whole).points;
        assert_eq!(points(3, 7), points(3, 7));
        assert_eq!(points(100, 7).len(), 5);
        assert_eq!(Cuts::random(4, 1, &Recording::default()).points.len(), 0);
    }
}
