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

/// The schemas by kind, in the order of [`Kind::ALL`]: written by `cargo xtask crds` from the types in `streaming-api`,
/// because deriving them takes some hundred milliseconds, and reading them one.
static SCHEMAS: [LazyLock<Value>; 6] = [
    LazyLock::new(|| read(include_str!("../../schemas/clusterstreams.json"))),
    LazyLock::new(|| read(include_str!("../../schemas/streams.json"))),
    LazyLock::new(|| read(include_str!("../../schemas/tables.json"))),
    LazyLock::new(|| read(include_str!("../../schemas/channels.json"))),
    LazyLock::new(|| read(include_str!("../../schemas/joiners.json"))),
    LazyLock::new(|| read(include_str!("../../schemas/processors.json"))),
];

fn read(schema: &str) -> Value {
    metadata::with_metadata(serde_json::from_str(schema).unwrap_or_default())
}

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
        Kind::Table => Spec::Table(Deserialize::deserialize(value)?),
        Kind::Channel => Spec::Channel(Deserialize::deserialize(value)?),
        Kind::Joiner => Spec::Joiner(Deserialize::deserialize(value)?),
        Kind::Processor => Spec::Processor(Deserialize::deserialize(value)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_those_of_the_types() {
        for (definition, schema) in streaming_api::definitions().iter().zip(&SCHEMAS) {
            let derived = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            assert!(
                metadata::with_metadata(derived) == **schema,
                "out of date: run cargo xtask crds"
            );
        }
    }

    /// A pattern or rule that does not compile would never, or always, refuse.
    #[test]
    fn patterns_and_rules_compile() {
        let (mut patterns, mut rules) = (pattern::Patterns::default(), rules::Rules::default());
        let mut left: Vec<&Value> = SCHEMAS.iter().map(|schema| &**schema).collect();
        let (mut seen_patterns, mut seen_rules) = (0, 0);
        while let Some(schema) = left.pop() {
            if let Some(text) = schema["pattern"].as_str() {
                assert!(patterns.compiles(text), "{text}");
                seen_patterns += 1;
            }
            for rule in schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                assert!(rules.compiles(rule["rule"].as_str().unwrap()), "{rule}");
                seen_rules += 1;
            }
            left.extend(
                schema["properties"]
                    .as_object()
                    .into_iter()
                    .flat_map(|fields| fields.values()),
            );
            left.extend(
                schema
                    .get("items")
                    .into_iter()
                    .chain(schema.get("additionalProperties")),
            );
        }
        assert!(
            seen_patterns > 50 && seen_rules > 20,
            "{seen_patterns} patterns, {seen_rules} rules"
        );
    }
}
