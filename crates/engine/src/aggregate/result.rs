//! What is made of a group when its window ends, or a trigger says so.

use crate::expr::{Context, EvalError, GroupValues, Program};
use crate::id::{Hash, Id};
use crate::time::Time;
use crate::value::Value;

use super::{Group, GroupSpec, key, stored};

/// A group that is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct GroupResult<'g> {
    spec: &'g GroupSpec,
    key: &'g [u8],
    group: &'g Group,
    window: Option<(Time, Time)>,
    previous: Option<&'g [u8]>,
}

impl<'g> GroupResult<'g> {
    /// Of a group and its key, in a window, if it is in one. `previous` is what [`GroupResult::next_previous`] gave in
    /// the last window in which the group had a result.
    pub fn new(
        spec: &'g GroupSpec,
        key: &'g [u8],
        group: &'g Group,
        window: Option<(Time, Time)>,
        previous: Option<&'g [u8]>,
    ) -> GroupResult<'g> {
        GroupResult {
            spec,
            key,
            group,
            window,
            previous,
        }
    }

    /// Whether the group goes on: what `having` says of it.
    ///
    /// # Errors
    /// `having` fails, or is neither true nor false.
    pub fn having(&self) -> Result<bool, EvalError> {
        self.test(self.spec.programs.having.as_ref(), true)
    }

    /// Whether the group is to be sent now.
    ///
    /// # Errors
    /// `trigger` fails, or is neither true nor false.
    pub fn trigger(&self) -> Result<bool, EvalError> {
        self.test(self.spec.programs.trigger.as_ref(), false)
    }

    /// Appends the group's result as compact JSON. On an error `out` is as it was.
    ///
    /// # Errors
    /// `select` fails.
    pub fn select(&self, out: &mut Vec<u8>) -> Result<(), EvalError> {
        let select = &self.spec.programs.select;
        let values = self.values(select);
        select.write_json(&self.context(&values), out)
    }

    /// Appends what the group groups by, as a JSON array.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        let numbers = self.spec.programs.keys.iter().map(|(_, numbers)| *numbers);
        let values = key::read_all(self.key, numbers).unwrap_or_default();
        // Keys are made of what JSON has, but for times, which have a text.
        if Value::list(values).write_json(out).is_err() {
            out.extend_from_slice(b"[]");
        }
    }

    /// What `previous` is to read in the group's next window. An expression that fails is null there.
    pub fn next_previous(&self) -> Vec<u8> {
        let mut out = self.spec.programs.previous_mark.to_vec();
        for program in &self.spec.programs.previous {
            let values = self.values(program);
            let before = out.len();
            let written = program
                .eval(&self.context(&values))
                .and_then(|value| stored::write(&value, &mut out));
            if written.is_err() {
                out.truncate(before);
                // Null is written without fail.
                let _ = stored::write(&Value::Null, &mut out);
            }
        }
        out
    }

    /// The id of the result: the same whenever the same rows come to the same group and window.
    pub fn row_id(&self, uid: &str) -> [u8; 16] {
        self.identity(b'g', uid, &self.group.digest()).0
    }

    /// What all results of this group and window have in common, early and late, as 32 hexadecimal digits: a recipient
    /// keeps the last of each.
    pub fn upsert_key(&self, uid: &str) -> String {
        self.identity(b'u', uid, &[]).hex()
    }

    fn identity(&self, domain: u8, uid: &str, digest: &[u8]) -> Id {
        let mut hash = Hash::of_component(domain, uid);
        let (start, end) = self.window.unwrap_or((Time(0), Time(0)));
        hash.bytes(&start.0.to_be_bytes());
        hash.bytes(&end.0.to_be_bytes());
        hash.bytes(self.key);
        hash.bytes(digest);
        hash.finish()
    }

    fn test(&self, program: Option<&Program>, otherwise: bool) -> Result<bool, EvalError> {
        let Some(program) = program else {
            return Ok(otherwise);
        };
        let values = self.values(program);
        program.test(&self.context(&values))
    }

    /// What a program reads.
    fn values(&self, program: &Program) -> GroupValues<'g> {
        let programs = &self.spec.programs;
        let read = |at: usize| {
            let (of, reading) = *programs.readings.get(at)?;
            Some((at, self.group.accumulators.get(of)?.read(reading)))
        };
        let numbers = programs.keys.iter().map(|(_, numbers)| *numbers);
        let mut previous = Vec::new();
        // What was kept for other expressions, before an edit, says nothing of these.
        let kept = self
            .previous
            .and_then(|bytes| bytes.strip_prefix(&programs.previous_mark));
        let mut rest = kept.unwrap_or_default();
        while let Some(value) = stored::read(&mut rest) {
            previous.push(value);
        }
        GroupValues {
            keys: key::read_all(self.key, numbers).unwrap_or_default(),
            aggregates: program.aggregates().iter().copied().filter_map(read).collect(),
            previous,
        }
    }

    fn context<'c>(&self, values: &'c GroupValues<'c>) -> Context<'c> {
        let cx = Context::new(&[]).with_group(values);
        match self.window {
            Some((start, end)) => cx.with_window(start, end),
            None => cx,
        }
    }
}
