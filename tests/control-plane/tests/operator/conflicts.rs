//! Others who write the same objects, or want the same names.

use serde_json::json;

use crate::space::{STREAMS, condition, joiner, wait};
use crate::{CONTROL_PLANE, Space, output};

#[test]
fn what_others_change_of_ours_is_put_back_and_what_they_add_stays() {
    let space = Space::new("foreign-edits");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    let before = space.get("deployments/join");

    space.kubectl("scale deployment join --replicas=5");
    space.until("deployments/join", |object| object["spec"]["replicas"] == 1);
    space.kubectl("set image deployment/join streaming-sidecar=registry.example/other:1");
    space.until("deployments/join", |object| {
        object["spec"]["template"] == before["spec"]["template"]
    });
    space.kubectl("annotate deployment join example.com/mine=kept");
    // Without its label, the operator's watches don't see it any more.
    space.kubectl("label deployment join app.kubernetes.io/managed-by-");
    let found = space.until("deployments/join", |object| {
        object["metadata"]["labels"] == before["metadata"]["labels"]
    });
    assert_eq!(found["metadata"]["annotations"]["example.com/mine"], "kept");
    space.patch("service/join", &json!({"spec": {"selector": {"app": "another"}}}));
    space.until("services/join", |object| {
        object["spec"]["selector"]["app"] == "join"
    });
    space.kubectl("delete service join");
    space.until("services/join", |object| object["kind"] == "Service");
}

#[test]
fn a_deployment_of_somebody_else_is_not_taken_over() {
    let space = Space::new("name-in-use");
    space.apply(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: join}, spec: {selector: {matchLabels: {a: b}}, \
         template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}}",
    );
    let before = space.get("deployments/join");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    let message = space.ready("joiners/join", "NameInUse");
    assert!(message.contains("Deployment `join`"), "{message}");
    let after = space.get("deployments/join");
    assert_eq!(
        after["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
}

#[test]
fn of_two_components_of_one_name_the_younger_is_refused() {
    let space = Space::new("name-taken");
    space.apply(STREAMS);
    space.apply(&joiner("same", "20s", "left.id == right.id"));
    space.ready("joiners/same", "RollingOut");
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: Processor, metadata: {name: same}, \
         spec: {replicas: 1, servicePort: 80, publishes: [], container: {name: c, image: i}}}",
    );
    space.ready("processors/same", "NameTaken");
    space.looked_at("1");
    let joiner = space.get("joiners/same");
    assert_eq!(condition(&joiner, "Ready")["reason"], "RollingOut");
    let deployment = space.get("deployments/same");
    assert_eq!(deployment["metadata"]["ownerReferences"][0]["kind"], "Joiner");
}

#[test]
fn what_the_server_refuses_is_told_once_and_tried_again() {
    let space = Space::new("refused");
    space.apply(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-deployments}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  validations: [{expression: 'false', message: not on a Sunday}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-deployments}
spec:
  policyName: no-deployments
  validationActions: [Deny]
  matchResources:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: refused}}
",
    );
    // The server takes a moment to heed it.
    wait(|| {
        let mut create = CONTROL_PLANE.kubectl();
        create.args(["create", "deployment", "probe", "--image=i"]);
        let answer = create.args(["--namespace=refused", "--dry-run=server"]).output();
        (!answer.unwrap().status.success()).then_some(())
    })
    .expect("the policy is heeded");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    let message = space.ready("joiners/join", "ApplyFailed");
    assert!(
        message.contains("Deployment `join`") && message.contains("not on a Sunday"),
        "{message}"
    );
    // It never ran, so that nothing of it is to be torn down.
    let held = &space.get("joiners/join")["metadata"]["finalizers"];
    assert!(held.is_null(), "{held}");
    // What comes before it is there, and what it refers to is told nothing of it.
    assert_eq!(space.get("services/join")["kind"], "Service");
    space.ready("streams/left", "Usable");
    // Something else changes, and it is looked at again.
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: ClusterStream, metadata: {name: another}, \
         spec: {protocol: redis, properties: {redisHost: 'r:6379'}}}",
    );
    space.ready("clusterstreams/another", "Usable");
    let events = space.list("events").into_iter();
    let events: Vec<_> = events.filter(|event| event["reason"] == "ApplyFailed").collect();
    assert!(events.len() == 1 && events[0]["series"].is_null(), "{events:#?}");

    let mut delete = CONTROL_PLANE.kubectl();
    output(delete.args(["delete", "validatingadmissionpolicybinding", "no-deployments"]));
    // No change of the namespace makes it look again.
    space.ready("joiners/join", "RollingOut");
}
