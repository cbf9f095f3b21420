//! Whether the broker is still at the other end. What stands between may keep a connection open, and answer TCP's questions, when
//! nothing gets through it any more; so where nothing has come for a while, and more would be read, MQTT's own is asked. And
//! a broker that wants to hear something now and then does. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Before the broker is asked whether it is there.
    pub(super) quiet: Duration,
    /// After that.
    pub(super) answer: Duration,
}

/// How long a broker may be silent.
pub(super) const PATIENCE: Patience = Patience {
    quiet: Duration::from_secs(10),
    answer: Duration::from_secs(20),
};

#[derive(Debug)]
pub(super) struct Pulse {
    patience: Patience,
    /// How often the broker wants to hear something.
    keep_alive: Option<Duration>,
    /// When something came last, and left.
    heard: Instant,
    said: Instant,
    /// When the broker was asked, if nothing has come since.
    asked: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Fine,
    /// It is time to ask.
    Ask,
    /// No answer came.
    Gone,
}

impl Pulse {
    /// Of a connection that stands since now. The broker is to hear something each so many seconds, or doesn't care.
    pub(super) fn new(patience: Patience, keep_alive: u16, now: Instant) -> Pulse {
        // Before it is late.
        let keep_alive = (keep_alive > 0).then(|| Duration::from_secs(keep_alive.into()) * 3 / 4);
        Pulse {
            patience,
            keep_alive,
            heard: now,
            said: now,
            asked: None,
        }
    }

    /// Something has come.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// Something has left.
    pub(super) fn say(&mut self, now: Instant) {
        self.said = now;
    }

    /// What is to be done now. `listening`: all that came has been read, and more would be.
    pub(super) fn check(&mut self, listening: bool, now: Instant) -> Beat {
        if listening {
            match self.asked {
                Some(asked) if now >= asked + self.patience.answer => return Beat::Gone,
                None if now >= self.heard + self.patience.quiet => {
                    self.asked = Some(now);
                    self.said = now;
                    return Beat::Ask;
                }
                _ => {}
            }
        }
        if self.keep_alive.is_some_and(|most| now >= self.said + most) {
            self.said = now;
            return Beat::Ask;
        }
        Beat::Fine
    }

    /// When to check next.
    pub(super) fn due(&self, listening: bool, now: Instant) -> Instant {
        let quiet = match self.asked {
            _ if !listening => now + self.patience.quiet,
            Some(asked) => asked + self.patience.answer,
            None => self.heard + self.patience.quiet,
        };
        self.keep_alive.map_or(quiet, |most| quiet.min(self.said + most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Patience = Patience {
        quiet: Duration::from_secs(10),
        answer: Duration::from_secs(20),
    };

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn who_says_nothing_is_asked_and_given_up_without_an_answer() {
        let start = Instant::now();
        let at = |second| seconds(start, second);
        let mut pulse = Pulse::new(TEST, 0, start);
        assert_eq!(pulse.due(true, start), at(10));
        assert_eq!(pulse.check(true, at(9)), Beat::Fine);
        assert_eq!(pulse.check(true, at(10)), Beat::Ask);
        pulse.hear(at(29));
        assert_eq!(pulse.check(true, at(38)), Beat::Fine);
        assert_eq!(pulse.check(true, at(39)), Beat::Ask);
        assert_eq!(pulse.due(true, at(39)), at(59));
        assert_eq!(pulse.check(true, at(58)), Beat::Fine);
        assert_eq!(pulse.check(true, at(59)), Beat::Gone);
    }

    #[test]
    fn who_is_not_listened_to_owes_no_answer() {
        let start = Instant::now();
        let at = |second| seconds(start, second);
        let mut pulse = Pulse::new(TEST, 0, start);
        assert_eq!(pulse.check(false, at(1000)), Beat::Fine);
        assert_eq!(pulse.due(false, at(1000)), at(1010));
        assert_eq!(pulse.check(true, at(1001)), Beat::Ask);
    }

    #[test]
    fn a_broker_that_wants_to_hear_something_does() {
        let start = Instant::now();
        let at = |second| seconds(start, second);
        let mut pulse = Pulse::new(TEST, 8, start);
        assert_eq!(pulse.due(false, start), at(6));
        pulse.say(at(3));
        assert_eq!(pulse.check(false, at(6)), Beat::Fine);
        assert_eq!(pulse.check(false, at(9)), Beat::Ask);
        assert_eq!(pulse.due(false, at(9)), at(15));
    }
}
