//! What the compiler accepts, because a laptop has no use for it, and this release's sidecars don't carry out: told, and
//! held back, because a connection without its credentials or its encryption is worse than none.

use serde_json::Value;
use streaming_compiler::{Problem, reason};

use crate::dereference::Resource;
use crate::validate::Verdict;

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

/// Reports every `ClusterStream` that sets such a field, and takes the plans away that would use it.
pub(crate) fn refuse(resources: &[Resource], verdicts: &mut [Verdict]) {
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
            verdicts[at].problems.push(Problem {
                help: Some(help.to_owned()),
                ..problem
            });
            refused.push(resource.name.as_str());
        }
    }
    for (at, (resource, verdict)) in resources.iter().zip(verdicts).enumerate() {
        let Some(component) = &verdict.component else {
            continue;
        };
        if let Some(name) = refused
            .iter()
            .find(|name| component.cluster_streams.iter().any(|used| used == *name))
        {
            let what = format!("ClusterStream `{name}` has problems of its own");
            verdict
                .problems
                .push(problem(at, resource, "spec", reason::NOT_READY, what));
            verdict.component = None;
            verdict.edges.clear();
        }
    }
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
                at > 2 && verdict.problems.is_empty(),
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
            assert_eq!(reasons(&manifest, "proc"), ["NotReady"]);
        }
        let empty = manifest.replace("protocol: redis", "protocol: redis, propertiesFrom: []");
        assert_eq!(reasons(&empty, "join"), [""; 0]);
    }
}
