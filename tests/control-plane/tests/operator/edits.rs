//! Edits reach the pods of all that they concern, and of nothing else.

use serde_json::json;

use crate::Space;
use crate::space::{STREAMS, joiner, plan_of};

#[test]
fn another_window_is_another_plan_and_the_old_one_goes_after_the_rollout() {
    let space = Space::new("edit-window");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    let old = plan_of(&space.get("deployments/join"));

    space.patch("joiner/join", &json!({"spec": {"window": "5s"}}));
    let deployment = space.deployment("join", &old);
    let new = plan_of(&deployment);
    let annotation = &deployment["spec"]["template"]["metadata"]["annotations"]["streaming.vivien.io/plan"];
    assert!(new.ends_with(annotation.as_str().unwrap()), "{new} {annotation}");
    // Pods that still run have the old one mounted.
    space.ready("joiners/join", "RollingOut");
    assert_eq!(space.get(&format!("configmaps/{old}"))["kind"], "ConfigMap");
    let plan = space.get(&format!("configmaps/{new}"));
    assert!(
        plan["data"]["plan.json"]
            .as_str()
            .unwrap()
            .contains("{\"tumbling\":{\"length\":5000000}}")
    );

    space.roll_out("joiners", "join");
    space.until(&format!("configmaps/{old}"), |object| object["code"] == 404);
    assert_eq!(space.get(&format!("configmaps/{new}"))["kind"], "ConfigMap");
}

#[test]
fn a_shared_stream_rolls_both_that_use_it_and_no_other() {
    let space = Space::new("shared-stream");
    space.apply(STREAMS);
    space.apply(&joiner("one", "20s", "left.id == right.id"));
    space.apply(&joiner("two", "1m", "left.id == right.id"));
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: Channel, metadata: {name: other}, \
         spec: {servicePort: 8080, stream: {from: [right], to: [{stream: broker/other-out}]}}}",
    );
    let before = ["one", "two", "other"].map(|name| plan_of(&space.deployment(name, "")));
    space.patch("stream/left", &json!({"spec": {"topic": "left-2"}}));
    space.deployment("one", &before[0]);
    space.deployment("two", &before[1]);
    space.looked_at("1");
    assert_eq!(plan_of(&space.get("deployments/other")), before[2]);
    // And what it is on reaches all three.
    space.patch(
        "clusterstream/broker",
        &json!({"spec": {"properties": {"redisHost": "elsewhere:6379"}}}),
    );
    space.deployment("other", &before[2]);
}

#[test]
fn a_deleted_resource_is_missed_at_once() {
    let space = Space::new("deleted-stream");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.ready("joiners/join", "RollingOut");
    space.kubectl("delete stream left");
    space.ready("joiners/join", "StreamNotFound");
}
