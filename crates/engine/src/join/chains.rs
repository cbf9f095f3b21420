//! The rows of each key, in the order in which they came: lists in one piece of memory, as blocks that grow from one to
//! the next. Read on, most rows of a list lie beside each other, so that the rows of a key can be fetched together.

/// No row, and no block.
pub(super) const END: u32 = u32::MAX;

/// Words of a list's first block, and of its largest ones. The last word of a block is where the next one begins.
const FIRST: u16 = 4;
const MOST: u16 = 32;

/// All lists of an index.
#[derive(Debug, Default)]
pub(super) struct Chains {
    words: Vec<u32>,
}

/// A list without its first row, which its owner keeps: most keys have only that one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    head: u32,
    tail: Cursor,
}

/// A place in a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// The word of the next row; where none is left in the block, that of the next block's place.
    at: u32,
    /// Rows that the block has room for from here on.
    left: u16,
    /// Words of the block.
    size: u16,
}

impl Cursor {
    /// Where a list's block begins, after one of `size` words.
    fn of_block(at: u32, size: u16) -> Cursor {
        let size = (size * 2).clamp(FIRST, MOST);
        Cursor {
            at,
            left: size - 1,
            size,
        }
    }
}

impl Default for Chain {
    fn default() -> Chain {
        Chain {
            head: END,
            tail: Cursor {
                at: END,
                left: 0,
                size: 0,
            },
        }
    }
}

impl Chain {
    /// Its beginning.
    pub(super) fn begin(&self) -> Cursor {
        match self.head {
            END => self.tail,
            head => Cursor::of_block(head, 0),
        }
    }
}

impl Chains {
    /// Appends a row to a list.
    // Words are counted in u32, as rows are: the memory budget ends long before 2^32 of them.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn push(&mut self, chain: &mut Chain, row: u32) {
        if chain.tail.left == 0 {
            let block = self.words.len() as u32;
            match self.words.get_mut(chain.tail.at as usize) {
                Some(link) => *link = block,
                None => chain.head = block,
            }
            chain.tail = Cursor::of_block(block, chain.tail.size);
            let end = self.words.len() + usize::from(chain.tail.size);
            self.words.resize(end, END);
        }
        if let Some(word) = self.words.get_mut(chain.tail.at as usize) {
            *word = row;
        }
        chain.tail.at += 1;
        chain.tail.left -= 1;
    }

    /// The row at a place, which moves on; `END` if there is none.
    #[inline]
    pub(super) fn next(&self, place: &mut Cursor) -> u32 {
        if place.left == 0 {
            match self.word(place.at) {
                END => return END,
                block => *place = Cursor::of_block(block, place.size),
            }
        }
        let row = self.word(place.at);
        if row != END {
            place.at += 1;
            place.left -= 1;
        }
        row
    }

    #[inline]
    fn word(&self, at: u32) -> u32 {
        self.words.get(at as usize).copied().unwrap_or(END)
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_order_however_they_are_mixed() {
        let mut chains = Chains::default();
        let mut lists = vec![(Chain::default(), Vec::new()); 7];
        for row in 0..2_000_u32 {
            let list = (row * row % 11) as usize;
            if let Some((chain, rows)) = lists.get_mut(list) {
                chains.push(chain, row);
                rows.push(row);
            }
        }
        for (chain, rows) in &lists {
            let mut place = chain.begin();
            let read = std::iter::from_fn(|| Some(chains.next(&mut place)).filter(|row| *row != END));
            assert_eq!(&read.collect::<Vec<u32>>(), rows);
            assert_eq!(chains.next(&mut place), END);
        }
        assert!(lists.iter().any(|(_, rows)| rows.is_empty()));
        assert!(lists.iter().any(|(_, rows)| rows.len() > 300));
    }
}
