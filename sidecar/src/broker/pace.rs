//! How many messages to ask a broker for at once: by the sizes of those before, so that small messages come by the
//! hundreds and large ones don't fill the memory.

/// What one request should bring, in bytes.
const TARGET: usize = 1 << 20;
/// What is asked for before anything is known of the sizes.
const FIRST: usize = 4;

/// The pace of one reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    most: usize,
    next: usize,
    /// The largest message of late: remembered over many batches, because a large one seldom comes alone.
    largest: usize,
}

impl Pace {
    /// A pace of at most so many messages a request.
    pub(super) fn new(most: usize) -> Pace {
        Pace {
            most,
            next: FIRST.min(most),
            largest: 0,
        }
    }

    /// How many to ask for.
    pub(super) fn count(&self) -> usize {
        self.next
    }

    /// A message of so many bytes came.
    pub(super) fn saw(&mut self, bytes: usize) {
        self.largest = self.largest.max(bytes);
    }

    /// A batch is complete: it doubles while messages are small, and shrinks at once.
    pub(super) fn step(&mut self) {
        let fits = TARGET / self.largest.max(1);
        self.next = fits.min(self.next.saturating_mul(2)).clamp(1, self.most);
        self.largest -= self.largest / 16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(pace: &mut Pace, messages: usize, bytes: usize) {
        for _ in 0..messages {
            pace.saw(bytes);
        }
        pace.step();
    }

    #[test]
    fn large_messages_are_asked_for_one_by_one_and_small_ones_by_the_hundreds() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.count(), 4);
        for _ in 0..8 {
            batch(&mut pace, 4, 100);
        }
        assert_eq!(pace.count(), 1000);
        // One large message is enough, and is not soon forgotten.
        pace.saw(10 << 20);
        batch(&mut pace, 500, 100);
        assert_eq!(pace.count(), 1);
        batch(&mut pace, 1, 100);
        assert_eq!(pace.count(), 1);
        for _ in 0..200 {
            batch(&mut pace, 4, 100);
        }
        assert_eq!(pace.count(), 1000);
        assert_eq!(Pace::new(2).count(), 2);
    }
}
