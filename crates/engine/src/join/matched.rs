//! Which messages of an input have found a match: one bit each.

/// Rows of a store, marked or not.
#[derive(Debug, Default)]
pub(super) struct Matched(Vec<u64>);

impl Matched {
    /// For a store of so many rows.
    pub(super) fn new(rows: usize) -> Matched {
        Matched(vec![0; rows.div_ceil(64)])
    }

    #[inline]
    pub(super) fn mark(&mut self, row: u32) {
        if let Some(word) = self.0.get_mut(row as usize / 64) {
            *word |= 1 << (row % 64);
        }
    }

    /// Whether a row is marked.
    pub(super) fn is_marked(&self, row: u32) -> bool {
        let word = self.0.get(row as usize / 64);
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// How many are marked.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The first row that is not marked, from `row` on. It may be past the store's last.
    pub(super) fn next_unmarked(&self, row: u32) -> u32 {
        let mut at = row;
        while let Some(word) = self.0.get(at as usize / 64) {
            let left = 64 - at % 64;
            let marked = (word >> (at % 64)).trailing_ones();
            at += marked;
            if marked < left {
                break;
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_not_marked_is_found_in_order(rows in prop::collection::vec(prop::bool::weighted(0.9), 0..400)) {
            let mut matched = Matched::new(rows.len());
            for (row, marked) in (0u32..).zip(&rows) {
                if *marked {
                    matched.mark(row);
                }
            }
            let mut found = Vec::new();
            let mut at = matched.next_unmarked(0);
            while (at as usize) < rows.len() {
                found.push(at);
                at = matched.next_unmarked(at + 1);
            }
            let expected: Vec<u32> = (0u32..).zip(&rows).filter(|(_, marked)| !**marked).map(|(row, _)| row).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(matched.count(), (rows.len() - expected.len()) as u64);
        }
    }
}
