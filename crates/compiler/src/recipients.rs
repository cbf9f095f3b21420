//! Who receives a Stream: `recipients` that are not there, that do not read it, and Streams that nobody reads.

use streaming_plan::Plan;

use crate::catalog::Catalog;
use crate::document::{Kind, Resource};
use crate::problem::Report;
use crate::streams::{Resolved, Streams};
use crate::{reason, suggest};

/// Checks the recipients of every Stream.
pub(crate) fn check(streams: &Streams<'_>, catalog: &Catalog<'_>, plans: &[Plan], report: &mut Report) {
    for stream in streams.iter() {
        for (at, recipient) in stream.spec.recipients.iter().enumerate() {
            one(
                stream,
                &format!("spec.recipients[{at}]"),
                recipient,
                catalog,
                report,
            );
        }
        // Whoever can't be read yet may be meant to read this.
        let unsure = report.has_problem_of_reader(&stream.resource.namespace);
        if stream.spec.recipients.is_empty() && !unsure && !is_used(stream, catalog, plans) {
            let resource = stream.resource;
            let message = "nobody receives this Stream";
            let help = "name recipients, or the Stream in the stream.from of a Joiner or Channel";
            report.warning(
                resource,
                resource
                    .at("spec.recipients", reason::NO_RECIPIENTS, message)
                    .help(help),
            );
        }
    }
}

fn one(stream: &Resolved<'_>, field: &str, recipient: &str, catalog: &Catalog<'_>, report: &mut Report) {
    let resource = stream.resource;
    let namespace = &resource.namespace;
    match catalog.component(namespace, recipient) {
        None => {
            let message = format!("there is no component `{recipient}` in namespace `{namespace}`");
            let names = catalog.names(namespace, &[Kind::Processor, Kind::Channel, Kind::Joiner]);
            let help = catalog
                .elsewhere(namespace, Kind::Processor, recipient)
                .unwrap_or_else(|| {
                    suggest::or_list(
                        recipient,
                        names,
                        "there is",
                        "define a Processor of that name, or remove it",
                    )
                });
            let problem = resource
                .at(field, reason::COMPONENT_NOT_FOUND, message)
                .help(help);
            report.problem(resource, problem);
        }
        Some(component) if component.kind != Kind::Processor && !reads(component, stream) => {
            let message = format!(
                "{} `{recipient}` does not read this Stream, so it gets nothing",
                component.kind
            );
            let help = format!("add `{}` to its stream.from, or remove it here", resource.name);
            report.warning(
                resource,
                resource.at(field, reason::RECIPIENT_IGNORED, message).help(help),
            );
        }
        Some(_) => {}
    }
}

/// Whether a Joiner or Channel names the Stream, by name or by topic. One that is refused is looked at as it is written.
fn reads(component: &Resource, stream: &Resolved<'_>) -> bool {
    let from = component
        .value
        .pointer("/spec/stream/from")
        .and_then(|from| from.as_array());
    from.into_iter()
        .flatten()
        .filter_map(|item| item.as_str())
        .any(|item| {
            let name = item.split(' ').next().unwrap_or_default();
            name == stream.resource.name || name == stream.topic.topic
        })
}

/// Whether anything reads the Stream, or publishes to it for somebody outside to read.
fn is_used(stream: &Resolved<'_>, catalog: &Catalog<'_>, plans: &[Plan]) -> bool {
    let namespace = &stream.resource.namespace;
    let read = [Kind::Channel, Kind::Joiner].into_iter().any(|kind| {
        catalog
            .all(namespace, kind)
            .any(|component| reads(component, stream))
    });
    let of_it =
        |table: &Resource| table.value.pointer("/spec/stream") == Some(&stream.resource.name.as_str().into());
    read || catalog.all(namespace, Kind::Table).any(of_it)
        || plans
            .iter()
            .filter(|plan| plan.component.namespace == *namespace)
            .any(|plan| {
                plan.published().any(|topic| *topic == stream.topic)
                    || plan
                        .inputs
                        .iter()
                        .any(|input| input.dead_letter.as_ref() == Some(&stream.topic))
            })
}
