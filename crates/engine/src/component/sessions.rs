//! Sessions: windows that messages open and extend.
//!
//! Messages come in the order in which they happened, but for one that came behind the watermark while its session
//! was open. That one joins the session that spans it; where there is none it has a session of its own, which ends
//! where the next one begins. So sessions of one key never overlap and need never be merged.

use std::collections::BTreeMap;

use super::Component;
use super::windows::Slot;
use crate::id::Id;
use crate::join::{Arrival, JoinSpec, OpenWindow, Single};
use crate::time::Time;
use crate::window::{Session, Window};

/// The open sessions: their ends by key and start.
pub(super) type Sessions = BTreeMap<(Vec<u8>, Time), Time>;

impl Component {
    /// Puts the message whose row is at hand into its session. Whether it is kept there; if not, it neither opens
    /// nor extends one, so that the sessions are the same when it is not seen again after a crash.
    pub(super) fn enter_session(
        &mut self,
        spec: &JoinSpec,
        sessions: Session,
        at: Time,
        input: usize,
        (id, token): (Id, u64),
    ) -> bool {
        let key = self.session_key(spec, input);
        let before = self.session_at(&key, at);
        let after = self.extended(sessions, &key, at, before);
        let slot = |window: Window, key| Slot {
            end: window.end,
            start: window.start,
            key,
        };
        let open = before.and_then(|before| self.open.remove(&slot(before, key.clone())));
        let mut open = open.unwrap_or_else(|| OpenWindow::new(spec, after, self.seed));
        open.set_bounds(after);
        let held = open.bytes(input);
        let errors = &mut self.counters.expression_errors;
        let arrival = open.arrive(spec, input, (|| id, token), &self.row, |error| {
            *errors.entry(error.reason()).or_default() += 1;
        });
        let grown = open.bytes(input).saturating_sub(held);
        let kept = arrival == Arrival::Kept;
        let bounds = if kept { Some(after) } else { before };
        if let Some(bounds) = bounds {
            self.budget.add(Some(input), grown);
            if before.is_none() {
                self.budget.add(None, overhead(&key));
            }
            open.set_bounds(bounds);
            self.sessions.insert((key.clone(), bounds.start), bounds.end);
            self.open.insert(slot(bounds, key.clone()), open);
        }
        if kept {
            self.write_sessions(spec, grown);
        }
        if kept && spec.leaves_early() {
            self.leave_early(spec, &slot(after, key), input, at);
        }
        kept
    }

    /// The open session that spans a point in time.
    fn session_at(&self, key: &[u8], at: Time) -> Option<Window> {
        let (found, end) = self.sessions.range(..=(key.to_vec(), at)).next_back()?;
        (found.0 == key && at < *end).then_some(Window {
            start: found.1,
            end: *end,
        })
    }

    /// What becomes of a session, or of none, with an event at this time.
    fn extended(&self, sessions: Session, key: &[u8], at: Time, session: Option<Window>) -> Window {
        let start = session.map_or(at, |session| session.start);
        let mut window = sessions.of(start, at);
        if let Some(session) = session {
            window.end = window.end.max(session.end);
        }
        // In its order nothing comes before what is there; behind the watermark it may.
        let next = self
            .sessions
            .range((key.to_vec(), Time(at.0.saturating_add(1)))..)
            .next();
        if let Some(((next, start), _)) = next
            && next == key
        {
            window.end = window.end.min(*start);
        }
        window
    }

    /// Whose session the message whose row is at hand belongs to. What has no key can be in no row with others, and
    /// is nobody's.
    fn session_key(&self, spec: &JoinSpec, input: usize) -> Vec<u8> {
        let single = Single {
            inputs: spec.inputs(),
            window: Window::ALL,
        };
        let key = single.with(&self.row.row(), |cx| spec.session_key(input, cx));
        key.unwrap_or_default()
    }

    /// Whether the message whose row is at hand would be in a session that has ended by then.
    pub(super) fn session_is_over(
        &self,
        spec: &JoinSpec,
        sessions: Session,
        (at, input): (Time, usize),
        watermark: Time,
    ) -> bool {
        let key = self.session_key(spec, input);
        self.session_at(&key, at).is_none() && sessions.of(at, at).end <= watermark
    }

    /// A session takes no more messages.
    pub(super) fn end_session(&mut self, slot: Slot) {
        if !self.sessions.is_empty() {
            let bytes = overhead(&slot.key);
            if self.sessions.remove(&(slot.key, slot.start)).is_some() {
                self.budget.sub(None, bytes);
            }
        }
    }
}

/// Bytes that a session takes besides its messages.
fn overhead(key: &[u8]) -> u64 {
    (2 * key.len() + size_of::<OpenWindow>() + size_of::<Slot>() + 512) as u64
}
