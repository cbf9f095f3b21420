//! What is kept beside messages: how far event time is done with, and where what `previous` reads is.

use std::ops::ControlFlow;

use super::{Journal, MEANING, PAST, SETTLED, unreadable};
use crate::spill::Store;
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

    /// How far the component was done when what it was done with last went for good.
    pub(in crate::durable) fn settled_durably(&self) -> Option<Time> {
        self.settled_durably
    }

    /// Where what groups have come to is kept, and what its keys begin with. `meaning` is what all of it is about.
    pub(in crate::durable) fn past(&mut self, meaning: &str) -> Result<(Store, Vec<u8>), StateError> {
        let before = self.state.get(MEANING)?;
        let place = (self.store(), vec![PAST]);
        if before.as_deref() == Some(meaning.as_bytes()) {
            return Ok(place);
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
        self.sync()?;
        Ok(place)
    }
}
