//! What is installed, and what it makes, may run where the strictest Pod Security Standard is enforced.

use serde_json::{Value, json};

use crate::space::{STREAMS, joiner};
use crate::{CONTROL_PLANE, Space};

/// Asks the server to create a Deployment's pod in a namespace, without doing so.
fn may_run(deployment: &Value, namespace: &str) {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": deployment["spec"]["template"]["metadata"]["labels"]},
        "spec": deployment["spec"]["template"]["spec"],
    });
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let answer = CONTROL_PLANE.client().create(&path, &pod.to_string()).unwrap();
    assert!(answer.is_ok() && answer.warnings.is_empty(), "{answer:#?}");
}

#[test]
fn the_operator_and_its_components_are_restricted() {
    let path = "/apis/apps/v1/namespaces/streaming-system/deployments/streaming-operator";
    may_run(
        &CONTROL_PLANE.client().get(path).unwrap().body,
        "streaming-system",
    );

    let space = Space::new("restricted");
    space.kubectl("label namespace restricted pod-security.kubernetes.io/enforce=restricted");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    may_run(&space.deployment("join", ""), "restricted");
}
