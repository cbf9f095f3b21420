//! The rows of a file: which of them are new, and the message that each becomes.

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use streaming_engine::expr::{Context, Diagnostic, Program, Row, Scope, compile};
use streaming_engine::field::Field;
use streaming_engine::json::MAX_MESSAGE_BYTES;
use streaming_engine::layout::Layout;

use super::times::{Times, excerpt};
use super::topic::Topic;

/// The names are copied for every row that is read.
const LARGEST_HEADER: usize = 16 << 10;
/// A time further ahead of the clock is a mistake, and would make everything after it old.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// How the rows of a file become messages.
#[derive(Debug)]
pub struct Source {
    time_column: String,
    pub(super) times: Times,
    topic: Topic,
    message: Program,
}

/// How far a file has been read: so many rows of the last time. Rows of one time may come in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// That of the last row.
    pub time: Timestamp,
    /// How many rows there were of it.
    pub rows: u64,
}

/// What is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its JSON.
    pub body: Vec<u8>,
}

/// A row that is new, or that can't be told to be old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is in the file, from 1.
    pub line: usize,
    /// How far the file is read with it; `None` if it has no time.
    pub mark: Option<Mark>,
    /// Its message, or why it has none.
    pub outcome: Result<Message, String>,
}

impl Source {
    /// `message` is an expression over `row`, a map from columns to text, and `timestamp`, the row's time (RFC 3339, UTC).
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn new(time_column: &str, times: Times, topic: Topic, message: &str) -> Result<Source, Diagnostic> {
        let scope = Scope::new(&["row", "timestamp"]).unwrap_or_default();
        let whole = Layout::new([[].as_slice()]);
        Ok(Source {
            time_column: time_column.trim().to_owned(),
            times,
            topic,
            message: compile(message, &scope)?.bind(&[&whole, &whole]),
        })
    }

    /// Goes through a file, whose last line is whole, `now`; rows up to a mark are left out.
    ///
    /// # Errors
    /// Where it isn't the file that it should be.
    pub fn steps<'a>(
        &'a self,
        text: &'a [u8],
        after: Option<Mark>,
        now: Timestamp,
    ) -> Result<Steps<'a>, String> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text);
        let mut header = ByteRecord::new();
        let found = reader.read_byte_record(&mut header).map_err(|e| e.to_string())?;
        if header.as_slice().len() > LARGEST_HEADER {
            return Err(format!(
                "the names of its columns have more than {LARGEST_HEADER} bytes"
            ));
        }
        let header = StringRecord::from_byte_record_lossy(header);
        let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        if found {
            for needed in [self.time_column.as_str()]
                .into_iter()
                .chain(self.topic.columns())
            {
                if !names.iter().any(|name| name == needed) {
                    let all = excerpt(&names.join(","));
                    return Err(format!("it has no column `{needed}`; its first line is `{all}`"));
                }
            }
        }
        Ok(Steps {
            source: self,
            text,
            reader,
            counted: 0,
            line: 1,
            names,
            previous: None,
            after,
            latest: now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX),
        })
    }

    fn message(&self, names: &[String], row: &StringRecord, time: Timestamp) -> Result<Message, String> {
        let cell = |name: &str| row.get(names.iter().position(|known| known == name)?);
        let topic = self.topic.of(cell)?;
        let columns = names.iter().cloned();
        let cells = row.iter().map(|text| Value::from(text.trim()));
        let columns = Value::Object(columns.zip(cells).collect::<Map<_, _>>()).to_string();
        let timestamp = time.to_string();
        let (columns, timestamp) = ([Field::Json(&columns)], [Field::Str(&timestamp)]);
        let rows: [&dyn Row; 2] = [&columns, &timestamp];
        let mut body = Vec::new();
        let made = self.message.write_json(&Context::new(&rows), &mut body);
        made.map_err(|e| format!("MESSAGE_EXPR: {e}"))?;
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(format!("its message has more than {MAX_MESSAGE_BYTES} bytes"));
        }
        Ok(Message { topic, body })
    }
}

/// A file on its way through.
pub struct Steps<'a> {
    source: &'a Source,
    text: &'a [u8],
    reader: Reader<&'a [u8]>,
    /// So many bytes have been looked through for ends of lines; the line that is reached.
    counted: usize,
    line: usize,
    names: Vec<String>,
    previous: Option<Mark>,
    after: Option<Mark>,
    latest: Timestamp,
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let mut record = ByteRecord::new();
        // Nothing else can be wrong with a text in memory than that it ends.
        while self.reader.read_byte_record(&mut record).unwrap_or(false) {
            let line = self.line(&record);
            let read = self.row(&record);
            let (mark, outcome) = match read {
                Ok((mark, _)) if self.after.is_some_and(|after| mark <= after) => continue,
                Ok((mark, row)) => (Some(mark), self.source.message(&self.names, &row, mark.time)),
                Err(why) => (None, Err(why)),
            };
            return Some(Step { line, mark, outcome });
        }
        None
    }
}

impl Steps<'_> {
    /// The line that a row begins on. The reader's own count is behind by one where lines end as on Windows.
    fn line(&mut self, record: &ByteRecord) -> usize {
        let start = record.position().map_or(0, csv::Position::byte);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let rest = self.text.get(start..).unwrap_or_default();
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let start = start.saturating_add(ends.count());
        let passed = self.text.get(self.counted..start).unwrap_or_default();
        self.line += passed.split(|byte| *byte == b'\n').skip(1).count();
        self.counted = start;
        self.line
    }

    /// A row, and where it is in the order of times.
    fn row(&mut self, record: &ByteRecord) -> Result<(Mark, StringRecord), String> {
        if record.len() != self.names.len() {
            let (has, wanted) = (record.len(), self.names.len());
            return Err(format!("{has} columns, where the first line has {wanted}"));
        }
        let row = StringRecord::from_byte_record(record.clone()).map_err(|_| "it isn't UTF-8")?;
        let column = self
            .names
            .iter()
            .position(|name| *name == self.source.time_column);
        let text = column.and_then(|at| row.get(at)).unwrap_or_default();
        let last = self.previous;
        let time = self.source.times.read(text, last.map(|mark| mark.time))?;
        if time > self.latest {
            return Err(format!("its time `{}` is more than a day ahead", excerpt(text)));
        }
        let mark = match last {
            Some(last) if time < last.time => {
                return Err(format!(
                    "its time `{}` is before that of the row above",
                    excerpt(text)
                ));
            }
            Some(last) if time == last.time => Mark {
                time,
                rows: last.rows + 1,
            },
            _ => Mark { time, rows: 1 },
        };
        self.previous = Some(mark);
        Ok((mark, row))
    }
}

#[cfg(test)]
mod tests;
