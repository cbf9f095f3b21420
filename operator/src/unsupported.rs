//! What the compiler only warns of, because a laptop has no use for it, and sidecars don't do: told as a problem, and held
//! back, because a connection without its credentials or its encryption is worse than none.

use std::collections::BTreeSet;

use serde_json::Value;
use streaming_compiler::{Compilation, Problem, reason};
use streaming_plan::Plan;

use crate::dereference::Resource;

/// Makes a problem of each such warning, and takes away the plans that need what has it.
pub(crate) fn refuse(resources: &[Resource], compilation: &mut Compilation) {
    let is_refused =
        |warning: &mut Problem| warning.kind == "ClusterStream" && warning.reason == reason::NOT_SUPPORTED;
    let found: Vec<Problem> = compilation.warnings.extract_if(.., is_refused).collect();
    let names: BTreeSet<String> = found.iter().map(|problem| problem.name.clone()).collect();
    let refused: Vec<&str> = names.iter().map(String::as_str).collect();
    compilation.problems.extend(found);
    let not_ready = |at, resource, field, name: &str| {
        let what = format!("ClusterStream `{name}` has problems of its own");
        problem(at, resource, field, reason::NOT_READY, what)
    };
    for (at, resource) in resources.iter().enumerate() {
        let cluster = resource.document.pointer("/spec/clusterStream");
        if let Some(name) = cluster.and_then(Value::as_str)
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
    let topics = inputs.flatten().chain(plan.published());
    let needed: BTreeSet<String> = topics
        .map(|topic| &topic.cluster_stream)
        .chain(&plan.publishes)
        .cloned()
        .collect();
    plan.cluster_streams.retain(|name, _| needed.contains(name));
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
