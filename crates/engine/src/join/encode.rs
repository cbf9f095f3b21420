//! Writes rows as JSON, and names them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bound::MISSING;
use super::emit::{FailedRow, Output};
use super::grouping;
use super::open::Side;
use super::spec::JoinSpec;
use crate::aggregate::GroupResult;
use crate::counters::CutShort;
use crate::event::write_string;
use crate::expr::{Context, EvalError};
use crate::field::Field;
use crate::id::{Hash, Id};
use crate::query::Emit;
use crate::row::Row;
use crate::time::Time;
use crate::value::Value;
use crate::window::Window;

/// Ids of a single row, of all rows together, and of a row that failed.
const ROW: u8 = b'r';
const BATCH: u8 = b'b';
pub(super) const FAILED: u8 = b'f';

/// Stands for the message of an input that has none in a row. No message's hash is this.
const NOBODY: Id = Id([0; 16]);

/// What an event takes beside its data, roughly.
const EVENT: u64 = 256;

/// Less room than this in a batch, and it grows.
const ROOM: usize = 256;

/// Takes the rows that a join finds.
pub(super) struct Encoder<'a> {
    pub(super) spec: &'a JoinSpec,
    pub(super) uid: &'a str,
    pub(super) sides: &'a [Side],
    pub(super) limit: u64,
    /// Stands for all messages of the window.
    pub(super) digest: Id,
    /// Whether they are all at hand.
    pub(super) whole: bool,
    pub(super) to: &'a mut Encoding,
}

/// The rows so far.
pub(super) struct Encoding {
    batch: Hash,
    /// The batch so far, or the row that is being written.
    out: Vec<u8>,
    /// Bytes of results and failed rows that are complete.
    complete: u64,
    done: Encoded,
}

/// All rows of a window.
#[derive(Default)]
pub(super) struct Encoded {
    pub(super) results: Vec<Output>,
    pub(super) failed: Vec<FailedRow>,
    pub(super) rows: u64,
    pub(super) errors: BTreeMap<&'static str, u64>,
}

impl Encoding {
    pub(super) fn new(uid: &str) -> Encoding {
        Encoding {
            batch: Hash::of_component(BATCH, uid),
            out: Vec::new(),
            complete: 0,
            done: Encoded::default(),
        }
    }

    /// Whether results that are complete take a part of what they may take.
    pub(super) fn has_to_leave(&self, limit: u64) -> bool {
        self.complete > limit / 16
    }

    /// Takes the results that are complete.
    pub(super) fn take(&mut self) -> (Vec<Output>, Vec<FailedRow>) {
        self.complete = 0;
        (
            std::mem::take(&mut self.done.results),
            std::mem::take(&mut self.done.failed),
        )
    }

    pub(super) fn finish(mut self, spec: &JoinSpec) -> Encoded {
        if spec.emit == Emit::Batch && !self.out.is_empty() {
            self.out.push(b']');
            self.out.shrink_to(self.out.len() * 2);
            self.done.results.push(Output {
                id: self.batch.finish(),
                data: self.out,
                subject: None,
            });
        }
        self.done
    }
}

