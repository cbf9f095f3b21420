//! What is kept beside messages: how far event time is done with, and what `previous` reads.

use std::ops::ControlFlow;

use super::{Journal, MEANING, PAST, SETTLED, unreadable};
use crate::state::StateError;
use crate::time::Time;

impl Journal {
    /// Up to which event time all was done with when it was last written down.
    pub(in crate::durable) fn settled(&self) -> Result<Option<Time>, StateError> {
        let Some(bytes) = self.state.get(SETTLED)? else {
            return Ok(None);
        };
        let bytes = bytes.try_into().map_err(|_| unreadable("a time"))?;
        Ok(Some(Time(i64::from_be_bytes(bytes))))
    }

    /// Gives what was kept of groups: their keys, and what they came to. `meaning` is what all of it is about.
    pub(in crate::durable) fn recall(
        &mut self,
        meaning: &str,
        mut give: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let before = self.state.get(MEANING)?;
        if before.as_deref() == Some(meaning.as_bytes()) {
            let mut all = true;
            self.state.scan(&[PAST], &[PAST], &mut |key, past| {
                all = give(key.get(1..).unwrap_or_default(), past);
                if all {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            return if all { Ok(()) } else { Err(unreadable("a group")) };
        }
        let mut any = false;
        self.state.scan(&[PAST], &[PAST], &mut |_, _| {
            any = true;
            ControlFlow::Break(())
        })?;
        if let Some(before) = before.filter(|_| any) {
            let before = String::from_utf8_lossy(&before).into_owned();
            return Err(StateError(format!(
                "the state is about {before}, and the component now asks for {meaning}: change groupBy and what is in \
                 previous(...) back, or give the component another name, or delete its state and begin without"
            )));
        }
        self.batch.put(MEANING.to_vec(), meaning.as_bytes().to_vec());
        self.sync()
    }
}
