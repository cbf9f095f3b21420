//! What the schema accepts and this release does not do: refused by name, so that nothing is silently left out.

use streaming_api::{Format, StreamSpec, Workload};

use crate::document::Resource;
use crate::problem::Report;
use crate::reason;

/// Reports what a Stream asks for in vain. Returns whether there was nothing.
pub(crate) fn stream_is_supported(resource: &Resource, spec: &StreamSpec, report: &mut Report) -> bool {
    refuse(resource, &stream(spec), report)
}

fn refuse(resource: &Resource, fields: &[Field], report: &mut Report) -> bool {
    for (field, what) in fields {
        let message = format!("{what} not supported by this release yet");
        report.problem(resource, resource.at(*field, reason::NOT_SUPPORTED, message));
    }
    fields.is_empty()
}

type Field = (&'static str, &'static str);

/// The fields of a list of `(is it set, field, what it would be)` that are set.
fn set(fields: &[(bool, &'static str, &'static str)]) -> Vec<Field> {
    fields
        .iter()
        .filter(|(set, ..)| *set)
        .map(|(_, field, what)| (*field, *what))
        .collect()
}

fn stream(spec: &StreamSpec) -> Vec<Field> {
    set(&[(
        spec.format.is_some_and(|format| format != Format::Json),
        "spec.format",
        "a `format` other than `json` is",
    )])
}

/// Reports a component that collects messages in several pods: each would see some of them only. Returns whether it is none.
pub(crate) fn window_is_supported(resource: &Resource, workload: &Workload, report: &mut Report) -> bool {
    let several = workload.replicas.is_some_and(|n| n > 1);
    let fields = set(&[(several, "spec.replicas", "a window over more than one replica is")]);
    refuse(resource, &fields, report)
}
