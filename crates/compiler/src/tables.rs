//! Tables checked: each is the latest of every key of a Stream that is there, by a key that compiles.

use streaming_api::TableSpec;

use crate::catalog::Catalog;
use crate::document::{Kind, Resource, Spec};
use crate::expression;
use crate::problem::Report;
use crate::streams::Streams;
use crate::{reason, suggest};

/// Checks every Table of the catalog.
pub(crate) fn check(
    resources: &[Resource],
    catalog: &Catalog<'_>,
    streams: &Streams<'_>,
    report: &mut Report,
) {
    for resource in resources.iter().filter(|resource| catalog.leads_to(resource)) {
        let Some(spec) = spec(resource) else { continue };
        one(resource, spec, catalog, streams, report);
    }
}

/// The spec of a Table, if the schema has accepted it.
pub(crate) fn spec(resource: &Resource) -> Option<&TableSpec> {
    match &resource.spec {
        Some(Spec::Table(spec)) => Some(spec),
        _ => None,
    }
}

fn one(
    resource: &Resource,
    spec: &TableSpec,
    catalog: &Catalog<'_>,
    streams: &Streams<'_>,
    report: &mut Report,
) {
    const FIELD: &str = "spec.stream";
    let (namespace, name) = (&resource.namespace, &*spec.stream);
    if streams.get(namespace, name).is_none() {
        let problem = if catalog.get(namespace, Kind::Stream, name).is_some() {
            let message = format!("Stream `{name}` has problems of its own");
            resource.at(FIELD, reason::NOT_READY, message)
        } else {
            let message = format!("no Stream in namespace `{namespace}` is named `{name}`");
            let names = catalog.names(namespace, &[Kind::Stream]);
            let help = catalog
                .elsewhere(namespace, Kind::Stream, name)
                .unwrap_or_else(|| suggest::or_list(name, names, "there is", "define a Stream of that name"));
            resource.at(FIELD, reason::STREAM_NOT_FOUND, message).help(help)
        };
        report.problem(resource, problem);
    }
    expression::of_message(resource, "spec.key", &spec.key, name, report);
}
