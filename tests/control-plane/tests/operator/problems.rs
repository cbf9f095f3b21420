//! What is wrong is told where people look, and heals by itself when it is put right.

use serde_json::{Value, json};

use crate::Space;
use crate::space::{STREAMS, condition, joiner, plan_of, wait};

#[test]
fn a_missing_stream_is_named_and_heals_when_it_appears() {
    let space = Space::new("missing-stream");
    let (first, right) = STREAMS.rsplit_once("---").unwrap();
    space.apply(first);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    let message = space.ready("joiners/join", "StreamNotFound");
    assert!(
        message.contains("spec.stream.from[1]") && message.contains("`right`"),
        "{message}"
    );
    let found = space.get("joiners/join");
    assert_eq!(condition(&found, "Accepted")["status"], "True");
    assert_eq!(condition(&found, "Resolved")["status"], "False");
    assert_eq!(condition(&found, "Available")["reason"], "NotDeployed");
    assert!(space.list("deployments").is_empty());

    space.apply(right);
    space.ready("joiners/join", "RollingOut");
    space.roll_out("joiners", "join");
}

#[test]
fn a_lost_cluster_stream_is_told_by_all_that_need_it() {
    let space = Space::new("lost-cluster-stream");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    space.kubectl("delete clusterstream broker");
    let message = space.ready("streams/left", "ClusterStreamNotFound");
    assert!(message.contains("`broker`"), "{message}");
    let message = space.ready("joiners/join", "NotReady");
    assert!(
        message.contains("pods of the last version without problems still run"),
        "{message}"
    );
    space.apply(STREAMS);
    space.ready("streams/left", "Usable");
    space.ready("joiners/join", "Running");
}

#[test]
fn a_bad_expression_is_shown_with_its_place_and_what_ran_goes_on() {
    let space = Space::new("bad-expression");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    let before = space.get("deployments/join");

    space.apply(&joiner("join", "20s", "left.id == rigth.id"));
    let message = space.ready("joiners/join", "UnknownName");
    for part in [
        "spec.stream.where: ",
        "line 1, column 12",
        "left.id == rigth.id",
        "^^^^^",
        "`right`",
        "still run",
    ] {
        assert!(message.contains(part), "no {part:?} in:\n{message}");
    }
    let found = space.get("joiners/join");
    assert_eq!(condition(&found, "Accepted")["status"], "False");
    assert_eq!(condition(&found, "Available")["reason"], "LastGoodVersion");
    assert_eq!(space.get("deployments/join")["spec"], before["spec"]);

    let about = |events: Vec<Value>| -> Vec<Value> {
        let of_it = |event: &Value| event["regarding"]["name"] == "join" && event["reason"] == "UnknownName";
        events.into_iter().filter(of_it).collect()
    };
    let events = wait(|| Some(about(space.list("events"))).filter(|events| !events.is_empty())).unwrap();
    assert_eq!(events[0]["type"], "Warning");
    assert_eq!(events[0]["reportingController"], "streaming-operator");
    assert!(events[0]["note"].as_str().unwrap().contains("line 1, column 12"));
    // However often the namespace is looked at, it is told once.
    space.looked_at("1");
    let events = about(space.list("events"));
    assert!(events.len() == 1 && events[0]["series"].is_null(), "{events:#?}");

    // The same pods as before, because it is the same plan.
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.ready("joiners/join", "Running");
    assert_eq!(plan_of(&space.get("deployments/join")), plan_of(&before));
}

#[test]
fn a_suspended_component_stands_still_even_if_it_is_broken() {
    let space = Space::new("suspended");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    let replicas = |count: i32| {
        space.until("deployments/join", |object| object["spec"]["replicas"] == count);
    };
    space.patch("joiner/join", &json!({"spec": {"suspend": true}}));
    space.ready("joiners/join", "Suspended");
    replicas(0);
    space.patch("joiner/join", &json!({"spec": {"suspend": null}}));
    replicas(1);
    space.roll_out("joiners", "join");

    space.patch(
        "joiner/join",
        &json!({"spec": {"stream": {"where": "left.id =="}}}),
    );
    space.ready("joiners/join", "UnexpectedEnd");
    replicas(1);
    space.patch("joiner/join", &json!({"spec": {"suspend": true}}));
    replicas(0);
    let found = space.until("joiners/join", |object| {
        condition(object, "Available")["reason"] == "Suspended"
    });
    assert_eq!(condition(&found, "Ready")["reason"], "UnexpectedEnd");
    // Let go, what ran before it broke runs again.
    space.patch("joiner/join", &json!({"spec": {"suspend": null}}));
    replicas(1);
}

#[test]
fn a_password_in_a_manifest_works_and_is_warned_about() {
    let space = Space::new("inline-credential");
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: ClusterStream, metadata: {name: open}, \
         spec: {protocol: redis, properties: {redisHost: 'redis:6379', redisPassword: hunter2}}}",
    );
    space.ready("clusterstreams/open", "Usable");
    let found = space.get("clusterstreams/open");
    let warning = condition(&found, "Warning");
    assert_eq!(warning["reason"], "InlineCredential");
    assert!(!warning["message"].as_str().unwrap().contains("hunter2"));
    let told = |event: &Value| event["reason"] == "InlineCredential" && event["type"] == "Warning";
    wait(|| space.list("events").iter().any(told).then_some(())).unwrap();
    // It goes when its cause goes.
    space.patch(
        "clusterstream/open",
        &json!({"spec": {"properties": {"redisPassword": null}}}),
    );
    space.until("clusterstreams/open", |object| {
        condition(object, "Warning").is_null()
    });
}
