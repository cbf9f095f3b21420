//! From a field's text back to the file: where in a manifest an expression went wrong.

use streaming_engine::expr::Diagnostic;

use crate::load::{Document, Mark};
use crate::report::Finding;

/// A finding about an expression, which shows the file's line where the file has the expression as it is, and the
/// expression's own line otherwise.
pub(crate) fn expression(document: &Document, field: &str, source: &str, d: &Diagnostic) -> Finding {
    let line = source
        .get(d.span.clone())
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default();
    let length = line.chars().count().max(1);
    let finding = Finding {
        help: d.help.clone(),
        ..Finding::error(d.reason, &d.message).about(document.subject(), field)
    };
    match document.place_inside(field, d.line, d.column, length) {
        Some(place) => finding.at(place),
        None => Finding {
            excerpt: Some((
                source.to_owned(),
                Mark {
                    line: d.line,
                    column: d.column,
                    length,
                },
            )),
            ..finding.at(document.place(field))
        },
    }
}
