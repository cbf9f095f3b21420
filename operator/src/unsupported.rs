//! What the compiler accepts, because a laptop has no use for it, and this release's sidecars don't carry out: told, and
//! held back, because a connection without its credentials or its encryption is worse than none.

use std::collections::BTreeSet;

use serde_json::Value;
use streaming_compiler::{Compilation, Problem, reason};
use streaming_plan::{Output, Plan};

use crate::dereference::Resource;

const FIELDS: [(&str, &str); 2] = [
    (
        "propertiesFrom",
        "set these properties under spec.properties until then",
    ),
    (
        "tls",
        "let the properties turn TLS on (enableTLS, amqps://, mqtts://) until then",
    ),
];

/// Reports every `ClusterStream` that sets such a field, and takes away the plans that need it.
pub(crate) fn refuse(resources: &[Resource], compilation: &mut Compilation) {
    let mut refused = Vec::new();
    for (at, resource) in resources.iter().enumerate() {
        if resource.kind() != "ClusterStream" {
            continue;
        }
        for (field, help) in FIELDS {
            if !is_set(resource.document.pointer(&format!("/spec/{field}"))) {
                continue;
            }
            let what = format!("`{field}` is not supported by this release's sidecars yet");
            let problem = problem(
                at,
                resource,
                &format!("spec.{field}"),
                reason::NOT_SUPPORTED,
                what,
            );
            compilation.problems.push(Problem {
                help: Some(help.to_owned()),
                ..problem
            });
            refused.push(resource.name.as_str());
        }
    }
    let not_ready = |at, resource, field, name: &str| {
        let what = format!("ClusterStream `{name}` has problems of its own");
        problem(at, resource, field, reason::NOT_READY, what)
    };
    for (at, resource) in resources.iter().enumerate() {
        let named = resource.document.pointer("/spec/clusterStream");
        if let Some(name) = named.and_then(Value::as_str)
            && resource.kind() == "Stream"
            && refused.contains(&name)
        {
            let problem = not_ready(at, resource, "spec.clusterStream", name);
            compilation.problems.push(problem);
        }
    }
    let problems = &mut compilation.problems;
    compilation.plans.retain_mut(|plan| {
        let mut all = resources.iter().enumerate();
        let Some((at, resource)) = all.find(|(_, resource)| resource.is(&plan.component)) else {
            return true;
        };
        if resource.document.pointer("/spec/publishes").is_none() {
            publish_elsewhere(plan, &refused);
        }
        let mut used = plan.cluster_streams.keys();
        let Some(name) = used.find(|name| refused.contains(&name.as_str())) else {
            return true;
        };
        problems.push(not_ready(at, resource, "spec", name));
        false
    });
}

/// Who may publish to all `ClusterStream`s only because it doesn't say to which runs without those that can't be used.
fn publish_elsewhere(plan: &mut Plan, refused: &[&str]) {
    plan.publishes.retain(|name| !refused.contains(&name.as_str()));
    let inputs = plan
        .inputs
        .iter()
        .flat_map(|input| [Some(&input.source), input.dead_letter.as_ref()]);
    let outputs = plan.outputs.iter().map(|output| match output {
        Output::Stream(topic) => Some(topic),
        Output::Component { .. } => None,
    });
    let topics = inputs.chain(outputs).flatten();
    let needed: BTreeSet<&String> = topics
        .map(|topic| &topic.cluster_stream)
        .chain(&plan.publishes)
        .collect();
    plan.cluster_streams.retain(|name, _| needed.contains(name));
}

fn is_set(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

pub(crate) fn problem(
    origin: usize,
    resource: &Resource,
    field: &str,
    reason: &'static str,
    message: String,
) -> Problem {
    Problem {
        origin,
        kind: resource.kind().to_owned(),
        namespace: resource.namespace.clone(),
        name: resource.name.clone(),
        field: field.to_owned(),
        reason,
        message,
        help: None,
        diagnostic: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{JOINER, PROCESSOR, STREAMS, resources};
    use crate::validate::validate;

    #[test]
    fn what_needs_credentials_that_cannot_be_given_does_not_run() {
        let manifest = format!("{STREAMS}{JOINER}{PROCESSOR}");
        let reasons = |manifest: &str, name: &str| -> Vec<&'static str> {
            let all = resources(manifest);
            let at = all.iter().position(|resource| resource.name == name).unwrap();
            let verdict = validate(&all).swap_remove(at);
            assert_eq!(
                verdict.component.is_some(),
                ["join", "proc"].contains(&name) && verdict.problems.is_empty(),
                "{name}"
            );
            verdict.problems.iter().map(|problem| problem.reason).collect()
        };
        assert_eq!(reasons(&manifest, "join"), [""; 0]);
        for field in [
            "propertiesFrom: [{name: redisPassword, secretKeyRef: {name: s, key: k}}]",
            "tls: {}",
        ] {
            let manifest = manifest.replace("protocol: redis", &format!("protocol: redis, {field}"));
            assert_eq!(reasons(&manifest, "broker"), ["NotSupported"]);
            assert_eq!(reasons(&manifest, "join"), ["NotReady"]);
            assert_eq!(reasons(&manifest, "left"), ["NotReady"]);
            assert_eq!(reasons(&manifest, "proc"), ["NotReady"]);
        }
        // Who doesn't say where it publishes needs none in particular.
        let other = "apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: other}
spec: {protocol: redis, properties: {redisHost: 'other:6379'}, tls: {}}
---
";
        let open = manifest.replace("  publishes: [broker]\n", "");
        assert_eq!(reasons(&format!("{other}{open}"), "proc"), [""; 0]);
        let empty = manifest.replace("protocol: redis", "protocol: redis, propertiesFrom: []");
        assert_eq!(reasons(&empty, "join"), [""; 0]);
    }
}
