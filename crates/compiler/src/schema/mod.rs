//! The second step: what an API server would refuse by the `CustomResourceDefinition`, refused here by the same schema,
//! so that a laptop and a cluster say the same.

mod check;
mod draft;
mod metadata;
mod pattern;
mod rules;
mod words;

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::document::{Kind, Resource, Spec};
use crate::problem::Report;
use crate::reason;

pub(crate) use check::Checker;

/// More than this about one resource helps nobody.
const MOST_FINDINGS: usize = 50;

/// The schemas by kind, in the order of [`Kind::ALL`].
static SCHEMAS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    streaming_api::definitions()
        .iter_mut()
        .filter_map(|definition| definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema"))
        .map(Value::take)
        .map(metadata::with_metadata)
        .collect()
});

/// One thing that the schema says about one field.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) field: String,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Checks a resource, and reads its spec if nothing is wrong.
pub(crate) fn validate(resource: &mut Resource, checker: &mut Checker, report: &mut Report) {
    let Some(schema) = SCHEMAS.get(resource.kind as usize) else {
        return;
    };
    let findings = checker.check(schema, &resource.value);
    if findings.is_empty() {
        match spec(resource, resource.value.get("spec").unwrap_or(&Value::Null)) {
            Ok(spec) => resource.spec = Some(spec),
            // What the schema accepts the types read; if they ever disagreed, that would be no reason to panic.
            Err(error) => {
                let message = format!("the spec can't be read: {error}");
                report.problem(resource, resource.at("spec", reason::INVALID, message));
            }
        }
        return;
    }
    let fields: Vec<&str> = findings.iter().map(|finding| finding.field.as_str()).collect();
    resource.draft =
        draft::without(resource.kind, &resource.value, &fields).and_then(|rest| spec(resource, &rest).ok());
    let hidden = findings.len().saturating_sub(MOST_FINDINGS);
    for finding in findings.into_iter().take(MOST_FINDINGS) {
        let problem = resource
            .at(finding.field, finding.reason, finding.message)
            .maybe_help(finding.help);
        report.problem(resource, problem);
    }
    if hidden > 0 {
        let message = format!("{hidden} more problems of this resource are not shown");
        report.problem(resource, resource.at("", reason::TOO_MANY, message));
    }
}

fn spec(resource: &Resource, value: &Value) -> Result<Spec, serde_json::Error> {
    Ok(match resource.kind {
        Kind::ClusterStream => Spec::ClusterStream(Deserialize::deserialize(value)?),
        Kind::Stream => Spec::Stream(Deserialize::deserialize(value)?),
        Kind::Channel => Spec::Channel(Deserialize::deserialize(value)?),
        Kind::Joiner => Spec::Joiner(Deserialize::deserialize(value)?),
        Kind::Processor => Spec::Processor(Deserialize::deserialize(value)?),
    })
}
