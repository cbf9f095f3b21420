//! The runner's handles of many messages, as what they nearly always are: numbers that follow each other.

/// Tokens in the order in which they came. A run of consecutive ones takes some bytes, however long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Runs: how far each begins from the end of the one before, and its length.
    bytes: Vec<u8>,
    /// The end of the last of them.
    end: u64,
    /// The run that may still grow.
    first: u64,
    len: u64,
    count: u64,
}

/// Tokens that are taken one by one, or run by run.
#[derive(Debug, Default)]
pub(crate) struct IntoTokens {
    tokens: Tokens,
    at: usize,
    end: u64,
    /// What is left of the run that was begun.
    first: u64,
    len: u64,
}

impl Tokens {
    #[inline]
    pub(crate) fn push(&mut self, token: u64) {
        if token != self.first.wrapping_add(self.len) {
            self.begin(token);
        }
        self.len += 1;
        self.count += 1;
    }

    fn begin(&mut self, token: u64) {
        if self.len > 0 {
            let gap = self.first.wrapping_sub(self.end).cast_signed();
            // Small whatever its sign.
            write((gap << 1 ^ gap >> 63).cast_unsigned(), &mut self.bytes);
            write(self.len, &mut self.bytes);
            self.end = self.first.wrapping_add(self.len);
        }
        (self.first, self.len) = (token, 0);
    }

    /// Takes back the one that was pushed last, which can be done once after each push.
    pub(crate) fn pop(&mut self) -> Option<u64> {
        self.len = self.len.checked_sub(1)?;
        self.count -= 1;
        Some(self.first.wrapping_add(self.len))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// All of them, from the first on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let (mut rest, mut end) = (self.bytes.as_slice(), 0_u64);
        let runs = std::iter::from_fn(move || {
            let (gap, len) = (read(&mut rest)?, read(&mut rest)?);
            let gap = (gap >> 1).cast_signed() ^ -((gap & 1).cast_signed());
            let first = end.wrapping_add_signed(gap);
            end = first.wrapping_add(len);
            Some((first, len))
        });
        let last = std::iter::once((self.first, self.len));
        let tokens = |(first, len): (u64, u64)| (0..len).map(move |n| first.wrapping_add(n));
        runs.chain(last).flat_map(tokens)
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// No more are added.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

impl IntoTokens {
    /// The first of the tokens that are left, and how many follow each other from it on.
    pub(crate) fn next_run(&mut self) -> Option<(u64, u64)> {
        if self.len == 0 && !self.refill() {
            return None;
        }
        Some((self.first, std::mem::take(&mut self.len)))
    }

    fn refill(&mut self) -> bool {
        let mut rest = self.tokens.bytes.get(self.at..).unwrap_or_default();
        let before = rest.len();
        if let (Some(gap), Some(len)) = (read(&mut rest), read(&mut rest)) {
            self.at += before - rest.len();
            let gap = (gap >> 1).cast_signed() ^ -((gap & 1).cast_signed());
            self.first = self.end.wrapping_add_signed(gap);
            self.len = len;
            self.end = self.first.wrapping_add(len);
        } else {
            self.first = self.tokens.first;
            self.len = std::mem::take(&mut self.tokens.len);
        }
        self.len > 0
    }
}

impl Iterator for IntoTokens {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.len == 0 && !self.refill() {
            return None;
        }
        let token = self.first;
        self.first = token.wrapping_add(1);
        self.len -= 1;
        Some(token)
    }
}

impl IntoIterator for Tokens {
    type Item = u64;
    type IntoIter = IntoTokens;

    fn into_iter(self) -> IntoTokens {
        IntoTokens {
            tokens: self,
            ..IntoTokens::default()
        }
    }
}

impl FromIterator<u64> for Tokens {
    fn from_iter<I: IntoIterator<Item = u64>>(tokens: I) -> Tokens {
        let mut all = Tokens::default();
        tokens.into_iter().for_each(|token| all.push(token));
        all
    }
}

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn write(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Takes a number off the front.
pub(crate) fn read(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *from.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_run_takes_nothing() {
        let tokens: Tokens = (7..1_000_000).collect();
        assert_eq!((tokens.bytes(), tokens.count()), (0, 999_993));
        let mut all = tokens.into_iter();
        assert_eq!(all.next(), Some(7));
        assert_eq!(all.next_run(), Some((8, 999_992)));
        assert_eq!(all.next(), None);
    }

    proptest! {
        #[test]
        fn what_is_pushed_comes_back(
            runs in prop::collection::vec((prop_oneof![any::<u64>(), 0..50u64], 1..5u64, any::<bool>()), 0..20),
        ) {
            let (mut tokens, mut model) = (Tokens::default(), Vec::new());
            for (first, len, pop) in runs {
                for token in (0..len).map(|n| first.wrapping_add(n)) {
                    tokens.push(token);
                    model.push(token);
                }
                if pop {
                    prop_assert_eq!(tokens.pop(), model.pop());
                }
            }
            prop_assert_eq!(tokens.count(), model.len() as u64);
            prop_assert_eq!(tokens.iter().collect::<Vec<_>>(), model.clone());
            let mut runs = tokens.clone().into_iter();
            let by_run = std::iter::from_fn(|| runs.next_run());
            let by_run = by_run.flat_map(|(first, len)| (0..len).map(move |n| first.wrapping_add(n)));
            prop_assert_eq!(by_run.collect::<Vec<_>>(), model.clone());
            prop_assert_eq!(tokens.into_iter().collect::<Vec<_>>(), model);
        }
    }
}
