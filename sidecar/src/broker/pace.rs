//! How many messages to ask a broker for at once: by the sizes of those before, so that small messages come by the
//! hundreds and a few large ones don't fill the memory.

/// What one request should bring, in bytes.
const TARGET: usize = 4 << 20;
/// What is asked for before anything is known of the sizes.
const FIRST: usize = 16;

/// The pace of one reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    most: usize,
    next: usize,
}

impl Pace {
    /// A pace of at most so many messages a request.
    pub(super) fn new(most: usize) -> Pace {
        Pace {
            most,
            next: FIRST.min(most),
        }
    }

    /// How many to ask for.
    pub(super) fn count(&self) -> usize {
        self.next
    }

    /// Learns from an answer. Grows in steps, shrinks at once.
    pub(super) fn got(&mut self, messages: usize, bytes: usize) {
        if messages == 0 {
            return;
        }
        let fits = TARGET / (bytes / messages).max(1);
        self.next = fits.min(self.next.saturating_mul(4)).clamp(1, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_are_asked_for_one_by_one_and_small_ones_by_the_hundreds() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.count(), 16);
        pace.got(16, 16 * 100);
        pace.got(64, 64 * 100);
        assert_eq!(pace.count(), 256);
        pace.got(256, 256 * 100);
        assert_eq!(pace.count(), 1000);
        pace.got(1, 10 << 20);
        assert_eq!(pace.count(), 1);
        pace.got(0, 0);
        assert_eq!(pace.count(), 1);
        assert_eq!(Pace::new(4).count(), 4);
    }
}
