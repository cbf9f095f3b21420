//! How many different values there are: exact while there are few, then `HyperLogLog`.
//!
//! Of each value only a hash is kept. Registers hold the greatest that any value gives them, and whether there are few
//! depends on all values: neither order nor merging changes the result. The estimate is that of Ertl, "New cardinality
//! estimation algorithms for `HyperLogLog` sketches" (2017), which needs no correction for any range, and nothing that
//! differs between machines.

use std::collections::BTreeSet;

use super::stored::take;

/// Different values up to which they are counted exactly.
pub(super) const EXACT: usize = 4096;
/// Bits of a hash that choose a register.
const BITS: u32 = 14;
const REGISTERS: usize = 1 << BITS;
/// The greatest that a register can hold: one more than the bits that are left.
const GREATEST: u8 = 51;

#[derive(Clone, Debug)]
pub(super) enum Distinct {
    Exact(BTreeSet<u128>),
    Estimated(Box<Registers>),
}

#[derive(Clone, Debug)]
pub(super) struct Registers {
    registers: [u8; REGISTERS],
    /// How many registers hold each value: what the estimate is made of.
    counts: [u32; GREATEST as usize + 1],
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct::Exact(BTreeSet::new())
    }
}

impl Distinct {
    /// Adds a value by the bytes of its key.
    pub(super) fn add(&mut self, key: &[u8]) {
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(key).as_bytes()[..16]);
        self.put(u128::from_be_bytes(hash));
    }

    fn put(&mut self, hash: u128) {
        match self {
            Distinct::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT {
                    self.estimate();
                }
            }
            Distinct::Estimated(registers) => registers.note(hash),
        }
    }

    fn estimate(&mut self) {
        if let Distinct::Exact(hashes) = self {
            let mut registers = Box::new(Registers::new());
            for hash in hashes.iter() {
                registers.note(*hash);
            }
            *self = Distinct::Estimated(registers);
        }
    }

    pub(super) fn merge(&mut self, other: &Distinct) {
        match other {
            Distinct::Exact(hashes) => hashes.iter().for_each(|hash| self.put(*hash)),
            Distinct::Estimated(theirs) => {
                self.estimate();
                if let Distinct::Estimated(registers) = self {
                    for (at, rank) in theirs.registers.iter().enumerate() {
                        registers.raise(at, *rank);
                    }
                }
            }
        }
    }

    pub(super) fn count(&self) -> i64 {
        match self {
            Distinct::Exact(hashes) => i64::try_from(hashes.len()).unwrap_or(i64::MAX),
            Distinct::Estimated(registers) => registers.estimate(),
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Distinct::Exact(hashes) => super::tree_bytes(hashes.len()),
            Distinct::Estimated(_) => size_of::<Registers>(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Distinct::Exact(hashes) => {
                out.push(0);
                out.extend_from_slice(&u32::try_from(hashes.len()).unwrap_or(u32::MAX).to_be_bytes());
                for hash in hashes {
                    out.extend_from_slice(&hash.to_be_bytes());
                }
            }
            Distinct::Estimated(registers) => {
                out.push(1);
                out.extend_from_slice(&registers.registers);
            }
        }
    }

    pub(super) fn decode(from: &mut &[u8]) -> Option<Distinct> {
        if *from.split_off_first()? == 1 {
            let ranks: [u8; REGISTERS] = take(from)?;
            let mut registers = Box::new(Registers::new());
            for (at, rank) in ranks.into_iter().enumerate() {
                if rank > GREATEST {
                    return None;
                }
                registers.raise(at, rank);
            }
            return Some(Distinct::Estimated(registers));
        }
        let count = usize::try_from(u32::from_be_bytes(take(from)?)).ok()?;
        if count > EXACT {
            return None;
        }
        let hashes = (0..count).map(|_| take(from).map(u128::from_be_bytes));
        hashes.collect::<Option<_>>().map(Distinct::Exact)
    }
}

impl Registers {
    fn new() -> Registers {
        let mut counts = [0; GREATEST as usize + 1];
        counts[0] = 1 << BITS;
        Registers {
            registers: [0; REGISTERS],
            counts,
        }
    }

    fn note(&mut self, hash: u128) {
        let hash = (hash >> 64) as u64;
        let register = usize::try_from(hash >> (64 - BITS)).unwrap_or(0);
        // One more than the leading zeros of the other bits; the bit after the last ends it.
        let zeros = (hash << BITS | 1 << (BITS - 1)).leading_zeros();
        self.raise(register, u8::try_from(zeros + 1).unwrap_or(GREATEST));
    }

    /// Has a register hold at least a value.
    fn raise(&mut self, register: usize, rank: u8) {
        let Some(known) = self.registers.get_mut(register).filter(|known| **known < rank) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(usize::from(*known)) {
            *count -= 1;
        }
        if let Some(count) = self.counts.get_mut(usize::from(rank)) {
            *count += 1;
        }
        *known = rank;
    }

    fn estimate(&self) -> i64 {
        let many = f64::from(1_u32 << BITS);
        let part = |at: usize| f64::from(self.counts.get(at).copied().unwrap_or(0)) / many;
        let mut z = many * tau(1.0 - part(usize::from(GREATEST)));
        for at in (1..usize::from(GREATEST)).rev() {
            z = 0.5 * (z + f64::from(self.counts.get(at).copied().unwrap_or(0)));
        }
        z += many * sigma(part(0));
        let estimate = many / (2.0 * std::f64::consts::LN_2) * many / z;
        #[allow(clippy::cast_possible_truncation)] // saturates
        let rounded = estimate.round() as i64;
        rounded
    }
}

#[allow(clippy::float_cmp)] // until nothing changes any more
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

#[allow(clippy::float_cmp)] // until nothing changes any more
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
