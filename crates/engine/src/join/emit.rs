//! Closing a window: its rows, encoded, with their ids.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::encode::{Encoded, Encoder};
use super::matching::{Bound, Matching, Single, Sink};
use super::open::OpenWindow;
use super::spec::JoinSpec;
use crate::ack::Messages;
use crate::counters::{CutShort, WindowReport};
use crate::expr::{self, Context, EvalError};
use crate::id::Id;

/// What a window leaves behind.
pub(crate) struct Closed {
    /// Encoded results: all rows in one, or one for each, with their ids.
    pub(crate) results: Vec<(Id, Vec<u8>)>,
    /// Rows whose `select` failed.
    pub(crate) failed: Vec<FailedRow>,
    /// The messages that were held for it.
    pub(crate) messages: Messages,
    pub(crate) report: WindowReport,
    /// Evaluations that failed while it closed, by reason.
    pub(crate) errors: BTreeMap<&'static str, u64>,
}

/// A row that could not be computed.
pub(crate) struct FailedRow {
    pub(crate) id: Id,
    /// The fields that the row would have been computed from, by variable.
    pub(crate) data: Vec<u8>,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl OpenWindow {
    /// Joins the window's messages. Results of more than `limit` bytes are cut short.
    pub(crate) fn close(self, spec: &JoinSpec, uid: &str, limit: u64) -> Closed {
        let sides = &self.sides;
        let bound: Vec<Bound<'_>> = sides.iter().map(|_| Bound::default()).collect();
        let views: Vec<&dyn expr::Row> = bound.iter().map(|row| row as &dyn expr::Row).collect();
        let mut matching = Matching {
            steps: &spec.plan.steps,
            sides,
            single: Single {
                inputs: sides.len(),
                window: self.window,
            },
            bound: &bound,
            cx: Context::new(&views).with_window(self.window.start, self.window.end),
            rows: vec![0; sides.len()],
            candidates: 0,
            sink: Encoder::new(spec, uid, sides, limit),
        };
        let (cut_short, candidates, encoder) = if spec.plan.in_order {
            let cut_short = matching.run();
            (cut_short, matching.candidates, matching.sink)
        } else {
            in_order(matching, limit)
        };
        let Encoded {
            results,
            failed,
            rows,
            errors,
        } = encoder.finish();
        let report = WindowReport {
            window: self.window,
            inputs: sides.iter().map(|side| side.counts).collect(),
            candidates,
            errors: self.errors + errors.values().sum::<u64>(),
            rows,
            cut_short,
        };
        let messages = Messages::Many(sides.iter().map(|side| side.store.tokens()).collect());
        Closed {
            results,
            failed,
            messages,
            report,
            errors,
        }
    }
}

/// Runs a join whose steps are not in the order of the inputs: collects its rows and brings them in order.
fn in_order<'a>(matching: Matching<'a, Encoder<'a>>, limit: u64) -> (Option<CutShort>, u64, Encoder<'a>) {
    let Matching {
        steps,
        sides,
        single,
        bound,
        cx,
        rows,
        candidates,
        sink,
    } = matching;
    let width = rows.len();
    let collect = Collect {
        flat: Vec::new(),
        limit,
        encoder: sink,
    };
    let mut finding = Matching {
        steps,
        sides,
        single,
        bound,
        cx,
        rows,
        candidates,
        sink: collect,
    };
    let mut cut_short = finding.run();
    let Matching {
        rows,
        candidates,
        sink: Collect { flat, encoder, .. },
        ..
    } = finding;
    let mut found: Vec<&[u32]> = flat.chunks_exact(width).collect();
    found.sort_unstable();
    let mut encoding = Matching {
        steps,
        sides,
        single,
        bound,
        cx,
        rows,
        candidates,
        sink: encoder,
    };
    for row in found {
        for (input, number) in row.iter().enumerate() {
            encoding.bind(input, *number);
        }
        if let ControlFlow::Break(reason) = encoding.sink.row(&cx, row) {
            cut_short = Some(reason);
            break;
        }
    }
    (cut_short, candidates, encoding.sink)
}

/// Keeps which messages make rows.
struct Collect<'a> {
    flat: Vec<u32>,
    limit: u64,
    /// Encodes them later; counts errors now.
    encoder: Encoder<'a>,
}

impl Sink for Collect<'_> {
    fn row(&mut self, _: &Context<'_>, rows: &[u32]) -> ControlFlow<CutShort> {
        // Four bytes a number and the reference that sorts it.
        let bytes = (self.flat.len() + rows.len()) * 4 + self.flat.len() / rows.len().max(1) * 16;
        if bytes as u64 > self.limit {
            return ControlFlow::Break(CutShort::Budget);
        }
        self.flat.extend_from_slice(rows);
        ControlFlow::Continue(())
    }

    fn error(&mut self, error: &EvalError) {
        self.encoder.error(error);
    }
}
