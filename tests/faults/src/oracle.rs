//! What must have come, against what came. Pairs are numbered from 0; each gives one row, which bears the number twice.

use std::collections::BTreeMap;

use serde_json::Value;

/// How what came compares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rows that had to come.
    pub sent: u64,
    /// Numbers of those that did not.
    pub lost: Vec<u64>,
    /// Rows beyond the first of a number.
    pub repeats: u64,
    /// What came and is none of these rows.
    pub alien: u64,
}

/// The number of a row.
pub fn number(row: &Value) -> Option<u64> {
    let n = row.get("n")?.as_u64()?;
    (row.get("m")?.as_u64()? == n).then_some(n)
}

/// Judges the bodies that a container has accepted, after so many pairs were sent.
pub fn judge<'b>(sent: u64, bodies: impl IntoIterator<Item = &'b [u8]>) -> Verdict {
    let mut verdict = Verdict {
        sent,
        ..Verdict::default()
    };
    let mut came: BTreeMap<u64, u64> = BTreeMap::new();
    for body in bodies {
        let row = serde_json::from_slice::<Value>(body).ok();
        match row.as_ref().and_then(number).filter(|n| *n < sent) {
            Some(n) => *came.entry(n).or_default() += 1,
            None => verdict.alien += 1,
        }
    }
    verdict.lost = (0..sent).filter(|n| !came.contains_key(n)).collect();
    verdict.repeats = came.values().map(|times| times - 1).sum();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_too_much_is_counted() {
        let row = |n: u64, m: u64| format!("{{\"n\":{n},\"m\":{m}}}").into_bytes();
        let bodies = [
            row(0, 0),
            row(2, 2),
            row(2, 2),
            row(2, 2),
            row(1, 2),
            row(9, 9),
            b"x".to_vec(),
        ];
        let verdict = judge(4, bodies.iter().map(Vec::as_slice));
        assert_eq!(
            verdict,
            Verdict {
                sent: 4,
                lost: vec![1, 3],
                repeats: 2,
                alien: 3,
            }
        );
    }
}
