//! Properties of brokers: what each protocol knows, which values it takes, and where passwords stand in the open.

mod address;
mod credentials;
mod known;

use std::collections::BTreeMap;

use streaming_api::{ClusterStreamSpec, Protocol, StreamSpec};

use self::address::Fault;
use crate::document::Resource;
use crate::problem::Report;
use crate::{reason, suggest};

/// Checks a `ClusterStream`'s properties.
pub(crate) fn cluster_stream(resource: &Resource, spec: &ClusterStreamSpec, report: &mut Report) {
    let from: Vec<&str> = spec
        .properties_from
        .iter()
        .map(|from| from.name.as_str())
        .collect();
    properties(resource, spec.protocol, &spec.properties, report);
    for (at, name) in from.iter().enumerate() {
        let field = format!("spec.propertiesFrom[{at}].name");
        if name_is_known(resource, spec.protocol, name, &field, report) && PROMISES.contains(name) {
            let message = format!(
                "what is promised depends on `{name}`, so its value must be known before anything runs"
            );
            let warning = resource.at(field, reason::NO_EFFECT, message);
            report.warning(resource, warning.help("write it under spec.properties"));
        }
    }
    let is_set =
        |name: &&str| spec.properties.get(*name).is_some_and(|v| !v.is_empty()) || from.contains(name);
    let address = known::address(spec.protocol);
    if !address.iter().any(is_set) {
        let names = address
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(" or ");
        let message = format!("{names} is not set, so there is no broker to connect to");
        let help = format!("example: {}: {}", address[0], known::example(spec.protocol));
        let warning = resource
            .at("spec.properties", reason::MISSING_PROPERTY, message)
            .help(help);
        report.warning(resource, warning);
    }
    if spec.auth_type.as_ref().is_some_and(|auth| !auth.is_empty()) {
        let warning = resource.at("spec.authType", reason::NO_EFFECT, "authType has no effect");
        report.warning(
            resource,
            warning.help("credentials go to properties or propertiesFrom"),
        );
    }
}

/// Checks the properties by which a Stream differs from its `ClusterStream`.
pub(crate) fn stream(resource: &Resource, spec: &StreamSpec, protocol: Protocol, report: &mut Report) {
    if let Some(given) = &spec.properties {
        properties(resource, protocol, given, report);
    }
}

fn properties(
    resource: &Resource,
    protocol: Protocol,
    given: &BTreeMap<String, String>,
    report: &mut Report,
) {
    for (name, value) in given {
        let field = format!("spec.properties.{name}");
        if !name_is_known(resource, protocol, name, &field, report) {
            continue;
        }
        let fault = known::find(protocol, name).and_then(|expected| expected.refuses(protocol, value));
        if let Some(Fault { message, help }) = fault {
            let problem = resource.at(&field, reason::INVALID_PROPERTY, message);
            report.problem(resource, problem.maybe_help(help));
        }
        if credentials::are_in(name, value) {
            let message = "a password stands in the resource, where everyone who may read it sees it";
            let help = "keep it in a Secret, and name that under spec.propertiesFrom";
            report.warning(
                resource,
                resource.at(&field, reason::INLINE_CREDENTIAL, message).help(help),
            );
        }
    }
}

/// Properties that decide what edges promise, which is worked out from the resources alone.
const PROMISES: [&str; 10] = [
    "autoAck",
    "cleanSession",
    "consumerTimeout",
    "deliveryMode",
    "maxLen",
    "maxLenApprox",
    "maxLenBytes",
    "qos",
    "streamTTL",
    "ttlInSeconds",
];

/// Whether a protocol has a property of that name whose value may come from elsewhere.
pub(crate) fn may_be_kept(protocol: Protocol, name: &str) -> bool {
    known::find(protocol, name).is_some() && !PROMISES.contains(&name)
}

fn name_is_known(
    resource: &Resource,
    protocol: Protocol,
    name: &str,
    field: &str,
    report: &mut Report,
) -> bool {
    if known::find(protocol, name).is_some() {
        return true;
    }
    let message = format!("{} has no property `{name}`; it is ignored", protocol.name());
    let names = known::names(protocol);
    let help = match suggest::nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the names are those of Dapr's pub/sub components".to_owned(),
    };
    report.warning(
        resource,
        resource.at(field, reason::UNKNOWN_PROPERTY, message).help(help),
    );
    false
}

/// The value of a property, a Stream's own before its `ClusterStream`'s.
pub(crate) fn get<'p>(
    cluster: &'p ClusterStreamSpec,
    stream: Option<&'p StreamSpec>,
    name: &str,
) -> Option<&'p str> {
    stream
        .and_then(|stream| stream.properties.as_ref()?.get(name))
        .or_else(|| cluster.properties.get(name))
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

/// Whether a property is set to true, by any of the words that Dapr takes for it.
pub(crate) fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| known::boolean(value) == Some(true))
}

/// Whether connecting takes credentials, wherever they stand.
pub(crate) fn has_credentials(spec: &ClusterStreamSpec) -> bool {
    spec.properties_from
        .iter()
        .any(|from| from.secret_key_ref.is_some())
        || spec
            .properties
            .iter()
            .any(|(name, value)| credentials::are_in(name, value))
}
