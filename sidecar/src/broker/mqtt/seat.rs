//! Which of its group's sessions a pod takes, where several share a topic. There are as many seats as pods, and nobody
//! says who sits where: a broker gives a session to who asked for it last, and tells the one who had it, who then takes
//! the next. With one pod too many, as while a new release is rolled out, somebody is always on the way, and nothing is
//! left behind; what was unacked comes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::session::fingerprint;

/// How long who lost a seat leaves the others alone.
const MANNERS: Duration = Duration::from_millis(500);

/// A pod's seat among those who share a topic.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    at: AtomicU32,
    is_lost: AtomicBool,
}

impl Seat {
    /// To begin with, by the pod's name, so that a container that restarts comes back to its own.
    pub(super) fn new(consumer: &str) -> Seat {
        let at = u32::try_from(fingerprint(consumer) & 0xffff).unwrap_or_default();
        Seat(Arc::new(Place {
            at: at.into(),
            is_lost: false.into(),
        }))
    }

    /// Somebody else took it.
    pub(super) fn lost(&self) {
        self.0.at.fetch_add(1, Ordering::Relaxed);
        self.0.is_lost.store(true, Ordering::Relaxed);
    }

    /// The one to take now, of so many.
    pub(super) async fn take(&self, seats: u32) -> u32 {
        if self.0.is_lost.swap(false, Ordering::Relaxed) {
            tokio::time::sleep(MANNERS).await;
        }
        self.0.at.load(Ordering::Relaxed) % seats.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_loses_a_seat_takes_the_next() {
        let seat = Seat::new("pod-5d9f-x7");
        let first = seat.take(3).await;
        assert_eq!(seat.take(3).await, first);
        let again = Seat::new("pod-5d9f-x7").take(3).await;
        assert_eq!(again, first);
        seat.clone().lost();
        assert_eq!(seat.take(3).await, (first + 1) % 3);
    }
}
