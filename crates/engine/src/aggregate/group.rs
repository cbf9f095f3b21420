//! One group: what was gathered of its messages.

use crate::expr::{Context, EvalError};

use super::GroupSpec;
use super::accumulator::Accumulator;
use super::stored::take;

/// The first byte of an encoded group: what comes after it may change with it.
const VERSION: u8 = 1;

/// What was gathered of a group's messages.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) accumulators: Box<[Accumulator]>,
    digest: u128,
    rows: u64,
}

impl Group {
    /// One without messages.
    pub fn new(spec: &GroupSpec) -> Group {
        let gathers = spec.programs.gathers.iter();
        Group {
            accumulators: gathers.map(|(gather, _)| Accumulator::new(*gather)).collect(),
            digest: 0,
            rows: 0,
        }
    }

    /// Adds a row: a message, or messages that were joined. `id` is the row's. What an aggregate's argument makes of it
    /// is told to `failed` if that is an error; the row is not added to that aggregate then. A field that is not there
    /// is skipped like a null.
    pub fn add(
        &mut self,
        spec: &GroupSpec,
        cx: &Context<'_>,
        id: [u8; 16],
        failed: &mut dyn FnMut(&EvalError),
    ) {
        self.rows = self.rows.saturating_add(1);
        self.digest = self.digest.wrapping_add(mixed(id));
        let mut scratch = Vec::new();
        for ((_, argument), accumulator) in spec.programs.gathers.iter().zip(&mut self.accumulators) {
            let Some(argument) = argument else {
                if let Accumulator::Count(count) = accumulator {
                    *count = count.saturating_add(1);
                }
                continue;
            };
            let added = match argument.eval(cx) {
                Ok(crate::value::Value::Null) => continue,
                Ok(value) => accumulator.add(&value, &mut scratch),
                Err(error) if error.is_absence() => continue,
                Err(error) => Err(error),
            };
            if let Err(error) = added {
                failed(&error);
            }
        }
    }

    /// Adds what was gathered of messages that came later.
    pub fn merge(&mut self, later: Group) {
        self.rows = self.rows.saturating_add(later.rows);
        self.digest = self.digest.wrapping_add(later.digest);
        for (mine, other) in self.accumulators.iter_mut().zip(later.accumulators) {
            mine.merge(other);
        }
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// A digest of the ids that were added, whatever their order.
    pub fn digest(&self) -> [u8; 16] {
        self.digest.to_be_bytes()
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Group>()
            + self.accumulators.len() * size_of::<Accumulator>()
            + self.accumulators.iter().map(Accumulator::bytes).sum::<usize>()
    }

    /// Appends it as bytes, which any later version reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.rows.to_be_bytes());
        out.extend_from_slice(&self.digest.to_be_bytes());
        for accumulator in &self.accumulators {
            accumulator.encode(out);
        }
    }

    /// Reads what [`Group::encode`] wrote for the same component; `None` if the bytes are something else.
    pub fn decode(spec: &GroupSpec, mut from: &[u8]) -> Option<Group> {
        let from = &mut from;
        if *from.split_off_first()? != VERSION {
            return None;
        }
        let rows = u64::from_be_bytes(take(from)?);
        let digest = u128::from_be_bytes(take(from)?);
        let accumulators = spec
            .programs
            .gathers
            .iter()
            .map(|(gather, _)| Accumulator::decode(*gather, from))
            .collect::<Option<_>>()?;
        from.is_empty().then_some(Group {
            accumulators,
            digest,
            rows,
        })
    }
}

/// An id whose bits are spread, so that no two sets of ids that differ have the same sum by a pattern in them: a
/// Feistel network, so no two ids give the same.
fn mixed(id: [u8; 16]) -> u128 {
    let half = |from: usize| {
        id.iter()
            .skip(from)
            .take(8)
            .fold(0, |half, byte| half << 8 | u64::from(*byte))
    };
    let (mut high, mut low) = (half(0), half(8));
    for round in [
        0x9e37_79b9_7f4a_7c15_u64,
        0xd1b5_4a32_d192_ed03,
        0x8cb9_2ba7_2f3d_8dd7,
        0xaef1_7502_108e_f2d9,
    ] {
        let mut z = low.wrapping_add(round);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (high, low) = (low, high ^ z ^ z >> 31);
    }
    u128::from(high) << 64 | u128::from(low)
}
