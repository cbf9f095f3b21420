//! What the schema accepts and this release does not do: refused by name, so that nothing is silently left out.

use streaming_api::{
    ChannelMode, ChannelSpec, ClusterStreamSpec, Emit, Format, JoinType, JoinerSpec, StreamSpec, Windowing,
};

use crate::document::Resource;
use crate::problem::Report;
use crate::reason;

/// Warns of what a `ClusterStream` asks for and sidecars don't do. A laptop's embedded broker has no use for it; on a
/// cluster nothing connects, because a connection without its credentials or its encryption is worse than none.
pub(crate) fn cluster_stream(resource: &Resource, spec: &ClusterStreamSpec, report: &mut Report) {
    let fields = [
        (
            !spec.properties_from.is_empty(),
            "propertiesFrom",
            "until they can, credentials have to stand under spec.properties, in spite of the warning InlineCredential",
        ),
        (
            spec.tls.is_some(),
            "tls",
            "until they can, let the properties turn TLS on (enableTLS, amqps://, mqtts://)",
        ),
    ];
    for (is_set, field, help) in fields {
        if is_set {
            let message = format!(
                "the sidecars of this release can't do `{field}` yet, so that on a cluster nothing connects to this"
            );
            let warning = resource.at(format!("spec.{field}"), reason::NOT_SUPPORTED, message);
            report.warning(resource, warning.help(help));
        }
    }
}

/// Reports what a Stream asks for in vain. Returns whether there was nothing.
pub(crate) fn stream_is_supported(resource: &Resource, spec: &StreamSpec, report: &mut Report) -> bool {
    refuse(resource, &stream(spec), report)
}

/// Reports what a Joiner asks for in vain. Returns whether there was nothing.
pub(crate) fn joiner_is_supported(resource: &Resource, spec: &JoinerSpec, report: &mut Report) -> bool {
    refuse(resource, &joiner(spec), report)
}

/// Reports what a Channel asks for in vain. Returns whether there was nothing.
pub(crate) fn channel_is_supported(resource: &Resource, spec: &ChannelSpec, report: &mut Report) -> bool {
    refuse(resource, &channel(spec), report)
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
    set(&[
        (
            spec.timestamp.is_some(),
            "spec.timestamp",
            "event time (`timestamp`) is",
        ),
        (
            spec.out_of_orderness.is_some(),
            "spec.outOfOrderness",
            "event time (`outOfOrderness`) is",
        ),
        (
            spec.idle_timeout.is_some(),
            "spec.idleTimeout",
            "event time (`idleTimeout`) is",
        ),
        (
            spec.format.is_some_and(|format| format != Format::Json),
            "spec.format",
            "a `format` other than `json` is",
        ),
    ])
}

fn joiner(spec: &JoinerSpec) -> Vec<Field> {
    let mut found = set(&[
        (
            spec.join_type.is_some_and(|kind| kind != JoinType::Inner),
            "spec.type",
            "a join `type` other than `inner` is",
        ),
        (spec.stream.on.is_some(), "spec.stream.on", "`on` is"),
        (
            spec.workload.replicas.is_some_and(|n| n > 1),
            "spec.replicas",
            "a window over more than one replica is",
        ),
    ]);
    found.extend(windowing(&spec.windowing));
    found
}

fn channel(spec: &ChannelSpec) -> Vec<Field> {
    let mut found = set(&[
        (
            spec.mode == Some(ChannelMode::Aggregate),
            "spec.mode",
            "`mode: aggregate` is",
        ),
        (spec.trigger.is_some(), "spec.trigger", "`trigger` is"),
        (spec.window.is_some(), "spec.window", "a `window` on a Channel is"),
    ]);
    found.extend(windowing(&spec.windowing));
    found
}

fn windowing(spec: &Windowing) -> Vec<Field> {
    set(&[
        (
            spec.slide.is_some(),
            "spec.slide",
            "a hopping window (`slide`) is",
        ),
        (spec.gap.is_some(), "spec.gap", "a session window (`gap`) is"),
        (!spec.group_by.is_empty(), "spec.groupBy", "`groupBy` is"),
        (spec.having.is_some(), "spec.having", "`having` is"),
        (
            spec.emit == Some(Emit::Updates),
            "spec.emit",
            "`emit: Updates` is",
        ),
        (spec.late_to.is_some(), "spec.lateTo", "`lateTo` is"),
    ])
}
