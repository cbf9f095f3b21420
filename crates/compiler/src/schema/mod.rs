//! The second step: what an API server would refuse by the `CustomResourceDefinition`, refused here by the same schema,
//! so that a laptop and a cluster say the same.

mod check;
mod metadata;
mod pattern;
mod rules;
mod words;

use std::sync::LazyLock;

use serde_json::Value;

use crate::document::{Kind, Resource, Spec};
use crate::problem::{Problem, Report};
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
    let hidden = findings.len().saturating_sub(MOST_FINDINGS);
    let clean = findings.is_empty();
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
    if clean {
        match spec(resource) {
            Ok(spec) => resource.spec = Some(spec),
            Err(problem) => report.problem(resource, problem),
        }
    }
}

/// What the schema accepts the types read; if they ever disagreed, that would be a problem of the resource's, not a panic.
fn spec(resource: &Resource) -> Result<Spec, Problem> {
    fn read<T: serde::de::DeserializeOwned>(resource: &Resource) -> Result<T, Problem> {
        let spec = resource.value.get("spec").unwrap_or(&Value::Null);
        T::deserialize(spec).map_err(|error| {
            resource.at(
                "spec",
                reason::INVALID,
                format!("the spec can't be read: {error}"),
            )
        })
    }
    Ok(match resource.kind {
        Kind::ClusterStream => Spec::ClusterStream(read(resource)?),
        Kind::Stream => Spec::Stream(read(resource)?),
        Kind::Channel => Spec::Channel(read(resource)?),
        Kind::Joiner => Spec::Joiner(read(resource)?),
        Kind::Processor => Spec::Processor(read(resource)?),
    })
}