impl Encoder<'_> {
    fn id(&self, domain: u8, rows: &[u32]) -> Id {
        let mut hash = Hash::of_component(domain, self.uid);
        hash.row(ids(self.spec, self.sides, rows));
        hash.finish()
    }

    /// Makes room in a batch. How far the outermost input has come says how long the batch will be; that is
    /// trusted up to 64 times what there is, so that growing copies little and reserves little in vain. Where that is not
    /// known, it grows by a quarter.
    fn reserve(&mut self, rows: &[u32]) {
        let used = self.to.out.len();
        if self.to.out.capacity() - used >= ROOM {
            return;
        }
        if !self.whole {
            self.to.out.reserve_exact(ROOM.max(used / 4));
        } else if let (Some(side), Some(done)) = (self.sides.first(), rows.first().filter(|done| **done > 0))
        {
            let projected = used / *done as usize * side.store.len();
            let wanted = (projected + projected / 16).min(used * 64);
            self.to.out.reserve_exact(wanted.saturating_sub(used));
        }
    }

    /// Appends the row that `select` makes, or all messages by variable.
    fn write(
        &mut self,
        cx: &Context<'_>,
        rows: &[u32],
        again: Option<(usize, &mut Range<usize>)>,
    ) -> Result<(), EvalError> {
        let out = &mut self.to.out;
        if let Some(select) = &self.spec.select {
            // Where rows leave one by one, the last one is no longer there.
            let again = again.filter(|_| self.spec.emit == Emit::Batch);
            return select.write_json_again(cx, out, again);
        }
        for (input, variable) in self.spec.row_variables().iter().enumerate() {
            out.push(if input == 0 { b'{' } else { b',' });
            write_string(variable, out);
            out.push(b':');
            match message(self.sides, input, rows) {
                Some(row) => write_field(row.field(self.spec.layouts[input].slots()), out),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// The fields that expressions read of a row's messages, by variable: what a person needs to see why it
    /// failed.
    fn fields(&self, rows: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        for (input, variable) in self.spec.row_variables().iter().enumerate() {
            out.push(if input == 0 { b'{' } else { b',' });
            write_string(variable, &mut out);
            out.push(b':');
            match message(self.sides, input, rows) {
                Some(row) => write_tree(&self.spec.fields[input], 0, row, &mut out),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        out
    }

    /// A row: `rows` holds the number of each input's message, by input; `cx` evaluates on them. Fails if it has
    /// no room. Where only one input's message differs from those of the row before, `again` is that input, and where
    /// what they have in common is, which is empty at first.
    pub(super) fn row(
        &mut self,
        cx: &Context<'_>,
        rows: &[u32],
        again: Option<(usize, &mut Range<usize>)>,
    ) -> Result<(), CutShort> {
        let before = self.begin()?;
        if self.spec.emit == Emit::Batch {
            self.reserve(rows);
        }
        self.separate(before);
        match self.write(cx, rows, again) {
            Ok(()) if self.spec.emit == Emit::Batch => {
                self.to.done.rows += 1;
                self.to.batch.row(ids(self.spec, self.sides, rows));
            }
            Ok(()) => self.each(self.id(ROW, rows), None),
            Err(error) => {
                let failed = FailedRow {
                    id: self.id(FAILED, rows),
                    data: self.fields(rows),
                    reason: error.reason(),
                    message: error.to_string(),
                };
                self.failed(before, &error, failed);
            }
        }
        Ok(())
    }

    /// A group. Fails if it has no room.
    pub(super) fn group(&mut self, result: &GroupResult<'_>) -> Result<(), CutShort> {
        let before = self.begin()?;
        self.separate(before);
        match result.select(&mut self.to.out) {
            Ok(()) if self.spec.emit == Emit::Batch => {
                self.to.done.rows += 1;
                self.to.batch.row(std::iter::once(Id(result.row_id(self.uid))));
            }
            Ok(()) => {
                let subject = Some(result.upsert_key(self.uid));
                self.each(Id(result.row_id(self.uid)), subject);
            }
            Err(error) => self.failed(before, &error, grouping::failed(result, self.uid, &error)),
        }
        Ok(())
    }

    /// Nothing was found: not all was looked at, and what would have been found first is no answer.
    pub(super) fn discard(&mut self) {
        *self.to = Encoding {
            done: Encoded {
                errors: std::mem::take(&mut self.to.done.errors),
                ..Encoded::default()
            },
            ..Encoding::new(self.uid)
        };
    }

    /// Whether so much is complete that it leaves before more is made.
    pub(super) fn has_to_leave(&self) -> bool {
        self.to.has_to_leave(self.limit) && self.spec.streams()
    }

    /// Where the next result begins, if there is room for one.
    fn begin(&self) -> Result<usize, CutShort> {
        let before = self.to.out.len();
        let full = self.to.complete + before as u64 > self.limit;
        if full { Err(CutShort::Budget) } else { Ok(before) }
    }

    fn separate(&mut self, before: usize) {
        if self.spec.emit == Emit::Batch {
            self.to.out.push(if before == 0 { b'[' } else { b',' });
        }
    }

    /// What was written is a result of its own.
    fn each(&mut self, id: Id, subject: Option<String>) {
        self.to.done.rows += 1;
        let data = std::mem::take(&mut self.to.out);
        self.to.complete += data.capacity() as u64 + EVENT;
        self.to.done.results.push(Output { id, data, subject });
    }

    fn failed(&mut self, before: usize, error: &EvalError, failed: FailedRow) {
        self.to.out.truncate(before);
        self.error(error);
        self.to.complete += failed.data.capacity() as u64 + 2 * EVENT;
        self.to.done.failed.push(failed);
    }

    /// The id of a row that goes into a group.
    pub(super) fn row_id(&self, rows: &[u32]) -> Id {
        self.id(ROW, rows)
    }

    /// Stands for the results of a window that were not made: rows that are missing; and of groups, where not all rows
    /// were found, all, as a sum of a part of its rows would be wrong.
    pub(super) fn incomplete(&mut self, window: Window, reason: CutShort) {
        let mut hash = Hash::of_component(FAILED, self.uid);
        hash.row(std::iter::once(self.digest));
        let bound = |time: Time| {
            let stamp = jiff::Timestamp::from_microsecond(time.0);
            stamp.map_or_else(|_| time.to_string(), |stamp| stamp.to_string())
        };
        let (start, end) = (bound(window.start), bound(window.end));
        let cause = match reason {
            CutShort::Candidates => "more combinations of messages than a window may cost",
            CutShort::Budget => "larger results than the memory budget lets it make",
        };
        let made = self.to.done.rows;
        let left = match &self.spec.groups {
            Some(_) if made == 0 => {
                "groups of a part of its rows would be wrong, and none were sent".to_owned()
            }
            _ if made == 0 => "none were sent".to_owned(),
            _ => format!("only the first {made} results were sent"),
        };
        let emit = match self.spec.emit {
            Emit::Batch => "let results leave one by one (`emit: Each`), ",
            Emit::Each | Emit::Updates => "",
        };
        self.to.done.failed.push(FailedRow {
            id: hash.finish().in_window(window),
            data: format!(r#"{{"window":{{"start":"{start}","end":"{end}"}}}}"#).into_bytes(),
            reason: reason.reason(),
            message: format!(
                "the window has {cause}, and {left}: {emit}join by an equality, filter more, or shorten the window"
            ),
        });
    }

    /// An evaluation that failed.
    pub(super) fn error(&mut self, error: &EvalError) {
        self.errors(error.reason(), 1);
    }

    /// So many evaluations have failed for the same reason.
    pub(super) fn errors(&mut self, reason: &'static str, count: u64) {
        *self.to.done.errors.entry(reason).or_default() += count;
    }
}

/// An input's message in a row, if it has one there.
fn message<'a>(sides: &'a [Side], input: usize, rows: &[u32]) -> Option<Row<'a>> {
    let row = rows.get(input).filter(|row| **row != MISSING)?;
    Some(sides[input].store.row(*row as usize))
}

/// The ids of a row's messages, in the order of the variables' names: that order survives an edit of `from`, and
/// tells (a, b) from (b, a) in a join of a stream with itself.
fn ids(spec: &JoinSpec, sides: &[Side], rows: &[u32]) -> impl Iterator<Item = Id> {
    spec.by_name.iter().map(|input| match rows[*input] {
        MISSING => NOBODY,
        row => sides[*input].store.id(row as usize),
    })
}

/// Appends a field as compact JSON; one that is absent as `null`.
fn write_field(field: Field<'_>, out: &mut Vec<u8>) {
    let value = Value::from_field(field).unwrap_or(Value::Null);
    // What came from JSON can be written as JSON.
    let _ = value.write_json(out);
}

/// Appends the fields of a row as the object that they were in. `fields` are sorted by path and agree in their
/// first `depth` names.
fn write_tree(fields: &[(Vec<Box<str>>, usize)], depth: usize, row: Row<'_>, out: &mut Vec<u8>) {
    if let [(path, slot)] = fields
        && path.len() == depth
    {
        return write_field(row.field(*slot), out);
    }
    out.push(b'{');
    let mut first = true;
    for group in fields.chunk_by(|(a, _), (b, _)| a.get(depth) == b.get(depth)) {
        let absent = group.iter().all(|(_, slot)| row.field(*slot) == Field::Absent);
        let Some(name) = group
            .first()
            .and_then(|(path, _)| path.get(depth))
            .filter(|_| !absent)
        else {
            continue;
        };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write_tree(group, depth + 1, row, out);
    }
    out.push(b'}');
}
