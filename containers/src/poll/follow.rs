//! What a tick does: the file of the day, and around midnight the one before it, until that has had its last rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::fetch::Trouble;
use super::rows::{Mark, Message, Source};

/// Rows that are told of one by one, for each time that a file is read.
const TOLD: usize = 10;

/// What lies outside of it.
pub trait Outside {
    /// The file of a day.
    ///
    /// # Errors
    /// Where it can't be had, or not yet.
    fn get(&mut self, day: Date) -> Result<Vec<u8>, Trouble>;

    /// Publishes; returns when that is done.
    fn publish(&mut self, message: &Message);

    /// Says something.
    fn log(&mut self, text: &str);
}

/// How far files have been followed.
#[derive(Debug)]
pub struct Follow {
    source: Source,
    /// Whether each day has a file of its own.
    daily: bool,
    /// That of the file which is being followed.
    day: Option<Date>,
    mark: Option<Mark>,
    /// The last line of that file which has been said to be wrong and has no time.
    told: usize,
    /// What is in the way, of each file that is asked for.
    troubles: BTreeMap<Date, String>,
}

impl Follow {
    /// From the beginning of the file of the first tick's day.
    #[must_use]
    pub fn new(source: Source, daily: bool) -> Follow {
        Follow {
            source,
            daily,
            day: None,
            mark: None,
            told: 0,
            troubles: BTreeMap::new(),
        }
    }

    /// Publishes all that is new. What can't be read is tried again at the next tick.
    pub fn tick(&mut self, now: Timestamp, outside: &mut impl Outside) {
        // What is not about a day is a file of a day without end.
        let today = if self.daily {
            self.source.times.day(now)
        } else {
            Date::ZERO
        };
        let mut day = *self.day.get_or_insert(today);
        while day < today {
            let Ok(next) = day.tomorrow() else { return };
            if !self.finish(day, next, now, next < today, outside) {
                return;
            }
            self.troubles.remove(&day);
            self.day = Some(next);
            self.told = 0;
            day = next;
        }
        if let Ok(text) = self.get(day, outside) {
            self.take(day, whole_lines(&text), now, outside);
        }
    }

    /// Reads a file whose day is over; says whether it has had its last rows. It has when the next day's file has some: that
    /// one is asked for first, so what came before is in the text of this one.
    fn finish(
        &mut self,
        day: Date,
        next: Date,
        now: Timestamp,
        long_ago: bool,
        outside: &mut impl Outside,
    ) -> bool {
        let following = self.get(next, outside);
        let begun = following
            .as_ref()
            .is_ok_and(|text| self.begins(whole_lines(text), now));
        let over = begun || long_ago;
        match self.get(day, outside) {
            Ok(text) if over => self.take(day, &text, now, outside),
            Ok(text) => {
                self.take(day, whole_lines(&text), now, outside);
                false
            }
            Err(Trouble::Missing(_)) => over,
            // Only this one can't be had, and that for a day: what came later has waited long enough.
            Err(Trouble::Failed(_)) => long_ago && following.is_ok(),
        }
    }

    fn begins(&self, text: &[u8], now: Timestamp) -> bool {
        let steps = self.source.steps(text, None, now);
        steps.is_ok_and(|mut steps| steps.any(|step| step.mark.is_some()))
    }

    fn get(&mut self, day: Date, outside: &mut impl Outside) -> Result<Vec<u8>, Trouble> {
        let got = outside.get(day);
        if let Err(why) = &got {
            trouble(&mut self.troubles, day, why.to_string(), outside);
        }
        got
    }

    /// Publishes what is new in a file; says whether it was such a file.
    fn take(&mut self, day: Date, text: &[u8], now: Timestamp, outside: &mut impl Outside) -> bool {
        let steps = match self.source.steps(text, self.mark, now) {
            Ok(steps) => steps,
            Err(why) => {
                trouble(
                    &mut self.troubles,
                    day,
                    format!("the file is of no use: {why}"),
                    outside,
                );
                return false;
            }
        };
        if self.troubles.remove(&day).is_some() {
            outside.log("the file can be read again");
        }
        let (mut wrong, mut last) = (0, self.told);
        for step in steps {
            match step.outcome {
                Ok(message) => outside.publish(&message),
                // It was told when it came.
                Err(_) if step.mark.is_none() && step.line <= self.told => {}
                Err(why) => {
                    wrong += 1;
                    if wrong <= TOLD {
                        outside.log(&format!("line {} is skipped: {why}", step.line));
                    }
                }
            }
            match step.mark {
                Some(mark) => self.mark = Some(mark),
                None => last = last.max(step.line),
            }
        }
        self.told = last;
        if wrong > TOLD {
            outside.log(&format!("and so are {} lines more", wrong - TOLD));
        }
        true
    }
}

/// Tells what is in the way of a file, once.
fn trouble(told: &mut BTreeMap<Date, String>, day: Date, why: String, outside: &mut impl Outside) {
    if told.get(&day) != Some(&why) {
        outside.log(&format!("trying on: {why}"));
        told.insert(day, why);
    }
}

/// A file without what may be half a line: one that is being written, or cut off on its way.
fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
